package postgres

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

// Jobs returns the jobs.
func (s *Store) Jobs() vedette.Jobs { return queue{s} }

// Jobs are inserted first and looked for in history then: whoever moves a job there has done so by
// the time that its ID, or its fire, can be inserted again. What is found is taken back. Those with
// keys are looked for before as well, so that what is known keeps out nobody.
const (
	addJobs = `with n as (
		insert into jobs (id, run_at, priority, max_attempts, keep, state, queue, handler, scraper, fire_at, unique_key, unique_waiting, lane, body)
		select u.id, coalesce(u.run_at, now()), u.priority, u.max_attempts, u.keep,
			case when u.run_at > now() then 1 when %s is null then 2 else 0 end,
			u.queue, u.handler, u.scraper, u.fire_at, u.unique_key, u.unique_waiting, %[1]s, u.body
		from unnest($1::uuid[], $2::timestamptz[], $3::int8[], $4::int4[], $5::int4[], $6::text[], $7::text[], $8::text[], $9::timestamptz[],
			$10::text[], $11::text[], $12::bytea[]%[2]s) with ordinality
			as u (id, run_at, priority, max_attempts, keep, queue, handler, scraper, fire_at, unique_key, unique_waiting, body%[3]s, place)
		%[4]s
		order by u.place
		on conflict do nothing
		returning id, lane
	)
	select array_agg(id), limits_settle(array_agg(distinct lane) filter (where lane is not null)), now() from n`

	laneTypes   = ", $13::text[], $14::int8[], $15::text[], $16::int8[], $17::int8[]"
	laneColumns = ", limit_key, most, rate_key, every, burst"
	joinLanes   = "left join lanes as l using (queue, limit_key, most, rate_key, every, burst)"

	// The rows are locked, so that nobody drops the lanes.
	addLanes = `insert into lanes (queue, limit_key, most, rate_key, every, burst)
		select * from unnest($1::text[], $2::text[], $3::int8[], $4::text[], $5::int8[], $6::int8[])
		on conflict (queue, limit_key, most, rate_key, every, burst) do update set queue = excluded.queue`

	notYet = `where not exists (select from job_history as h where h.id = u.id)
			and (u.fire_at is null or not exists (select from job_history as h where h.scraper = u.scraper and h.fire_at = u.fire_at))`

	// Jobs that were pushed together have IDs near each other, of which history has few.
	dropKnown = `with x as (delete from jobs as j using job_history as h
		where h.id between $1 and $2 and h.id = j.id and j.id = any ($3::uuid[])` + settleRest
	dropKnownFar   = `with x as (delete from jobs as j using job_history as h where h.id = any ($1::uuid[]) and h.id = j.id` + settleRest
	dropKnownFires = `with x as (delete from jobs as j using job_history as h
		where j.id = any ($1::uuid[]) and j.fire_at is not null and h.scraper = j.scraper and h.fire_at = j.fire_at` + settleRest

	// What a limit had let go in its place, it lets go to another.
	settleRest = ` returning j.id, j.lane)
		select array_agg(id), limits_settle(array_agg(distinct lane) filter (where lane is not null)) from x`

	copyJobs = "copy jobs (id, priority, max_attempts, keep, queue, handler, scraper, body) from stdin with (format binary)"

	unknownJobs = `select u.id from unnest($1::uuid[], $2::text[], $3::timestamptz[]) with ordinality as u (id, scraper, fire_at, place)
		where not exists (select from jobs as j where j.id = u.id)
			and not exists (select from job_history as h where h.id = u.id)
			and (u.fire_at is null or
				not exists (select from jobs as j where j.scraper = u.scraper and j.fire_at = u.fire_at)
				and not exists (select from job_history as h where h.scraper = u.scraper and h.fire_at = u.fire_at))
		order by u.place`
)

const (
	// copyJobsFrom is from how many plain jobs on COPY pays.
	copyJobsFrom = 64
	// near is how far apart in time IDs lie that are looked for as one stretch.
	near = 20 * time.Millisecond
)

