package sqlite

import (
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

// The states of rows, as package pack numbers them: the indexes and statements have these.
const (
	scheduled = 1
	pending   = 2
	started   = 3
	retrying  = 4
)

// Flags say what a job holds beside its row.
const (
	isUnique  = 1 << iota // the key Unique
	isWaiting             // the key UniqueWaiting, until it is claimed first
	isLimited             // it counts under its LimitKey
	isHeld                // a Limit or a rate may hold it back
)

// A row is a live job.
type row struct {
	id       vedette.ID
	queue    int64 // its number
	lane     int64 // that it waits in; 0 is that of all that nothing holds back
	state    int64
	priority int64
	runAt    int64
	epoch    int64
	attempt  int64
	flags    int64
	owner    string
	started  int64
	beat     int64 // of its owner, when it was claimed
	cancelAt int64 // 0 unless it is to end
	scraper  string
	tail     []byte
	body     []byte
	pushed   *vedette.Job // what body says, once it was read
}

const rowColumns = `id, queue, lane, state, priority, run_at, epoch, attempt, flags, owner, started, beat, cancel_at, scraper, tail, body`

func scanRow(from []driver.Value, r *row) {
	copy(r.id[:], from[0].([]byte))
	for i, n := range []*int64{&r.queue, &r.lane, &r.state, &r.priority, &r.runAt, &r.epoch, &r.attempt, &r.flags} {
		*n = from[1+i].(int64)
	}
	r.owner, r.started, r.beat, r.cancelAt = from[9].(string), from[10].(int64), from[11].(int64), from[12].(int64)
	r.scraper = from[13].(string)
	r.tail, _ = from[14].([]byte)
	r.body, _ = from[15].([]byte)
}

// row returns a live job, or nil.
func (c *conn) row(id vedette.ID) (found *row, err error) {
	err = c.query(func(from []driver.Value) error {
		found = &row{}
		scanRow(from, found)
		return nil
	}, "select "+rowColumns+" from jobs where id = ?", id[:])
	return found, err
}

// rows returns the live jobs that a statement gives.
func (c *conn) rows(text string, args ...any) (all []*row, err error) {
	err = c.query(func(from []driver.Value) error {
		r := &row{}
		scanRow(from, r)
		all = append(all, r)
		return nil
	}, text, args...)
	return all, err
}

// save keeps what may have changed of r.
func (t *tx) save(r *row) error {
	_, err := t.exec(`update jobs
		set lane = ?, state = ?, run_at = ?, epoch = ?, attempt = ?, flags = ?, owner = ?, started = ?, beat = ?, cancel_at = ?, tail = ?
		where id = ?`,
		r.lane, r.state, r.runAt, r.epoch, r.attempt, r.flags, r.owner, r.started, r.beat, r.cancelAt, r.tail, r.id[:])
	return err
}

// said returns what was said of r when it was pushed.
func (r *row) said() (*vedette.Job, error) {
	if r.pushed == nil {
		j := &vedette.Job{ID: r.id}
		if err := pack.Job(r.body, j); err != nil {
			return nil, fmt.Errorf("stored job %s: %w", r.id, err)
		}
		r.pushed = j
	}
	return r.pushed, nil
}

// job returns r as callers see it, but for later beats of its owner.
func (r *row) job() (vedette.Job, error) {
	said, err := r.said()
	if err != nil {
		return vedette.Job{}, err
	}
	j := *said
	j.State, j.RunAt, j.Epoch, j.Attempt = pack.JobStateOf(r.state), pack.TimeOf(r.runAt), r.epoch, int(r.attempt)
	j.Owner, j.StartedAt, j.BeatAt = r.owner, pack.TimeOf(r.started), pack.TimeOf(r.started)
	last, err := tailOf(r.tail)
	if err != nil {
		return j, fmt.Errorf("stored job %s: %w", r.id, err)
	}
	j.Cancel, j.Result, j.Error = last.cancel, last.result, last.err
	return j, nil
}

// A tail is what few live jobs have and all ended ones: what was said, and how attempts ended.
type tail struct {
	cancel, result, err string
	said                []byte // epochs and states by which claims said that they ended
	attempts            []byte // as package pack has them
}

var errBroken = errors.New("its end is not readable")

func tailOf(data []byte) (t tail, err error) {
	if len(data) == 0 {
		return t, nil
	}
	var said string
	for _, part := range []*string{&t.cancel, &t.result, &t.err, &said} {
		n, size := binary.Uvarint(data)
		if size <= 0 || n > uint64(len(data)-size) {
			return t, errBroken
		}
		*part, data = string(data[size:size+int(n)]), data[size+int(n):] //nolint:gosec // no more than there are
	}
	t.said, t.attempts = []byte(said), data
	return t, nil
}

func (t *tail) append(b []byte) []byte {
	for _, part := range []string{t.cancel, t.result, t.err} {
		b = append(binary.AppendUvarint(b, uint64(len(part))), part...)
	}
	b = append(binary.AppendUvarint(b, uint64(len(t.said))), t.said...)
	return append(b, t.attempts...)
}

// say notes that the claim of an epoch ended by its own word.
func (t *tail) say(epoch int64, state vedette.JobState) {
	t.said = binary.AppendUvarint(t.said, uint64(epoch)) //nolint:gosec // counted from 0
	t.said = append(t.said, byte(pack.JobStateNum(state)))
}

// heard reports whether the claim of an epoch said that it ended so.
func (t *tail) heard(epoch int64, state vedette.JobState) bool {
	for said := t.said; len(said) > 0; {
		n, size := binary.Uvarint(said)
		if size <= 0 || size == len(said) {
			return false
		}
		if int64(n) == epoch { //nolint:gosec // as it was written
			return said[size] == byte(pack.JobStateNum(state))
		}
		said = said[size+1:]
	}
	return false
}
