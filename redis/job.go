package redis

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

// All numbers are big-endian, and times microseconds since 1970. A blob is
//
//	created  8 bytes
//	priority 8 bytes, with the sign turned so that they sort
//	run at   8 bytes, when it was to run first
//	meta     2 bytes of length, then MessagePack
//	body     that of package pack
//
// and a record what lua/jobs.lua names RECORD: state (1 byte; 16 more if the last attempt is to be read
// from the rest), epoch (8), attempt (4), run at, started, beat at, finished, told to end (8 each), beat at
// which it was claimed (4), then strings behind their lengths: owner (2), why it is to end, result, error,
// how claims were said to end, attempts that ended (4), and the meta once more (2).

const (
	metaAt     = 24 // in a blob
	placeBytes = 32
	lastFlag   = 16
)

var errShape = errors.New("stored job cannot be read")

// micros returns a time as it is stored; none is before 1970.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(t.UnixMicro(), 1)
}

func appendTime(b []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(micros(t))) //nolint:gosec // not below 0
}

func appendInt(b []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(n)) //nolint:gosec // read back as it was
}

// appendPlace appends where j stands among those that wait.
func appendPlace(b []byte, j *vedette.Job) []byte {
	b = appendInt(b, int64(j.Priority)^-1<<63)
	return append(appendTime(b, j.RunAt), j.ID[:]...)
}

// priorityOf reads the beginning of a place.
func priorityOf(text string) int {
	return int(int64(binary.BigEndian.Uint64([]byte(text))) ^ -1<<63) //nolint:gosec // as it was written
}

// A packer appends MessagePack, of which it knows what scripts read.
type packer []byte

func (p *packer) array(n byte) { *p = append(*p, 0x90|n) }

func (p *packer) str(s string) {
	if s == "" {
		*p = append(*p, 0xc0)
		return
	}
	*p = append(binary.BigEndian.AppendUint16(append(*p, 0xda), uint16(len(s))), s...) //nolint:gosec // see fits
}

func (p *packer) int(n int64) {
	if n >= 0 && n < 0x80 {
		*p = append(*p, byte(n))
		return
	}
	*p = appendInt(append(*p, 0xd3), n)
}

// appendMeta appends what the scripts decide by: see meta_of in lua/lanes.lua.
func appendMeta(b []byte, j *vedette.Job) []byte {
	p := packer(b)
	every := max(j.RateEvery.Microseconds(), min(int64(j.RateEvery), 1))
	bound := j.LimitKey != "" || every > 0
	switch {
	case bound:
		p.array(11)
	case j.Scraper != "" || j.Unique != "" || j.UniqueWaiting != "":
		p.array(7)
	default:
		p.array(2)
	}
	p.str(j.Queue)
	p.int(int64(j.MaxAttempts))
	if p[len(b)] == 0x92 {
		return p
	}
	p.str(j.Unique)
	p.str(j.UniqueWaiting)
	p.str(string(j.Scraper))
	p.int(int64(j.Keep))
	p.str(fire(j))
	if bound {
		p.str(string(lane(j, every)))
		p.str(j.LimitKey)
		p.str(rateKey(j))
		p.int(every)
	}
	return p
}

// fire names what a schedule fires once.
func fire(j *vedette.Job) string {
	if !j.Fired {
		return ""
	}
	return string(appendInt([]byte(j.Scraper), j.FireAt.UnixMicro()))
}

func rateKey(j *vedette.Job) string {
	if j.RateEvery <= 0 {
		return ""
	}
	return j.RateKey
}

// lane names the lane of j: see lane_of in lua/lanes.lua.
func lane(j *vedette.Job, every int64) []byte {
	var p packer
	p.array(6)
	p.str(j.Queue)
	p.str(j.LimitKey)
	p.int(int64(j.Limit))
	p.str(rateKey(j))
	p.int(every)
	if every == 0 {
		p.int(0)
	} else {
		p.int(int64(max(j.RateBurst, 1)))
	}
	return p
}

