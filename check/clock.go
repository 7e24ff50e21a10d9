package check

import (
	"time"

	"github.com/vedettehq/vedette"
)

// A phase is a part of a look. Names and order are those of vedette.Phases.
type phase int

const (
	inDNS phase = iota
	inConnect
	inTLS
	inRequest
	inTTFB
	inTransfer
	after // the look has ended
)

func (p phase) String() string {
	return [...]string{"dns", "connect", "tls", "request", "ttfb", "transfer", ""}[p]
}

// waiting says what a look waits for in a phase.
func (p phase) waiting() string {
	return [...]string{
		"for the name to resolve", "for the connection", "for the TLS handshake",
		"to send the request", "for the first byte", "for the rest of the answer", "",
	}[p]
}

// A clock books time to phases. All of it belongs to one: enter ends the present phase at the
// instant at which the next begins.
type clock struct {
	begun time.Time
	last  time.Time
	now   phase
	spent [after + 1]time.Duration
}

func (c *clock) start() {
	t := time.Now()
	*c = clock{begun: t, last: t}
}

func (c *clock) enter(p phase) {
	c.enterAt(p, time.Now())
}

func (c *clock) enterAt(p phase, t time.Time) {
	if t.Before(c.last) {
		t = c.last
	}
	c.spent[c.now] += t.Sub(c.last)
	c.last, c.now = t, p
}

// phases returns what was booked so far.
func (c *clock) phases() vedette.Phases {
	return vedette.Phases{
		DNS: c.spent[inDNS], Connect: c.spent[inConnect], TLS: c.spent[inTLS],
		Request: c.spent[inRequest], TTFB: c.spent[inTTFB], Transfer: c.spent[inTransfer],
	}
}

// since returns p less q.
func since(p, q vedette.Phases) vedette.Phases {
	return p.Add(vedette.Phases{
		DNS: -q.DNS, Connect: -q.Connect, TLS: -q.TLS, Request: -q.Request, TTFB: -q.TTFB, Transfer: -q.Transfer,
	})
}
