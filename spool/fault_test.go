package spool_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/spool"
)

// fill sends batches of 10 results from first on until n batches are kept.
func fill(t *testing.T, s *spool.Spool, first, n int) {
	t.Helper()
	for i := range n {
		send(t, s, looks("a", first+10*i, 10))
	}
}

func TestFullSpoolBlocksAndTakesAgain(t *testing.T) {
	n := newNext()
	n.set(away)
	cfg := config(t, t.TempDir(), n)
	cfg.MaxBytes = 8 << 10
	s := open(t, cfg)
	kept := 0
	var err error
	for ; err == nil && kept < 1000; kept += 10 {
		err = s.Send(t.Context(), vedette.Found{Results: looks("a", kept, 10)})
	}
	kept -= 10
	if !errors.Is(err, spool.ErrFull) || !errors.Is(err, errAway) || kept < 50 {
		t.Fatalf("after %d results: %v, want ErrFull and why the sink is away", kept, err)
	}
	st := s.State()
	if st.Full.IsZero() || st.Bytes > cfg.MaxBytes || st.Records != int64(kept) || n.refused != 10 || len(n.dropped) > 0 {
		t.Errorf("full: %+v, %d not taken, dropped %v", st, n.refused, n.dropped)
	}
	n.set(nil)
	run(t, s)
	n.results()
	send(t, s, looks("a", kept, 10))
	sameRevisions(t, "what came", n.results(), count(0, int64(kept+10)))
	if st := s.State(); !st.Full.IsZero() {
		t.Errorf("still full when empty: %+v", st)
	}
}

func TestBatchLargerThanTheSpoolIsNotTaken(t *testing.T) {
	for _, when := range []spool.WhenFull{spool.Block, spool.DropOldest} {
		n := newNext()
		n.set(away)
		cfg := config(t, t.TempDir(), n)
		cfg.MaxBytes, cfg.WhenFull = 4<<10, when
		s := open(t, cfg)
		fill(t, s, 0, 1)
		if err := s.Send(t.Context(), vedette.Found{Results: looks("a", 10, 200)}); !errors.Is(err, spool.ErrFull) {
			t.Errorf("%s: %v, want ErrFull", when, err)
		}
		if st := s.State(); st.Records != 10 || len(n.dropped) > 0 {
			t.Errorf("%s: %+v, dropped %v", when, st, n.dropped)
		}
	}
}

func TestFullSpoolDropsTheOldestAndCountsThem(t *testing.T) {
	n := newNext()
	n.set(away)
	cfg := config(t, t.TempDir(), n)
	cfg.MaxBytes, cfg.WhenFull = 8<<10, spool.DropOldest
	s := open(t, cfg)
	fill(t, s, 0, 100)
	st := s.State()
	dropped := n.dropped["full"]
	if dropped == 0 || st.Records+int64(dropped) != 1000 || st.Full.IsZero() || st.Bytes > cfg.MaxBytes {
		t.Errorf("dropped %v, state %+v, want 1000 in all", n.dropped, st)
	}
	n.set(nil)
	run(t, s)
	sameRevisions(t, "what came", n.results(), count(int64(dropped), 1000))
}

// TestDropsWhatIsBeingSentAndCountsItOnce lets the oldest segment be dropped while a chunk of
// it is on its way, which arrives or does not.
func TestDropsWhatIsBeingSentAndCountsItOnce(t *testing.T) {
	for name, arrives := range map[string]error{"and arrives": nil, "and does not arrive": errAway} {
		t.Run(name, func(t *testing.T) {
			n := newNext()
			n.set(away)
			cfg := config(t, t.TempDir(), n)
			cfg.MaxBytes, cfg.WhenFull = 8<<10, spool.DropOldest
			s := open(t, cfg)
			fill(t, s, 0, 3)
			begun, end := make(chan bool), make(chan bool)
			first := true
			n.set(func(vedette.Found) error {
				if !first {
					return nil
				}
				first = false
				begun <- true
				<-end
				return arrives
			})
			run(t, s)
			<-begun
			fill(t, s, 30, 97)
			end <- true
			got := n.results()
			if dropped := n.dropped["full"]; dropped == 0 || len(got)+dropped != 1000 || n.replayed != len(got) {
				t.Errorf("%d came, %d replayed, %v dropped, want 1000 in all", len(got), n.replayed, n.dropped)
			}
			if !slices.IsSorted(revisions(got)) {
				t.Errorf("out of order: %v", revisions(got))
			}
		})
	}
}

// spooled leaves 20 batches of 10 results in a folder of several segments, as a process that
// died does, and returns the segments.
func spooled(t *testing.T, dir string) []string {
	t.Helper()
	sink := newNext()
	sink.set(away)
	cfg := config(t, dir, sink)
	cfg.MaxBytes = 32 << 10
	s := open(t, cfg)
	fill(t, s, 0, 20)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return files(t, dir, "0/*.seg")
}

// replayed returns what a new process sends of what is in dir.
func replayed(t *testing.T, dir string) (*next, []vedette.Result) {
	t.Helper()
	n := newNext()
	run(t, open(t, config(t, dir, n)))
	return n, n.results()
}

