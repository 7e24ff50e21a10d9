package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

// TestWriter holds the Writer of a store to its contract.
func TestWriter(t *testing.T, open func(t *testing.T) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"keeps all of a result":                  testWriteResult,
		"keeps all of a status":                  testWriteStatus,
		"adds and replaces incidents":            testWriteIncident,
		"keeps a result once":                    testWriteOnce,
		"keeps of copies the one that counts":    testWriteCopies,
		"keeps all of a batch or none":           testWriteAllOrNone,
		"refuses what it could not tell apart":   testWriteRefuses,
		"refuses a status from an older one":     testWriteConflict,
		"loses no update to another writer":      testWriteRace,
		"loses no update of many at once":        testWriteCross,
		"keeps results sent by many at once":     testWriteMany,
		"keeps nothing of a batch that is ended": testWriteEnded,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// results returns one of each form that a result can take, by ID.
func results() []vedette.Result {
	full := look("a", noon.Add(time.Second))
	full.Region, full.CertNotAfter, full.Maintenance = "eu-1", noon.AddDate(0, 3, 0), true
	full.Hops = []vedette.Hop{
		{URL: "http://example.com/", Code: 301, Addr: "192.0.2.7:80", Phases: vedette.Phases{DNS: time.Millisecond}},
		{URL: "https://example.com/", Code: 200, Phases: full.Phases},
	}
	late := look("a", noon.Add(2*time.Second))
	late.Seq, late.Revision, late.Token, late.Phases = 0, 0, 0, vedette.Phases{}
	early := look("a", noon.Add(3*time.Second))
	early.DueAt = noon.Add(5 * time.Second)
	never := look("a", noon.Add(4*time.Second))
	never.DueAt, never.Code, never.State = time.Time{}, 0, vedette.Unknown
	never.Failure = &vedette.Failure{Kind: vedette.KindMissed, Message: "no slot for 10s"}
	slow := look("a", noon.Add(5*time.Second))
	slow.State, slow.Phases.TTFB = vedette.Degraded, 3*time.Minute
	slow.Failure = &vedette.Failure{Kind: vedette.KindExpectation, Message: `total < "1s" is false`}
	return []vedette.Result{look("a", noon), full, late, early, never, slow, failing("a", noon.Add(6*time.Second))}
}

func testWriteResult(t *testing.T, s Store) {
	want := results()
	sent := slices.Clone(want)
	sent[0].Addr = "192.0.2.7:443"
	write(t, s, found(sent...))
	same(t, "history", history(t, s, "a", vedette.Span{}), want)
}

func testWriteStatus(t *testing.T, s Store) {
	last := results()
	bad := last[6]
	bad.Failure = &vedette.Failure{Kind: bad.Failure.Kind, Phase: bad.Failure.Phase, Message: bad.Failure.Message}
	last[1].Hops = nil
	in := incident("a", noon, time.Time{})
	want := vedette.Status{
		Monitor: "a", State: vedette.Unknown, Since: noon, Settled: vedette.Down,
		Votes: []vedette.Vote{
			{
				Region: "eu-1", Last: last[1], Stale: true,
				Tally: vedette.Tally{State: vedette.Up, Since: noon.Add(-time.Hour), Streak: 2, StreakSince: noon.Add(time.Minute)},
			},
			{Region: "us-1", Last: bad, Failing: 3, Tally: vedette.Tally{Streak: 1, StreakSince: noon}},
			{Last: last[4]},
		},
		Incident: &in, Muted: "gateway", Counted: noon.Add(time.Minute),
		Spent: vedette.Spent{Up: 1, Degraded: 2, Down: time.Minute, Unknown: time.Second, Maintenance: time.Hour},
		Seq:   1 << 40,
	}
	write(t, s, vedette.Batch{Statuses: []vedette.Status{want, {Monitor: "b"}}, Incidents: []vedette.Incident{in}})
	want.Version = 1
	same(t, "status", status(t, s, "a"), want)
	same(t, "empty status", status(t, s, "b"), vedette.Status{Monitor: "b", Version: 1})
}

func incident(m vedette.MonitorID, opened, closed time.Time) vedette.Incident {
	in := vedette.Incident{ID: vedette.NewID(opened), Monitor: m, Opened: opened, Closed: closed, Seq: 3}
	in.Cause = *failing(m, opened).Failure
	if !closed.IsZero() {
		in.Reason = "recovered"
	}
	return in
}

func testWriteIncident(t *testing.T, s Store) {
	in := incident("a", noon, time.Time{})
	write(t, s, vedette.Batch{Incidents: []vedette.Incident{in}})
	same(t, "open", incidents(t, s, "a", vedette.Span{}), []vedette.Incident{in})
	in.Closed, in.Reason, in.Seq = noon.Add(time.Minute), "recovered", 9
	write(t, s, vedette.Batch{Incidents: []vedette.Incident{in}})
	same(t, "closed", incidents(t, s, "a", vedette.Span{}), []vedette.Incident{in})
}

func testWriteOnce(t *testing.T, s Store) {
	all := append(looks("a", noon, 5, time.Second), failing("a", noon.Add(time.Minute)))
	write(t, s, found(all[0], all[1], all[0], all[1], all[5], all[5]))
	write(t, s, found(all...))
	write(t, s, vedette.Batch{Found: vedette.Found{Results: all, Resent: true}})
	same(t, "history", ids(history(t, s, "a", vedette.Span{})), ids(all))

	// The same id under another monitor is another result.
	other := all[0]
	other.Monitor = "b"
	write(t, s, found(other))
	same(t, "history of b", ids(history(t, s, "b", vedette.Span{})), ids(all[:1]))
	if size, err := s.Size(t.Context()); err != nil || size.Rows["statuses"] != 0 {
		t.Errorf("%d statuses, want none: nobody wrote one; %v", size.Rows["statuses"], err)
	}
}

// testWriteCopies sends each result twice in one batch, as a sender does that lost an answer: of
// the copies the one that advanced the status is kept, which comes first and has the Seq.
func testWriteCopies(t *testing.T, s Store) {
	for n := range 40 {
		id := monitorID(n)
		all := looks(id, noon, 20, time.Second)
		for i := range all {
			all[i].Seq = int64(i) + 1
		}
		again := slices.Clone(all)
		for i := range again {
			again[i].Seq = 0
		}
		b := found(slices.Concat(all, again)...)
		b.Resent = n%2 == 0
		write(t, s, b)
		same(t, "kept of copies", history(t, s, id, vedette.Span{}), all)
	}
}

func testWriteAllOrNone(t *testing.T, s Store) {
	write(t, s, vedette.Batch{Statuses: []vedette.Status{{Monitor: "b", Seq: 1}}})
	bad := look("a", noon)
	bad.State = "sideways"
	batch := func(r vedette.Result, version int64) vedette.Batch {
		return vedette.Batch{
			Found:     vedette.Found{Results: []vedette.Result{look("a", noon), r, look("a", noon.Add(time.Second))}},
			Statuses:  []vedette.Status{{Monitor: "a", Seq: 2}, {Monitor: "b", Seq: 2, Version: version}, {Monitor: "c", Seq: 2}},
			Incidents: []vedette.Incident{incident("a", noon, time.Time{})},
		}
	}
	good := look("a", noon.Add(time.Minute))
	wantErr(t, "a stale status in the middle", s.Write(t.Context(), batch(good, 0)), vedette.ErrConflict)
	wantErr(t, "a bad result in the middle", s.Write(t.Context(), batch(bad, 1)), vedette.ErrRefused)
	if got := history(t, s, "", vedette.Span{}); len(got) != 0 {
		t.Errorf("%d results of failed batches are kept", len(got))
	}
	if got := incidents(t, s, "", vedette.Span{}); len(got) != 0 {
		t.Errorf("%d incidents of failed batches are kept", len(got))
	}
	all, err := s.Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "statuses", all, []vedette.Status{{Monitor: "b", Seq: 1, Version: 1}})
	if slots, err := s.Dirty(t.Context(), noon.AddDate(1, 0, 0), 10); err != nil || len(slots) != 0 {
		t.Errorf("slots of failed batches are dirty: %v, %v", slots, err)
	}
	write(t, s, batch(good, 1))
	if got := history(t, s, "a", vedette.Span{}); len(got) != 3 {
		t.Errorf("%d results after a good batch, want 3", len(got))
	}
}

