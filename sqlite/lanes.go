package sqlite

import (
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/vedettehq/vedette"
)

// Jobs that a limit or a rate may hold back wait in lanes: all jobs of a lane may start, or none.
// A lane shows its first job, so that a claim looks at one job of each lane that is open, and what
// is held costs it nothing, however much of it there is.

// How a lane is held.
const (
	isOpen = 0
	isFull = 1 // its limit is reached
	isSlow = 2 // its rate is, until a time
)

// queue returns the number of a queue, and gives it one at its first use.
func (t *tx) queue(name string) (int64, error) {
	if num, known := t.s.queues[name]; known {
		return num, nil
	}
	if num, known := t.queues[name]; known {
		return num, nil
	}
	num, known, err := t.find("select num from queues where name = ?", name)
	if err == nil && !known {
		num, err = t.int("insert into queues (name, paused) values (?, 0) returning num", name)
	}
	if err != nil {
		return 0, fmt.Errorf("number queue %q: %w", name, err)
	}
	if t.queues == nil {
		t.queues = map[string]int64{}
	}
	t.queues[name] = num
	return num, nil
}

// rate returns what holds back jobs of a rate: the microseconds between two starts, and how many
// may start at once.
func rate(j *vedette.Job) (key string, every, burst int64) {
	if j.RateEvery == 0 {
		return "", 0, 0
	}
	return j.RateKey, max(j.RateEvery.Microseconds(), 1), int64(max(j.RateBurst, 1))
}

// laneOf returns the lane that r, which is in that of its queue, waits in: its number, negative.
func (t *tx) laneOf(r *row) (int64, error) {
	j, err := r.said()
	if err != nil {
		return 0, err
	}
	limitKey := j.LimitKey
	if j.Limit == 0 {
		limitKey = ""
	}
	rateKey, every, burst := rate(j)
	args := []any{r.lane, limitKey, int64(j.Limit), rateKey, every, burst}
	num, known, err := t.find(`select -num from lanes
		where queue = ? and limit_key = ? and most = ? and rate_key = ? and every = ? and burst = ?`, args...)
	if err == nil && !known {
		num, err = t.int(`insert into lanes (queue, limit_key, most, rate_key, every, burst, held, at)
			values (?, ?, ?, ?, ?, ?, 1, 0) returning -num`, args...)
	}
	if err != nil {
		return 0, fmt.Errorf("find lane: %w", err)
	}
	return num, nil
}

// enter puts r, whose state is scheduled or retrying, where it waits: for its time or for a
// worker.
func (t *tx) enter(r *row) (err error) {
	if r.runAt > t.now {
		return nil
	}
	r.state = pending
	if r.flags&isHeld == 0 {
		t.ready = true
		return nil
	}
	if r.lane, err = t.laneOf(r); err == nil {
		t.unsettle(r.lane)
	}
	return err
}

// unsettle says that a lane may not be as it says any more.
func (t *tx) unsettle(lanes ...int64) {
	if t.unsettled == nil {
		t.unsettled = map[int64]struct{}{}
	}
	for _, num := range lanes {
		t.unsettled[num] = struct{}{}
	}
}

// unsettleBy unsettles the lanes that a statement gives.
func (t *tx) unsettleBy(text string, args ...any) error {
	return t.query(func(row []driver.Value) error {
		t.unsettle(row[0].(int64))
		return nil
	}, text, args...)
}

// settle makes lanes say how they are.
func (t *tx) settle() error {
	for num := range t.unsettled {
		if err := t.settleLane(num); err != nil {
			return fmt.Errorf("settle lane: %w", err)
		}
	}
	clear(t.unsettled)
	return nil
}

