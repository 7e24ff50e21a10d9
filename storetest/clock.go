package storetest

import (
	"testing"
	"testing/synctest"
	"time"
)

// A Clock is how time passes for the store under test. The suites count in its seconds, so that
// they hold a store to the same rules whether its time is a bubble's or a server's.
type Clock struct {
	second  time.Duration
	virtual bool
}

// Virtual is the clock of a store whose time is that of [synctest]: a suite takes no time, and
// "at once" means in no time at all.
func Virtual() Clock { return Clock{time.Second, true} }

// Real is the clock of a store that runs elsewhere. Seconds of the suites last as long as is
// said; what is scaled too far down makes busy servers fail. The grace of ten seconds that a
// worker has to end what was cancelled is the contract's and lasts as it is.
func Real(second time.Duration) Clock { return Clock{second, false} }

// run runs a case in the time of the clock.
func (c Clock) run(t *testing.T, test func(t *testing.T)) {
	if c.virtual {
		synctest.Test(t, test)
		return
	}
	t.Parallel()
	test(t)
}

// s returns n seconds of the clock.
func (c Clock) s(n int) time.Duration { return time.Duration(n) * c.second }

// wait lets d pass.
func (c Clock) wait(d time.Duration) { time.Sleep(d) }

// settle lets what other goroutines have begun come to a halt: all of them wait.
func (c Clock) settle() {
	if c.virtual {
		synctest.Wait()
		return
	}
	time.Sleep(c.second / 2)
}

// soon is how long what happens at once may take. On a server it is less than what a poll would
// take that is there for lost wake-ups.
func (c Clock) soon() time.Duration {
	if c.virtual {
		return 0
	}
	return 700 * time.Millisecond
}
