package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

// TestPositions holds the Positions of a store, and its Writer where it moves them, to their
// contract.
func TestPositions(t *testing.T, open func(t *testing.T) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"gives fresh positions":                       testClaimFresh,
		"raises epochs and keeps the rest":            testClaimAgain,
		"claims in the order that is asked for":       testClaimOrder,
		"tells groups, topics and partitions apart":   testClaimApart,
		"claims nothing under an ended context":       testClaimEnded,
		"lists a group by topic and partition":        testListPositions,
		"moves positions with what was read":          testMove,
		"moves back, and into another stream":         testMoveStream,
		"says how far time has come without a move":   testMoveIdle,
		"keeps nothing of a batch under an old epoch": testMoveEpoch,
		"keeps nothing of a batch from elsewhere":     testMoveFrom,
		"moves nothing that nobody claimed":           testMoveUnclaimed,
		"moves nothing of a batch that conflicts":     testMoveConflict,
		"keeps every offset once among claimers":      testMoveRace,
		"fences writes in progress":                   testClaimRace,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// place names a partition of the topic of most tests.
func place(partition int32) vedette.Position {
	return vedette.Position{Group: "vedette", Topic: "results", Partition: partition, Stream: "s1"}
}

func claim(t testing.TB, s Store, owner string, p ...vedette.Position) []vedette.Position {
	t.Helper()
	got, err := s.Positions().Claim(t.Context(), owner, p...)
	if err != nil {
		t.Fatalf("Claim: %v", err)
	}
	if len(got) != len(p) {
		t.Fatalf("Claim of %d positions gave %d: %+v", len(p), len(got), got)
	}
	return got
}

// move returns p as a batch moves it on to next.
func move(p vedette.Position, next int64) vedette.Position {
	p.From, p.Next = p.Next, next
	return p
}

func moving(p ...vedette.Position) vedette.Batch { return vedette.Batch{Positions: p} }

// listed returns the positions of a group without From, which says nothing of what is kept.
func listed(t testing.TB, s Store, group string) []vedette.Position {
	t.Helper()
	all, err := s.Positions().List(t.Context(), group)
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	for i := range all {
		all[i].From = 0
	}
	return all
}

// kept returns the one position of the group.
func kept(t testing.TB, s Store) vedette.Position {
	t.Helper()
	all := listed(t, s, "vedette")
	if len(all) != 1 {
		t.Fatalf("%d positions are kept, want 1: %+v", len(all), all)
	}
	return all[0]
}

func testClaimFresh(t *testing.T, s Store) {
	asked := place(3)
	asked.From, asked.Next, asked.Epoch, asked.Owner, asked.Through = 7, 9, 77, "b", noon // none of it is read
	got := claim(t, s, "a", asked)[0]
	got.From = 0
	want := place(3)
	want.Next, want.Epoch, want.Owner = -1, got.Epoch, "a"
	same(t, "claimed", got, want)
	if got.Epoch < 1 {
		t.Errorf("epoch %d, want one above that of a position nobody claimed", got.Epoch)
	}
	same(t, "kept", kept(t, s), want)
	same(t, "none", claim(t, s, "a"), nil)
}

func testClaimAgain(t *testing.T, s Store) {
	p := claim(t, s, "a", place(0))[0]
	p.Through = noon.Add(time.Microsecond)
	write(t, s, moving(move(p, 42)))
	asked := place(0)
	asked.Stream = "s2"
	last := p.Epoch
	for _, owner := range []string{"b", "b", "a"} {
		got := claim(t, s, owner, asked)[0]
		if got.Epoch <= last {
			t.Errorf("epoch %d after %d, want a higher one", got.Epoch, last)
		}
		last = got.Epoch
		if got.Next != 42 || got.Stream != "s1" || !got.Through.Equal(p.Through) {
			t.Errorf("claimed %+v, want Next 42, Stream and Through as they were written", got)
		}
		if now := kept(t, s); now.Owner != owner || now.Epoch != last {
			t.Errorf("kept %+v, want owner %s and epoch %d", now, owner, last)
		}
	}
}

func testClaimOrder(t *testing.T, s Store) {
	p := claim(t, s, "a", place(1))[0]
	write(t, s, moving(move(p, 10)))
	got := claim(t, s, "b", place(2), place(1), place(0))
	for i, want := range []struct {
		partition int32
		next      int64
	}{{2, -1}, {1, 10}, {0, -1}} {
		if got[i].Partition != want.partition || got[i].Next != want.next {
			t.Errorf("claimed %+v at %d, want partition %d at %d", got[i], i, want.partition, want.next)
		}
	}
}

func testClaimApart(t *testing.T, s Store) {
	group, topic, partition := place(0), place(0), place(1)
	group.Group, topic.Topic = "other", "other"
	all := claim(t, s, "a", place(0), group, topic, partition)
	for i, p := range all {
		all[i] = move(p, int64(10+i))
	}
	write(t, s, moving(all[:2]...))
	write(t, s, moving(all[2:]...))
	again := claim(t, s, "b", group)[0]
	if again.Next != 11 {
		t.Errorf("group other is at %d, want 11", again.Next)
	}
	write(t, s, moving(move(all[0], 20)))
	wantErr(t, "a claimed one", s.Write(t.Context(), moving(move(all[1], 20))), vedette.ErrLeaseLost)
}

func testClaimEnded(t *testing.T, s Store) {
	p := claim(t, s, "a", place(0))[0]
	if _, err := s.Positions().Claim(ended(t), "b", place(0)); err == nil {
		t.Error("a Claim whose context had ended reports no error")
	}
	write(t, s, moving(move(p, 1)))
}

func testListPositions(t *testing.T, s Store) {
	other, topic, far := place(0), place(0), place(10)
	other.Group, topic.Topic = "vedette2", "alerts"
	claim(t, s, "a", far, place(2), topic, other)
	got := listed(t, s, "vedette")
	if len(got) != 3 || got[0].Topic != "alerts" || got[1].Partition != 2 || got[2].Partition != 10 {
		t.Errorf("listed %+v, want alerts/0, results/2, results/10", got)
	}
	same(t, "a group that nobody knows", listed(t, s, "vedett"), nil)
}

func testMove(t *testing.T, s Store) {
	got := claim(t, s, "a", place(0), place(1))
	b := full(got[0], got[1])
	b.Positions[0].Through = noon.Add(time.Second)
	write(t, s, b)
	holds(t, s, 1)
	now := listed(t, s, "vedette")
	if now[0].Next != 5 || !now[0].Through.Equal(noon.Add(time.Second)) || now[0].Epoch != got[0].Epoch || now[0].Owner != "a" {
		t.Errorf("partition 0 is %+v, want a's under epoch %d at 5, through %v", now[0], got[0].Epoch, noon.Add(time.Second))
	}
	if now[1].Next != 5 || !now[1].Through.IsZero() {
		t.Errorf("partition 1 is %+v, want it at 5 and nothing said of time", now[1])
	}
	on := now[0]
	on.Through = time.Time{}
	write(t, s, moving(move(on, 6)))
	if now := listed(t, s, "vedette")[0]; now.Next != 6 || !now.Through.Equal(noon.Add(time.Second)) {
		t.Errorf("partition 0 is %+v, want it at 6 and Through as it was", now)
	}
}

func testMoveStream(t *testing.T, s Store) {
	p := claim(t, s, "a", place(0))[0]
	write(t, s, moving(move(p, 100)))
	anew := p
	anew.Stream, anew.From, anew.Next = "s2", 100, 4
	write(t, s, moving(anew))
	now := kept(t, s)
	if now.Stream != "s2" || now.Next != 4 {
		t.Errorf("kept %+v, want it at 4 of s2", now)
	}
	write(t, s, moving(move(now, 5)))
}

func testMoveIdle(t *testing.T, s Store) {
	p := claim(t, s, "a", place(0))[0]
	for i, next := range []int64{-1, 5, 5} {
		idle := move(p, next)
		idle.Through = noon.Add(time.Duration(i) * time.Second)
		write(t, s, moving(idle))
		p.Next = next
		if now := kept(t, s); now.Next != next || !now.Through.Equal(idle.Through) || now.Epoch != p.Epoch {
			t.Errorf("kept %+v, want Next %d and Through %v", now, next, idle.Through)
		}
	}
}

// full returns a batch with some of everything, which moves positions that nothing was read of
// to 5.
func full(p ...vedette.Position) vedette.Batch {
	b := vedette.Batch{
		Found:     vedette.Found{Results: []vedette.Result{look("a", noon), failing("a", noon.Add(time.Second))}},
		Statuses:  []vedette.Status{{Monitor: "a"}, {Monitor: "b"}},
		Incidents: []vedette.Incident{incident("a", noon, time.Time{})},
		Dead:      []vedette.DeadLetter{letter(noon)},
	}
	for _, one := range p {
		b.Positions = append(b.Positions, move(one, 5))
	}
	return b
}

// holds checks that the store holds n times what full gives.
func holds(t *testing.T, s Store, n int) {
	t.Helper()
	statuses, err := s.Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "results", len(history(t, s, "", vedette.Span{})), 2*n)
	same(t, "statuses", len(statuses), 2*n)
	same(t, "incidents", len(incidents(t, s, "", vedette.Span{})), n)
	same(t, "letters", len(unsent(t, s, 10)), n)
	if slots := dirty(t, s, noon.AddDate(1, 0, 0), 10); len(slots) != n {
		t.Errorf("%d slots are dirty, want %d", len(slots), n)
	}
}

