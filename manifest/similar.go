package manifest

import (
	"iter"
	"strings"
)

// similar returns the candidate that word was likely meant to be, and "" if none is near.
func similar(word string, candidates iter.Seq[string]) string {
	best, limit := "", min(2, len(word)/2)+1
	lower := strings.ToLower(word)
	for c := range candidates {
		other := strings.ToLower(c)
		if d := len(lower) - len(other); d >= limit || -d >= limit {
			continue
		}
		if d := distance(lower, other); d < limit {
			best, limit = c, d
		}
	}
	return best
}

// didYouMean is similar as a question, or "".
func didYouMean(word string, candidates iter.Seq[string]) string {
	if c := similar(word, candidates); c != "" {
		return "did you mean " + c + "?"
	}
	return ""
}

// distance is the number of letters to insert, remove, replace or swap with their neighbour to
// get from a to b (optimal string alignment).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
