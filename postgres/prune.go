package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedettehq/vedette"
)

// piece is how many rows a call of Prune drops at most where it drops rows.
const piece = 5000

// short is the longest time for which results are kept to the second. For longer ones, days go as
// a whole, up to a day later: that costs nothing, and rows that are dropped one by one do.
const short = 48 * time.Hour

// busy is what a table that somebody reads is waited for. Behind a lock that waits, all others
// wait too.
const busy = "2s"

// What goes of a day: rows without a failure from before $1, and those with one from before $2,
// null for none. What a slot is dirty for stays.
const goes = `checked_at < case when kind is null then $1::timestamptz else coalesce($2::timestamptz, '-infinity') end
	and not exists (select from slots where slots.monitor_id = r.monitor_id
		and slots.hour = date_bin('1 hour', r.checked_at, 'epoch'))`

const (
	pruneIncidents = `delete from incidents where id in (
		select id from incidents where closed_at < $1 limit $2)`

	pruneLetters = `delete from dead_letters where id in (
		select id from dead_letters where sent_at is not null and dead_at < $1 limit $2)`

	pruneRollups = `delete from rollups where (monitor_id, period, at) in (
		select monitor_id, period, at from rollups where period = $1 and at < $2 limit $3)`
)

// Prune drops a day, or a piece of what is old, as [vedette.Keeper] says. Looks with a failure
// stay as long as both results and failures are kept. A day that somebody reads is left for
// another time. It also makes the tables of the days to come.
func (s *Store) Prune(ctx context.Context, now time.Time, keep vedette.Retention) (more bool, err error) {
	err = s.update(ctx, func(c *pgx.Conn) error {
		if err := results.addDaysAhead(ctx, c, time.Now()); err != nil {
			return err
		}
		p := pruner{s: s, c: c, now: now, keep: keep}
		for _, drop := range []func(context.Context) (bool, error){
			p.leftovers, p.days, p.incidents, p.letters, p.hours, p.daily, p.cut,
		} {
			if more, err = drop(ctx); more || err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("prune: %w", err)
	}
	return more, nil
}

// A pruner is one call of Prune.
type pruner struct {
	s    *Store
	c    *pgx.Conn
	now  time.Time
	keep vedette.Retention
}

// before returns the time before which things of this age go, or nil.
func (p pruner) before(age time.Duration) *time.Time {
	if age == 0 {
		return nil
	}
	t := p.now.Add(-age)
	return &t
}

// longer returns the longer of two times, where 0 is for ever.
func longer(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return 0
	}
	return max(a, b)
}

// leftovers drops days that were taken off before, when somebody read them.
func (p pruner) leftovers(ctx context.Context) (more bool, err error) {
	all, err := results.days(ctx, p.c)
	for _, d := range all {
		if err == nil && (!d.attached || d.pending) {
			_, err = p.patiently(ctx, d, p.drop)
		}
	}
	return false, err
}

// days drops or thins out one day.
func (p pruner) days(ctx context.Context) (more bool, err error) {
	if p.keep.Results == 0 {
		return false, nil
	}
	all, err := results.days(ctx, p.c)
	if err != nil {
		return false, err
	}
	for _, d := range all {
		if !d.attached || d.pending || !d.begins().Before(*p.before(p.keep.Results)) {
			continue
		}
		if more, err = p.patiently(ctx, d, p.old); more || err != nil {
			return more, err
		}
	}
	return false, nil
}

// patiently does something to a day unless somebody reads it for too long.
func (p pruner) patiently(ctx context.Context, d day, f func(context.Context, day) (bool, error)) (bool, error) {
	more, err := f(ctx, d)
	if codeOf(err) == lockTimeout {
		rollback(ctx, p.c)
		p.s.log.Warn("a day is in use and stays for now", "table", d.name)
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", d.name, err)
	}
	return more, nil
}

// old drops what is old of a day.
func (p pruner) old(ctx context.Context, d day) (more bool, err error) {
	results, failures := p.before(p.keep.Results), p.before(longer(p.keep.Results, p.keep.Failures))
	if failures != nil && !d.ends().After(*failures) && d.ends().Before(time.Now()) {
		var dirty bool
		err := p.c.QueryRow(ctx, "select exists (select from slots where hour >= $1 and hour < $2)", d.begins(), d.ends()).Scan(&dirty)
		if err != nil {
			return false, err
		}
		if !dirty {
			return p.drop(ctx, d)
		}
	}
	if whole := !d.ends().After(*results); !whole && p.keep.Results > short {
		return false, nil
	} else if !whole {
		return p.thinSlowly(ctx, d, results, failures)
	}
	var some bool
	err = p.c.QueryRow(ctx, "select exists (select from "+d.name+" as r where "+goes+")", results, failures).Scan(&some)
	if err != nil || !some {
		return false, err
	}
	return p.thin(ctx, d, "not ("+goes+")", results, failures)
}

// thinSlowly drops a piece of a day that is being written.
func (p pruner) thinSlowly(ctx context.Context, d day, results, failures *time.Time) (more bool, err error) {
	done, err := p.c.Exec(ctx, fmt.Sprintf(`delete from %s where ctid = any (array(
		select ctid from %[1]s as r where %s limit %d))`, d.name, goes, piece), results, failures)
	return done.RowsAffected() > 0, err
}

// thin keeps those rows of a day that stay, and gives the rest of its file back. While it looks
// for them the day can be read; writers of that day, whose looks are late, wait.
func (p pruner) thin(ctx context.Context, d day, stays string, args ...any) (more bool, err error) {
	defer rollback(ctx, p.c)
	err = script(ctx, p.c, fmt.Sprintf("begin; set local lock_timeout = '%s'; lock table %s in exclusive mode", busy, d.name))
	if err != nil {
		return false, err
	}
	if _, err := p.c.Exec(ctx, fmt.Sprintf("create temporary table stays on commit drop as select * from %s as r where %s", d.name, stays), args...); err != nil {
		return false, err
	}
	err = script(ctx, p.c, fmt.Sprintf("truncate %s; insert into %[1]s select * from stays; commit", d.name))
	return err == nil, err
}

// drop takes a day off and drops its table, in steps that a reader can hold up but that hold up
// nobody else. What is left undone is done by leftovers.
func (p pruner) drop(ctx context.Context, d day) (more bool, err error) {
	if err := script(ctx, p.c, "set lock_timeout = '"+busy+"'"); err != nil {
		return false, err
	}
	defer func() {
		rollback(ctx, p.c)
		err = errors.Join(err, script(ctx, p.c, "reset lock_timeout"))
	}()
	how := "concurrently"
	if d.pending {
		how = "finalize"
	}
	if d.attached {
		if err := script(ctx, p.c, "alter table "+string(d.parent)+" detach partition "+d.name+" "+how); err != nil {
			return false, err
		}
	}
	if err := script(ctx, p.c, "begin; "+lockDays); err != nil {
		return false, err
	}
	var off bool
	err = p.c.QueryRow(ctx, "select coalesce(not relispartition, false) from (select) as one left join pg_class on oid = to_regclass($1)", d.name).Scan(&off)
	if err != nil || !off { // somebody else dropped it, and perhaps made it anew
		return err == nil, err
	}
	err = script(ctx, p.c, "drop table "+d.name+"; commit")
	return err == nil, err
}

func (p pruner) incidents(ctx context.Context) (bool, error) {
	return p.rows(ctx, pruneIncidents, p.before(p.keep.Failures), piece)
}

func (p pruner) letters(ctx context.Context) (bool, error) {
	return p.rows(ctx, pruneLetters, p.before(p.keep.Failures), piece)
}

func (p pruner) hours(ctx context.Context) (bool, error) {
	return p.rows(ctx, pruneRollups, seconds(vedette.Hourly), p.before(p.keep.Hourly), piece)
}

func (p pruner) daily(ctx context.Context) (bool, error) {
	return p.rows(ctx, pruneRollups, seconds(vedette.Daily), p.before(p.keep.Daily), piece)
}

// rows drops a piece of a table. No row is older than null.
func (p pruner) rows(ctx context.Context, sql string, args ...any) (more bool, err error) {
	done, err := p.c.Exec(ctx, sql, args...)
	return done.RowsAffected() > 0, err
}

// cut drops the oldest day, dirty or not, while there are too many bytes, and of the last day the
// older quarter of its time.
func (p pruner) cut(ctx context.Context) (more bool, err error) {
	if p.keep.MaxBytes == 0 {
		return false, nil
	}
	size, err := bytesOf(ctx, p.c)
	if err != nil || size <= p.keep.MaxBytes {
		return false, err
	}
	all, err := results.days(ctx, p.c)
	if err != nil {
		return false, err
	}
	var old *day
	var first, last *time.Time
	for _, d := range all {
		if !d.attached || d.pending {
			continue
		}
		lo, hi := first, last
		if err := p.c.QueryRow(ctx, "select min(checked_at), max(checked_at) from "+d.name).Scan(&lo, &hi); err != nil {
			return false, err
		}
		if lo == nil {
			continue
		}
		if old != nil {
			return p.patiently(ctx, *old, p.drop)
		}
		old, first, last = &d, lo, hi
	}
	if old == nil {
		return false, nil
	}
	from := first.Add(last.Sub(*first) / 4)
	if last.Sub(*first) < time.Hour {
		from = last.Add(time.Microsecond)
	}
	return p.patiently(ctx, *old, func(ctx context.Context, d day) (bool, error) {
		return p.thin(ctx, d, "checked_at > $1", from)
	})
}
