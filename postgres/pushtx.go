package postgres

import (
	"cmp"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/vedettehq/vedette"
)

// PushTx adds jobs that exist only if tx commits, as [vedette.Jobs] says of Push; other processes,
// and this one, learn of them then. tx may be of any connection to the store's database that may
// write its tables.
func (s *Store) PushTx(ctx context.Context, tx pgx.Tx, jobs ...vedette.Job) (out []vedette.ID, err error) {
	p, err := pushOf(jobs)
	if err = cmp.Or(ctx.Err(), err); err != nil || len(jobs) == 0 {
		return nil, wrap("push jobs", err)
	}
	p.guest = true
	c := tx.Conn()
	var path string
	if err := tx.QueryRow(ctx, "select current_setting('search_path')").Scan(&path); err != nil {
		return nil, fmt.Errorf("push jobs: read search_path: %w", err)
	}
	if err := setPath(ctx, c, pgx.Identifier{s.schema}.Sanitize()); err != nil {
		return nil, fmt.Errorf("push jobs: %w", err)
	}
	out, rings, err := p.insert(ctx, c)
	if err == nil {
		told := map[bell]ring{}
		for _, r := range rings {
			told[r.Bell] = r
		}
		_, err = pipe(ctx, c, s.noteStep("", told))
	}
	if err == nil {
		err = setPath(ctx, c, path)
	}
	if err != nil {
		return nil, fmt.Errorf("push jobs: %w", refused(err))
	}
	return out, nil
}

// setPath sets search_path until the end of the transaction.
func setPath(ctx context.Context, c *pgx.Conn, path string) error {
	_, err := pipe(ctx, c, with("set search_path", "select set_config('search_path', $1, true)", []uint32{oidText}, row{}.text(path)))
	return err
}
