package pack_test

import (
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func look() vedette.Result {
	return vedette.Result{
		ID: vedette.NewID(noon), Monitor: "a", StartedAt: noon, State: vedette.Up, Code: 200,
		DueAt: noon.Add(-time.Millisecond), Token: noon.UnixMicro() - 7, Seq: 3, Revision: 2,
		Phases: vedette.Phases{DNS: time.Millisecond, TTFB: 20 * time.Millisecond},
	}
}

// FuzzBody reads damaged bodies: an error, never a panic nor memory without bound.
func FuzzBody(f *testing.F) {
	r := look()
	r.Region, r.Hops = "eu-1", []vedette.Hop{{URL: "https://example.com/", Code: 200}}
	bad := look()
	bad.State, bad.Failure = vedette.Down, &vedette.Failure{Kind: vedette.KindStatus, Message: "status 500"}
	st := vedette.Status{Monitor: "a", State: vedette.Up, Since: noon, Muted: "gateway"}
	st.Votes = []vedette.Vote{{Region: "eu-1", Last: r}, {Last: bad}}
	f.Add(pack.AppendResult(nil, &r))
	f.Add(pack.AppendStatus(nil, &st))
	f.Add(pack.AppendSpent(nil, &vedette.Spent{Up: 1}))
	f.Fuzz(func(t *testing.T, data []byte) {
		var st vedette.Status
		_ = pack.Status(data, &st)
		if len(st.Votes) > len(data) {
			t.Errorf("%d votes of %d bytes", len(st.Votes), len(data))
		}
		got := vedette.Result{ID: vedette.NewID(noon)}
		err := pack.Result(data, &got)
		if len(got.Hops) > len(data) {
			t.Errorf("%d hops of %d bytes", len(got.Hops), len(data))
		}
		if err != nil {
			return
		}
		again := vedette.Result{ID: got.ID}
		if err := pack.Result(pack.AppendResult(nil, &got), &again); err != nil || again.Seq != got.Seq || again.Region != got.Region || len(again.Hops) != len(got.Hops) {
			t.Errorf("%+v came back as %+v, %v", got, again, err)
		}
	})
}

func TestDamagedBodyIsAnError(t *testing.T) {
	r := look()
	whole := pack.AppendResult(nil, &r)
	for n := range whole {
		if err := pack.Result(whole[:n], &vedette.Result{ID: r.ID}); err == nil {
			t.Errorf("%d of %d bytes read without an error", n, len(whole))
		}
	}
}
