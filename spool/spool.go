// Package spool keeps results on disk while the sink behind it is away.
//
// A [Spool] stands before a remote sink. While all is well it hands on what it gets and touches
// no disk. When the next sink fails, results are appended to files, and Send returns once they
// are safe there; [Spool.Run] sends them on, oldest first and marked as re-sent, when the sink
// is back. While anything waits, all that is new is appended behind it, so that no result
// overtakes another of its monitor.
//
// Dir holds folders 0, 1, 2 and so on. A process locks the first free one; what dead processes
// left in others is sent first.
package spool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vedettehq/vedette"
)

// ErrFull says that results were not taken, since the spool is full. Their sender has them
// still and repeats.
var ErrFull = errors.New("spool is full")

// WhenFull says what becomes of new results when the spool is full.
type WhenFull string

// What may be done when the spool is full.
const (
	// Block takes no more: Send reports ErrFull.
	Block WhenFull = "block"
	// DropOldest makes room by dropping the oldest results, some thousands at once.
	DropOldest WhenFull = "drop_oldest"
)

// A Config holds what a spool needs. Dir, Next, Encode and Decode are required.
type Config struct {
	Dir      string   // on a local disk
	MaxBytes int64    // of all files together, what was adopted included; 0 means 1 GiB
	WhenFull WhenFull // "" means Block
	Next     vedette.Sink
	// Encode appends a result to a buffer, with ErrRefused for what will never be taken; Decode
	// reads it without keeping the bytes. They must need nobody's help: what is on disk must
	// be readable while all else is away.
	Encode func(dst []byte, r *vedette.Result) ([]byte, error)
	Decode func(b []byte, r *vedette.Result) error
	// Timeout is how long one Send of Next may take; then its results go to disk. 0 means 5s.
	Timeout time.Duration
	Meter   Meter        // nil counts nothing
	Log     *slog.Logger // nil discards
}

// A Spool is a Sink that survives the one behind it, and a Part that replays. Send may be called
// before Run begins and after it ends, until Close.
type Spool struct {
	cfg     Config
	segment int64         // when to begin another one, in bytes
	waiting atomic.Int64  // results on disk that are not sent; 0 means straight on
	wake    chan struct{} // holds a token if Run may have something to do

	mu      sync.Mutex
	folders []*folder // in the order in which they are sent; the last is our own
	sending chunk     // what Run is sending
	dropped bool      // while it was sent, its segment was dropped
	buf     []byte    // of Send
	full    time.Time // since when, or zero
	loss    loss
	err     error // the last one while anything waits
}

var (
	_ vedette.Sink = (*Spool)(nil)
	_ vedette.Part = (*Spool)(nil)
)

// New opens the first free folder of cfg.Dir and what dead processes left in others.
func New(cfg Config) (*Spool, error) {
	if cfg.Dir == "" || cfg.Next == nil || cfg.Encode == nil || cfg.Decode == nil {
		return nil, errors.New("spool: Dir, Next, Encode and Decode are required")
	}
	cfg.MaxBytes = cmp.Or(cfg.MaxBytes, 1<<30)
	cfg.WhenFull = cmp.Or(cfg.WhenFull, Block)
	cfg.Timeout = cmp.Or(cfg.Timeout, 5*time.Second)
	if cfg.Meter == nil {
		cfg.Meter = noMeter{}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.WhenFull != Block && cfg.WhenFull != DropOldest {
		return nil, fmt.Errorf("spool: when full %q, want %s or %s", cfg.WhenFull, Block, DropOldest)
	}
	s := &Spool{cfg: cfg, segment: min(8<<20, cfg.MaxBytes/8), wake: make(chan struct{}, 1)}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("open spool %s: %w", cfg.Dir, errors.Join(err, s.Close()))
	}
	return s, nil
}

// open locks and reads the folders.
func (s *Spool) open() error {
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return err
	}
	own, lock, err := claimFree(s.cfg.Dir)
	if err != nil {
		return err
	}
	mine, err := openFolder(filepath.Join(s.cfg.Dir, strconv.Itoa(own)), lock)
	if err != nil {
		return errors.Join(err, lock.Close())
	}
	s.tellOpened(mine)
	s.folders = []*folder{mine}
	all, err := numbers(s.cfg.Dir)
	if err != nil {
		return err
	}
	for _, number := range all {
		if number != own {
			if err := s.adopt(number); err != nil {
				return fmt.Errorf("adopt folder %d: %w", number, err)
			}
		}
	}
	s.count()
	if n := s.waiting.Load(); n > 0 {
		s.cfg.Log.Info("results of an earlier run wait to be sent", "results", n, "folders", len(s.folders))
		s.poke()
	}
	return nil
}

