package storetest

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

// BenchmarkWrite measures batches of 500 results with their statuses, as a watch of n monitors
// every ten seconds sends them: those whose hashes are neighbours come together. It reports the
// bytes that a result takes in the store.
func BenchmarkWrite(b *testing.B, s Store, n int) {
	const batch, interval = 500, 10 * time.Second
	ids := make([]vedette.MonitorID, n)
	for i := range ids {
		ids[i] = monitorID(i)
	}
	slices.SortFunc(ids, func(x, y vedette.MonitorID) int { return cmp.Compare(x.Hash(), y.Hash()) })
	statuses := make([]vedette.Status, n)
	for i := range statuses {
		statuses[i].Monitor = ids[i]
	}
	sent := 0
	b.ReportAllocs()
	for b.Loop() {
		next := vedette.Batch{}
		for range batch {
			i, round := sent%n, sent/n
			due := noon.Add(time.Duration(round)*interval + interval*time.Duration(i)/time.Duration(n))
			r := look(ids[i], due.Add(700*time.Microsecond))
			r.Seq = int64(round) + 100_000
			next.Results = append(next.Results, r)
			statuses[i] = follow(statuses[i], r)
			sent++
		}
		next.Statuses = batchOf(statuses, sent, batch)
		write(b, s, next)
		for i := range batch {
			statuses[(sent-batch+i)%n].Version++
		}
	}
	size, err := s.Size(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(size.Bytes)/float64(sent), "B/result")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(sent), "us/result")
}

// batchOf returns the statuses that the last batch moved; n is a multiple of batch.
func batchOf(statuses []vedette.Status, sent, batch int) []vedette.Status {
	from := (sent - batch) % len(statuses)
	return slices.Clone(statuses[from : from+batch])
}

// follow is a fold of the usual size.
func follow(st vedette.Status, r vedette.Result) vedette.Status {
	st.State, st.Settled, st.Since, st.Counted = vedette.Up, vedette.Up, noon, r.StartedAt
	st.Spent.Up = r.StartedAt.Sub(noon)
	st.Seq = r.Seq
	st.Votes = []vedette.Vote{{Tally: vedette.Tally{State: vedette.Up, Since: noon}, Last: r}}
	return st
}
