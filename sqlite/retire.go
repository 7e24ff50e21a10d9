package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

// retireMost is how many jobs a call of Retire drops.
const retireMost = 1000

// Retire drops history, as [vedette.Queue] says: so many jobs or entries of their topics, or for a
// turn.
func (q queue) Retire(ctx context.Context, leader vedette.Lease, before time.Time) (more bool, err error) {
	err = q.s.update(ctx, func(t *tx) error {
		err := t.leads(leader)
		if err == nil {
			more, err = t.retire(pack.Micros(before))
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("retire jobs: %w", err)
	}
	return more, nil
}

// A broom counts what a call of Retire may still drop.
type broom struct {
	jobs  int64
	until time.Time
}

func (b *broom) tired() bool { return b.jobs <= 0 || !time.Now().Before(b.until) }

func (t *tx) retire(before int64) (more bool, err error) {
	b := &broom{retireMost, time.Now().Add(turn)}
	if err := t.retireOld(before, b); err != nil {
		return false, err
	}
	over, err := t.over()
	if err != nil {
		return false, err
	}
	for scraper, extra := range over {
		if err := t.retireExtra(scraper, min(extra, b.jobs), b); err != nil {
			return false, fmt.Errorf("of scraper %q: %w", scraper, err)
		}
	}
	return b.tired(), t.sweep(before)
}

// retireOld drops what ended before a time. Rows are in the order in which jobs ended: one that
// seems to be old behind one that is not waits for that.
func (t *tx) retireOld(before int64, b *broom) error {
	var all []int64
	err := t.query(func(row []driver.Value) error {
		if row[1].(int64) >= before {
			return errEnough
		}
		all = append(all, row[0].(int64))
		return nil
	}, "select num, finished from past order by num limit ?", b.jobs)
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	return t.forget(all, b)
}

// over returns how many runs too many are kept of some scrapers.
func (t *tx) over() (map[string]int64, error) {
	extra := map[string]int64{}
	err := t.query(func(row []driver.Value) error {
		extra[row[0].(string)] = row[1].(int64)
		return nil
	}, "select scraper, past - keep from runs where keep > 0 and past > keep limit ?", int64(retireMost))
	return extra, err
}

// retireExtra drops the n oldest runs of a scraper.
func (t *tx) retireExtra(scraper string, n int64, b *broom) error {
	var all []int64
	err := t.query(func(row []driver.Value) error {
		all = append(all, row[0].(int64))
		return nil
	}, "select num from past where scraper = ? and scraper > '' order by id limit ?", scraper, n)
	if err != nil {
		return err
	}
	return t.forget(all, b)
}

// forget drops jobs of the past, with what is kept for their sake, until b is tired.
func (t *tx) forget(nums []int64, b *broom) error {
	for _, num := range nums {
		if b.tired() {
			return nil
		}
		var p past
		err := t.query(func(row []driver.Value) error {
			scanPast(row, &p)
			return nil
		}, "select "+pastColumns+" from past where num = ?", num)
		if err == nil {
			err = t.forgetJob(num, &p, b)
		}
		if err != nil {
			return fmt.Errorf("job %s: %w", p.id, err)
		}
	}
	return nil
}

// forgetJob drops a job once nothing is left of its topics.
func (t *tx) forgetJob(num int64, p *past, b *broom) error {
	for _, topic := range []string{vedette.LogTopic(p.id), vedette.ItemsTopic(p.id)} {
		if more, err := t.shorten(topic); more || err != nil {
			b.jobs = 0
			return err
		}
	}
	b.jobs--
	var j vedette.Job
	if err := pack.Job(p.body, &j); err != nil {
		return err
	}
	_, err := t.exec("delete from past where num = ?", num)
	if err == nil && j.Fired {
		_, err = t.exec("delete from fires where scraper = ? and at = ?", string(j.Scraper), pack.Micros(j.FireAt))
	}
	if err == nil && j.Scraper != "" {
		_, err = t.exec("update runs set past = past - 1 where scraper = ?", string(j.Scraper))
	}
	if err == nil && j.Scraper != "" {
		_, err = t.exec("delete from runs where scraper = ? and live = 0 and past = 0", string(j.Scraper))
	}
	t.add("past", -1)
	return err
}

// shorten drops the first entries of a topic, a piece of them, and says whether more are left.
func (t *tx) shorten(topic string) (more bool, err error) {
	dropped, err := t.exec(`delete from entries
		where topic = ?1 and seq < (select min(seq) from entries where topic = ?1) + ?2`, topic, int64(piece))
	t.add("entries", -dropped)
	return dropped == piece, err
}

// sweep drops what was kept for the sake of what is gone.
func (t *tx) sweep(before int64) error {
	for _, text := range []string{
		`delete from owners where num in (select num from owners
			where ends < ?1 and not exists (select 1 from jobs where owner = owners.num and state = 3) limit 1000)`,
		`delete from rates where key in (select key from rates
			where clock < ?2 and ?1 is not null and not exists (select 1 from lanes where rate_key = key) limit 1000)`,
	} {
		if _, err := t.exec(text, before, t.now); err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
	}
	return nil
}
