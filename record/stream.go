package record

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/retry"
)

// A StreamConfig says what to read and in which pieces. Source and Decode are required.
type StreamConfig struct {
	// Source gives the messages of one monitor in order, and their positions as they are
	// claimed from the store that the record writes to.
	Source vedette.Source
	// Decode reads the result that a message carries, and whether it may be kept already. An
	// error that wraps ErrRefused makes the message a dead letter, and its text begins with a
	// class: undecodable or invalid. After any other error all is received again.
	Decode func(ctx context.Context, m *vedette.Message, r *vedette.Result) (resent bool, err error)
	// Lanes is how many sessions are read side by side; 0 means 4, which keep this process and
	// the store busy: while one waits for a commit others decode, and each has fewer statuses to
	// write.
	Lanes int

	// A batch is written when it holds Count messages or Bytes of them, when its first one has
	// waited for Age, or when the source wants it. 0 means 50,000, 8 MiB and 100 ms. After a
	// batch that could not be written the next ones are smaller, until they can be.
	Count int
	Bytes int
	Age   time.Duration

	Meter StreamMeter // nil counts nothing
}

// A StreamMeter counts what a Stream does. Its methods must be quick and safe for concurrent use.
type StreamMeter interface {
	// Committed is told of each batch that is kept: how many messages and bytes, and what its
	// transaction took, with all attempts.
	Committed(messages, bytes int, took time.Duration)
	// Fenced is told of each batch that was dropped because another owns its partitions.
	Fenced()
	// Dead is told of each dead letter that is kept, by its class.
	Dead(class string)
	// Lost is told how many messages were gone before they were read.
	Lost(messages int64)
}

type noStreamMeter struct{}

func (noStreamMeter) Committed(int, int, time.Duration) {}
func (noStreamMeter) Fenced()                           {}
func (noStreamMeter) Dead(string)                       {}
func (noStreamMeter) Lost(int64)                        {}

// A Stream keeps what comes out of a source, each message exactly once: its position is moved in
// the transaction that keeps what it carries. Whatever fails, the batch is dropped, the session
// ends, and the next one goes on from the position that is kept. Make it with [Record.Stream].
type Stream struct {
	lanes   []*lane
	reading *reading
}

var _ vedette.Part = (*Stream)(nil)

// Stream returns a Stream that writes as r does. Run r beside it.
func (r *Record) Stream(cfg StreamConfig) (*Stream, error) {
	if cfg.Source == nil || cfg.Decode == nil {
		return nil, errors.New("record: StreamConfig.Source and Decode are required")
	}
	cfg.Lanes = cmp.Or(cfg.Lanes, 4)
	cfg.Count = cmp.Or(cfg.Count, 50_000)
	cfg.Bytes = cmp.Or(cfg.Bytes, 8<<20)
	cfg.Age = cmp.Or(cfg.Age, 100*time.Millisecond)
	if cfg.Meter == nil {
		cfg.Meter = noStreamMeter{}
	}
	s := &Stream{reading: &reading{log: r.cfg.Log, ends: make([]int, cfg.Lanes)}}
	for i := range cfg.Lanes {
		s.lanes = append(s.lanes, &lane{
			StreamConfig: cfg, ledger: r.newLedger(false), log: r.cfg.Log, n: i, reading: s.reading, count: cfg.Count,
		})
	}
	return s, nil
}

// Trouble says what keeps s from reading or from writing what it reads, and since when; nil while
// all goes well. It is safe for concurrent use.
func (s *Stream) Trouble() (since time.Time, err error) { return s.reading.trouble() }

// Run reads until ctx ends, writes what it has received, and returns nil.
func (s *Stream) Run(ctx context.Context) error {
	var lanes sync.WaitGroup // side by side at the stop, too
	for _, l := range s.lanes {
		lanes.Go(func() { l.run(ctx) })
	}
	lanes.Wait()
	return nil
}

// A lane reads one session after the other. Its partitions are its own, and so are their
// monitors: what it remembers of their statuses holds for a session.
type lane struct {
	StreamConfig
	ledger  *ledger
	log     *slog.Logger
	n       int
	reading *reading
	minute  time.Time // in which letters were logged
	letters int
	count   int // how many messages a batch may hold now

	// Memory that is used again.
	batch  []vedette.Message
	loaded load
	alive  []vedette.Result
}

