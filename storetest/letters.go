package storetest

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

// TestLetters holds the DeadLetters of a store, and its Writer and Keeper where they add and
// drop them, to their contract.
func TestLetters(t *testing.T, open func(t *testing.T) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"keeps all of a letter":                testLetter,
		"keeps a letter once":                  testLetterOnce,
		"takes a reason that is no text":       testLetterReason,
		"refuses a letter without an id":       testLetterRefused,
		"gives those that are not sent, by id": testUnsent,
		"notes what is sent":                   testSent,
		"drops what was sent, in its time":     testPruneLetters,
		"keeps what is sent for ever if told":  testPruneNoLetters,
		"counts letters":                       testLetterSize,
		"notes nothing under an ended context": testSentEnded,
		"loses no letter while some are sent":  testLetterRace,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// letter returns one of the usual kind.
func letter(at time.Time) vedette.DeadLetter {
	return vedette.DeadLetter{
		ID: vedette.NewID(at), Reason: "undecodable: unknown frame", Dead: at.Add(time.Second),
		Message: vedette.Message{
			Topic: "results", Key: []byte("shop/00001"), Body: []byte("\x00\x01{"), At: at,
			Header:   map[string]string{"content-type": "application/json"},
			Position: vedette.Position{Group: "vedette", Topic: "results", Partition: 3, Stream: "s1", From: 41, Next: 42},
		},
	}
}

// lost returns one that stands for messages that are gone.
func lost(at time.Time) vedette.DeadLetter {
	return vedette.DeadLetter{
		ID: vedette.NewID(at), Reason: "lost: 1000 messages expired", Dead: at,
		Message: vedette.Message{
			Topic: "results", Mark: vedette.MarkLost,
			Position: vedette.Position{Group: "vedette", Topic: "results", Partition: 2, From: -1, Next: 1 << 40},
		},
	}
}

func bury(t testing.TB, s Store, letters ...vedette.DeadLetter) {
	t.Helper()
	write(t, s, vedette.Batch{Dead: letters})
}

func unsent(t testing.TB, s Store, n int) []vedette.DeadLetter {
	t.Helper()
	got, err := s.Letters().Unsent(t.Context(), n)
	if err != nil {
		t.Fatalf("Unsent: %v", err)
	}
	return got
}

func noteSent(t testing.TB, s Store, letters ...vedette.DeadLetter) {
	t.Helper()
	if err := s.Letters().Sent(t.Context(), letterIDs(letters)...); err != nil {
		t.Fatalf("Sent: %v", err)
	}
}

func letterIDs(letters []vedette.DeadLetter) []vedette.ID {
	all := make([]vedette.ID, len(letters))
	for i, l := range letters {
		all[i] = l.ID
	}
	return all
}

func testLetter(t *testing.T, s Store) {
	binary := letter(noon.Add(time.Second))
	binary.Key = []byte{0, 0xff, 0xfe, 'k'}
	binary.Body = []byte("\xc3\x28 and \x00")
	binary.Header = map[string]string{"trace": "\x00\xff\xfe", "empty": "", "naïve": "ü"}
	big := letter(noon.Add(2 * time.Second))
	big.Body = bytes.Repeat([]byte("0123456789abcdef\x00\xff"), 1<<16)
	bare := vedette.DeadLetter{ID: vedette.NewID(noon.Add(4 * time.Second)), Reason: "refused", Dead: noon}
	bare.Topic = "queue" // of a source that has no positions
	want := []vedette.DeadLetter{letter(noon), binary, big, lost(noon.Add(3 * time.Second)), bare}
	write(t, s, vedette.Batch{Dead: want})
	got := unsent(t, s, 10)
	if len(got) == len(want) && bytes.Equal(got[2].Body, big.Body) {
		got[2].Body, want[2].Body = nil, nil // a diff of it takes seconds
	}
	same(t, "letters", got, want)
}

func testLetterOnce(t *testing.T, s Store) {
	one, two := letter(noon), letter(noon.Add(time.Second))
	bury(t, s, one, one)
	bury(t, s, one, two)
	same(t, "letters", letterIDs(unsent(t, s, 10)), letterIDs([]vedette.DeadLetter{one, two}))
	noteSent(t, s, one)
	bury(t, s, one)
	same(t, "letters once the first is sent", letterIDs(unsent(t, s, 10)), letterIDs([]vedette.DeadLetter{two}))
}

// testLetterReason: a letter that could not be kept would stop all that comes behind it.
func testLetterReason(t *testing.T, s Store) {
	bad := letter(noon)
	bad.Reason = "undecodable: byte \x00 in \xff\xfe"
	bury(t, s, bad)
	got := unsent(t, s, 1)
	if len(got) != 1 || !strings.HasPrefix(got[0].Reason, "undecodable: byte ") {
		t.Errorf("%+v, want one letter that is undecodable", got)
	}
}

func testLetterRefused(t *testing.T, s Store) {
	bad := letter(noon)
	bad.ID = vedette.ID{}
	b := vedette.Batch{Dead: []vedette.DeadLetter{letter(noon), bad}, Statuses: []vedette.Status{{Monitor: "a"}}}
	wantErr(t, "a letter without an id", s.Write(t.Context(), b), vedette.ErrRefused)
	same(t, "letters", unsent(t, s, 10), nil)
	same(t, "status", status(t, s, "a"), vedette.Status{})
}

func testUnsent(t *testing.T, s Store) {
	var want []vedette.DeadLetter
	for i := range 7 {
		want = append(want, letter(noon.Add(time.Duration(i)*time.Second)))
	}
	bury(t, s, want[5], want[0], want[6])
	bury(t, s, want[3], want[1], want[4], want[2])
	same(t, "the first ones", letterIDs(unsent(t, s, 3)), letterIDs(want[:3]))
	same(t, "all", letterIDs(unsent(t, s, 100)), letterIDs(want))
	same(t, "none", unsent(t, s, 0), nil)
}

func testSent(t *testing.T, s Store) {
	all := []vedette.DeadLetter{letter(noon), letter(noon.Add(time.Second)), lost(noon.Add(2 * time.Second))}
	bury(t, s, all...)
	noteSent(t, s)
	noteSent(t, s, all[1])
	same(t, "left", letterIDs(unsent(t, s, 10)), letterIDs([]vedette.DeadLetter{all[0], all[2]}))
	noteSent(t, s, all[1], letter(noon), all[0])
	same(t, "left of an unknown one and two", letterIDs(unsent(t, s, 10)), letterIDs(all[2:]))
	noteSent(t, s, all[2])
	same(t, "left of all", unsent(t, s, 10), nil)
}

func letterRows(t testing.TB, s Store) int64 {
	t.Helper()
	size, err := s.Size(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return size.Rows["dead_letters"]
}

func testPruneLetters(t *testing.T, s Store) {
	old, waiting, young := letter(noon), letter(noon.Add(time.Second)), letter(noon.Add(time.Hour))
	bury(t, s, old, waiting, young)
	noteSent(t, s, old, young)
	keep := vedette.Retention{Results: time.Minute, Failures: time.Hour}
	prune(t, s, old.Dead.Add(time.Hour-time.Microsecond), keep)
	same(t, "rows just before the end", letterRows(t, s), int64(3))
	prune(t, s, old.Dead.Add(time.Hour+time.Minute), keep)
	same(t, "rows after it", letterRows(t, s), int64(2))
	prune(t, s, noon.AddDate(10, 0, 0), keep)
	same(t, "rows after years", letterRows(t, s), int64(1))
	same(t, "what nobody was shown yet", unsent(t, s, 10), []vedette.DeadLetter{waiting})
}

func testPruneNoLetters(t *testing.T, s Store) {
	one := letter(noon)
	bury(t, s, one)
	noteSent(t, s, one)
	prune(t, s, noon.AddDate(50, 0, 0), vedette.Retention{Results: time.Hour})
	same(t, "rows", letterRows(t, s), int64(1))
}

func testLetterSize(t *testing.T, s Store) {
	same(t, "rows of an empty store", letterRows(t, s), int64(0))
	one := letter(noon)
	bury(t, s, one, lost(noon))
	bury(t, s, one)
	noteSent(t, s, one)
	same(t, "rows", letterRows(t, s), int64(2))
}

func testSentEnded(t *testing.T, s Store) {
	one := letter(noon)
	bury(t, s, one)
	if err := s.Letters().Sent(ended(t), one.ID); err == nil {
		t.Error("a Sent whose context had ended reports no error")
	}
	same(t, "letters", len(unsent(t, s, 10)), 1)
	if got, err := s.Letters().Unsent(ended(t), 10); err == nil {
		t.Errorf("an Unsent whose context had ended gave %v", got)
	}
}

// testLetterRace sends letters while four writers bury more: each is given until it is sent,
// and never again.
func testLetterRace(t *testing.T, s Store) {
	const writers, each = 4, 10
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var done sync.WaitGroup
	for range writers {
		done.Go(func() {
			for i := range each {
				b := vedette.Batch{Dead: []vedette.DeadLetter{letter(noon.Add(time.Duration(i) * time.Second))}}
				if err := s.Write(ctx, b); err != nil {
					t.Errorf("Write: %v", err)
				}
			}
		})
	}
	defer done.Wait()
	given := map[vedette.ID]bool{}
	for len(given) < writers*each {
		letters, err := s.Letters().Unsent(ctx, 5)
		if err != nil {
			t.Fatalf("after %d letters: %v", len(given), err)
		}
		for _, l := range letters {
			if given[l.ID] {
				t.Fatalf("letter %s is given again though it is sent", l.ID)
			}
			given[l.ID] = true
		}
		if err := s.Letters().Sent(ctx, letterIDs(letters)...); err != nil {
			t.Fatalf("after %d letters: %v", len(given), err)
		}
	}
	same(t, "letters left", unsent(t, s, 10), nil)
}