// wantFenced checks that b is refused and leaves no trace.
func wantFenced(t *testing.T, what string, s Store, b vedette.Batch, want error) {
	t.Helper()
	before := listed(t, s, "vedette")
	wantErr(t, what, s.Write(t.Context(), b), want)
	holds(t, s, 0)
	same(t, what+": positions", listed(t, s, "vedette"), before)
}

func testMoveEpoch(t *testing.T, s Store) {
	old := claim(t, s, "a", place(0), place(1), place(2))
	now := claim(t, s, "b", place(1))[0]
	wantFenced(t, "an old epoch in the middle", s, full(old...), vedette.ErrLeaseLost)
	wantFenced(t, "an old epoch alone", s, full(old[1]), vedette.ErrLeaseLost)
	ahead := now
	ahead.Epoch++
	wantFenced(t, "an epoch that is not yet", s, full(old[0], ahead), vedette.ErrLeaseLost)
	idle := move(old[1], -1)
	idle.Through = noon
	wantFenced(t, "no move under an old epoch", s, moving(idle), vedette.ErrLeaseLost)
	write(t, s, full(old[0], now, old[2]))
	holds(t, s, 1)
}

func testMoveFrom(t *testing.T, s Store) {
	got := claim(t, s, "a", place(0), place(1))
	for _, from := range []int64{-2, 0, 5} {
		b := full(got...)
		b.Positions[1].From = from
		wantFenced(t, "another place", s, b, vedette.ErrLeaseLost)
	}
	write(t, s, full(got...))
	again := moving(move(got[0], 5))
	again.Results = []vedette.Result{look("c", noon)}
	wantErr(t, "the same stretch again", s.Write(t.Context(), again), vedette.ErrLeaseLost)
	holds(t, s, 1)
}

