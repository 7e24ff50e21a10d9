package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedettehq/vedette"
)

type letters struct{ s *Store }

// Letters returns the dead letters.
func (s *Store) Letters() vedette.DeadLetters { return letters{s} }

const (
	addLetters = `insert into dead_letters
			(id, grp, topic, part, stream, koff_from, koff_next, key, payload, header, reason, mark, at, dead_at)
		select * from unnest($1::uuid[], $2::text[], $3::text[], $4::int4[], $5::text[], $6::int8[], $7::int8[],
			$8::bytea[], $9::bytea[], $10::json[], $11::text[], $12::text[], $13::timestamptz[], $14::timestamptz[])
		on conflict do nothing`

	unsentLetters = `select id, grp, topic, part, stream, koff_from, koff_next, key, payload, header, reason, mark, at, dead_at
		from dead_letters where sent_at is null order by id limit $1`

	noteSent = "update dead_letters set sent_at = now() where id = any ($1::uuid[]) and sent_at is null"
)

func letterRows(dead []vedette.DeadLetter) (*rows, error) {
	r := &rows{oids: []uint32{
		oidUUID, oidText, oidText, oidInt4, oidText, oidInt8, oidInt8,
		oidBytea, oidBytea, oidJSON, oidText, oidText, oidTime, oidTime,
	}}
	for i := range dead {
		d := &dead[i]
		header, err := headerText(d.Header)
		if err != nil {
			return nil, fmt.Errorf("dead letter %s: %w", d.ID, err)
		}
		r.add(func(b row) row {
			p := &d.Position
			b = b.uuid(d.ID).text(clean(p.Group)).text(clean(d.Topic)).int4(p.Partition).text(clean(p.Stream))
			b = b.int8(p.From).int8(p.Next).bytes(d.Key).bytes(d.Body).bytes(header)
			return b.text(clean(d.Reason)).text(clean(string(d.Mark))).when(d.At).time(d.Dead)
		})
	}
	return r, nil
}

// A raw is the value of a header that is no text.
type raw struct {
	Base64 []byte `json:"base64"`
}

// headerText returns h in JSON, or nil.
func headerText(h map[string]string) ([]byte, error) {
	if len(h) == 0 {
		return nil, nil
	}
	values := make(map[string]any, len(h))
	for name, value := range h {
		if clean(value) == value {
			values[name] = value
		} else {
			values[name] = raw{[]byte(value)}
		}
	}
	return json.Marshal(values)
}

func headerOf(text []byte) (map[string]string, error) {
	if text == nil {
		return nil, nil
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal(text, &values); err != nil {
		return nil, err
	}
	h := make(map[string]string, len(values))
	for name, value := range values {
		var plain string
		if err := json.Unmarshal(value, &plain); err != nil {
			var bytes raw
			if err := json.Unmarshal(value, &bytes); err != nil {
				return nil, err
			}
			plain = string(bytes.Base64)
		}
		h[name] = plain
	}
	return h, nil
}

func (l letters) Unsent(ctx context.Context, n int) (found []vedette.DeadLetter, err error) {
	err = l.s.use(ctx, func(c *pgx.Conn) error {
		kept, err := c.Query(ctx, unsentLetters, n)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(kept, scanLetter)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read dead letters: %w", err)
	}
	return found, nil
}

func scanLetter(row pgx.CollectableRow) (d vedette.DeadLetter, err error) {
	var header []byte
	var at *time.Time
	p := &d.Position
	err = row.Scan((*[16]byte)(&d.ID), &p.Group, &d.Topic, &p.Partition, &p.Stream, &p.From, &p.Next,
		&d.Key, &d.Body, &header, &d.Reason, &d.Mark, &at, &d.Dead)
	if err != nil {
		return d, err
	}
	d.At, d.Dead = timeOf(at), d.Dead.UTC()
	if p.Group == "" {
		*p = vedette.Position{}
	} else {
		p.Topic = d.Topic
	}
	if d.Header, err = headerOf(header); err != nil {
		return d, fmt.Errorf("header of dead letter %s: %w", d.ID, err)
	}
	return d, nil
}

func (l letters) Sent(ctx context.Context, ids ...vedette.ID) error {
	all := make([][16]byte, len(ids))
	for i, id := range ids {
		all[i] = id
	}
	err := l.s.update(ctx, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, noteSent, all)
		return err
	})
	if err != nil {
		return fmt.Errorf("note sent dead letters: %w", err)
	}
	return nil
}
