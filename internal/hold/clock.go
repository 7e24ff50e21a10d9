package hold

import "time"

// maxApart is how far the wall clock and the monotonic clock may move apart between two looks:
// more than a clock that is being slewed does in a few seconds.
const maxApart = time.Second

// A stamp is one moment on both of our clocks: the monotonic one, which may stand still while
// the machine sleeps, and the wall clock, which may be set.
type stamp struct {
	mono time.Time
	wall time.Time // without a monotonic reading
}

// since is the longer of the times that have passed by either clock.
func (s stamp) since(old stamp) time.Duration {
	return max(s.mono.Sub(old.mono), s.wall.Sub(old.wall))
}

// apart is by how much the clocks disagree on the time since old.
func (s stamp) apart(old stamp) time.Duration {
	return (s.wall.Sub(old.wall) - s.mono.Sub(old.mono)).Abs()
}

// A clock tells the store's time by our monotonic one.
type clock struct {
	base time.Time     // ours, with a monotonic reading
	off  time.Duration // how far the store is ahead of it
}

func (c *clock) now() time.Time { return c.at(time.Now()).Add(c.off) }

// at is our own time at a moment, whatever was done to the wall clock since the base.
func (c *clock) at(mono time.Time) time.Time { return c.base.Round(0).Add(mono.Sub(c.base)) }

// learn is told that the store read its clock as at between two moments of ours, and returns by
// how much that moves the clock. It moves only as far as the clock is proven wrong: how long an
// answer took does not shake it.
func (c *clock) learn(began, ended, at time.Time) time.Duration {
	low, high := at.Sub(c.at(ended)), at.Sub(c.at(began))
	step := min(max(c.off, low), high) - c.off
	c.off += step
	return step
}
