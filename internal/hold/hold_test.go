package hold_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/hold"
	"github.com/vedettehq/vedette/memory"
)

const ttl = 10 * time.Second

// leaser is a store whose clock may be ahead and which may be out of reach.
type leaser struct {
	vedette.Leaser
	mu    sync.Mutex
	err   error
	ahead time.Duration
	slow  time.Duration
}

func (l *leaser) set(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *leaser) setClock(ahead time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ahead = ahead
}

func (l *leaser) state() (ahead time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ahead, l.err
}

func (l *leaser) Acquire(ctx context.Context, owner string, ttl time.Duration, names ...string) ([]vedette.Lease, error) {
	ahead, err := l.state()
	if err != nil {
		return nil, err
	}
	time.Sleep(l.slow)
	got, err := l.Leaser.Acquire(ctx, owner, ttl, names...)
	for i := range got {
		got[i].At = got[i].At.Add(ahead)
	}
	return got, err
}

func (l *leaser) Release(ctx context.Context, leases ...vedette.Lease) error {
	if _, err := l.state(); err != nil {
		return err
	}
	return l.Leaser.Release(ctx, leases...)
}

func (l *leaser) List(ctx context.Context, prefix string) ([]vedette.Lease, error) {
	if _, err := l.state(); err != nil {
		return nil, err
	}
	return l.Leaser.List(ctx, prefix)
}

func shards(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("shard/eu/%02d", i)
	}
	return names
}

// run starts a keeper of 64 shards, and returns what stops it.
func run(t *testing.T, l vedette.Leaser, owner string, edit ...func(*hold.Config)) (*hold.Keeper, func()) {
	t.Helper()
	c := hold.Config{Leaser: l, Owner: owner, Names: shards(64), Members: "member/eu/", Prefix: "shard/eu/"}
	for _, f := range edit {
		f(&c)
	}
	k, err := hold.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- k.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return k, stop
}

func TestOneMemberHoldsAllAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, stop := run(t, memory.New().Leases(), "a")
		synctest.Wait()
		held := k.Held()
		if len(held) != 64 {
			t.Fatalf("holds %d, want 64", len(held))
		}
		time.Sleep(time.Minute)
		if l, ok := k.Lease("shard/eu/07"); !ok || l.Token != held[7].Token {
			t.Errorf("after a minute: %v %v, want token %d", l, ok, held[7].Token)
		}
		stop()
		if _, ok := k.Lease("shard/eu/07"); ok {
			t.Error("a lease is trusted after the end")
		}
	})
}

func TestJoiningAndLeavingMembersShareEvenly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memory.New().Leases()
		a, _ := run(t, l, "a")
		time.Sleep(time.Minute)
		b, stopB := run(t, l, "b")
		time.Sleep(2 * ttl)
		if x, y := len(a.Held()), len(b.Held()); x != 32 || y != 32 {
			t.Fatalf("two hold %d and %d, want 32 each", x, y)
		}
		c, _ := run(t, l, "c")
		time.Sleep(2 * ttl)
		if x, y, z := len(a.Held()), len(b.Held()), len(c.Held()); x+y+z != 64 || min(x, y, z) < 20 {
			t.Fatalf("three hold %d, %d and %d, want 64 evenly", x, y, z)
		}
		stopB()
		time.Sleep(7 * time.Second)
		if x, z := len(a.Held()), len(c.Held()); x != 32 || z != 32 {
			t.Errorf("after one left two hold %d and %d, want 32 each before its leases would have ended", x, z)
		}
	})
}

// TestOneOwnerAtATime looks every 100 ms, while members come and go, whether two trust one lease.
func TestOneOwnerAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memory.New().Leases()
		var all []*hold.Keeper
		for i := range 5 {
			k, stop := run(t, l, fmt.Sprint(i))
			all = append(all, k)
			if i%2 == 1 {
				time.AfterFunc(time.Duration(i)*7*time.Second, stop)
			}
			for range 50 {
				time.Sleep(100 * time.Millisecond)
				synctest.Wait() // a lease that moves meanwhile is seen with the one and then with the other
				for _, name := range shards(64) {
					owners := 0
					for _, k := range all {
						if _, ok := k.Lease(name); ok {
							owners++
						}
					}
					if owners > 1 {
						t.Fatalf("%d trust %s", owners, name)
					}
				}
			}
		}
	})
}