func (t *tx) settleLane(num int64) error {
	var head []driver.Value
	err := t.query(func(row []driver.Value) error {
		head = append(head, row...)
		return nil
	}, "select priority, run_at, id from jobs where lane = +? and state = 2 order by priority, run_at, id limit 1", num)
	if err != nil {
		return err
	}
	if head == nil {
		_, err = t.exec("delete from lanes where num = ?", -num)
		return err
	}
	held, at, err := t.held(num)
	if err == nil {
		_, err = t.exec("update lanes set held = ?, at = ?, priority = ?, run_at = ?, job = ? where num = ?",
			held, at, head[0], head[1], head[2], -num)
	}
	t.ready = t.ready || held == isOpen
	return err
}

// held says how a lane is held, and until when by its rate.
func (t *tx) held(num int64) (held, at int64, err error) {
	err = t.query(func(row []driver.Value) error {
		most, every, burst := row[0].(int64), row[1].(int64), row[2].(int64)
		running, _ := row[3].(int64)
		clock, _ := row[4].(int64)
		if every > 0 {
			at = clock - (burst-1)*every
		}
		switch {
		case most > 0 && running >= most:
			held = isFull
		case at > t.now:
			held = isSlow
		}
		return nil
	}, `select most, every, burst, started, clock from lanes
			left join limits on limits.key = limit_key and most > 0 left join rates on rates.key = rate_key and every > 0
		where num = ?`, -num)
	return held, at, err
}

// occupy counts a start of r against its limits.
func (t *tx) occupy(r *row, j *vedette.Job) (err error) {
	if r.flags&isLimited != 0 {
		_, err = t.exec("insert into limits values (?, 1) on conflict do update set started = started + 1", j.LimitKey)
		if err == nil {
			err = t.unsettleBy("select -num from lanes where limit_key = ? and most > 0", j.LimitKey)
		}
	}
	if key, every, _ := rate(j); err == nil && every > 0 {
		_, err = t.exec("insert into rates values (?1, ?2 + ?3) on conflict do update set clock = max(clock, ?2) + ?3", key, t.now, every)
		if err == nil {
			err = t.unsettleBy("select -num from lanes where rate_key = ? and every > 0", key)
		}
	}
	return err
}

// vacate frees the slot of r, which is started no more, and forgets that it was to end.
func (t *tx) vacate(r *row) (err error) {
	if r.cancelAt != 0 {
		_, err = t.exec("delete from cancels where job = ?", r.id[:])
	}
	if err != nil || r.flags&isLimited == 0 {
		return err
	}
	j, err := r.said()
	if err != nil {
		return err
	}
	left, err := t.int("update limits set started = started - 1 where key = ? returning started", j.LimitKey)
	if err == nil && left <= 0 {
		_, err = t.exec("delete from limits where key = ?", j.LimitKey)
	}
	if err == nil {
		err = t.unsettleBy("select -num from lanes where limit_key = ? and most > 0", j.LimitKey)
	}
	return err
}

const (
	// promoteMost is how many jobs whose time has come are made ready at once.
	promoteMost = 2000
	// promoteFor is how long a transaction goes on with it. What is left then is done by others that follow
	// at once: no claim is to pass over for long what is urgent, and no beat to wait.
	promoteFor = 100 * time.Millisecond
)

// promote makes ready what time alone kept from it.
func (t *tx) promote() error {
	began, n := time.Now(), promoteMost
	var err error
	for n == promoteMost && err == nil && !t.behind {
		n, err = t.promoteSome()
		t.behind = n == promoteMost && time.Since(began) > promoteFor
	}
	if err == nil {
		err = t.unsettleBy("select -num from lanes where held = 2 and at <= ?", t.now)
	}
	if err != nil {
		return fmt.Errorf("promote what is due: %w", err)
	}
	return t.settle()
}

func (t *tx) promoteSome() (int, error) {
	due, err := t.rows("select "+rowColumns+" from jobs where state in (1, 4) and run_at <= ? order by run_at limit ? + 0", t.now, int64(promoteMost))
	for _, r := range due {
		if err == nil {
			err = t.enter(r)
		}
		if err == nil {
			_, err = t.exec("update jobs set lane = ?, state = 2 where id = ?", r.lane, r.id[:])
		}
	}
	return len(due), err
}