// adopt takes over what a dead process left.
func (s *Spool) adopt(number int) error {
	lock, err := claim(s.cfg.Dir, number)
	if lock == nil {
		return err
	}
	f, err := openFolder(filepath.Join(s.cfg.Dir, strconv.Itoa(number)), lock)
	if err != nil {
		return errors.Join(err, lock.Close())
	}
	s.tellOpened(f)
	if f.waiting() == 0 {
		return f.remove()
	}
	last := len(s.folders) - 1
	s.folders = append(s.folders[:last:last], f, s.folders[last])
	return nil
}

// Send hands f to the next sink, or keeps it on disk if that fails or if anything waits there
// already. What ctx leaves no time to send goes to disk too. It reports ErrFull, and ErrRefused
// as the next sink and Encode do.
func (s *Spool) Send(ctx context.Context, f vedette.Found) error {
	if len(f.Results) == 0 {
		return nil
	}
	var cause error
	if s.waiting.Load() == 0 && ctx.Err() == nil {
		if cause = s.next(ctx, f); cause == nil || errors.Is(cause, vedette.ErrRefused) {
			return cause
		}
	}
	if err := s.keep(f, cause); err != nil {
		if !errors.Is(err, vedette.ErrRefused) {
			s.cfg.Meter.Refused(len(f.Results))
		}
		return fmt.Errorf("spool %d results: %w", len(f.Results), err)
	}
	return nil
}

// next sends f on within the time-out.
func (s *Spool) next(ctx context.Context, f vedette.Found) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	return s.cfg.Next.Send(ctx, f)
}

// keep appends f to our own folder. cause is why the next sink did not take it, if it was asked.
func (s *Spool) keep(f vedette.Found, cause error) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.count()
	if cause != nil {
		s.err = cause
	}
	if s.folders == nil {
		return os.ErrClosed
	}
	s.buf = s.buf[:0]
	for i := range f.Results {
		s.buf, err = appendFrame(s.buf, func(b []byte) ([]byte, error) { return s.cfg.Encode(b, &f.Results[i]) })
		if err != nil {
			return err
		}
	}
	if err := s.makeRoom(int64(len(s.buf))); err != nil {
		return err
	}
	own := s.folders[len(s.folders)-1]
	if err := own.append(s.buf, len(f.Results), s.segment); err != nil {
		s.err = fmt.Errorf("append to spool: %w", err)
		return errors.Join(err, cause)
	}
	if s.waiting.Load() == 0 {
		s.cfg.Log.Warn("results go to disk", "dir", own.path, "err", s.err)
	}
	s.cfg.Meter.Spooled(len(f.Results))
	s.poke()
	return nil
}

// poke wakes Run.
func (s *Spool) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// count publishes how much waits. What is being sent counts although it was dropped, so that
// nothing overtakes it.
func (s *Spool) count() {
	var n, bytes int64
	for _, f := range s.folders {
		n += int64(f.waiting()) //nolint:gosec // a count
		bytes += f.bytes()
	}
	if s.dropped {
		n += int64(s.sending.n)
	}
	if bytes <= s.cfg.MaxBytes*3/4 {
		s.full = time.Time{}
		s.tellLoss()
	}
	s.waiting.Store(n)
	s.cfg.Meter.Waiting(n, bytes)
}

// A State says how a spool does.
type State struct {
	Records int64     // results that wait
	Bytes   int64     // the disk that they take
	Since   time.Time // when the oldest of them came, or a little before; zero if none waits
	Full    time.Time // since when it is full, or was and has not shrunk to 3/4; zero if not
	Err     error     // what went wrong last, while anything waits
}

// State returns how the spool does.
func (s *Spool) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := State{Records: s.waiting.Load(), Full: s.full}
	for _, f := range s.folders {
		st.Bytes += f.bytes()
		if st.Since.IsZero() && f.waiting() > 0 {
			st.Since = f.segs[0].begun
		}
	}
	if st.Records > 0 || !st.Full.IsZero() {
		st.Err = s.err
	}
	return st
}

// Close gives the folders back; what waits in them stays for the next process. Run must have
// ended.
func (s *Spool) Close() (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tellLoss()
	for _, f := range s.folders {
		err = errors.Join(err, f.close())
	}
	s.folders = nil
	return err
}
