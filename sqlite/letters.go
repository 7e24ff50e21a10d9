package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

type letters struct{ s *Store }

// Letters returns the dead letters.
func (s *Store) Letters() vedette.DeadLetters { return letters{s} }

func (l letters) Unsent(ctx context.Context, n int) (found []vedette.DeadLetter, err error) {
	err = l.s.read(ctx, func(c *conn) error {
		return c.query(func(row []driver.Value) error {
			d, err := scanLetter(row)
			found = append(found, d)
			return err
		}, `select id, dead, reason, mark, grp, topic, part, stream, first, next, at, key, header, body
			from dead_letters where sent = 0 order by id limit ?`, int64(n))
	})
	if err != nil {
		return nil, fmt.Errorf("read dead letters: %w", err)
	}
	return found, nil
}

func scanLetter(row []driver.Value) (d vedette.DeadLetter, err error) {
	copy(d.ID[:], row[0].([]byte))
	d.Dead, d.Reason, d.Mark = pack.TimeOf(row[1].(int64)), row[2].(string), vedette.Mark(row[3].(string))
	d.Topic = row[5].(string)
	if group := row[4].(string); group != "" {
		d.Position = vedette.Position{
			Group: group, Topic: d.Topic, Partition: int32(row[6].(int64)), //nolint:gosec // as it was written
			Stream: row[7].(string), From: row[8].(int64), Next: row[9].(int64),
		}
	}
	d.At = pack.TimeOf(row[10].(int64))
	d.Key, _ = row[11].([]byte)
	d.Body, _ = row[13].([]byte)
	if text, ok := row[12].(string); ok {
		d.Header, err = headerOf(text)
	}
	if err != nil {
		return d, fmt.Errorf("dead letter %s: %w", d.ID, err)
	}
	return d, nil
}

// headerText returns h in JSON, or nil. Its values need not be text, so they are in base64.
func headerText(h map[string]string) (any, error) {
	if len(h) == 0 {
		return nil, nil
	}
	values := make(map[string][]byte, len(h))
	for name, value := range h {
		values[name] = []byte(value)
	}
	text, err := json.Marshal(values)
	return string(text), err
}

func headerOf(text string) (map[string]string, error) {
	var values map[string][]byte
	if err := json.Unmarshal([]byte(text), &values); err != nil {
		return nil, err
	}
	h := make(map[string]string, len(values))
	for name, value := range values {
		h[name] = string(value)
	}
	return h, nil
}

func (l letters) Sent(ctx context.Context, ids ...vedette.ID) error {
	err := l.s.update(ctx, func(tx *tx) error {
		for _, id := range ids {
			if _, err := tx.exec("update dead_letters set sent = 1 where id = ?", id[:]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note sent dead letters: %w", err)
	}
	return nil
}

// writeLetter keeps d unless it is kept already.
func (t *tx) writeLetter(d *vedette.DeadLetter) error {
	header, err := headerText(d.Header)
	if err != nil {
		return err
	}
	added, err := t.exec("insert into dead_letters values (?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing",
		d.ID[:], pack.Micros(d.Dead), d.Reason, string(d.Mark),
		d.Position.Group, d.Topic, int64(d.Position.Partition), d.Position.Stream, d.Position.From, d.Position.Next,
		pack.Micros(d.At), d.Key, header, d.Body)
	t.add("dead_letters", added)
	return err
}

// pruneLetters drops a piece of what was sent.
func (t *tx) pruneLetters(now time.Time, age time.Duration) (more bool, err error) {
	if age == 0 {
		return false, nil
	}
	dropped, err := t.exec(`delete from dead_letters where id in (
		select id from dead_letters where sent = 1 and dead < ? limit ?)`, now.Add(-age).UnixMicro(), int64(piece))
	t.remove("dead_letters", dropped)
	return dropped > 0, err
}
