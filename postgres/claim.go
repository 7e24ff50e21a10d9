package postgres

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

// A queue is the jobs under all their contracts. Its transactions lock in one order: the lease of
// the leader, cursors, owners, jobs by ID, limits by key. Where one would lock jobs behind limits, or
// in the order of their urgency, it skips those that others have locked. A claim alone locks its
// owner behind jobs, which are ready, and nobody who holds an owner waits for such.
type queue struct{ s *Store }

var (
	_ vedette.Jobs   = queue{}
	_ vedette.Queue  = queue{}
	_ vedette.Queues = queue{}
)

// Queue returns what workers ask of the jobs.
func (s *Store) Queue() vedette.Queue { return queue{s} }

// Queues returns what stops queues and lets them go on.
func (s *Store) Queues() vedette.Queues { return queue{s} }

// What a claim of several queues takes is one statement: a candidate after the other is locked
// unless another has it, of each queue as many as those before leave room for. Candidates without
// limits are started, the others are told of: limits_enter starts them, and then the claim goes on,
// with the next queue at the earliest. What is locked stays where it is, so its place in the table
// names it; to ask for its state again would let the planner look through all that is ready instead.
// Whoever claims must live, and holds its row so that no Rescue can end its claims before they are
// made; it does not where there is nothing to claim, so that looking writes nothing.
const (
	claimOne = `%[1]s as materialized (
		select ctid, id, priority, run_at, lane, $%[2]d::text as queue from jobs
		where state = 2 and epoch <= 0 and queue = $%[2]d and (priority, run_at, id) >= ($%[3]d, $%[4]d, $%[5]d)
			and not exists (select from pauses where queue = $%[2]d)%[8]s
		order by priority, run_at, id
		limit least($%[6]d, $2%[7]s)
		for update skip locked), `

	claimTail = `o as materialized (
		select beats, case when few then 3 else 2 end as state, case when few then name end as holder
		from owners cross join (select count(*) < %d as few from c where lane is null) as n
		where name = $1 and expires_at > clock_timestamp() and exists (select from c where lane is null)
		for key share of owners
	), u as (
		update jobs set state = (select state from o), epoch = 1 - epoch, attempt = attempt + 1, owner = $1, holder = (select holder from o), started_at = now(),
			beat = (select beats from o), unique_waiting = null
		where ctid = any (array(select ctid from c where lane is null)) and exists (select from o)
		returning ` + claimColumns + `
	), taken as (
		insert into claims (owner, n, beat, jobs) select $1, $3, beats, array(select id from u) from o where state = 2)
	select ` + claimColumns + ` from u
	union all
	select id, run_at, priority, null, null, null, null, null, null, null, queue from c where lane is not null`

	claimColumns = "id, run_at, priority, body, created_at, started_at, epoch, attempt, result, error, queue"

	enter = "select " + claimColumns + " from limits_enter($1, $2)"
)

// mostPrepared is for how many queues claims are prepared.
const mostPrepared = 4

// claimSQL returns the claim from n queues.
func claimSQL(n int) string {
	sql, union, before, free := "with ", []string{}, "", ""
	for i := range n {
		name, first := "c", 4+5*i
		if n > 1 {
			name = fmt.Sprintf("c%d", i)
		}
		sql += fmt.Sprintf(claimOne, name, first, first+2, first+3, first+4, first+1, before, free)
		union = append(union, "select * from "+name)
		before += fmt.Sprintf(" - (select count(*) from %s)", name)
		free += fmt.Sprintf(" and not exists (select from %s where lane is not null)", name)
	}
	if n > 1 {
		sql += fmt.Sprintf("c as (%s), ", strings.Join(union, " union all "))
	}
	return sql + fmt.Sprintf(claimTail, takenFrom)
}

// Claim takes jobs, as [vedette.Queue] says.
func (q queue) Claim(ctx context.Context, owner string, n int, from ...vedette.Want) (got []vedette.Job, err error) {
	if err = ctx.Err(); err == nil {
		got, err = q.s.desks.wait(ctx, q, owner, n, from)
	}
	if err != nil {
		return nil, fmt.Errorf("claim jobs: %w", err)
	}
	return got, nil
}

func bellsOf(from []vedette.Want) []bell {
	var all []bell
	for _, w := range from {
		if b := queueBell(w.Queue); !slices.Contains(all, b) {
			all = append(all, b)
		}
	}
	return all
}

