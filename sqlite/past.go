package sqlite

import (
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

// A past is a job that has ended.
type past struct {
	id       vedette.ID
	state    int64
	finished int64
	life     []byte // see appendPast
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

// appendPast appends what is kept of a row when its job has ended: numbers, the owner, and the
// tail.
func (r *row) appendPast(b []byte, o owner, last *tail) []byte {
	beatAt := int64(0)
	if r.started > 0 {
		beatAt = max(o.beat, r.started)
	}
	for _, n := range []int64{r.runAt, r.epoch, r.attempt, r.started, beatAt, int64(len(o.name))} {
		b = binary.AppendVarint(b, n)
	}
	return last.append(append(b, o.name...))
}

// job returns p with its attempts.
func (p *past) job() (j vedette.Job, err error) {
	j.ID = p.id
	err = pack.Job(p.body, &j)
	var last tail
	if err == nil {
		last, err = p.read(&j)
	}
	if err == nil {
		j.Attempts, err = pack.Attempts(last.attempts)
	}
	if err != nil {
		return j, fmt.Errorf("stored job %s: %w", p.id, err)
	}
	j.State, j.FinishedAt = pack.JobStateOf(p.state), pack.TimeOf(p.finished)
	j.Cancel, j.Result, j.Error = last.cancel, last.result, last.err
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

// bury makes r, which nobody owns any more, history of its state. It is written with the next
// write of graves.
func (t *tx) bury(r *row, o owner, last *tail) error {
	if r.lane < 0 {
		t.unsettle(r.lane)
	}
	scraper := ""
	if r.flags != 0 {
		j, err := r.said()
		if err == nil {
			scraper = string(j.Scraper)
			err = t.release(r, j, isUnique|isWaiting|isRun)
		}
		if err != nil {
			return fmt.Errorf("free what job %s holds: %w", r.id, err)
		}
	}
	t.buried = append(t.buried, r.id)
	t.graves = append(t.graves, r.id[:], r.state, t.now, scraper, r.appendPast(nil, o, last), r.body)
	return nil
}

// release frees what r holds, of that which is asked for.
func (t *tx) release(r *row, j *vedette.Job, flags int64) (err error) {
	held := r.flags & flags
	r.flags &^= held
	drop := func(flag int64, text string, args ...any) {
		if err == nil && held&flag != 0 {
			_, err = t.exec(text, args...)
		}
	}
	drop(isUnique, "delete from keys where kind = ? and key = ?", int64(isUnique), j.Unique)
	drop(isWaiting, "delete from keys where kind = ? and key = ?", int64(isWaiting), j.UniqueWaiting)
	drop(isRun, "delete from live where scraper = ? and job = ?", string(j.Scraper), r.id[:])
	drop(isRun, "update runs set live = live - 1, past = past + 1 where scraper = ?", string(j.Scraper))
	return err
}

// graves is how many jobs one statement writes to history.
const graves = 25

const (
	onePast  = "insert or fail into past (id, state, finished, scraper, life, body) values (?, ?, ?, ?, ?, ?)"
	pastArgs = 6
)

// dig moves what was buried from the table of live jobs to history.
func (t *tx) dig() error {
	const drop = "delete from jobs where id in (?"
	some := drop + strings.Repeat(", ?", graves-1) + ")"
	for rest := t.buried; len(rest) > 0; {
		text, n := drop+")", 1
		if len(rest) >= graves {
			text, n = some, graves
		}
		args := make([]any, n)
		for i := range args {
			args[i] = rest[i][:]
		}
		if _, err := t.exec(text, args...); err != nil {
			return fmt.Errorf("end job %s: %w", rest[0], err)
		}
		rest = rest[n:]
	}
	many := onePast + strings.Repeat(", (?, ?, ?, ?, ?, ?)", graves-1)
	for rest := t.graves; len(rest) > 0; {
		text, n := onePast, pastArgs
		if len(rest) >= graves*pastArgs {
			text, n = many, graves*pastArgs
		}
		if _, err := t.exec(text, rest[:n]...); err != nil {
			return fmt.Errorf("keep ended jobs: %w", err)
		}
		rest = rest[n:]
	}
	t.add("jobs", -int64(len(t.buried)))
	t.add("past", int64(len(t.buried)))
	t.buried, t.graves = t.buried[:0], t.graves[:0]
	return nil
}
