package kafka

import (
	"cmp"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/vedettehq/vedette"
)

// place is a partition of a topic, by the name on the wire.
type place struct {
	topic string
	n     int32
}

// A partition is one that this session reads.
type partition struct {
	// own is what all positions of it have in common; its Next is that of the last message
	// that was handed out, or as it was claimed, so that the next one's From follows.
	own vedette.Position
	// reached is behind all that was fetched. It runs ahead of own.Next over markers of
	// transactions, which are nobody's messages.
	reached int64
	// lost waits to be told before any message; nil where nothing was lost.
	lost    *vedette.Message
	pending []delivered
	settled int64 // where to go on after what is settled; -1 before
	ends    []end
	through time.Time // everything that was sent by then was fetched
	told    time.Time // through, as it was handed out last
}

// delivered is a message that is not settled. Tags ascend.
type delivered struct {
	tag  uint64
	next int64
	done bool
}

// end is where the partition ended at a time, by our clock from before we asked.
type end struct {
	offset int64
	at     time.Time
}

// maxEnds bounds what is remembered of ends that are not reached yet.
const maxEnds = 256

// step returns the position from where p stands to next, and moves p there.
func (p *partition) step(next int64) vedette.Position {
	pos := p.own
	pos.From, pos.Next = p.own.Next, next
	p.own.Next, p.reached = next, next
	return pos
}

// sees notes where the partition ended at a time. When it is far behind, every other end is
// forgotten: through then moves in larger steps.
func (p *partition) sees(offset int64, at time.Time) {
	if n := len(p.ends); n > 0 && p.ends[n-1].offset >= offset {
		p.ends[n-1].at = at
	} else {
		p.ends = append(p.ends, end{offset, at})
	}
	if len(p.ends) > maxEnds {
		kept := p.ends[:0]
		for i := 1; i < len(p.ends); i += 2 {
			kept = append(kept, p.ends[i])
		}
		p.ends = kept
	}
	p.pass()
}

// pass moves through over the ends that are reached.
func (p *partition) pass() {
	n := 0
	for n < len(p.ends) && p.ends[n].offset <= p.reached {
		p.through = p.ends[n].at
		n++
	}
	p.ends = p.ends[:copy(p.ends, p.ends[n:])]
}

// news says whether time has come further than was told.
func (p *partition) news() bool { return p.through.After(p.told) }

// tell marks a position with how far time has come.
func (p *partition) tell(pos *vedette.Position) {
	p.told = p.through
	pos.Through = p.through
}

// message makes a message of a record, for which p must have been stepped to pos.
func message(r *kgo.Record, pos vedette.Position) vedette.Message {
	m := vedette.Message{
		Topic: pos.Topic, Key: r.Key, Body: r.Value, At: r.Timestamp, Position: pos,
	}
	if len(r.Headers) > 0 {
		m.Header = make(map[string]string, len(r.Headers))
		for _, h := range r.Headers {
			m.Header[h.Key] = string(h.Value)
		}
	}
	return m
}

// settle marks tags up to v.Tag, or that one alone, and returns how many are no longer pending
// and whether settled has moved.
func (p *partition) settle(v vedette.Verdict) (n int, moved bool) {
	at, found := slices.BinarySearchFunc(p.pending, v.Tag, func(d delivered, tag uint64) int {
		return cmp.Compare(d.tag, tag)
	})
	last := at
	if found {
		last++
	}
	if v.UpTo {
		at = 0
	}
	for i := at; i < last; i++ {
		if d := &p.pending[i]; !d.done {
			d.done = true
			n++
		}
	}
	return n, p.trim()
}

// trim forgets what is settled with all that came before it, and says whether settled has moved.
func (p *partition) trim() bool {
	head := 0
	for head < len(p.pending) && p.pending[head].done {
		p.settled = p.pending[head].next
		head++
	}
	if head == len(p.pending) {
		p.pending = p.pending[:0]
	} else {
		p.pending = p.pending[head:]
	}
	return head > 0
}

// age is how old what is not read yet may be at a time: nothing, where all was read by then.
func (p *partition) age(now time.Time) time.Duration {
	if p.through.IsZero() {
		return 0
	}
	return max(now.Sub(p.through), 0)
}
