package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

// What people see of jobs. A job whose time has come is pending although nobody has noted it yet.
const (
	liveState = "case when epoch > 0 then 3 when state in (1, 4) and run_at > now() then state else 2 end"

	liveColumns = "j.id, " + liveState + `::int4 as state, j.run_at, abs(j.epoch) as epoch, j.attempt, j.owner, j.cancel, j.result, j.error,
		j.created_at, j.started_at, greatest(j.started_at, case when j.started_at is not null then o.beat_at end) as beat_at,
		null::timestamptz as finished_at, j.body, j.attempts`

	pastColumns = `h.id, h.state::int4, h.run_at, h.epoch, h.attempt, h.owner, h.cancel, h.result, h.error,
		h.created_at, h.started_at, h.beat_at, h.finished_at, h.body, h.attempts`

	getJobs = "select " + liveColumns + ` from jobs as j left join owners as o on o.name = j.owner where j.id = any ($1::uuid[])
		union all
		select ` + pastColumns + " from job_history as h where h.id = any ($1::uuid[])"

	listJobs = `select * from (
		(select ` + liveColumns + ` from jobs as j left join owners as o on o.name = j.owner
			where j.id < $1 and ($3 = '' or j.scraper = $3) and ($4 = '' or j.handler = $4) and ($5 = '' or j.queue = $5)
				and ($6 = 0 or ` + liveState + ` = $6) and ($7 = '' or j.owner = $7)
			order by j.id desc limit $2)
		union all
		(select ` + pastColumns + ` from job_history as h
			where h.id < $1 and ($3 = '' or h.scraper = $3) and ($4 = '' or h.handler = $4) and ($5 = '' or h.queue = $5)
				and ($6 = 0 or h.state = $6) and ($7 = '' or h.owner = $7)
			order by h.id desc limit $2)) as page
		order by id desc limit $2`

	countQueues = `with counts as (
		select j.queue, j.priority, count(*) as n, min(j.run_at) as first,
			case when j.epoch > 0 then 3 when j.state in (1, 4) and j.run_at > now() then 1
				when l.most > 0 and k.running >= l.most
					or l.every > 0 and r.clock - (l.burst - 1) * l.every * interval '1 microsecond' > now() then 0
				else 2 end as state
		from jobs as j left join lanes as l on l.id = j.lane
			left join limits as k on k.key = l.limit_key left join limits as r on r.key = l.rate_key
		group by 1, 2, 5)
	select queue, p.queue is not null, c.state::int4, c.priority, c.n, c.first
		from counts as c full join pauses as p using (queue) order by queue`
)

// jobOf reads liveColumns or pastColumns.
func jobOf(c cells) (j vedette.Job, err error) {
	j.ID = c.id(0)
	if err := pack.Job(c[13], &j); err != nil {
		return j, fmt.Errorf("job %s: %w", j.ID, err)
	}
	j.State, j.RunAt, j.Epoch, j.Attempt = pack.JobStateOf(c.int(1)), c.time(2), c.int(3), int(c.int(4))
	j.Owner, j.Cancel, j.Result, j.Error = c.text(5), c.text(6), c.text(7), c.text(8)
	j.CreatedAt, j.StartedAt, j.BeatAt, j.FinishedAt = c.time(9), c.time(10), c.time(11), c.time(12)
	return j, nil
}

func jobsOf(r *pgconn.Result) (all []vedette.Job, err error) {
	for _, one := range r.Rows {
		j, err := jobOf(one)
		if err != nil {
			return nil, err
		}
		all = append(all, j)
	}
	return all, nil
}

// attemptsKept returns the attempts of a job that is otherwise read.
func attemptsKept(c cells, j *vedette.Job) (all []vedette.Attempt, err error) {
	text := c.json(14)
	if text == nil {
		if j.State.Live() || j.Owner == "" {
			return nil, nil
		}
		return []vedette.Attempt{{
			Epoch: j.Epoch, Owner: j.Owner, StartedAt: j.StartedAt, FinishedAt: j.FinishedAt, State: j.State, Error: j.Error,
		}}, nil
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("attempts of job %s: %w", j.ID, err)
	}
	for i := range all {
		all[i].StartedAt, all[i].FinishedAt = all[i].StartedAt.UTC(), all[i].FinishedAt.UTC()
	}
	return all, nil
}