// writeIn is how long a batch may take to be written: then the store is as good as gone, or the
// batch is too much for it. lastWords is what is left of that once the lane is to stop.
const (
	writeIn   = 30 * time.Second
	lastWords = 10 * time.Second
)

// steady is how long a session lasts that is well, though there may be nothing for it to read.
const steady = 10 * time.Second

func (l *lane) run(ctx context.Context) {
	pause := retry.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}
	for ctx.Err() == nil {
		err := l.session(ctx, func() {
			l.reading.works(l.n)
			pause.Reset()
		})
		if ctx.Err() != nil {
			if err != nil {
				l.log.Warn("what was received last is not kept, it is read again", "lane", l.n, "err", err)
			}
			return
		}
		l.reading.ended(l.n, err)
		_ = pause.Wait(ctx) // told to stop while waiting is told to stop
	}
}

// session reads until something fails or ctx ends. It calls works when a batch is kept.
func (l *lane) session(ctx context.Context, works func()) (err error) {
	if err := l.ledger.defs.load(ctx); err != nil {
		return err
	}
	if err := l.reach(ctx); err != nil {
		return err
	}
	s, err := l.Source.Open(ctx)
	if err != nil {
		return fmt.Errorf("open session: %w", err)
	}
	defer func() {
		if end := s.Close(); err == nil {
			err = end
		}
	}()
	clear(l.ledger.entries) // others may have changed them since
	well := time.AfterFunc(steady, func() { l.reading.works(l.n) })
	defer well.Stop()
	for {
		messages, err := l.gather(ctx, s)
		if err != nil {
			return err
		}
		if len(messages) > 0 {
			if err := l.keep(ctx, s, messages); err != nil {
				l.count = max(l.count/2, 1)
				return err
			}
			l.count = min(2*l.count, l.Count)
			works()
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

// reachIn is how long the store may take to answer before partitions are taken.
const reachIn = 5 * time.Second

// reach asks the store for anything at all: who cannot reach it must not take partitions from those
// who can.
func (l *lane) reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reachIn)
	defer cancel()
	if _, err := l.ledger.record.cfg.Reader.Latest(ctx, "nothing"); err != nil {
		return fmt.Errorf("reach the store: %w", err)
	}
	return nil
}

// gather receives a batch.
func (l *lane) gather(ctx context.Context, s vedette.Session) ([]vedette.Message, error) {
	first, err := s.Receive(ctx, l.count)
	if err != nil || len(first) == 0 {
		return nil, err
	}
	l.batch = append(l.batch[:0], first...)
	bytes := size(first)
	wait, cancel := context.WithTimeout(ctx, l.Age)
	defer cancel()
	for len(l.batch) < l.count && bytes < l.Bytes {
		more, err := s.Receive(wait, l.count-len(l.batch))
		if err != nil {
			return nil, err
		}
		if len(more) == 0 {
			break // it has waited long enough, or the source wants it
		}
		bytes += size(more)
		l.batch = append(l.batch, more...)
	}
	return l.batch, nil
}

func size(messages []vedette.Message) (n int) {
	for i := range messages {
		n += len(messages[i].Body) + len(messages[i].Key)
	}
	return n
}

// keep writes a batch and tells the session that it is done with.
func (l *lane) keep(ctx context.Context, s vedette.Session, messages []vedette.Message) error {
	began := time.Now()
	stop := ctx
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeIn)
	defer cancel()
	defer context.AfterFunc(stop, func() { time.AfterFunc(lastWords, cancel) })()
	b, err := l.read(ctx, messages)
	if err != nil {
		return err
	}
	if err := l.write(ctx, b); err != nil {
		if errors.Is(err, vedette.ErrLeaseLost) {
			l.Meter.Fenced()
		}
		return err
	}
	l.Meter.Committed(len(messages), size(messages), time.Since(began))
	last := messages[len(messages)-1].Tag
	return s.Settle(ctx, vedette.Verdict{Tag: last, UpTo: true, Do: vedette.Ack})
}
