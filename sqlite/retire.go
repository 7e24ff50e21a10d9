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

// Retire drops history, as [vedette.Queue] says.
func (q queue) Retire(ctx context.Context, leader vedette.Lease, before time.Time) (more bool, err error) {
	dropped := 0
	err = q.s.update(ctx, func(t *tx) error {
		err := t.leads(leader)
		if err == nil {
			dropped, err = t.retire(pack.Micros(before))
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("retire jobs: %w", err)
	}
	return dropped == retireMost, nil
}

func (t *tx) retire(before int64) (dropped int, err error) {
	if dropped, err = t.retireOld(before); err != nil {
		return 0, err
	}
	over, err := t.over()
	if err != nil {
		return 0, err
	}
	for scraper, extra := range over {
		n, err := t.retireExtra(scraper, min(extra, int64(retireMost-dropped)))
		if err != nil {
			return 0, fmt.Errorf("of scraper %q: %w", scraper, err)
		}
		dropped += n
	}
	return dropped, t.sweep(before)
}

// retireOld drops what ended before a time. Rows are in the order in which jobs ended: one that
// seems to be old behind one that is not waits for that.
func (t *tx) retireOld(before int64) (int, error) {
	var all []int64
	err := t.query(func(row []driver.Value) error {
		if row[1].(int64) >= before {
			return errEnough
		}
		all = append(all, row[0].(int64))
		return nil
	}, "select num, finished from past order by num limit ?", int64(retireMost))
	if err != nil && !errors.Is(err, errEnough) {
		return 0, err
	}
	return len(all), t.forget(all)
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
func (t *tx) retireExtra(scraper string, n int64) (int, error) {
	var all []int64
	err := t.query(func(row []driver.Value) error {
		all = append(all, row[0].(int64))
		return nil
	}, "select num from past where scraper = ? and scraper > '' order by id limit ?", scraper, n)
	if err != nil {
		return 0, err
	}
	return len(all), t.forget(all)
}

// forget drops jobs of the past, with what is kept for their sake.
func (t *tx) forget(nums []int64) error {
	for _, num := range nums {
		var p *past
		err := t.query(func(row []driver.Value) error {
			p = &past{}
			scanPast(row, p)
			return nil
		}, "delete from past where num = ? returning "+pastColumns, num)
		if err == nil && p != nil {
			err = t.forget1(p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) forget1(p *past) error {
	var j vedette.Job
	err := pack.Job(p.body, &j)
	if err == nil {
		err = t.dropTopics(vedette.LogTopic(p.id), vedette.ItemsTopic(p.id))
	}
	if err == nil && j.Fired {
		_, err = t.exec("delete from fires where scraper = ? and at = ?", string(j.Scraper), pack.Micros(j.FireAt))
	}
	if err == nil && j.Scraper != "" {
		_, err = t.exec("update runs set past = past - 1 where scraper = ?", string(j.Scraper))
	}
	if err == nil && j.Scraper != "" {
		_, err = t.exec("delete from runs where scraper = ? and live = 0 and past = 0", string(j.Scraper))
	}
	if err != nil {
		return fmt.Errorf("job %s: %w", p.id, err)
	}
	return nil
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