func TestDeadMembersLeasesMoveWithinTwoPeriods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New().Leases()
		dying := &leaser{Leaser: store}
		a, _ := run(t, dying, "a")
		b, _ := run(t, store, "b")
		time.Sleep(2 * ttl)
		dying.set(errors.New("gone"))
		time.Sleep(2 * ttl)
		if got := len(b.Held()); got != 64 {
			t.Errorf("the survivor holds %d, want 64", got)
		}
		dying.set(nil)
		time.Sleep(3 * time.Second)
		if got := len(a.Held()); got != 0 {
			t.Errorf("back again, the other holds %d that were refused, want 0", got)
		}
	})
}

func TestRefusedRenewalEndsTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		k, _ := run(t, store.Leases(), "a")
		synctest.Wait()
		l, _ := k.Lease("shard/eu/03")
		if err := store.Leases().Release(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Leases().Acquire(t.Context(), "thief", time.Hour, l.Name); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3*time.Second + time.Millisecond)
		if _, ok := k.Lease(l.Name); ok || len(k.Held()) != 63 {
			t.Errorf("trusted %v, %d held, want the lease gone and 63 others", ok, len(k.Held()))
		}
		select {
		case <-k.Changed():
		default:
			t.Error("nobody was told")
		}
	})
}

func TestUnreachableStoreIsBridgedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &leaser{Leaser: memory.New().Leases()}
		k, _ := run(t, l, "a")
		synctest.Wait()
		before, _ := k.Lease("shard/eu/00")
		l.set(errors.New("no route"))
		for range 9*60 + 50 {
			time.Sleep(time.Second)
			if got, ok := k.Lease("shard/eu/00"); !ok || got.Token != before.Token {
				t.Fatalf("not trusted after %v without the store", time.Since(before.At))
			}
		}
		time.Sleep(20 * time.Second)
		if _, ok := k.Lease("shard/eu/00"); ok {
			t.Error("trusted after more than 10m without the store")
		}
		l.set(nil)
		time.Sleep(ttl)
		if got := len(k.Held()); got != 0 {
			t.Errorf("took %d within one ttl after the outage, want 0", got)
		}
		time.Sleep(ttl)
		if got := len(k.Held()); got != 64 {
			t.Errorf("holds %d two ttl after the outage, want 64", got)
		}
	})
}

// TestSleeperTrustsNothing stops the keeper's renewals, as a machine does that is suspended,
// without an error to show for it.
func TestSleeperTrustsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, stop := run(t, memory.New().Leases(), "a", func(c *hold.Config) { c.Renew = time.Hour })
		defer stop()
		synctest.Wait()
		time.Sleep(ttl - 1100*time.Millisecond)
		if _, ok := k.Lease("shard/eu/00"); !ok {
			t.Error("not trusted before its end")
		}
		time.Sleep(200 * time.Millisecond)
		if _, ok := k.Lease("shard/eu/00"); ok {
			t.Error("trusted past its end")
		}
	})
}

// One clock stands still while the other goes on, in steps that are no jump: a lease ends by the
// one that goes.
func TestLeaseEndsByTheClockThatGoesOn(t *testing.T) {
	for name, monotonic := range map[string]bool{"wall clock": false, "monotonic clock": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var passed time.Duration
				k, _ := run(t, memory.New().Leases(), "a", func(c *hold.Config) {
					began := time.Now()
					c.Renew = time.Hour
					c.Wall = func() time.Time {
						if monotonic {
							return began
						}
						return began.Add(passed)
					}
				})
				synctest.Wait()
				for trusted := true; trusted; {
					passed += 800 * time.Millisecond
					if monotonic {
						time.Sleep(800 * time.Millisecond)
					}
					trusted = passed < ttl-time.Second
					if _, ok := k.Lease("shard/eu/00"); ok != trusted {
						t.Fatalf("trusted %v after %v, want %v", ok, passed, trusted)
					}
				}
			})
		})
	}
}