func testMoveUnclaimed(t *testing.T, s Store) {
	p := place(0)
	p.Next = -1
	wantFenced(t, "a position that nobody claimed", s, full(p), vedette.ErrLeaseLost)
	same(t, "positions", listed(t, s, "vedette"), nil)
}

func testMoveConflict(t *testing.T, s Store) {
	p := claim(t, s, "a", place(0))[0]
	b := full(p)
	b.Statuses[1].Version = 7
	wantFenced(t, "a stale status", s, b, vedette.ErrConflict)
	b = full(p)
	b.Results[1].State = "sideways"
	wantFenced(t, "a bad result", s, b, vedette.ErrRefused)
	write(t, s, full(p))
	holds(t, s, 1)
}

// testClaimRace claims while the former owner writes: what the claim returned must hold.
func testClaimRace(t *testing.T, s Store) {
	at := noon
	for round := range 20 {
		p := claim(t, s, "a", place(0))[0]
		ready, wrote := make(chan struct{}), make(chan error, 1)
		b := moving(move(p, p.Next+1))
		b.Results = looks("a", at, 400, time.Millisecond)
		at = at.Add(time.Second)
		go func() {
			close(ready)
			wrote <- s.Write(t.Context(), b)
		}()
		<-ready
		got := claim(t, s, "b", place(0))[0]
		before := kept(t, s).Next
		err := <-wrote
		if err != nil && !errors.Is(err, vedette.ErrLeaseLost) {
			t.Fatalf("round %d: Write: %v", round, err)
		}
		if want := b.Positions[0].Next; (err == nil) != (got.Next == want) {
			t.Fatalf("round %d: the write said %v and the claim %d, want %d if and only if it was kept", round, err, got.Next, want)
		}
		if after := kept(t, s).Next; before != got.Next || after != got.Next {
			t.Fatalf("round %d: claimed at %d, then at %d and %d: a fenced write moved it", round, got.Next, before, after)
		}
	}
}