// wait waits until it is rung for, at most for d or what is left of a poll.
func (w *waiter) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(min(d, poll*3/4+rand.N(poll/2)))
	defer timer.Stop()
	select {
	case <-w.rung:
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// A taking is what is left to take.
type taking struct {
	owner string
	room  int
	from  []vedette.Want
	turns []int64
	n     int64 // the claim's number
}

// mostRounds bounds how often a claim goes on: whoever competes for the same limits may have the
// better of it each time.
const mostRounds = 20

// mostRipening is how long a claim makes ready what is due, so that it finds the most urgent of it.
const mostRipening = 250 * time.Millisecond

// take takes what there is at once. It goes on only behind jobs that have limits.
func (q queue) take(ctx context.Context, owner string, n int, from []vedette.Want) ([]vedette.Job, error) {
	for begun := time.Now(); time.Since(begun) < mostRipening && q.s.ripe.now(); {
		if _, err := q.ripen(ctx); err != nil {
			return nil, err
		}
	}
	var got []vedette.Job
	for range mostRounds {
		t := &taking{owner: owner, room: n - len(got), from: wanted(from, got)}
		if t.room == 0 || len(t.from) == 0 {
			break
		}
		jobs, again, err := q.claim(ctx, t)
		got = append(got, jobs...)
		if err != nil || !again {
			return got, err
		}
	}
	return got, nil
}

// wanted returns from without what was taken.
func wanted(from []vedette.Want, taken []vedette.Job) []vedette.Want {
	if len(taken) == 0 {
		return from
	}
	counts := map[string]int{}
	for i := range taken {
		counts[taken[i].Queue]++
	}
	var left []vedette.Want
	for _, w := range from {
		if w.N > 0 {
			had := min(w.N, counts[w.Queue])
			counts[w.Queue] -= had
			if w.N -= had; w.N == 0 {
				continue
			}
		}
		left = append(left, w)
	}
	return left
}

// step returns the claim, which begins where claims of this process have come to.
func (t *taking) step(q queue) step {
	t.n = q.s.ledger.next()
	oids, values := []uint32{oidText, oidInt8, oidInt8}, row{}.text(t.owner).int8(int64(t.room)).int8(t.n)
	t.turns = make([]int64, len(t.from))
	for i, w := range t.from {
		var at spot
		at, t.turns[i] = q.s.spots.from(w.Queue)
		oids = append(oids, oidText, oidInt8, oidInt8, oidTime, oidUUID)
		values = values.text(w.Queue).int8(int64(t.most(i))).int8(at.priority).int8(at.runAt).uuid(at.id)
	}
	one := with("claim", claimSQL(len(t.from)), oids, values)
	if len(t.from) <= mostPrepared {
		one = one.as(fmt.Sprintf("claim%d", len(t.from)))
	}
	return one
}

// most returns how many jobs of a queue may be had.
func (t *taking) most(i int) int {
	if n := t.from[i].N; n > 0 {
		return min(n, t.room)
	}
	return t.room
}

// claim makes one claim. Again says whether another may find more.
func (q queue) claim(ctx context.Context, t *taking) (jobs []vedette.Job, again bool, err error) {
	found, err := q.ask(ctx, t.step(q))
	if err != nil {
		q.rewind(t.from) // the server may have started some that nobody will have
		return nil, false, err
	}
	q.move(t, found)
	var limited []vedette.ID
	found = slices.DeleteFunc(found, func(c cells) bool {
		if c[3] != nil {
			return false
		}
		limited = append(limited, c.id(0))
		return true
	})
	taken := len(found)
	if len(limited) > 0 {
		values := row{}.text(t.owner).uuids(limited)
		entered, err := q.ask(ctx, with("claim behind limits", enter, []uint32{oidText, oidUUIDs}, values).as("enter"))
		if err != nil && len(found) == 0 {
			return nil, false, err
		}
		again = len(entered) < len(limited) || len(t.from) > 1
		found = append(found, entered...)
	}
	slices.SortFunc(found, t.compare)
	jobs = make([]vedette.Job, len(found))
	for i, c := range found {
		if jobs[i], err = claimed(c, t.owner); err != nil {
			return nil, false, err
		}
	}
	if taken >= takenFrom {
		q.s.ledger.enter(t.owner, t.n, jobs)
	}
	return jobs, again, nil
}

// ask makes a step that gives claimColumns.
func (q queue) ask(ctx context.Context, one step) (all []cells, err error) {
	err = q.s.update(ctx, func(c *pgx.Conn) error {
		return q.s.hurry(ctx, c, patience, func() error {
			found, err := pipe(ctx, c, one)
			if err != nil {
				return err
			}
			all = make([]cells, len(found[0].Rows))
			for i, one := range found[0].Rows {
				all[i] = one
			}
			return nil
		})
	})
	return all, err
}

func (q queue) rewind(from []vedette.Want) {
	for _, w := range from {
		q.s.spots.rewind(w.Queue)
	}
}

// claimed reads claimColumns.
func claimed(c cells, owner string) (j vedette.Job, err error) {
	j.ID = c.id(0)
	if err := pack.Job(c[3], &j); err != nil {
		return j, fmt.Errorf("job %s: %w", j.ID, err)
	}
	j.RunAt, j.CreatedAt, j.StartedAt = c.time(1), c.time(4), c.time(5)
	j.State, j.Owner, j.BeatAt = vedette.JobStarted, owner, j.StartedAt
	j.Epoch, j.Attempt = c.int(6), int(c.int(7))
	j.Result, j.Error = c.text(8), c.text(9)
	return j, nil
}

// move moves on in the queues that were looked through: behind jobs with limits none was.
func (q queue) move(t *taking, found []cells) {
	room, limited := t.room, false
	for i, w := range t.from {
		if limited {
			return
		}
		n, last := 0, begin()
		for _, c := range found {
			if string(c[10]) != w.Queue {
				continue
			}
			n++
			limited = limited || c[3] == nil
			if at := spotOf(c); at.compare(last) > 0 {
				last = at
			}
		}
		if n < min(t.most(i), room) {
			last = end()
		}
		q.s.spots.pass(w.Queue, t.turns[i], last)
		room = max(0, room-n)
	}
}

// compare orders what the claim gave as it is to be started: by queue, and then as spots are.
func (t *taking) compare(a, b cells) int {
	if !bytes.Equal(a[10], b[10]) {
		return t.place(a.text(10)) - t.place(b.text(10))
	}
	if bytes.Equal(a[1], b[1]) && bytes.Equal(a[2], b[2]) { // as is mostly so
		return bytes.Compare(a[0], b[0])
	}
	return spotOf(a).compare(spotOf(b))
}

func (t *taking) place(queue string) int {
	return slices.IndexFunc(t.from, func(w vedette.Want) bool { return w.Queue == queue })
}

// spotOf reads claimColumns.
func spotOf(c cells) spot { return spot{c.int(2), c.int(1), c.id(0)} }
