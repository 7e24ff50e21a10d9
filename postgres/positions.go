package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedettehq/vedette"
)

// positions are claimed row by row: the lock of a row waits for a write that moves it.
type positions struct{ s *Store }

// Positions returns how far groups of readers have come.
func (s *Store) Positions() vedette.Positions { return positions{s} }

// An epoch is at least the server's microseconds, so that it grows even over the restore of an
// older copy.
const (
	claim = `insert into stream_offsets as o (grp, topic, part, stream, next_offset, epoch, owner)
		select grp, topic, part, stream, -1, (extract(epoch from clock_timestamp()) * 1000000)::bigint, $5
		from unnest($1::text[], $2::text[], $3::int4[], $4::text[]) as u(grp, topic, part, stream)
		on conflict (grp, topic, part) do update set
			epoch = greatest(o.epoch + 1, excluded.epoch),
			owner = excluded.owner,
			updated_at = clock_timestamp()
		returning ` + positionColumns

	listPositions = `select ` + positionColumns + ` from stream_offsets where grp = $1 order by topic, part`

	positionColumns = "grp, topic, part, stream, next_offset, epoch, owner, through"

	// The locks are taken in one order, whatever the plan of the update does.
	lockPositions = `select 1 from stream_offsets
		join unnest($1::text[], $2::text[], $3::int4[]) as u(grp, topic, part) using (grp, topic, part)
		order by grp, topic, part
		for update of stream_offsets`

	movePositions = `update stream_offsets as o set
			stream = u.stream, next_offset = u.next, through = coalesce(u.through, o.through), updated_at = clock_timestamp()
		from unnest($1::text[], $2::text[], $3::int4[], $4::text[], $5::int8[], $6::int8[], $7::int8[], $8::timestamptz[])
			as u(grp, topic, part, stream, first, next, epoch, through)
		where o.grp = u.grp and o.topic = u.topic and o.part = u.part
			and o.epoch = u.epoch and o.next_offset = u.first`
)

// A place tells one partition of one group's topic from another.
type place struct {
	group, topic string
	partition    int32
}

func placeOf(p *vedette.Position) place { return place{p.Group, p.Topic, p.Partition} }

func byPlace(a, b vedette.Position) int {
	return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}

func (p positions) Claim(ctx context.Context, owner string, asked ...vedette.Position) ([]vedette.Position, error) {
	kept := map[place]vedette.Position{}
	order := slices.CompactFunc(slices.SortedFunc(slices.Values(asked), byPlace), func(a, b vedette.Position) bool { return byPlace(a, b) == 0 })
	groups, topics, streams, parts := make([]string, len(order)), make([]string, len(order)), make([]string, len(order)), make([]int32, len(order))
	for i := range order {
		groups[i], topics[i], parts[i], streams[i] = order[i].Group, order[i].Topic, order[i].Partition, order[i].Stream
	}
	err := p.s.update(ctx, func(c *pgx.Conn) error {
		return p.s.hurry(ctx, c, patience, func() error {
			found, err := c.Query(ctx, claim, groups, topics, parts, streams, owner)
			if err != nil {
				return err
			}
			all, err := pgx.CollectRows(found, scanPosition)
			for _, one := range all {
				kept[placeOf(&one)] = one
			}
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("claim positions: %w", refused(err))
	}
	claimed := make([]vedette.Position, len(asked))
	for i := range asked {
		claimed[i] = kept[placeOf(&asked[i])]
	}
	return claimed, nil
}

// scanPosition reads positionColumns.
func scanPosition(row pgx.CollectableRow) (p vedette.Position, err error) {
	var through *time.Time
	err = row.Scan(&p.Group, &p.Topic, &p.Partition, &p.Stream, &p.Next, &p.Epoch, &p.Owner, &through)
	p.Through = timeOf(through)
	return p, err
}

// timeOf returns a time that may be null.
func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func (p positions) List(ctx context.Context, group string) (all []vedette.Position, err error) {
	err = p.s.use(ctx, func(c *pgx.Conn) error {
		found, err := c.Query(ctx, listPositions, group)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(found, scanPosition)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list positions: %w", err)
	}
	return all, nil
}

// moves returns the steps that move positions.
func moves(all []vedette.Position) []step {
	if len(all) == 0 {
		return nil
	}
	keys := rows{oids: []uint32{oidText, oidText, oidInt4}}
	full := rows{oids: []uint32{oidText, oidText, oidInt4, oidText, oidInt8, oidInt8, oidInt8, oidTime}}
	for i := range all {
		p := &all[i]
		key := func(b row) row { return b.text(p.Group).text(p.Topic).int4(p.Partition) }
		keys.add(key)
		full.add(func(b row) row {
			return key(b).text(p.Stream).int8(p.From).int8(p.Next).int8(p.Epoch).when(p.Through)
		})
	}
	return []step{over("lock positions", lockPositions, &keys), over("move positions", movePositions, &full)}
}
