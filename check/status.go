package check

import (
	"fmt"
	"strconv"
	"strings"
)

// A span is a range of status codes, both ends included.
type span struct{ from, to int }

// parseStatus reads one item of a status list: 200, 2xx, 200-299 or any.
func parseStatus(item string) (span, error) {
	item = strings.TrimSpace(item)
	if item == "any" {
		return span{100, 999}, nil
	}
	if len(item) == 3 && strings.HasSuffix(strings.ToLower(item), "xx") && item[0] >= '1' && item[0] <= '9' {
		from := int(item[0]-'0') * 100
		return span{from, from + 99}, nil
	}
	low, high, isRange := strings.Cut(item, "-")
	from, err1 := statusCode(low)
	to := from
	var err2 error
	if isRange {
		to, err2 = statusCode(high)
	}
	switch {
	case err1 != nil || err2 != nil:
		return span{}, fmt.Errorf("%q is no status: want 200, 2xx, 200-299 or any", item)
	case to < from:
		return span{}, fmt.Errorf("%q is empty: did you mean %d-%d?", item, to, from)
	}
	return span{from, to}, nil
}

func statusCode(s string) (int, error) {
	s = strings.TrimSpace(s)
	n, err := strconv.Atoi(s)
	if err != nil || len(s) != 3 || n < 100 {
		return 0, fmt.Errorf("%q is no status code", s)
	}
	return n, nil
}

// expression returns what a status list means.
func expression(spans []span) string {
	parts := make([]string, len(spans))
	for i, s := range spans {
		if s.from == s.to {
			parts[i] = fmt.Sprintf("status == %d", s.from)
		} else {
			parts[i] = fmt.Sprintf("status in %d..%d", s.from, s.to)
		}
	}
	return strings.Join(parts, " or ")
}