// Get returns a job, as [vedette.Jobs] says.
func (q queue) Get(ctx context.Context, id vedette.ID) (j vedette.Job, err error) {
	err = q.s.use(ctx, func(c *pgx.Conn) error {
		got, err := pipe(ctx, c, with("read job", getJobs, []uint32{oidUUIDs}, row{}.uuids([]vedette.ID{id})))
		if err != nil {
			return err
		}
		if len(got[0].Rows) == 0 {
			return vedette.ErrNotFound
		}
		one := cells(got[0].Rows[0])
		if j, err = jobOf(one); err == nil {
			j.Attempts, err = attemptsKept(one, &j)
		}
		return err
	})
	if err != nil {
		return vedette.Job{}, fmt.Errorf("get job %s: %w", id, err)
	}
	return j, nil
}

// List returns jobs, as [vedette.Jobs] says.
func (q queue) List(ctx context.Context, like vedette.Job, before vedette.ID, n int) (page []vedette.Job, err error) {
	if before.IsZero() {
		copy(before[:], bytes.Repeat([]byte{0xff}, len(before)))
	}
	oids := []uint32{oidUUID, oidInt8, oidText, oidText, oidText, oidInt4, oidText}
	values := row{}.uuid(before).int8(int64(n)).text(clean(string(like.Scraper))).text(clean(like.Handler)).text(clean(like.Queue))
	values = values.int4(int32(max(pack.JobStateNum(like.State), -1))).text(clean(like.Owner)) //nolint:gosec // a few
	err = q.s.use(ctx, func(c *pgx.Conn) error {
		got, err := pipe(ctx, c, with("read jobs", listJobs, oids, values))
		if err == nil {
			page, err = jobsOf(got[0])
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	return page, nil
}

// Queues counts the live jobs, as [vedette.Jobs] says.
func (q queue) Queues(ctx context.Context) (all []vedette.QueueState, err error) {
	err = q.s.use(ctx, func(c *pgx.Conn) error {
		got, err := pipe(ctx, c, step{doing: "count jobs", sql: countQueues})
		if err != nil {
			return err
		}
		for _, one := range got[0].Rows {
			one := cells(one)
			if name := one.text(0); len(all) == 0 || all[len(all)-1].Name != name {
				all = append(all, vedette.QueueState{Name: name, Paused: one.bool(1), Ready: map[int]int{}})
			}
			count(&all[len(all)-1], one)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("count queues: %w", err)
	}
	return all, nil
}

// count adds what a row of countQueues says. One of a paused queue without jobs says nothing.
func count(s *vedette.QueueState, c cells) {
	n, first := int(c.int(4)), c.time(5)
	switch {
	case c[2] == nil:
	case c.int(2) == 0:
		s.Held += n
	case c.int(2) == 1:
		s.Scheduled += n
	case c.int(2) == 3:
		s.Started += n
	default:
		s.Ready[int(c.int(3))] += n
		if s.Oldest.IsZero() || first.Before(s.Oldest) {
			s.Oldest = first
		}
	}
}

const (
	pauseQueues  = "insert into pauses select * from unnest($1::text[]) as queue order by queue on conflict do nothing"
	resumeQueues = "delete from pauses where queue = any ($1::text[])"
)

// Pause stops claims, as [vedette.Queues] says.
func (q queue) Pause(ctx context.Context, queues ...string) error {
	return wrap("pause queues", q.pause(ctx, pauseQueues, queues))
}

// Resume lets claims go on, as [vedette.Queues] says.
func (q queue) Resume(ctx context.Context, queues ...string) error {
	if err := q.pause(ctx, resumeQueues, queues); err != nil {
		return fmt.Errorf("resume queues: %w", err)
	}
	q.s.herald.ring(promoted(queues)...)
	return nil
}

func (q queue) pause(ctx context.Context, sql string, queues []string) error {
	return refused(q.s.update(ctx, func(c *pgx.Conn) error {
		_, err := pipe(ctx, c, with("change pauses", sql, []uint32{oidTexts}, row{}.texts(queues)))
		return err
	}))
}