func TestTornEndIsCutOffAndNothingElse(t *testing.T) {
	for name, tear := range map[string]func([]byte) []byte{
		"half a record":           func(b []byte) []byte { return b[:len(b)-20] },
		"half a length":           func(b []byte) []byte { return append(b, 80, 0, 0) },
		"a length without a body": func(b []byte) []byte { return append(b, 80, 0, 0, 0, 1, 2, 3, 4) },
		"zeros":                   func(b []byte) []byte { return append(b, make([]byte, 5000)...) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			segs := spooled(t, dir)
			last := segs[len(segs)-1]
			change(t, last, tear)
			n, got := replayed(t, dir)
			want := int64(200)
			if name == "half a record" {
				want--
			}
			sameRevisions(t, "what came", got, count(0, want))
			if len(n.dropped) > 0 {
				t.Errorf("dropped %v: what was never acknowledged was not lost", n.dropped)
			}
		})
	}
}

func change(t *testing.T, path string, how func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, how(b), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestDamageIsSkippedToTheNextSegmentAndCounted(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"a bit of a body":   func(b []byte) []byte { b[len(b)/2] ^= 4; return b },
		"a length":          func(b []byte) []byte { b[19] = 0xff; return b },
		"the head":          func(b []byte) []byte { b[0] ^= 1; return b },
		"the file was cut":  func(b []byte) []byte { return b[:len(b)/3] },
		"the file is empty": func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			segs := spooled(t, dir)
			if len(segs) < 3 {
				t.Fatalf("segments: %v", segs)
			}
			change(t, segs[1], damage)
			n, got := replayed(t, dir)
			revs := revisions(got)
			if lost := n.dropped["damaged"]; lost == 0 || len(got)+lost != 200 || lost > 120 {
				t.Errorf("%d came, dropped %v, want 200 in all", len(got), n.dropped)
			}
			if !slices.IsSorted(revs) || revs[len(revs)-1] != 199 {
				t.Errorf("what came: %v", revs)
			}
			if left := files(t, dir, "0/*.seg"); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func TestMissingSegmentIsCounted(t *testing.T) {
	for missing := range 2 {
		dir := t.TempDir()
		segs := spooled(t, dir)
		if err := os.Remove(segs[missing]); err != nil {
			t.Fatal(err)
		}
		n, got := replayed(t, dir)
		if lost := n.dropped["damaged"]; lost == 0 || len(got) == 0 || len(got)+lost != 200 {
			t.Errorf("segment %d: %d came, dropped %v, want 200 in all", missing, len(got), n.dropped)
		}
	}
}

func TestDamageInTheLastSegmentIsTold(t *testing.T) {
	dir := t.TempDir()
	segs := spooled(t, dir)
	change(t, segs[len(segs)-1], func(b []byte) []byte { b[40] ^= 1; return b })
	n, got := replayed(t, dir)
	if n.dropped["damaged"] == 0 || len(got) == 0 || len(got) == 200 {
		t.Errorf("%d came, dropped %v", len(got), n.dropped)
	}
}

func TestLostCursorSendsAgainAndLosesNothing(t *testing.T) {
	for name, harm := range map[string]func(string) error{
		"it is gone":  os.Remove,
		"it is empty": func(path string) error { return os.Truncate(path, 0) },
		"it is noise": func(path string) error { return os.WriteFile(path, make([]byte, 600), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			spooled(t, dir)
			if err := harm(filepath.Join(dir, "0", "cursor")); err != nil {
				t.Fatal(err)
			}
			n, got := replayed(t, dir)
			sameRevisions(t, "what came", got, count(0, 200))
			if len(n.dropped) > 0 {
				t.Errorf("dropped %v", n.dropped)
			}
		})
	}
}

func TestRecordsThatAreNoResultsAreDroppedAndCounted(t *testing.T) {
	dir := t.TempDir()
	spooled(t, dir)
	n := newNext()
	cfg := config(t, dir, n)
	decode := cfg.Decode
	cfg.Decode = func(b []byte, r *vedette.Result) error {
		if err := decode(b, r); err != nil || r.Revision%50 == 7 {
			return errors.New("not of our time")
		}
		return nil
	}
	run(t, open(t, cfg))
	if got := n.results(); len(got) != 196 || n.dropped["undecodable"] != 4 || n.replayed != 196 {
		t.Errorf("%d came, %d replayed, dropped %v, want 196 and 4", len(got), n.replayed, n.dropped)
	}
}

func TestProcessesHaveFoldersOfTheirOwnAndAdoptThoseOfTheDead(t *testing.T) {
	dir := t.TempDir()
	n := newNext()
	n.set(away)
	var alive []*spool.Spool
	for i := range 3 {
		s := open(t, config(t, dir, n))
		send(t, s, looks("a", 10*i, 10))
		alive = append(alive, s)
	}
	alive = append(alive, open(t, config(t, dir, n))) // which has nothing
	if got := files(t, dir, "[0-9]"); len(got) != 4 {
		t.Fatalf("folders %v, want 4", got)
	}
	for _, dead := range alive[1:] {
		if err := dead.Close(); err != nil {
			t.Fatal(err)
		}
	}
	heir := newNext()
	s := open(t, config(t, dir, heir))
	if st := s.State(); st.Records != 20 {
		t.Errorf("the heir of two has %+v", st)
	}
	send(t, s, looks("a", 30, 10))
	run(t, s)
	got := revisions(heir.results())
	if !slices.Equal(got[len(got)-10:], count(30, 40)) {
		t.Errorf("what is new went before what was adopted: %v", got)
	}
	slices.Sort(got)
	if !slices.Equal(got, count(10, 40)) {
		t.Errorf("the heir sent %v, want all but what the living one has", got)
	}
	if got := files(t, dir, "[0-9]"); len(got) != 2 {
		t.Errorf("folders %v, want those of the living", got)
	}
	if st := alive[0].State(); st.Records != 10 {
		t.Errorf("the living one has %+v", st)
	}
}