// A pushing is some jobs on their way.
type pushing struct {
	jobs           []vedette.Job
	plain          bool // nothing but an ID may keep them out, and all run at once
	limited, keyed bool
	fired          bool
	low, high      vedette.ID
	guest          bool // on the connection of somebody else, who may have prepared statements too
}

// pushOf checks jobs.
func pushOf(jobs []vedette.Job) (*pushing, error) {
	p := &pushing{jobs: jobs, plain: true}
	for i := range jobs {
		j := &jobs[i]
		if err := j.Err(); err != nil {
			return nil, err
		}
		p.limited = p.limited || hasLane(j)
		p.fired = p.fired || j.Fired
		p.keyed = p.keyed || j.Fired || j.Unique != "" || j.UniqueWaiting != ""
		p.plain = p.plain && !p.limited && !p.keyed && j.RunAt.IsZero()
		if i == 0 || bytes.Compare(j.ID[:], p.low[:]) < 0 {
			p.low = j.ID
		}
		if bytes.Compare(j.ID[:], p.high[:]) > 0 {
			p.high = j.ID
		}
	}
	return p, nil
}

func hasLane(j *vedette.Job) bool { return j.LimitKey != "" || j.RateEvery > 0 }

// Push adds jobs, as [vedette.Jobs] says.
func (q queue) Push(ctx context.Context, jobs ...vedette.Job) (out []vedette.ID, err error) {
	p, err := pushOf(jobs)
	if err = cmp.Or(ctx.Err(), err); err != nil || len(jobs) == 0 {
		return nil, wrap("push jobs", err)
	}
	if p.alone() {
		out, err = q.push(ctx, p)
	} else {
		var a answer[[]vedette.ID]
		a, err = q.s.shared.pushes.Call(ctx, p)
		out, err = a.got, cmp.Or(err, a.err)
	}
	if err != nil {
		return nil, fmt.Errorf("push jobs: %w", refused(err))
	}
	return out, nil
}

// push adds the jobs of p.
func (q queue) push(ctx context.Context, p *pushing) (out []vedette.ID, err error) {
	var rings []ring
	err = q.s.update(ctx, func(c *pgx.Conn) error {
		return q.s.hurry(ctx, c, patience, func() error {
			if p.plain && len(p.jobs) >= copyJobsFrom {
				if rings, err = p.copy(ctx, c); codeOf(err) != uniqueViolation {
					return err
				}
				rollback(ctx, c)
			}
			out, rings, err = p.insert(ctx, c)
			return err
		})
	})
	if err == nil {
		q.s.herald.ring(rings...)
	}
	return out, err
}

// wrap says what we were doing when err came up.
func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// copy adds plain jobs, unless one of the IDs is known.
func (p *pushing) copy(ctx context.Context, c *pgx.Conn) ([]ring, error) {
	if err := script(ctx, c, "begin"); err != nil {
		return nil, err
	}
	r := rows{oids: make([]uint32, 8), buf: make([]byte, 0, 200*len(p.jobs))}
	var body []byte
	for i := range p.jobs {
		j := &p.jobs[i]
		body = bodyOf(body[:0], j)
		r.add(func(b row) row {
			b = b.uuid(j.ID).int8(int64(j.Priority)).int4(attemptsOf(j)).int4(keepOf(j)).text(queueOf(j)).text(j.Handler)
			return b.some(string(j.Scraper)).bytes(body)
		})
	}
	if _, err := c.PgConn().CopyFrom(ctx, bytes.NewReader(r.copied()), copyJobs); err != nil {
		return nil, fmt.Errorf("copy jobs: %w", err)
	}
	got, err := pipe(ctx, c, append(p.dropKnown(), step{doing: "read the clock", sql: "select now()"}, step{doing: "commit", sql: "commit"})...)
	if err != nil {
		return nil, err
	}
	return p.rings(nil, cells(got[len(got)-2].Rows[0]).int(0)), nil
}

