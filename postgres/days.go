package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedettehq/vedette"
)

// daysAhead is how many days after today have their tables before a row wants one.
const daysAhead = 2

// A parent is a table that has a partition a day, named for both.
type parent string

const (
	results    parent = "results"
	jobHistory parent = "job_history"
)

// dayNamed returns the name of the partition of a day.
func (p parent) dayNamed(at time.Time) string { return string(p) + at.Format(dayForm) }

// A day is a partition.
type day struct {
	parent   parent
	name     string
	attached bool // is a partition
	pending  bool // is being detached
	bytes    int64
}

const dayForm = "_20060102"

func dayOf(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

func (d day) begins() time.Time {
	t, _ := time.Parse(dayForm, d.name[len(d.parent):]) // listDays finds no other names
	return t
}

func (d day) ends() time.Time { return d.begins().AddDate(0, 0, 1) }

const (
	// lockDays is held, until the end of its transaction, by whoever adds or drops a day.
	// hashtext is PostgreSQL's own and the same in all processes.
	lockDays = "select pg_advisory_xact_lock(hashtext('vedette days'), hashtext(current_schema()))"

	listDays = `select c.relname, i.inhrelid is not null, coalesce(i.inhdetachpending, false), pg_total_relation_size(c.oid)
		from pg_class as c left join pg_inherits as i on i.inhrelid = c.oid
		where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r' and c.relname ~ ('^' || $1 || '_[0-9]{8}$')
		order by c.relname`
)

func (p parent) days(ctx context.Context, c *pgx.Conn) ([]day, error) {
	found, err := c.Query(ctx, listDays, string(p))
	if err != nil {
		return nil, fmt.Errorf("list days: %w", err)
	}
	all, err := pgx.CollectRows(found, func(row pgx.CollectableRow) (day, error) {
		d := day{parent: p}
		err := row.Scan(&d.name, &d.attached, &d.pending, &d.bytes)
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("list days: %w", err)
	}
	return all, nil
}

// addDaysAhead makes the tables of today and the days after.
func (p parent) addDaysAhead(ctx context.Context, c *pgx.Conn, now time.Time) error {
	have, err := p.days(ctx, c)
	if err != nil {
		return err
	}
	for i := range daysAhead + 1 {
		at := dayOf(now).AddDate(0, 0, i)
		if slices.ContainsFunc(have, func(d day) bool { return d.attached && d.name == p.dayNamed(at) }) {
			continue
		}
		if err := p.addDay(ctx, c, at); err != nil {
			return err
		}
	}
	return nil
}

// addDays makes the tables that results want, in transactions of their own.
func (s *Store) addDays(ctx context.Context, found []vedette.Result) error {
	wanted := map[time.Time]*vedette.Result{}
	for i := range found {
		wanted[dayOf(found[i].StartedAt)] = &found[i]
	}
	return s.update(ctx, func(c *pgx.Conn) error {
		var now time.Time
		if err := c.QueryRow(ctx, "select clock_timestamp()").Scan(&now); err != nil {
			return fmt.Errorf("read the clock: %w", err)
		}
		for at, r := range wanted {
			if err := inTime(r, now); err != nil {
				return err
			}
			if err := results.addDay(ctx, c, at); err != nil {
				return err
			}
		}
		return nil
	})
}

// addDay makes the table of a day unless it is there. A table that is attached afterwards takes a
// lock of the parent that lets others read and write; one that is created as a partition does
// not.
func (p parent) addDay(ctx context.Context, c *pgx.Conn, at time.Time) (err error) {
	name := p.dayNamed(at)
	defer func() {
		if err != nil {
			rollback(ctx, c)
			err = fmt.Errorf("add %s: %w", name, err)
		}
	}()
	if err := script(ctx, c, "begin; set local lock_timeout = '10s'; "+lockDays); err != nil {
		return err
	}
	have, err := p.days(ctx, c)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(have, func(d day) bool { return d.name == name })
	switch {
	case i < 0:
	case have[i].pending:
		return refusal{"out_of_range: the day is being dropped"} // which lasts as long as somebody reads it
	case have[i].attached:
		return script(ctx, c, "commit")
	default:
		if err := script(ctx, c, "drop table "+name); err != nil {
			return err
		}
	}
	return script(ctx, c, fmt.Sprintf(`create table %s (like %s including defaults);
		alter table %[2]s attach partition %[1]s for values from ('%[3]s') to ('%[4]s');
		commit`, name, p, at.Format(time.RFC3339), at.AddDate(0, 0, 1).Format(time.RFC3339)))
}

// script runs statements without parameters.
func script(ctx context.Context, c *pgx.Conn, text string) error {
	_, err := c.PgConn().Exec(ctx, text).ReadAll()
	return err
}
