package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

// TestLeaser holds a Leaser to its contract.
func TestLeaser(t *testing.T, open func(t *testing.T) vedette.Leaser) {
	for name, test := range map[string]func(*testing.T, vedette.Leaser){
		"grants to one owner":                    testOneOwner,
		"gives a higher token at each taking":    testTokens,
		"lets leases expire":                     testExpiry,
		"grants to one of 64 at once":            testAcquirers,
		"acquires what is free among many":       testMany,
		"releases only what is held":             testRelease,
		"lists live leases by their exact names": testListLeases,
		"is linearizable":                        testLinearizable,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func acquire(t testing.TB, l vedette.Leaser, owner string, ttl time.Duration, names ...string) []vedette.Lease {
	t.Helper()
	held, err := l.Acquire(t.Context(), owner, ttl, names...)
	if err != nil {
		t.Fatalf("Acquire: %v", err)
	}
	return held
}

func testOneOwner(t *testing.T, l vedette.Leaser) {
	before := time.Now().UnixMicro()
	held := acquire(t, l, "a", time.Hour, "shard/0")
	if len(held) != 1 {
		t.Fatalf("%d leases, want 1", len(held))
	}
	first := held[0]
	if first.Name != "shard/0" || first.Owner != "a" || first.Token < before {
		t.Errorf("%+v: want shard/0 of a with a token of at least %d", first, before)
	}
	if got := first.Expires.Sub(first.At); got.Round(time.Millisecond) != time.Hour {
		t.Errorf("expires %v after At, want the ttl", got)
	}
	if held := acquire(t, l, "b", time.Hour, "shard/0"); len(held) != 0 {
		t.Errorf("b got %+v, which a holds", held)
	}
	again := acquire(t, l, "a", 2*time.Hour, "shard/0", "shard/0")
	if len(again) != 1 || again[0].Token != first.Token || !again[0].Expires.After(first.Expires.Add(time.Minute)) {
		t.Errorf("renewed as %+v, want one with the same token and a later end than %+v", again, first)
	}
	if again := acquire(t, l, "a", time.Minute, "shard/0"); !again[0].Expires.Before(first.Expires) {
		t.Errorf("renewed for less until %v, want ttl from now", again[0].Expires)
	}
}

func testTokens(t *testing.T, l vedette.Leaser) {
	last := int64(0)
	for _, owner := range []string{"a", "b", "b", "a"} {
		held := acquire(t, l, owner, time.Hour, "x")
		if len(held) != 1 || held[0].Token <= last {
			t.Fatalf("%s took %+v, want a token above %d", owner, held, last)
		}
		last = held[0].Token
		if err := l.Release(t.Context(), held...); err != nil {
			t.Fatal(err)
		}
	}
}

func testExpiry(t *testing.T, l vedette.Leaser) {
	first := acquire(t, l, "a", 30*time.Millisecond, "x")[0]
	for {
		held := acquire(t, l, "b", time.Hour, "x")
		if len(held) == 0 {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		if held[0].At.Before(first.Expires.Add(-time.Microsecond)) {
			t.Errorf("b took it at %v, before its end at %v", held[0].At, first.Expires)
		}
		if held[0].Token <= first.Token {
			t.Errorf("b has token %d, want above %d", held[0].Token, first.Token)
		}
		break
	}
	if held := acquire(t, l, "a", time.Hour, "x"); len(held) != 0 {
		t.Errorf("a got %+v back, which b holds", held)
	}
}

func testAcquirers(t *testing.T, l vedette.Leaser) {
	last := int64(0)
	for term := range 4 {
		won := race(t, l, 64)
		if len(won) != 1 {
			t.Fatalf("term %d: %d of 64 hold the lease: %+v", term, len(won), won)
		}
		if won[0].Token <= last {
			t.Fatalf("term %d: token %d, want above %d", term, won[0].Token, last)
		}
		last = won[0].Token
		if err := l.Release(t.Context(), won...); err != nil {
			t.Fatal(err)
		}
	}
}

// race lets n owners try for one lease at once and returns those granted.
func race(t *testing.T, l vedette.Leaser, n int) []vedette.Lease {
	var (
		mu    sync.Mutex
		won   []vedette.Lease
		ready = make(chan struct{})
		done  sync.WaitGroup
	)
	for i := range n {
		done.Go(func() {
			<-ready
			held, err := l.Acquire(t.Context(), string(monitorID(i)), time.Hour, "x")
			if err != nil {
				t.Errorf("Acquire: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			won = append(won, held...)
		})
	}
	close(ready)
	done.Wait()
	return won
}

func testMany(t *testing.T, l vedette.Leaser) {
	acquire(t, l, "a", time.Hour, "2", "4")
	held := acquire(t, l, "b", time.Hour, "4", "3", "2", "1")
	if len(held) != 2 || held[0].Name != "1" || held[1].Name != "3" {
		t.Errorf("b holds %+v, want 1 and 3 in the order of names", held)
	}
	if held := acquire(t, l, "b", time.Hour); len(held) != 0 {
		t.Errorf("no names gave %+v", held)
	}
}

func testRelease(t *testing.T, l vedette.Leaser) {
	first := acquire(t, l, "a", time.Hour, "x")
	if err := l.Release(t.Context(), first...); err != nil {
		t.Fatal(err)
	}
	acquire(t, l, "a", time.Hour, "x")
	stolen := first[0]
	stolen.Owner = "b"
	if err := l.Release(t.Context(), first[0], stolen, vedette.Lease{Name: "unknown"}); err != nil {
		t.Fatal(err)
	}
	if held := acquire(t, l, "b", time.Hour, "x"); len(held) != 0 {
		t.Errorf("a release with an old token ended the lease: b got %+v", held)
	}
}

func testListLeases(t *testing.T, l vedette.Leaser) {
	acquire(t, l, "a", time.Hour, "member/eu_1/b", "member/eu_1/a", "member/eux1/c", "Member/eu_1/d", "shard/0")
	over := acquire(t, l, "a", time.Hour, "member/eu_1/e")
	if err := l.Release(t.Context(), over...); err != nil {
		t.Fatal(err)
	}
	list, err := l.List(t.Context(), "member/eu_1/")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, lease := range list {
		got = append(got, lease.Name)
		if lease.Owner != "a" || lease.Token == 0 || !lease.Expires.After(lease.At) || lease.At.IsZero() {
			t.Errorf("listed %+v", lease)
		}
	}
	same(t, "live leases", got, []string{"member/eu_1/a", "member/eu_1/b"})
	all, err := l.List(t.Context(), "")
	if err != nil || len(all) != 5 {
		t.Errorf("%d leases in all, want 5; %v", len(all), err)
	}
	if _, err := l.Acquire(ended(t), "b", time.Hour, "shard/0"); err == nil {
		if list, _ := l.List(t.Context(), "shard/"); len(list) != 1 || list[0].Owner != "a" {
			t.Errorf("an Acquire whose context had ended took a's lease: %+v", list)
		}
	}
}