func bodyOf(b []byte, j *vedette.Job) []byte {
	full := *j
	full.Queue, full.MaxAttempts, full.CreatedAt = queueOf(j), max(j.MaxAttempts, 1), time.Time{}
	return pack.AppendJob(b, &full)
}

func queueOf(j *vedette.Job) string { return cmp.Or(j.Queue, vedette.DefaultQueue) }

func attemptsOf(j *vedette.Job) int32 { return int32(min(max(j.MaxAttempts, 1), math.MaxInt32)) }

func keepOf(j *vedette.Job) int32 { return int32(min(j.Keep, math.MaxInt32)) }

// insert adds jobs of all kinds, and returns those that others keep out, and what to ring for.
func (p *pushing) insert(ctx context.Context, c *pgx.Conn) (out []vedette.ID, rings []ring, err error) {
	steps := p.dropKnown()
	steps = append([]step{p.add()}, steps...)
	if p.limited {
		steps = append([]step{p.lanes()}, steps...)
	}
	for i := range steps {
		if p.guest {
			steps[i].name = ""
		}
	}
	found, err := pipe(ctx, c, steps...)
	if err != nil {
		return nil, nil, err
	}
	at := 0
	if p.limited {
		at = 1
	}
	added := cells(found[at].Rows[0])
	kept := map[vedette.ID]bool{}
	for _, id := range added.ids(0) {
		kept[id] = true
	}
	woken := added.texts(1)
	for _, r := range found[at+1:] {
		known := cells(r.Rows[0])
		for _, id := range known.ids(0) {
			delete(kept, id)
		}
		woken = append(woken, known.texts(1)...)
	}
	if len(kept) < len(p.jobs) {
		out, err = p.keptOut(ctx, c, kept)
	}
	return out, append(p.rings(kept, added.int(2)), promoted(woken)...), err
}

// add returns the step that inserts. $1 to $12 are what all jobs have, the rest are their limits.
func (p *pushing) add() step {
	oids := []uint32{
		oidUUID, oidTime, oidInt8, oidInt4, oidInt4, oidText, oidText, oidText, oidTime, oidText, oidText, oidBytea,
		oidText, oidInt8, oidText, oidInt8, oidInt8,
	}
	lane, types, columns, join, name := "null::bigint", "", "", "", "push"
	if p.limited {
		lane, types, columns, join, name = "l.id", laneTypes, laneColumns, joinLanes, "pushlimited"
	} else {
		oids = oids[:12]
	}
	if p.keyed {
		join, name = join+" "+notYet, name+"keyed"
	}
	r := rows{oids: oids, buf: make([]byte, 0, 250*len(p.jobs))}
	var body []byte
	for i := range p.jobs {
		j := &p.jobs[i]
		body = bodyOf(body[:0], j)
		r.add(func(b row) row { return p.row(b, j, body) })
	}
	return over("insert jobs", fmt.Sprintf(addJobs, lane, types, columns, join), &r).as(name)
}

func (p *pushing) row(b row, j *vedette.Job, body []byte) row {
	fire := time.Time{}
	if j.Fired {
		fire = j.FireAt
	}
	b = b.uuid(j.ID).when(j.RunAt).int8(int64(j.Priority)).int4(attemptsOf(j)).int4(keepOf(j)).text(queueOf(j)).text(j.Handler)
	b = b.some(string(j.Scraper)).when(fire).some(j.Unique).some(j.UniqueWaiting).bytes(body)
	if p.limited {
		b = laneRow(b, j)
	}
	return b
}

// laneRow appends laneColumns.
func laneRow(b row, j *vedette.Job) row {
	b = b.text(j.LimitKey).int8(int64(j.Limit))
	if j.RateEvery == 0 {
		return b.text("").int8(0).int8(0)
	}
	return b.text(j.RateKey).int8(max(j.RateEvery.Microseconds(), 1)).int8(int64(max(j.RateBurst, 1)))
}

