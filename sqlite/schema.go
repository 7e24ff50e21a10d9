package sqlite

import (
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
)

// The layout. Times are microseconds since 1970, 0 being none, except where a unit is named.
//
//	names      num -> id. The high bits of a num are the high 40 bits of MonitorID.Hash, which
//	           also place a monitor's looks within its interval: what arrives together lies
//	           together in every table that is keyed by num, so that a batch touches few pages.
//	results    looks without a failure. minute (since 1970) and time are those of id, a UUIDv7.
//	           body: see package pack.
//	failures   looks with one, the same and what went wrong, evidence in JSON. They are kept
//	           apart since they are kept for longer; a look is in one of the two tables.
//	statuses   the verdict on each monitor. body: see package pack. An open incident is kept in
//	           incidents only.
//	incidents  closed is 0 while it is open.
//	rollups    period and at in seconds. spent: five varints of nanoseconds.
//	slots      which monitor has looks in which hour (since 1970), so that its history is found
//	           without a search of all minutes. mark is 0 once the slot is clean.
//	monitors   the registry. doc is JSON without what is raw in the thing, which follows on a line
//	           of its own, and null once deleted; rev is the revision of its last change, and the
//	           greatest is that of the registry.
//	scrapers   the registry of these, the same.
//	leases     a lease that has ended stays for its token.
//	stream_offsets  how far groups (grp) have come in partitions (part) of topics: next is where
//	           to go on, through the time by which all that was sent lies before it.
//	dead_letters  at is when the message was sent, first and next its stretch of the stream; grp
//	           is "" if its source has no positions. header is JSON, its values in base64. sent is
//	           1 once it was sent to where people look.
//	queues     num -> name, for good.
//	jobs       live jobs. lane is the num of the queue, or of the lane that it waits in, negative.
//	           state: see package pack. owner is 16777216 where there is none. life: epoch, started,
//	           cancelled, beat of the owner at the claim, attempt and flags, whose sizes are fixed;
//	           then, if there was one, how a claim ended: see type tail. body: see package pack.
//	           A claim changes neither the size of a row nor its place.
//	past       jobs that have ended, in this order. life: numbers, the owner's name, and the tail;
//	           body as it was.
//	live       live jobs by scraper.
//	runs       how many jobs of a scraper live and are past, and what the last one by ID keeps.
//	fires      for which times a schedule fired jobs that are live or past.
//	keys       which live job has a Unique (kind 1) or UniqueWaiting (2) key.
//	cancels    started jobs that are to end, and since when.
//	lanes      pending jobs of a queue that the same limit (most started of limit_key) and rate hold
//	           back, with the first of them. held: 0 not, 1 by the limit, 2 by the rate until at.
//	limits     started jobs by limit key.
//	rates      the virtual clock of each rate key: a start moves it on by every, and it may be ahead
//	           by the burst.
//	owners     workers that have beaten; beat is when they did last, and beats how often.
//	cursors    where schedules stand.
//	entries    the feed.
//	kv         small values. Versions are counted over all keys, in counts.
//	counts     rows by table, and "mark" (the last given to a slot), "version" (the last of a small
//	           value) and "shards".
//
//go:embed migrations/*.sql
var migrations embed.FS

// appID marks the file as Vedette's in SQLite's header: "VDTT".
const appID = 0x56445454

// migrate brings the schema up to date, a transaction a migration. The version is SQLite's
// user_version, which stands in the file's header and moves with the transaction; a migration
// tool would add a table and its history for the same.
func migrate(c *conn, log *slog.Logger) error {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return fmt.Errorf("list migrations: %w", err)
	}
	slices.Sort(files)
	have, err := version(c, len(files))
	if err != nil {
		return err
	}
	for i := have; i < len(files); i++ {
		script, err := migrations.ReadFile(files[i])
		if err != nil {
			return fmt.Errorf("read migration: %w", err)
		}
		all := fmt.Sprintf("begin immediate; %s; pragma application_id = %d; pragma user_version = %d; commit",
			strings.TrimRight(string(script), "; \n"), appID, i+1)
		if err := c.script(all); err != nil {
			_ = c.script("rollback")
			return fmt.Errorf("migration %s: %w", files[i], err)
		}
		log.Info("store migrated", "version", i+1)
	}
	return nil
}

// current reports an error unless the schema is the one that this program knows.
func current(c *conn) error {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return fmt.Errorf("list migrations: %w", err)
	}
	have, err := version(c, len(files))
	if err == nil && have < len(files) {
		err = fmt.Errorf("its schema is version %d and this program reads %d: start vedette up on it once", have, len(files))
	}
	return err
}

// version returns the schema's version, which must be known.
func version(c *conn, known int) (int, error) {
	app, err := c.int("pragma application_id")
	if err != nil {
		return 0, fmt.Errorf("read application id: %w", err)
	}
	tables, err := c.int("select count(*) from sqlite_schema")
	if err != nil {
		return 0, fmt.Errorf("read schema: %w", err)
	}
	if app != appID && (app != 0 || tables > 0) {
		return 0, fmt.Errorf("it is another program's database")
	}
	have, err := c.int("pragma user_version")
	if err != nil {
		return 0, fmt.Errorf("read schema version: %w", err)
	}
	if have > int64(known) {
		return 0, fmt.Errorf("its schema is version %d and this program knows %d: it was written by a newer Vedette", have, known)
	}
	return int(have), nil
}
