package sqlite

import (
	"testing"

	"github.com/vedettehq/vedette"
)

// FuzzBody reads damaged bodies: an error, never a panic nor memory without bound.
func FuzzBody(f *testing.F) {
	r := looks("a", noon, 1, 1).Results[0]
	r.Region, r.Hops = "eu-1", []vedette.Hop{{URL: "https://example.com/", Code: 200}}
	st := vedette.Status{Monitor: "a", State: vedette.Up, Since: noon, Muted: "gateway"}
	st.Votes = []vedette.Vote{{Region: "eu-1", Last: r}, {Last: looks("a", noon, 10, 1).Results[9]}}
	f.Add(appendResult(nil, &r))
	f.Add(appendStatus(nil, &st))
	f.Add(appendSpent(nil, &vedette.Spent{Up: 1}))
	f.Fuzz(func(t *testing.T, data []byte) {
		var st vedette.Status
		b := body{rest: data}
		b.status(&st)
		if len(st.Votes) > len(data) {
			t.Errorf("%d votes of %d bytes", len(st.Votes), len(data))
		}
		got := vedette.Result{ID: vedette.NewID(noon)}
		b = body{rest: data}
		b.result(&got)
		if len(got.Hops) > len(data) {
			t.Errorf("%d hops of %d bytes", len(got.Hops), len(data))
		}
		if b.err != nil {
			return
		}
		again := vedette.Result{ID: got.ID}
		second := body{rest: appendResult(nil, &got)}
		if second.result(&again); second.err != nil || again.Seq != got.Seq || again.Region != got.Region || len(again.Hops) != len(got.Hops) {
			t.Errorf("%+v came back as %+v, %v", got, again, second.err)
		}
	})
}

func TestDamagedBodyIsAnError(t *testing.T) {
	r := looks("a", noon, 1, 1).Results[0]
	whole := appendResult(nil, &r)
	for n := range whole {
		b := body{rest: whole[:n]}
		if b.result(&vedette.Result{ID: r.ID}); b.err == nil {
			t.Errorf("%d of %d bytes read without an error", n, len(whole))
		}
	}
}
