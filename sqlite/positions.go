package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

// positions move in transactions that write, one after another, so that no write is in progress
// while one is claimed.
type positions struct{ s *Store }

// Positions returns how far groups of readers have come.
func (s *Store) Positions() vedette.Positions { return positions{s} }

func (p positions) Claim(ctx context.Context, owner string, asked ...vedette.Position) ([]vedette.Position, error) {
	claimed := make([]vedette.Position, len(asked))
	err := p.s.owned(ctx, func(tx *tx) (err error) {
		for i := range asked {
			if claimed[i], err = tx.claim(owner, &asked[i]); err != nil {
				return fmt.Errorf("%s %s/%d: %w", asked[i].Group, asked[i].Topic, asked[i].Partition, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claim positions: %w", err)
	}
	return claimed, nil
}

func (t *tx) claim(owner string, asked *vedette.Position) (p vedette.Position, err error) {
	err = t.query(func(row []driver.Value) error {
		p = scanPosition(row)
		return nil
	}, `insert into stream_offsets values (?, ?, ?, ?, -1, 1, ?, 0)
		on conflict do update set epoch = epoch + 1, owner = excluded.owner
		returning *`, asked.Group, asked.Topic, int64(asked.Partition), asked.Stream, owner)
	if p.Epoch == 1 {
		t.add("stream_offsets", 1)
	}
	return p, err
}

// scanPosition reads a row of stream_offsets.
func scanPosition(row []driver.Value) vedette.Position {
	return vedette.Position{
		Group: row[0].(string), Topic: row[1].(string), Partition: int32(row[2].(int64)), //nolint:gosec // as it was written
		Stream: row[3].(string), Next: row[4].(int64), Epoch: row[5].(int64), Owner: row[6].(string),
		Through: pack.TimeOf(row[7].(int64)),
	}
}

func (p positions) List(ctx context.Context, group string) (all []vedette.Position, err error) {
	err = p.s.read(ctx, func(c *conn) error {
		return c.query(func(row []driver.Value) error {
			all = append(all, scanPosition(row))
			return nil
		}, "select * from stream_offsets where grp = ? order by topic, part", group)
	})
	if err != nil {
		return nil, fmt.Errorf("list positions: %w", err)
	}
	return all, nil
}

// move moves p on, unless another has claimed or moved it.
func (t *tx) move(p *vedette.Position) error {
	moved, err := t.exec(`update stream_offsets
		set stream = ?1, next = ?2, through = case when ?3 = 0 then through else ?3 end
		where grp = ?4 and topic = ?5 and part = ?6 and epoch = ?7 and next = ?8`,
		p.Stream, p.Next, pack.Micros(p.Through), p.Group, p.Topic, int64(p.Partition), p.Epoch, p.From)
	if err == nil && moved == 0 {
		err = vedette.ErrLeaseLost
	}
	if err != nil {
		return fmt.Errorf("position of %s %s/%d at %d under epoch %d: %w", p.Group, p.Topic, p.Partition, p.From, p.Epoch, err)
	}
	return nil
}
