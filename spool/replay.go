package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/retry"
)

// Bounds of one Send of a replay.
const (
	chunkResults = 500
	chunkBytes   = 1 << 20
)

// A chunk is what one Send of a replay takes: records that follow each other in a segment.
type chunk struct {
	folder  *folder
	seg     *segment
	n       int   // records
	bytes   int64 // with their frames
	results []vedette.Result
	bad     int   // records that are no results
	badErr  error // of the last of them
}

// Run sends what waits on disk to the next sink until ctx ends.
func (s *Spool) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
			s.drain(ctx)
		}
	}
}

// drain sends until nothing waits. A chunk that is refused is halved until the bad one is found.
func (s *Spool) drain(ctx context.Context) {
	back := retry.Backoff{Min: 200 * time.Millisecond, Max: 10 * time.Second}
	began, sent, limit := time.Now(), 0, chunkResults
	var buf []byte
	for ctx.Err() == nil {
		c, err := s.take(&buf, limit)
		if err == nil && c.n == 0 {
			if sent == 0 {
				return // the token was left from before
			}
			s.cfg.Log.Info("nothing waits on disk any more", "results", sent, "seconds", time.Since(began).Seconds())
			return
		}
		if err == nil {
			limit, err = s.forward(ctx, c, limit)
		}
		if err == nil {
			sent += c.n
			back.Reset()
			continue
		}
		s.fail(err)
		if back.Wait(ctx) != nil {
			return
		}
	}
}

// forward sends a chunk on and moves the cursor behind it. It returns how large the next one
// should be.
func (s *Spool) forward(ctx context.Context, c chunk, limit int) (int, error) {
	var err error
	if len(c.results) > 0 {
		err = s.next(ctx, vedette.Found{Results: c.results, Resent: true})
	}
	switch {
	case err == nil:
		s.advance(c, nil)
		return min(2*limit, chunkResults), nil
	case errors.Is(err, vedette.ErrRefused) && c.n == 1:
		s.advance(c, err)
		return limit, nil
	case errors.Is(err, vedette.ErrRefused):
		s.giveBack()
		return max(1, c.n/2), nil
	}
	s.giveBack()
	return limit, err
}

// take reads the next chunk of up to limit records, one without any if nothing waits.
func (s *Spool) take(buf *[]byte, limit int) (chunk, error) {
	c, bodies, err := s.read(buf, limit)
	if err != nil {
		return c, err
	}
	c.results = make([]vedette.Result, 0, len(bodies))
	for _, body := range bodies {
		var r vedette.Result
		if err := s.cfg.Decode(body, &r); err != nil {
			c.bad, c.badErr = c.bad+1, err
			continue
		}
		c.results = append(c.results, r)
	}
	return c, nil
}

// read reads the records of the next chunk and notes that they are being sent.
func (s *Spool) read(buf *[]byte, limit int) (c chunk, bodies [][]byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.count()
	for {
		f := s.oldest()
		if f == nil {
			s.err = nil
			return chunk{}, nil, nil
		}
		seg := f.segs[0]
		if f.cur.next == seg.first {
			f.cur.off = headSize
		}
		*buf, err = seg.read(*buf, f.cur.off, chunkBytes)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return chunk{}, nil, fmt.Errorf("read spool: %w", err)
		}
		left := int(seg.first + seg.n - f.cur.next) //nolint:gosec // a count
		bodies, size, _ := cutFrames(*buf, min(limit, left))
		if len(bodies) == 0 {
			s.skip(f)
			continue
		}
		s.sending = chunk{folder: f, seg: seg, n: len(bodies), bytes: size}
		return s.sending, bodies, nil
	}
}

// oldest returns the folder to send from, or nil if nothing waits.
func (s *Spool) oldest() *folder {
	for _, f := range s.folders {
		if f.waiting() > 0 {
			return f
		}
	}
	return nil
}

// skip gives up what is left of a segment that is damaged where the cursor stands.
func (s *Spool) skip(f *folder) {
	seg := f.segs[0]
	end := seg.first + seg.n
	s.tellHarm(harm{seg.path, f.cur.off, end - f.cur.next})
	s.moved(f, end, 0)
}

// advance says that a chunk is done: sent, or refused for good.
func (s *Spool) advance(c chunk, refused error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.count()
	if !s.dropped {
		s.moved(c.folder, c.folder.cur.next+uint64(c.n), c.folder.cur.off+c.bytes) //nolint:gosec // a count
	}
	s.sending, s.dropped = chunk{}, false
	if refused != nil {
		s.cfg.Meter.Dropped("refused", 1)
		s.cfg.Log.Error("result refused and dropped", "monitor", c.results[0].Monitor, "id", c.results[0].ID, "err", refused)
		return
	}
	s.cfg.Meter.Replayed(len(c.results))
	if c.bad > 0 {
		s.cfg.Meter.Dropped("undecodable", c.bad)
		s.cfg.Log.Error("records of the spool are no results, dropped", "records", c.bad, "err", c.badErr)
	}
}

// moved moves the cursor of f, and gives f back if it was adopted and is empty.
func (s *Spool) moved(f *folder, next uint64, off int64) {
	err := f.move(next, off)
	if f.waiting() == 0 && f != s.folders[len(s.folders)-1] {
		err = errors.Join(err, f.remove())
		for i := range s.folders {
			if s.folders[i] == f {
				s.folders = append(s.folders[:i:i], s.folders[i+1:]...)
				break
			}
		}
	}
	if err != nil {
		s.cfg.Log.Error("spool not tidied: some of it may be sent again", "dir", f.path, "err", err)
	}
}

// giveBack says that a chunk was not sent.
func (s *Spool) giveBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.count()
	if s.dropped {
		s.cfg.Meter.Dropped("full", s.sending.n)
	}
	s.sending, s.dropped = chunk{}, false
}

// fail notes why nothing is sent on.
func (s *Spool) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// tellOpened tells what was found when a folder was opened.
func (s *Spool) tellOpened(f *folder) {
	if f.cut > 0 {
		s.cfg.Log.Warn("end of spool cut off: a crash interrupted its writing", "dir", f.path, "bytes", f.cut)
	}
	s.tellHarm(f.harm...)
}

// tellHarm counts and logs what cannot be read.
func (s *Spool) tellHarm(all ...harm) {
	for _, h := range all {
		s.cfg.Meter.Dropped("damaged", int(h.n)) //nolint:gosec // a count
		s.cfg.Log.Error("spool is damaged: results are lost", "file", h.path, "offset", h.off, "results", h.n)
	}
}
