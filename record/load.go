package record

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vedettehq/vedette"
)

// A load is what messages carry. The slices are parallel.
type load struct {
	messages []vedette.Message
	results  []vedette.Result
	dead     []string // why a message will never be taken; "" for most
	resent   bool
	mixed    bool // some are marks or dead
}

func (l load) cut(from, to int) load {
	return load{l.messages[from:to], l.results[from:to], l.dead[from:to], l.resent, l.mixed}
}

// read decodes messages.
func (l *lane) read(ctx context.Context, messages []vedette.Message) (load, error) {
	n := len(messages)
	l.loaded.results = slices.Grow(l.loaded.results[:0], n)[:n]
	l.loaded.dead = slices.Grow(l.loaded.dead[:0], n)[:n]
	clear(l.loaded.results)
	clear(l.loaded.dead)
	b := load{messages: messages, results: l.loaded.results, dead: l.loaded.dead}
	now := l.ledger.record.Now()
	oldest := time.Time{}
	if keep := l.ledger.record.retention.Load().Results; keep > 0 {
		oldest = now.Add(-keep)
	}
	newest := now.Add(24 * time.Hour)
	for i := range messages {
		m, r := &messages[i], &b.results[i]
		b.mixed = b.mixed || m.Mark != ""
		switch m.Mark {
		case vedette.MarkIdle:
			continue
		case vedette.MarkLost:
			b.dead[i] = "lost: " + string(m.Body)
			l.log.Error("messages are lost: they were gone before they were read", "topic", m.Topic,
				"partition", m.Position.Partition, "from", m.Position.From, "next", m.Position.Next, "why", string(m.Body))
			continue
		}
		resent, err := l.Decode(ctx, m, r)
		switch {
		case errors.Is(err, vedette.ErrRefused):
			b.dead[i] = err.Error()
		case err != nil:
			return b, fmt.Errorf("decode offset %d of partition %d of %s: %w", m.Position.Next-1, m.Position.Partition, m.Topic, err)
		case r.StartedAt.Before(oldest):
			b.dead[i] = fmt.Sprintf("out_of_range: looked at %s, older than what is kept", r.StartedAt.Format(time.RFC3339))
		case r.StartedAt.After(newest):
			b.dead[i] = fmt.Sprintf("out_of_range: looked at %s, more than a day ahead", r.StartedAt.Format(time.RFC3339))
		}
		b.resent, b.mixed = b.resent || resent, b.mixed || b.dead[i] != ""
	}
	return b, nil
}

// write keeps a load. What the store refuses it finds by halves, each kept on its own, and makes
// it a dead letter.
func (l *lane) write(ctx context.Context, b load) error {
	err := l.commit(ctx, b)
	if !errors.Is(err, vedette.ErrRefused) {
		return err
	}
	if n := len(b.messages); n > 1 {
		if err := l.write(ctx, b.cut(0, n/2)); err != nil {
			return err
		}
		return l.write(ctx, b.cut(n/2, n))
	}
	if b.dead[0] == "" {
		b.dead[0], b.mixed = "refused: "+err.Error(), true
		return l.write(ctx, b)
	}
	// Not even the letter is taken.
	b.messages[0].Key, b.messages[0].Body, b.messages[0].Header = nil, nil, nil
	return l.commit(ctx, b)
}

// commit writes a load in one transaction, positions included.
func (l *lane) commit(ctx context.Context, b load) error {
	results := b.results
	var letters []vedette.DeadLetter
	if b.mixed {
		results, letters = l.sort(b)
	}
	positions := advance(b.messages)
	err := l.ledger.commit(ctx, func(d *draft) error {
		d.batch.Resent, d.batch.Dead, d.batch.Positions = b.resent, letters, positions
		return d.fold(ctx, results...)
	})
	if err != nil {
		return err
	}
	for _, letter := range letters {
		l.tally(letter)
	}
	return nil
}

// sort tells results from what is none.
func (l *lane) sort(b load) (results []vedette.Result, letters []vedette.DeadLetter) {
	results = l.alive[:0]
	now := time.Now()
	for i := range b.messages {
		switch {
		case b.dead[i] != "":
			letters = append(letters, vedette.DeadLetter{
				ID: vedette.NewID(now), Message: b.messages[i], Reason: brief(b.dead[i]), Dead: now,
			})
		case b.messages[i].Mark == "":
			results = append(results, b.results[i])
		}
	}
	l.alive = results
	return results, letters
}

// brief cuts a reason to size: an error may quote all of what it is about.
func brief(reason string) string {
	const most = 1000
	if len(reason) <= most {
		return reason
	}
	return strings.ToValidUTF8(reason[:most], "") + "..."
}

func (l *lane) tally(letter vedette.DeadLetter) {
	if letter.Mark == vedette.MarkLost {
		l.Meter.Lost(max(letter.Position.Next-max(letter.Position.From, 0), 0))
		return
	}
	class, _, _ := strings.Cut(letter.Reason, ":")
	l.Meter.Dead(class)
	if time.Since(l.minute) > time.Minute {
		l.minute, l.letters = time.Now(), 0
	}
	switch l.letters++; {
	case l.letters <= lettersToLog:
		l.log.Warn("dead letter", "topic", letter.Topic, "partition", letter.Position.Partition,
			"offset", letter.Position.Next-1, "reason", letter.Reason)
	case l.letters == lettersToLog+1:
		l.log.Warn("there are more dead letters, none is logged for a minute", "topic", letter.Topic)
	}
}

// lettersToLog is how many dead letters a lane logs one by one in a minute. A topic may be full of
// what somebody else has written.
const lettersToLog = 10

// advance joins the stretches of messages, one a partition.
func advance(messages []vedette.Message) []vedette.Position {
	type key struct {
		topic     string
		partition int32
	}
	var all []vedette.Position
	at := make(map[key]int)
	for i := range messages {
		p := &messages[i].Position
		k := key{p.Topic, p.Partition}
		j, seen := at[k]
		if !seen {
			at[k] = len(all)
			all = append(all, *p)
			continue
		}
		own := &all[j]
		own.Next, own.Stream = p.Next, p.Stream
		if !p.Through.IsZero() {
			own.Through = p.Through
		}
	}
	return all
}
