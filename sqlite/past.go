package sqlite

import (
	"database/sql/driver"
	"encoding/binary"
	"fmt"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

// A past is a job that has ended.
type past struct {
	id       vedette.ID
	state    int64
	finished int64
	life     []byte // see appendLife
	body     []byte
}

const pastColumns = "id, state, finished, life, body"

func scanPast(from []driver.Value, p *past) {
	copy(p.id[:], from[0].([]byte))
	p.state, p.finished = from[1].(int64), from[2].(int64)
	p.life, _ = from[3].([]byte)
	p.body, _ = from[4].([]byte)
}

// past returns a job that has ended, or nil.
func (c *conn) past(id vedette.ID) (found *past, err error) {
	err = c.query(func(from []driver.Value) error {
		found = &past{}
		scanPast(from, found)
		return nil
	}, "select "+pastColumns+" from past where id = ?", id[:])
	return found, err
}

// appendLife appends what a row says when its job has ended: numbers, the owner, and the tail.
func (r *row) appendLife(b []byte, beatAt int64, t *tail) []byte {
	for _, n := range []int64{r.runAt, r.epoch, r.attempt, r.started, beatAt, int64(len(r.owner))} {
		b = binary.AppendVarint(b, n)
	}
	return t.append(append(b, r.owner...))
}

// job returns p with its attempts.
func (p *past) job() (j vedette.Job, err error) {
	j.ID = p.id
	err = pack.Job(p.body, &j)
	var t tail
	if err == nil {
		t, err = p.read(&j)
	}
	if err == nil {
		j.Attempts, err = pack.Attempts(t.attempts)
	}
	if err != nil {
		return j, fmt.Errorf("stored job %s: %w", p.id, err)
	}
	j.State, j.FinishedAt = pack.JobStateOf(p.state), pack.TimeOf(p.finished)
	j.Cancel, j.Result, j.Error = t.cancel, t.result, t.err
	return j, nil
}

// read fills j from the life of p, and returns its tail.
func (p *past) read(j *vedette.Job) (tail, error) {
	var numbers [6]int64
	rest := p.life
	for i := range numbers {
		n, size := binary.Varint(rest)
		if size <= 0 {
			return tail{}, errBroken
		}
		numbers[i], rest = n, rest[size:]
	}
	length := numbers[5]
	if length < 0 || length > int64(len(rest)) {
		return tail{}, errBroken
	}
	j.RunAt, j.Epoch, j.Attempt = pack.TimeOf(numbers[0]), numbers[1], int(numbers[2])
	j.StartedAt, j.BeatAt = pack.TimeOf(numbers[3]), pack.TimeOf(numbers[4])
	j.Owner = string(rest[:length])
	return tailOf(rest[length:])
}

// bury makes r, which is in the table of live jobs no more, history of its state.
func (t *tx) bury(r *row, beatAt int64, last *tail) error {
	if err := t.release(r, isUnique|isWaiting); err != nil {
		return err
	}
	_, err := t.exec("insert into past (id, state, finished, scraper, life, body) values (?, ?, ?, ?, ?, ?)",
		r.id[:], r.state, t.now, r.scraper, r.appendLife(nil, beatAt, last), r.body)
	if err == nil && r.scraper != "" {
		_, err = t.exec("update runs set live = live - 1, past = past + 1 where scraper = ?", r.scraper)
	}
	if err != nil {
		return fmt.Errorf("keep job %s: %w", r.id, err)
	}
	return nil
}

// release frees the keys that r holds, of those that are asked for.
func (t *tx) release(r *row, flags int64) error {
	held := r.flags & flags & (isUnique | isWaiting)
	if held == 0 {
		return nil
	}
	j, err := r.said()
	if err != nil {
		return err
	}
	if held&isUnique != 0 {
		_, err = t.exec("delete from keys where kind = ? and key = ?", int64(isUnique), j.Unique)
	}
	if err == nil && held&isWaiting != 0 {
		_, err = t.exec("delete from keys where kind = ? and key = ?", int64(isWaiting), j.UniqueWaiting)
	}
	r.flags &^= held
	if err != nil {
		return fmt.Errorf("free keys of job %s: %w", r.id, err)
	}
	return nil
}
