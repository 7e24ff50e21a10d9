package redis

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/vedettehq/vedette"
)

func TestLargePush(t *testing.T) {
	s := openNew(t)
	all := jobs(3*pieceJobs+1, func(j *vedette.Job) { j.Params = vedette.Raw(`"` + j.ID.String() + `"`) })
	all[5].Unique, all[3*pieceJobs].Unique = "k", "k"
	refused, err := s.Jobs().Push(t.Context(), append(all, all[0])...)
	if err != nil || !slices.Equal(refused, []vedette.ID{all[3*pieceJobs].ID}) {
		t.Fatalf("refused %v, %v; want the second of a key", refused, err)
	}
	beat(t, s, "w")
	for _, n := range []int{2*pieceJobs + 500, pieceJobs - 500} {
		if stale, err := s.Queue().Finish(t.Context(), ends(claim(t, s, "w", n), vedette.JobSucceeded)...); err != nil || len(stale) > 0 {
			t.Fatal(stale, err)
		}
	}
	bad := jobs(2 * pieceJobs)
	bad[2*pieceJobs-1].Handler = ""
	if _, err := s.Jobs().Push(t.Context(), bad...); !errors.Is(err, vedette.ErrRefused) {
		t.Errorf("Push with a bad one at its end: %v", err)
	}
	if _, err := s.Jobs().Get(t.Context(), bad[0].ID); !errors.Is(err, vedette.ErrNotFound) {
		t.Errorf("Get of what came with a bad one: %v", err)
	}
	if keys, err := s.db.Keys(t.Context(), s.prefix+":stage*").Result(); err != nil || len(keys) > 0 {
		t.Errorf("left behind: %v, %v", keys, err)
	}
}

// TestLargePushIsEndedByTheLeader stops a large Push before it is committed, and behind that.
func TestLargePushIsEndedByTheLeader(t *testing.T) {
	s := openNew(t)
	all := jobs(2 * pieceJobs)
	args, err := pushArgs(all)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"stopped before", "stopped behind"} {
		if _, err := s.call(t.Context(), "stage", append([]any{name}, args...)...); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.call(t.Context(), "commit", "stopped behind", len(args)+1); err == nil {
		t.Error("a commit of which something is missing is taken")
	}
	if _, err := s.call(t.Context(), "commit", "stopped behind", len(args)); err != nil {
		t.Fatal(err)
	}
	leader := lead(t, s)
	if _, err := s.Queue().Rescue(t.Context(), leader); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Jobs().Get(t.Context(), all[0].ID); !errors.Is(err, vedette.ErrNotFound) {
		t.Errorf("Rescue goes on with a Push that may still run: %v", err)
	}
	long := time.Now().Add(-time.Hour).UnixMicro()
	if err := s.db.ZAdd(t.Context(), s.prefix+":stages", scored(long, "stopped behind")).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Queue().Rescue(t.Context(), leader); err != nil {
		t.Fatal(err)
	}
	st, err := s.Jobs().Queues(t.Context())
	if err != nil || len(st) != 1 || st[0].Ready[0] != 2*pieceJobs {
		t.Errorf("queues %+v, %v; want all that was committed", st, err)
	}
	if ttl, err := s.db.TTL(t.Context(), s.prefix+":stage:stopped before").Result(); err != nil || ttl <= 0 {
		t.Errorf("what was not committed lives for %v, %v", ttl, err)
	}
}

func TestManyPrioritiesKeepTheirOrder(t *testing.T) {
	s := openNew(t)
	old := time.Now().Add(-time.Hour)
	var want []vedette.ID
	var all []vedette.Job
	for _, p := range []int{-1 << 63, -1 << 40, -1, 0, 1, 1 << 40, 1<<63 - 1} {
		j := job(func(j *vedette.Job) { j.Priority, j.RunAt = p, old })
		want, all = append(want, j.ID), append(all, j)
	}
	slices.Reverse(all)
	pushAll(t, s, all...)
	beat(t, s, "w")
	var got []vedette.ID
	for _, j := range claim(t, s, "w", len(want)) {
		got = append(got, j.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("claimed %v, want %v", got, want)
	}
}

// TestWhoClaimsSeldomHasWhatIsUrgentOfAllThatIsDue claims twice, of more than one call makes ready.
func TestWhoClaimsSeldomHasWhatIsUrgentOfAllThatIsDue(t *testing.T) {
	s := openNew(t)
	beat(t, s, "w")
	due := time.Now().Add(time.Hour)
	all := jobs(25_000)
	for i := range all {
		all[i].RunAt, all[i].Priority = due, vedette.Normal
	}
	urgent := job(func(j *vedette.Job) { j.RunAt, j.Priority = due.Add(time.Millisecond), vedette.Utmost })
	pushAll(t, s, append(all, urgent)...)
	later := s.prefix + ":later:q"
	if err := s.db.ZUnionStore(t.Context(), later, &redis.ZStore{Keys: []string{later}, Weights: []float64{0.5}}).Err(); err != nil {
		t.Fatal(err) // half of the time since 1970 is long ago
	}
	if claim(t, s, "w", 1)[0].ID == urgent.ID {
		t.Fatal("one call makes all ready, and this test is none")
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		left, err := s.db.ZCard(t.Context(), later).Result()
		if err != nil {
			t.Fatal(err)
		}
		if left == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d are still to be made ready, and nobody is about to", left)
		}
	}
	if got := claim(t, s, "w", 1)[0].ID; got != urgent.ID {
		t.Errorf("claimed %s next, want the urgent one behind all that came due before", got)
	}
}
