package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/vedettehq/vedette"
)

// feed keeps topics. Whoever appends to one holds the lock of its row until the commit, so that
// nothing shows up behind what was read.
type feed struct{ s *Store }

var _ vedette.Feed = feed{}

// Feed returns the feed.
func (s *Store) Feed() vedette.Feed { return feed{s} }

const (
	appendEntries = `with t as (
		insert into topics as t (topic, last) select topic, n from unnest($1::text[], $2::int8[]) as u (topic, n) order by topic
		on conflict (topic) do update set last = t.last + excluded.last returning topic, last
	)
	insert into entries (topic, seq, at, data)
	select u.topic, t.last - u.behind, coalesce(u.at, now()), u.data
	from unnest($3::text[], $4::int8[], $5::timestamptz[], $6::bytea[]) as u (topic, behind, at, data) join t using (topic)`

	readEntries = "select seq, at, data from entries where topic = $1 and seq > $2 order by seq limit $3"
	lastEntries = "select seq, at, data from entries where topic = $1 order by seq desc limit $2"

	lockTopics  = "select from topics where topic = any ($1::text[]) order by topic for update"
	dropTopics  = "delete from topics where topic = any ($1::text[])"
	dropEntries = "delete from entries where topic = any ($1::text[])"
)

func (f feed) Append(ctx context.Context, entries ...vedette.Entry) error {
	if err := ctx.Err(); err != nil || len(entries) == 0 {
		return wrap("append entries", err)
	}
	for _, e := range entries {
		if e.Topic == "" || !json.Valid(e.Data) {
			return fmt.Errorf("append to topic %q: no topic, or data that is not JSON: %w", e.Topic, vedette.ErrRefused)
		}
	}
	one, rings := appending(entries)
	err := f.s.update(ctx, func(c *pgx.Conn) error {
		return f.s.hurry(ctx, c, patience, func() error {
			_, err := pipe(ctx, c, one)
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("append entries: %w", refused(err))
	}
	f.s.herald.ring(rings...)
	return nil
}

// appending returns the step that appends, and what to ring for.
func appending(entries []vedette.Entry) (step, []ring) {
	counts, names := map[string]int64{}, []string{}
	for _, e := range entries {
		if counts[e.Topic]++; counts[e.Topic] == 1 {
			names = append(names, e.Topic)
		}
	}
	topics, all := rows{oids: []uint32{oidText, oidInt8}}, rows{oids: []uint32{oidText, oidInt8, oidTime, oidBytea}}
	var rings []ring
	for _, name := range names {
		topics.add(func(b row) row { return b.text(name).int8(counts[name]) })
		rings = append(rings, ring{Bell: topicBell(name), N: forAll})
	}
	for _, e := range entries {
		counts[e.Topic]--
		all.add(func(b row) row { return b.text(e.Topic).int8(counts[e.Topic]).when(e.At).bytes(e.Data) })
	}
	one := over("write entries", appendEntries, &topics)
	values, oids := all.arrays()
	one.values, one.oids = append(one.values, values...), append(one.oids, oids...)
	return one.as("append"), rings
}

func (f feed) Read(ctx context.Context, topic string, after int64, n int) (page []vedette.Entry, err error) {
	w := f.s.bells.wait(topicBell(topic))
	defer f.s.bells.leave(w, false)
	oids, values := []uint32{oidText, oidInt8, oidInt8}, row{}.text(clean(topic)).int8(after).int8(int64(n))
	for err = ctx.Err(); err == nil; err = w.wait(ctx, math.MaxInt64) {
		page, err = f.read(ctx, topic, with("read entries", readEntries, oids, values).as("read"))
		if err != nil || len(page) > 0 {
			break
		}
		f.s.herald.hear()
	}
	return page, wrap("read topic "+topic, err)
}

func (f feed) read(ctx context.Context, topic string, one step) (page []vedette.Entry, err error) {
	err = f.s.use(ctx, func(c *pgx.Conn) error {
		got, err := pipe(ctx, c, one)
		if err != nil {
			return err
		}
		for _, one := range got[0].Rows {
			one := cells(one)
			page = append(page, vedette.Entry{Topic: topic, Seq: one.int(0), At: one.time(1), Data: one[2]})
		}
		return nil
	})
	return page, err
}

func (f feed) Last(ctx context.Context, topic string, n int) ([]vedette.Entry, error) {
	page, err := f.read(ctx, topic, with("read entries", lastEntries, []uint32{oidText, oidInt8}, row{}.text(clean(topic)).int8(int64(n))))
	slices.Reverse(page)
	return page, wrap("read topic "+topic, err)
}

func (f feed) Drop(ctx context.Context, topics ...string) error {
	err := f.s.update(ctx, func(c *pgx.Conn) error {
		_, err := pipe(ctx, c, dropped(row{}.texts(topics))...)
		return err
	})
	return wrap("drop topics", refused(err))
}

// dropped returns the steps that drop the topics of an array: those that are being written are
// waited for, and then their entries are seen.
func dropped(topics row) []step {
	oids := []uint32{oidTexts}
	return []step{
		with("lock topics", lockTopics, oids, topics), with("drop topics", dropTopics, oids, topics), with("drop entries", dropEntries, oids, topics),
	}
}