func testWriteRefuses(t *testing.T, s Store) {
	spoil := map[string]func(r *vedette.Result){
		"no monitor":         func(r *vedette.Result) { r.Monitor = "" },
		"no id":              func(r *vedette.Result) { r.ID = vedette.ID{} },
		"an id of elsewhen":  func(r *vedette.Result) { r.StartedAt = r.StartedAt.Add(time.Millisecond) },
		"an unknown state":   func(r *vedette.Result) { r.State = "sideways" },
		"an unknown failure": func(r *vedette.Result) { r.Failure = &vedette.Failure{Kind: "gremlins"} },
	}
	for name, f := range spoil {
		r := look("a", noon)
		f(&r)
		wantErr(t, name, s.Write(t.Context(), found(r)), vedette.ErrRefused)
	}
	wantErr(t, "a status of nobody", s.Write(t.Context(), vedette.Batch{Statuses: make([]vedette.Status, 1)}), vedette.ErrRefused)
	wantErr(t, "an incident without id", s.Write(t.Context(), vedette.Batch{Incidents: []vedette.Incident{{Monitor: "a"}}}), vedette.ErrRefused)
	write(t, s, vedette.Batch{})
}

func testWriteConflict(t *testing.T, s Store) {
	send := func(version int64) error {
		return s.Write(t.Context(), vedette.Batch{Statuses: []vedette.Status{{Monitor: "a", Version: version}}})
	}
	wantErr(t, "a version of a status that is not there", send(1), vedette.ErrConflict)
	for version := range int64(3) {
		if err := send(version); err != nil {
			t.Fatalf("version %d: %v", version, err)
		}
		wantErr(t, "a version again", send(version), vedette.ErrConflict)
		wantErr(t, "a version that is not yet", send(version+2), vedette.ErrConflict)
	}
	twice := []vedette.Status{{Monitor: "b"}, {Monitor: "b"}}
	wantErr(t, "one monitor twice", s.Write(t.Context(), vedette.Batch{Statuses: twice}), vedette.ErrConflict)
	if err := s.Forget(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "a status that was forgotten", send(3), vedette.ErrConflict)
	if err := send(0); err != nil {
		t.Errorf("a new status after one was forgotten: %v", err)
	}
}