// lanes returns the step that makes the lanes of those that have limits, in one order.
func (p *pushing) lanes() step {
	type key struct {
		queue, limit, rate string
		most, every, burst int64
	}
	var jobs []*vedette.Job
	for i := range p.jobs {
		if hasLane(&p.jobs[i]) {
			jobs = append(jobs, &p.jobs[i])
		}
	}
	keyOf := func(j *vedette.Job) key {
		k := key{queue: queueOf(j), limit: j.LimitKey, most: int64(j.Limit)}
		if j.RateEvery > 0 {
			k.rate, k.every, k.burst = j.RateKey, int64(j.RateEvery), int64(j.RateBurst)
		}
		return k
	}
	slices.SortStableFunc(jobs, func(x, y *vedette.Job) int {
		a, b := keyOf(x), keyOf(y)
		return cmp.Or(strings.Compare(a.queue, b.queue), strings.Compare(a.limit, b.limit), strings.Compare(a.rate, b.rate),
			cmp.Compare(a.most, b.most), cmp.Compare(a.every, b.every), cmp.Compare(a.burst, b.burst))
	})
	r := rows{oids: []uint32{oidText, oidText, oidInt8, oidText, oidInt8, oidInt8}}
	seen := map[string]bool{} // as rows, in which times are rounded
	for _, j := range jobs {
		one := laneRow(row{}.text(queueOf(j)), j)
		if !seen[string(one)] {
			seen[string(one)] = true
			r.add(func(b row) row { return append(b, one...) })
		}
	}
	return over("make lanes", addLanes, &r).as("lanes")
}

// dropKnown returns the steps that take back what is known already.
func (p *pushing) dropKnown() []step {
	ids := make([]vedette.ID, len(p.jobs))
	for i := range p.jobs {
		ids[i] = p.jobs[i].ID
	}
	all := row{}.uuids(ids)
	one := with("look for known jobs", dropKnownFar, []uint32{oidUUIDs}, all).as("knownfar")
	if p.high.Time().Sub(p.low.Time()) <= near {
		one = with("look for known jobs", dropKnown, []uint32{oidUUID, oidUUID, oidUUIDs}, append(row{}.uuid(p.low).uuid(p.high), all...)).as("known")
	}
	steps := []step{one}
	if p.fired {
		steps = append(steps, with("look for known fires", dropKnownFires, []uint32{oidUUIDs}, all).as("knownfires"))
	}
	return steps
}

// keptOut returns those that are neither kept nor known.
func (p *pushing) keptOut(ctx context.Context, c *pgx.Conn, kept map[vedette.ID]bool) (out []vedette.ID, err error) {
	r := rows{oids: []uint32{oidUUID, oidText, oidTime}}
	for i := range p.jobs {
		j := &p.jobs[i]
		if kept[j.ID] {
			continue
		}
		r.add(func(b row) row {
			if b = b.uuid(j.ID); !j.Fired {
				return b.null().null()
			}
			return b.text(string(j.Scraper)).time(j.FireAt)
		})
	}
	found, err := pipe(ctx, c, over("look for refused jobs", unknownJobs, &r))
	if err != nil {
		return nil, err
	}
	for _, one := range found[0].Rows {
		out = append(out, cells(one).id(0))
	}
	return out, nil
}

// rings returns what to ring for when the jobs of kept were added at a time in microseconds as the
// server counts; nil is all. Limits let go theirs by themselves. A later job wakes one who waits, to
// wait for it.
func (p *pushing) rings(kept map[vedette.ID]bool, now int64) []ring {
	var all []ring
	for i := range p.jobs {
		j := &p.jobs[i]
		if kept != nil && !kept[j.ID] {
			continue
		}
		r := ring{queueBell(queueOf(j)), 1, int64(j.Priority), now}
		if !j.RunAt.IsZero() {
			r.RunAt = j.RunAt.UnixMicro() - epoch
		}
		if k := slices.IndexFunc(all, func(one ring) bool { return one.Bell == r.Bell }); k >= 0 {
			all[k] = all[k].merge(r)
		} else {
			all = append(all, r)
		}
	}
	return all
}
