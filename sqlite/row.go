package sqlite

import (
	"database/sql/driver"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

// The states of live rows, as package pack numbers them: indexes and statements have these.
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
	isRun                 // it is listed under its Scraper
	isFired               // nor may another be fired for its time
)

// nobody is the number of no owner. It takes as many bytes as that of any owner, so that a
// claim does not change the size of a row and is written in its place.
const nobody = 1 << 24

// A row is a live job.
type row struct {
	id       vedette.ID
	lane     int64 // the number of its queue; of another lane that it waits in, negative
	state    int64
	priority int64
	runAt    int64
	owner    int64 // its number
	life
	tail   []byte
	body   []byte
	pushed *vedette.Job // what body says, once it was read
	taken  bool         // from its owner, who does not know
}

// A life is what changes of a row that no statement looks for.
type life struct {
	epoch    int64
	started  int64
	cancelAt int64 // 0 unless it is to end
	beat     int64 // of its owner, when it was claimed
	attempt  int64
	flags    int64
}

const (
	rowColumns = "jobs.id, lane, state, priority, run_at, owner, life, body"
	lifeSize   = 3*8 + 3*4
)

func scanRow(from []driver.Value, r *row) error {
	copy(r.id[:], from[0].([]byte))
	for i, n := range []*int64{&r.lane, &r.state, &r.priority, &r.runAt, &r.owner} {
		*n = from[1+i].(int64)
	}
	b := from[6].([]byte)
	if len(b) < lifeSize {
		return fmt.Errorf("stored job %s: %w", r.id, errBroken)
	}
	for i, n := range []*int64{&r.epoch, &r.started, &r.cancelAt} {
		*n = int64(binary.BigEndian.Uint64(b[8*i:])) //nolint:gosec // as it was written
	}
	for i, n := range []*int64{&r.beat, &r.attempt, &r.flags} {
		*n = int64(binary.BigEndian.Uint32(b[24+4*i:]))
	}
	r.tail = b[lifeSize:]
	r.body = from[7].([]byte)
	return nil
}

// stored returns what changes of r as it is kept.
func (r *row) stored() []byte {
	b := make([]byte, 0, lifeSize+len(r.tail))
	for _, n := range []int64{r.epoch, r.started, r.cancelAt} {
		b = binary.BigEndian.AppendUint64(b, uint64(n)) //nolint:gosec // read back as it was
	}
	for _, n := range []int64{r.beat, r.attempt, r.flags} {
		b = binary.BigEndian.AppendUint32(b, uint32(n)) //nolint:gosec // counted from 0
	}
	return append(b, r.tail...)
}

// row returns a live job, or nil.
func (c *conn) row(id vedette.ID) (*row, error) {
	all, err := c.rows("select "+rowColumns+" from jobs where id = ?", id[:])
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return all[0], nil
}

// rows returns the live jobs that a statement gives.
func (c *conn) rows(text string, args ...any) (all []*row, err error) {
	err = c.query(func(from []driver.Value) error {
		r := &row{}
		all = append(all, r)
		return scanRow(from, r)
	}, text, args...)
	return all, err
}

// rowsOf returns live jobs by ID: one statement for many costs half of one for each.
func (c *conn) rowsOf(ids []vedette.ID) (map[vedette.ID]*row, error) {
	list := make([]byte, 0, len(ids)*35+2)
	for i := range ids {
		list = append(list, ',', '"')
		list = append(hex.AppendEncode(list, ids[i][:]), '"')
	}
	list = append(list, ']')
	list[0] = '['
	rows, err := c.rows("select "+rowColumns+" from json_each(?) as ids cross join jobs on jobs.id = unhex(ids.value)", string(list))
	all := make(map[vedette.ID]*row, len(rows))
	for _, r := range rows {
		all[r.id] = r
	}
	return all, err
}

// save keeps what may have changed of r.
func (t *tx) save(r *row) error {
	_, err := t.exec("update jobs set lane = ?, state = ?, run_at = ?, owner = ?, life = ? where id = ?",
		r.lane, r.state, r.runAt, r.owner, r.stored(), r.id[:])
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

// job returns r as callers see it, but for who owns it and has beaten since.
func (r *row) job() (vedette.Job, error) {
	said, err := r.said()
	if err != nil {
		return vedette.Job{}, err
	}
	j := *said
	j.State, j.RunAt, j.Epoch, j.Attempt = pack.JobStateOf(r.state), pack.TimeOf(r.runAt), r.epoch, int(r.attempt)
	j.StartedAt, j.BeatAt = pack.TimeOf(r.started), pack.TimeOf(r.started)
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

// empty reports whether there is nothing to keep.
func (t *tail) empty() bool {
	return t.cancel == "" && t.result == "" && t.err == "" && len(t.said) == 0 && len(t.attempts) == 0
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
