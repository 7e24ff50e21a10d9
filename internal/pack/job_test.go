package pack_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

func job() vedette.Job {
	at := time.Unix(1_700_000_000, 123_000).UTC()
	return vedette.Job{
		Scraper: "prices", Handler: "exec", Params: vedette.Raw(`{"shop":1}`), Queue: "slow", Priority: -3,
		FireAt: at, Fired: true, Timeout: time.Hour, MaxAttempts: 5, RetryAfter: time.Minute, Keep: 50,
		Unique: "u", UniqueWaiting: "w", LimitKey: "l", Limit: 3, RateKey: "r", RateEvery: time.Second, RateBurst: 2,
		CreatedAt: at.Add(time.Second),
	}
}

func TestJobBody(t *testing.T) {
	for name, want := range map[string]vedette.Job{"full": job(), "plain": {Handler: "h", Queue: "q", MaxAttempts: 1}} {
		var got vedette.Job
		if err := pack.Job(pack.AppendJob(nil, &want), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAttemptsBody(t *testing.T) {
	at := time.Unix(1_700_000_000, 0).UTC()
	want := []vedette.Attempt{
		{Epoch: 7, Owner: "a", StartedAt: at, FinishedAt: at.Add(time.Second), State: vedette.JobRetrying, Error: "no"},
		{Epoch: 1 << 60, State: vedette.JobSucceeded},
	}
	got, err := pack.Attempts(pack.AppendAttempts(pack.AppendAttempts(nil, want[0]), want[1]))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzJobBody(f *testing.F) {
	j := job()
	f.Add(pack.AppendJob(nil, &j))
	f.Fuzz(func(_ *testing.T, data []byte) {
		var got vedette.Job
		_ = pack.Job(data, &got)
		_, _ = pack.Attempts(data)
	})
}

func TestDamagedJobIsAnError(t *testing.T) {
	whole := job()
	data := pack.AppendJob(nil, &whole)
	for n := range data {
		var got vedette.Job
		if pack.Job(data[:n], &got) == nil {
			t.Errorf("the first %d of %d bytes are a body", n, len(data))
		}
	}
}