// appendRest appends the rest of the blob of j, behind what the script adds.
func appendRest(b []byte, j *vedette.Job) []byte {
	at := len(b)
	b = appendMeta(append(b, 0, 0), j)
	binary.BigEndian.PutUint16(b[at:], uint16(len(b)-at-2)) //nolint:gosec // see fits
	return pack.AppendJob(b, j)
}

// fits reports whether the names of a job are of a size that is kept, as all but hostile ones are.
func fits(j *vedette.Job) error {
	n := len(j.Queue) + len(j.Unique) + len(j.UniqueWaiting) + 2*len(j.Scraper) + 2*len(j.LimitKey) + 2*len(j.RateKey)
	if n > 10_000 {
		return fmt.Errorf("job %s: names and keys of %d bytes: %w", j.ID, n, vedette.ErrRefused)
	}
	return nil
}

// A reader takes a record apart.
type reader struct {
	rest string
	err  error
}

func (r *reader) text(n int) string {
	if n < 0 || n > len(r.rest) {
		r.err, r.rest = errShape, ""
		return ""
	}
	got := r.rest[:n]
	r.rest = r.rest[n:]
	return got
}

// int reads a number of n bytes.
func (r *reader) int(n int) (v int64) {
	for _, c := range []byte(r.text(n)) {
		v = v<<8 | int64(c)
	}
	return v
}

func (r *reader) time() time.Time { return pack.TimeOf(r.int(8)) }

func (r *reader) long() string { return r.text(int(r.int(4))) }

// jobOf reads a job as it is at now, of whose record there may be none.
func jobOf(id, blob, rec string, beaten int64, now time.Time) (j vedette.Job, err error) {
	if len(id) != len(j.ID) || len(blob) < metaAt+2 {
		return j, errShape
	}
	copy(j.ID[:], id)
	b := reader{rest: blob}
	created := b.time()
	b.text(8)
	j.RunAt = b.time()
	b.text(int(b.int(2)))
	if err := errors.Join(b.err, pack.Job([]byte(b.rest), &j)); err != nil {
		return j, fmt.Errorf("job %s: %w", j.ID, err)
	}
	j.CreatedAt, j.State = created, vedette.JobScheduled
	if rec != "" {
		if err := readRecord(rec, &j); err != nil {
			return j, fmt.Errorf("job %s: %w", j.ID, err)
		}
	}
	switch {
	case (j.State == vedette.JobScheduled || j.State == vedette.JobRetrying) && !j.RunAt.After(now):
		j.State = vedette.JobPending
	case j.State == vedette.JobStarted && beaten > micros(j.BeatAt):
		j.BeatAt = pack.TimeOf(beaten)
	}
	return j, nil
}

// readRecord fills what changes of j.
func readRecord(rec string, j *vedette.Job) error {
	r := reader{rest: rec}
	state := r.int(1)
	j.State = pack.JobStateOf(state &^ lastFlag)
	j.Epoch, j.Attempt = r.int(8), int(r.int(4))
	j.RunAt, j.StartedAt, j.BeatAt, j.FinishedAt = r.time(), r.time(), r.time(), r.time()
	r.text(8 + 4)
	j.Owner = r.text(int(r.int(2)))
	j.Cancel, j.Result, j.Error = r.long(), r.long(), r.long()
	r.long()
	past := reader{rest: r.long()}
	for past.rest != "" {
		a := vedette.Attempt{Epoch: past.int(8), Owner: past.text(int(past.int(2))), StartedAt: past.time(), FinishedAt: past.time()}
		a.State, a.Error = pack.JobStateOf(past.int(1)), past.long()
		j.Attempts = append(j.Attempts, a)
	}
	if state&lastFlag != 0 {
		j.Attempts = append(j.Attempts, vedette.Attempt{
			Epoch: j.Epoch, Owner: j.Owner, StartedAt: j.StartedAt, FinishedAt: j.FinishedAt, State: j.State, Error: j.Error,
		})
	}
	return errors.Join(r.err, past.err)
}

// jobs reads rows of four values.
func (a *answer) jobs(now time.Time) (all []vedette.Job) {
	list := a.list()
	for list.more() {
		j, err := jobOf(list.text(), list.text(), list.text(), list.int(), now)
		list.fail(err)
		all = append(all, j)
	}
	a.fail(list.err)
	return all
}