// testWriteRace lets eight writers each add ten to a status that they read before.
func testWriteRace(t *testing.T, s Store) {
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			for range 10 {
				if err := increment(t.Context(), s); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	done.Wait()
	if got := status(t, s, "a"); got.Seq != 80 || got.Version != 80 {
		t.Errorf("seq %d version %d after 80 updates, want 80: an update was lost", got.Seq, got.Version)
	}
}

// increment adds one to the Seq of a's status, trying until nobody was faster.
func increment(ctx context.Context, s Store) error {
	for {
		all, err := s.Latest(ctx, "a")
		if err != nil {
			return fmt.Errorf("latest: %w", err)
		}
		st := vedette.Status{Monitor: "a"}
		if len(all) > 0 {
			st = all[0]
		}
		st.Seq++
		err = s.Write(ctx, vedette.Batch{Statuses: []vedette.Status{st}})
		if !errors.Is(err, vedette.ErrConflict) {
			return err
		}
	}
}

// testWriteCross lets eight writers each add four times to the same statuses, given in any
// order, and reads again what another was faster at. A deadlock would be an error of the store,
// or end the time it has.
func testWriteCross(t *testing.T, s Store) {
	const writers, times, monitors = 8, 4, 6
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var done sync.WaitGroup
	for w := range writers {
		done.Go(func() {
			for i := range times {
				if err := incrementAll(ctx, s, monitors, look("w", noon.Add(time.Duration(w*times+i)*time.Second))); err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
			}
		})
	}
	done.Wait()
	all, err := s.Latest(t.Context())
	if err != nil || len(all) != monitors {
		t.Fatalf("%d statuses, want %d; %v", len(all), monitors, err)
	}
	for _, st := range all {
		if st.Seq != writers*times || st.Version != writers*times {
			t.Errorf("seq %d version %d of %s after %d updates: an update was lost", st.Seq, st.Version, st.Monitor, writers*times)
		}
	}
	same(t, "results of all writes that were kept", len(history(t, s, "w", vedette.Span{})), writers*times)
}

// incrementAll adds one to the Seq of each of n statuses, in one batch with r, trying until
// nobody was faster.
func incrementAll(ctx context.Context, s Store, n int, r vedette.Result) error {
	all := make([]vedette.MonitorID, n)
	for i := range all {
		all[i] = monitorID(i)
	}
	for {
		was, err := s.Latest(ctx, all...)
		if err != nil {
			return fmt.Errorf("latest: %w", err)
		}
		byID := map[vedette.MonitorID]vedette.Status{}
		for _, st := range was {
			byID[st.Monitor] = st
		}
		b := found(r)
		for _, i := range rand.Perm(n) {
			st := byID[all[i]]
			st.Monitor = all[i]
			st.Seq++
			b.Statuses = append(b.Statuses, st)
		}
		if err := s.Write(ctx, b); !errors.Is(err, vedette.ErrConflict) {
			return err
		}
	}
}

// testWriteMany lets eight writers send overlapping results, while a reader looks.
func testWriteMany(t *testing.T, s Store) {
	all := looks("a", noon, 400, 500*time.Millisecond)
	var done sync.WaitGroup
	for w := range 8 {
		done.Go(func() {
			for i := w * 40; i < w*40+120; i += 20 {
				if err := s.Write(t.Context(), found(all[i:min(i+20, 400)]...)); err != nil {
					t.Error(err)
				}
				if _, err := s.History(t.Context(), "a", vedette.Span{N: 50, Newest: true}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done.Wait()
	same(t, "history", ids(history(t, s, "a", vedette.Span{})), ids(all))
}

func testWriteEnded(t *testing.T, s Store) {
	all := looks("a", noon, 10, time.Second)
	if err := s.Write(ended(t), found(all...)); !errors.Is(err, context.Canceled) {
		t.Errorf("Write under an ended context: %v", err)
	}
	if got := history(t, s, "a", vedette.Span{}); len(got) != 0 {
		t.Errorf("%d results are kept of it", len(got))
	}
	write(t, s, vedette.Batch{Found: vedette.Found{Results: all, Resent: true}})
	same(t, "history", ids(history(t, s, "a", vedette.Span{})), ids(all))
}
