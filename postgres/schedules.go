package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedettehq/vedette"
)

// schedules are the cursors, which one transaction moves together with the jobs that it makes.
type schedules struct{ s *Store }

var _ vedette.Schedules = schedules{}

// Schedules returns the cursors of schedules.
func (s *Store) Schedules() vedette.Schedules { return schedules{s} }

const (
	cursorColumns = "scraper, version, at, last, skipped, dropped, since, failed"

	listCursors = "select " + cursorColumns + " from cursors where scraper > $1 order by scraper limit $2"

	dueCursors = "select " + cursorColumns + " from cursors where at <= clock_timestamp() order by at, scraper limit $1"
	nextDue    = "select min(at) from cursors where at > clock_timestamp()"

	liveRuns = "select " + liveColumns + ` from jobs as j left join owners as o on o.name = j.owner
		where j.scraper = any ($1::text[]) order by j.id`

	// A cursor that is not kept yet is locked as one of version 0, which nobody else ever sees.
	makeCursors = `insert into cursors (scraper, version, skipped, dropped)
		select scraper, 0, 0, 0 from unnest($1::text[]) as scraper order by scraper on conflict do nothing`
	lockCursors = "select scraper, version, at from cursors where scraper = any ($1::text[]) order by scraper for update"

	moveCursors = `update cursors as c set version = u.version, at = u.at, last = u.last, skipped = u.skipped, dropped = u.dropped,
			since = u.since, failed = u.failed
		from unnest($1::text[], $2::int8[], $3::timestamptz[], $4::timestamptz[], $5::int8[], $6::int8[], $7::timestamptz[], $8::uuid[])
			as u (` + cursorColumns + `)
		where c.scraper = u.scraper`
	dropCursors = "delete from cursors where version = 0 and scraper = any ($1::text[])"
)

// cursorOf reads cursorColumns.
func cursorOf(c cells) vedette.Cursor {
	return vedette.Cursor{
		Scraper: vedette.ScraperID(c.text(0)), Version: c.int(1), At: c.time(2), Last: c.time(3), Skipped: c.int(4), Dropped: c.int(5),
		Since: c.time(6), Failed: c.id(7),
	}
}

func (s schedules) List(ctx context.Context, after vedette.ScraperID, n int) (page []vedette.Cursor, err error) {
	err = s.s.use(ctx, func(c *pgx.Conn) error {
		got, err := pipe(ctx, c, with("read cursors", listCursors, []uint32{oidText, oidInt8}, row{}.text(clean(string(after))).int8(int64(n))))
		if err != nil {
			return err
		}
		for _, one := range got[0].Rows {
			page = append(page, cursorOf(one))
		}
		return nil
	})
	return page, wrap("list cursors", err)
}

func (s schedules) Due(ctx context.Context, n int) (due []vedette.Cursor, next time.Time, err error) {
	err = s.s.use(ctx, func(c *pgx.Conn) error {
		got, err := pipe(ctx, c, with("read due cursors", dueCursors, []uint32{oidInt8}, row{}.int8(int64(n))).as("due"),
			step{doing: "read what is due next", sql: nextDue}.as("nextdue"))
		if err != nil {
			return err
		}
		next = cells(got[1].Rows[0]).time(0)
		for _, one := range got[0].Rows {
			due = append(due, cursorOf(one))
		}
		return addLive(ctx, c, due)
	})
	return due, next, wrap("read due cursors", err)
}

// addLive gives each cursor the live jobs of its scraper.
func addLive(ctx context.Context, c *pgx.Conn, due []vedette.Cursor) error {
	if len(due) == 0 {
		return nil
	}
	of, names := map[vedette.ScraperID]*vedette.Cursor{}, make([]string, len(due))
	for i := range due {
		of[due[i].Scraper], names[i] = &due[i], string(due[i].Scraper)
	}
	got, err := pipe(ctx, c, with("read live jobs", liveRuns, []uint32{oidTexts}, row{}.texts(names)))
	if err != nil {
		return err
	}
	jobs, err := jobsOf(got[0])
	for _, j := range jobs {
		j.Params, j.Result, j.Error = nil, "", ""
		at := of[j.Scraper]
		at.Live = append(at.Live, j)
	}
	return err
}

// A firing is some firings on their way.
type firing struct {
	fires     []vedette.Firing
	names     []string
	cancel    []vedette.ID
	terminate []vedette.ID
	push      []vedette.Job
	of        map[vedette.ID]vedette.ScraperID // whose run a pushed job is
	at        map[vedette.ScraperID]vedette.Cursor
}