func TestWallClockJumpGivesNewTokens(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour, 2 * time.Second} {
		t.Run(jump.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var off time.Duration
				k, _ := run(t, memory.New().Leases(), "a", func(c *hold.Config) {
					c.Wall = func() time.Time {
						mu.Lock()
						defer mu.Unlock()
						return time.Now().Add(off)
					}
				})
				time.Sleep(4 * time.Second)
				before, ok := k.Lease("shard/eu/00")
				if !ok {
					t.Fatal("not held")
				}
				mu.Lock()
				off = jump
				mu.Unlock()
				if _, ok := k.Lease("shard/eu/00"); ok {
					t.Error("trusted right after the jump")
				}
				synctest.Wait()
				after, ok := k.Lease("shard/eu/00")
				if !ok || after.Token <= before.Token || len(k.Held()) != 64 {
					t.Errorf("got %v %v with %d held, want a token above %d at once", after, ok, len(k.Held()), before.Token)
				}
				time.Sleep(time.Minute)
				if still, _ := k.Lease("shard/eu/00"); still.Token != after.Token {
					t.Errorf("token went on to %d from %d", still.Token, after.Token)
				}
			})
		})
	}
}

func TestStoreClockIsLearntAndItsJumpGivesNewTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &leaser{Leaser: memory.New().Leases(), slow: 50 * time.Millisecond}
		l.setClock(time.Hour)
		k, _ := run(t, l, "a")
		time.Sleep(time.Second)
		off := func() time.Duration { return time.Until(k.Now()) }
		first := off()
		if got := first - time.Hour; got.Abs() > 50*time.Millisecond {
			t.Errorf("off by %v, want the time of one answer at most", got)
		}
		before, _ := k.Lease("shard/eu/00")
		l.setClock(time.Hour - 10*time.Millisecond)
		time.Sleep(10 * time.Second)
		if got := off(); got != first {
			t.Errorf("moved by %v although an answer takes longer than that", got-first)
		}
		if same, _ := k.Lease("shard/eu/00"); same.Token != before.Token {
			t.Error("new token without a jump")
		}
		l.setClock(0)
		time.Sleep(5 * time.Second)
		if got := off(); got.Abs() > 50*time.Millisecond {
			t.Errorf("off by %v after the store's clock was set", got)
		}
		if after, _ := k.Lease("shard/eu/00"); after.Token <= before.Token {
			t.Errorf("token %d after the jump, want above %d", after.Token, before.Token)
		}
	})
}

func TestLoneLeaseWithoutMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memory.New().Leases()
		sweep := func(c *hold.Config) { c.Names, c.Members, c.Prefix = []string{"sweep"}, "", "" }
		a, stopA := run(t, l, "a", sweep)
		synctest.Wait()
		b, _ := run(t, l, "b", sweep)
		time.Sleep(time.Minute)
		if _, ok := a.Lease("sweep"); !ok || len(b.Held()) != 0 {
			t.Fatal("the first does not hold it alone")
		}
		stopA()
		time.Sleep(4 * time.Second)
		if _, ok := b.Lease("sweep"); !ok {
			t.Error("the second did not take over")
		}
	})
}

func TestOutageWithoutMembersEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &leaser{Leaser: memory.New().Leases()}
		l.set(errors.New("not yet"))
		k, _ := run(t, l, "a", func(c *hold.Config) { c.Names, c.Members, c.Prefix = []string{"sweep"}, "", "" })
		time.Sleep(time.Minute)
		l.set(nil)
		time.Sleep(2 * ttl)
		if _, ok := k.Lease("sweep"); !ok {
			t.Error("not taken after the outage")
		}
	})
}

func TestNewWantsWhatIsRequired(t *testing.T) {
	if _, err := hold.New(hold.Config{}); err == nil {
		t.Error("an empty Config is accepted")
	}
}
