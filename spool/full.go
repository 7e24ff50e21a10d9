package spool

import (
	"fmt"
	"time"
)

// makeRoom sees to it that need more bytes may be appended.
func (s *Spool) makeRoom(need int64) error {
	need += headSize
	if need > s.cfg.MaxBytes {
		return fmt.Errorf("%w: %d bytes at once, of %d in all", ErrFull, need, s.cfg.MaxBytes)
	}
	for {
		var used int64
		for _, f := range s.folders {
			used += f.bytes()
		}
		if used+need <= s.cfg.MaxBytes {
			return nil
		}
		if s.full.IsZero() {
			s.full = time.Now()
			s.cfg.Log.Error("spool is full", "bytes", used, "results", s.waiting.Load(), "when_full", s.cfg.WhenFull, "err", s.err)
		}
		if s.cfg.WhenFull == Block {
			err := fmt.Errorf("%w since %s with %d results", ErrFull, s.full.UTC().Format(time.RFC3339), s.waiting.Load())
			if s.err != nil {
				err = fmt.Errorf("%w: %w", err, s.err)
			}
			return err
		}
		s.dropOldest()
	}
}

// dropOldest drops the oldest segment. What of it is being sent at this moment is counted when
// it is known whether that was in time.
func (s *Spool) dropOldest() {
	for _, f := range s.folders {
		if len(f.segs) == 0 {
			continue
		}
		seg := f.segs[0]
		end := seg.first + seg.n
		n := int(end - f.cur.next) //nolint:gosec // a count
		if s.sending.seg == seg && !s.dropped {
			n -= s.sending.n
			s.dropped = true
		}
		if err := f.move(end, 0); err != nil {
			s.cfg.Log.Error("cursor or segment of the spool not moved on", "file", seg.path, "err", err)
		}
		s.cfg.Meter.Dropped("full", n)
		s.lose(n, seg.begun)
		return
	}
}

// tellLoss is how often to log what a spool drops that stays full.
const tellLoss = time.Minute

// A loss is what was dropped and is not logged yet.
type loss struct {
	n    int
	from time.Time // of the oldest
	told time.Time // when the one before was logged
}

func (s *Spool) lose(n int, from time.Time) {
	if s.loss.n == 0 {
		s.loss.from = from
	}
	s.loss.n += n
	if time.Since(s.loss.told) >= tellLoss {
		s.tellLoss()
	}
}

func (s *Spool) tellLoss() {
	if s.loss.n > 0 {
		s.cfg.Log.Error("oldest results of a full spool dropped", "results", s.loss.n, "from", s.loss.from)
		s.loss = loss{told: time.Now()}
	}
}