func (s schedules) Fire(ctx context.Context, leader vedette.Lease, fires ...vedette.Firing) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("fire schedules: %w", err)
	}
	var names []string
	for _, f := range fires {
		for _, j := range f.Push {
			if err := j.Err(); err != nil {
				return fmt.Errorf("fire %q: %w", f.Scraper, err)
			}
		}
		names = append(names, string(f.Scraper))
	}
	slices.Sort(names)
	q := queue(s)
	var rings []ring
	err := q.inDay(ctx, func(c *pgx.Conn) error {
		f := &firing{fires: fires, names: slices.Compact(names), of: map[vedette.ID]vedette.ScraperID{}}
		return s.s.hurry(ctx, c, patience, func() (err error) {
			rings, err = f.run(ctx, c, leader)
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("fire schedules: %w", refused(err))
	}
	s.s.herald.ring(rings...)
	return nil
}

// run is the transaction.
func (f *firing) run(ctx context.Context, c *pgx.Conn, leader vedette.Lease) ([]ring, error) {
	names := row{}.texts(f.names)
	oids := []uint32{oidTexts}
	got, err := lead(ctx, c, leader, with("make cursors", makeCursors, oids, names), with("lock cursors", lockCursors, oids, names))
	if err != nil {
		return nil, err
	}
	f.at = map[vedette.ScraperID]vedette.Cursor{}
	for _, one := range got[1].Rows {
		one := cells(one)
		id := vedette.ScraperID(one.text(0))
		f.at[id] = vedette.Cursor{Scraper: id, Version: one.int(1), At: one.time(2)}
	}
	moved := f.choose()
	var e ending
	if err := f.end(ctx, c, &e); err != nil {
		return nil, err
	}
	if len(f.push) > 0 {
		p, err := pushOf(f.push)
		if err != nil {
			return nil, err
		}
		out, rings, err := p.insert(ctx, c)
		if err != nil {
			return nil, err
		}
		e.rings = append(e.rings, rings...)
		for _, id := range out {
			next := moved[f.of[id]]
			next.Skipped++
			moved[f.of[id]] = next
		}
	}
	return e.rings, f.move(ctx, c, moved)
}

// choose returns the cursors that are moved: those that still stand where they were read.
func (f *firing) choose() map[vedette.ScraperID]vedette.Cursor {
	moved := map[vedette.ScraperID]vedette.Cursor{}
	for _, one := range f.fires {
		at := f.at[one.Scraper]
		if at.Version != one.Was.Version || at.At.UnixMicro() != one.Was.At.UnixMicro() {
			continue
		}
		f.cancel, f.terminate, f.push = append(f.cancel, one.Cancel...), append(f.terminate, one.Terminate...), append(f.push, one.Push...)
		for _, j := range one.Push {
			f.of[j.ID] = one.Scraper
		}
		next := one.Now
		next.Scraper = one.Scraper
		f.at[one.Scraper], moved[one.Scraper] = next, next
	}
	return moved
}

// end ends what takes no more room.
func (f *firing) end(ctx context.Context, c *pgx.Conn, e *ending) error {
	var steps []step
	if len(f.cancel) > 0 {
		steps = append(steps, cancelled(f.cancel, "the next run takes its place")...)
	}
	if len(f.terminate) > 0 {
		steps = append(steps, cancelled(f.terminate, "terminated")...)
		steps = append(steps, takeAway(f.terminate, "terminated")...)
	}
	if len(steps) == 0 {
		return nil
	}
	got, err := pipe(ctx, c, steps...)
	for _, r := range got {
		e.read(r, map[vedette.Ref]bool{})
	}
	return err
}

// move writes the cursors, and commits.
func (f *firing) move(ctx context.Context, c *pgx.Conn, moved map[vedette.ScraperID]vedette.Cursor) error {
	r := rows{oids: []uint32{oidText, oidInt8, oidTime, oidTime, oidInt8, oidInt8, oidTime, oidUUID}}
	for _, to := range moved {
		r.add(func(b row) row {
			b = b.text(string(to.Scraper)).int8(to.Version).when(to.At).when(to.Last).int8(to.Skipped).int8(to.Dropped).when(to.Since)
			if to.Failed.IsZero() {
				return b.null()
			}
			return b.uuid(to.Failed)
		})
	}
	_, err := pipe(ctx, c, over("move cursors", moveCursors, &r),
		with("drop cursors", dropCursors, []uint32{oidTexts}, row{}.texts(f.names)), step{doing: "commit", sql: "commit"})
	return err
}
