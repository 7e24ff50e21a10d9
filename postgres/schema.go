package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// The layout is commented in the database itself, for people who look with SQL. What those
// comments leave out:
//
//   - A partition of results or job_history is named for its day, results_20260301, and made when a row wants it.
//   - Uniqueness of results is that of (monitor_id, checked_at, id): a result that is sent again
//     meets itself.
//   - A slot's mark comes from the sequence marks, so that no two are the same. The row goes when
//     the slot is clean.
//   - A job is one row of jobs while it lives and one of job_history from then on, under the same id.
//     jobs_ready holds those alone that may be started: what is due later, or what limits hold back,
//     costs a claim nothing, and is made ready when its time has come or a slot frees.
//   - Of a job that ended by its first attempt, jobs and job_history keep neither attempts nor said:
//     the row itself says so much.
//   - Limits are changed by functions, limits_enter and limits_leave among them, which the migrations
//     explain. limits.running can be reckoned from jobs, and is at each Rescue.
//   - Notifications of a channel that is named for the schema wake other processes.
//   - schema_version holds one row, the number of migrations that were made.
//
//go:embed migrations/*.sql
var migrations embed.FS

const (
	// lockSchema is held by whoever makes tables; locks of other schemas in the database differ.
	lockSchema = "select pg_advisory_lock(hashtext('vedette schema'), hashtext(current_schema()))"

	createVersion = `create table if not exists schema_version (version integer not null)`
	readVersion   = "select coalesce(max(version), 0) from schema_version"
)

// migrate brings the schema up to date, a transaction a migration. It is safe to run in several
// processes at once. c's locks end with it.
func migrate(ctx context.Context, c *pgx.Conn, log *slog.Logger) error {
	files, err := scripts()
	if err != nil {
		return err
	}
	if _, err := c.Exec(ctx, lockSchema); err != nil {
		return fmt.Errorf("wait for the schema: %w", err)
	}
	if _, err := c.Exec(ctx, createVersion); err != nil {
		return fmt.Errorf("create schema_version: %w", err)
	}
	have, err := version(ctx, c, len(files))
	if err != nil {
		return err
	}
	for i := have; i < len(files); i++ {
		script, err := migrations.ReadFile(files[i])
		if err != nil {
			return fmt.Errorf("read migration: %w", err)
		}
		all := fmt.Sprintf("begin; %s; delete from schema_version; insert into schema_version values (%d); commit", script, i+1)
		if _, err := c.PgConn().Exec(ctx, all).ReadAll(); err != nil {
			return fmt.Errorf("migration %s: %w", files[i], err)
		}
		log.Info("store migrated", "version", i+1)
	}
	return nil
}

func scripts() ([]string, error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	slices.Sort(files)
	return files, nil
}

// version returns the schema's version, which must be known.
func version(ctx context.Context, c *pgx.Conn, known int) (have int, err error) {
	if err := c.QueryRow(ctx, readVersion).Scan(&have); err != nil {
		return 0, fmt.Errorf("read schema version: %w", err)
	}
	if have > known {
		return 0, fmt.Errorf("its schema is version %d and this program knows %d: it was written by a newer Vedette", have, known)
	}
	return have, nil
}

// current reports an error unless the schema is the one that this program knows.
func current(ctx context.Context, c *pgx.Conn) error {
	files, err := scripts()
	if err != nil {
		return err
	}
	have, err := version(ctx, c, len(files))
	if pg := (*pgconn.PgError)(nil); errors.As(err, &pg) && pg.Code == undefinedTable {
		return errors.New("there is no store to read yet: start vedette up on it once")
	}
	if err == nil && have < len(files) {
		err = fmt.Errorf("its schema is version %d and this program reads %d: start vedette up on it once", have, len(files))
	}
	return err
}
