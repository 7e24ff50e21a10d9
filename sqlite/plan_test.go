package sqlite

import (
	"database/sql/driver"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

// TestStatementsSeek does everything with jobs once, and asks for the plan of each statement that
// this took: none may look through a table that grows, or sort one.
func TestStatementsSeek(t *testing.T) {
	grow := []string{"jobs", "past", "entries", "live", "fires", "keys", "lanes", "limits", "rates", "runs", "kv"}
	whole := []string{ // at all that there is, or at what comes first
		"count(*), min(run_at)", "select lane, count(*)", "held = 1 or held = 2",
		"order by jobs.id desc", "order by id desc", "from past order by num limit", "select key from rates", "past > keep",
	}
	s := openNew(t)
	useJobs(t, s)
	for text := range maps.Keys(s.statements(t)) {
		if strings.HasPrefix(text, "pragma") || !strings.Contains(text, " from ") {
			continue
		}
		all := slices.ContainsFunc(whole, func(part string) bool { return strings.Contains(text, part) })
		for _, line := range s.plan(t, text) {
			words := strings.Fields(line)
			if words[0] == "SCAN" && slices.Contains(grow, words[1]) && !all || strings.Contains(line, "B-TREE FOR ORDER BY") {
				t.Errorf("%s\n\t%s", text, line)
			}
		}
	}
}

// statements returns those that any connection has prepared.
func (s *Store) statements(t *testing.T) map[string]bool {
	all := map[string]bool{}
	take := func(from chan *conn) {
		for range cap(from) {
			c := <-from
			if c != nil {
				for text := range c.stmts {
					all[text] = true
				}
			}
			defer func() { from <- c }()
		}
	}
	take(s.writer)
	take(s.readers)
	if len(all) < 60 {
		t.Errorf("%d statements, want most of those that there are", len(all))
	}
	return all
}

func (s *Store) plan(t *testing.T, text string) (lines []string) {
	t.Helper()
	s.do(t, func(c *conn) error {
		stmt, err := c.Prepare("explain query plan " + text)
		if err != nil {
			return err
		}
		defer func() { _ = stmt.Close() }()
		args := make([]driver.NamedValue, strings.Count(text, "?"))
		for i := range args {
			args[i] = driver.NamedValue{Ordinal: i + 1, Value: int64(0)}
		}
		rows, err := stmt.(driver.StmtQueryContext).QueryContext(t.Context(), args)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		row := make([]driver.Value, len(rows.Columns()))
		for rows.Next(row) == nil {
			lines = append(lines, row[3].(string))
		}
		return nil
	})
	return lines
}

// useJobs makes the store run its statements on jobs.
func useJobs(t *testing.T, s *Store) {
	t.Helper()
	ctx, now := t.Context(), time.Now()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	held, err := s.Leases().Acquire(ctx, "me", time.Hour, "leader")
	check(err)
	leader := held[0]
	var jobs []vedette.Job
	for i := range 60 {
		j := newJob("q")
		j.MaxAttempts = 2
		switch {
		case i == 0:
			j.Unique, j.UniqueWaiting, j.Scraper, j.Keep = "u", "w", "s", 1
		case i%9 == 1:
			j.LimitKey, j.Limit, j.RateKey, j.RateEvery, j.Scraper = "l", 2, "r", time.Microsecond, "s"
		case i%9 == 2:
			j.RunAt = now.Add(time.Millisecond)
		}
		jobs = append(jobs, j)
	}
	_, err = s.Jobs().Push(ctx, jobs...)
	check(err)
	time.Sleep(2 * time.Millisecond)
	_, err = s.Queue().Beat(ctx, "w", time.Hour)
	check(err)
	got, err := s.Queue().Claim(ctx, "w", 40, vedette.Want{Queue: "q"})
	check(err)
	check(s.Jobs().Cancel(ctx, "", got[0].ID, jobs[59].ID))
	_, err = s.Queue().Beat(ctx, "w", time.Hour, got[0].Ref())
	check(err)
	var ends []vedette.End
	for i, j := range got[:38] {
		ends = append(ends, vedette.End{Ref: j.Ref(), State: []vedette.JobState{vedette.JobSucceeded, vedette.JobRetrying}[i/36]})
	}
	_, err = s.Queue().Finish(ctx, append(ends, vedette.End{State: vedette.JobDead})...)
	check(err)
	check(s.Schedules().Fire(ctx, leader, vedette.Firing{
		Scraper: "s", Now: vedette.Cursor{Version: 1, At: now}, Cancel: []vedette.ID{jobs[58].ID}, Terminate: []vedette.ID{got[39].ID},
		Push: []vedette.Job{{ID: vedette.NewID(now), Handler: "h", Scraper: "s", FireAt: now, Fired: true}},
	}))
	_, _, err = s.Schedules().Due(ctx, 9)
	check(err)
	_, err = s.Schedules().List(ctx, "", 9)
	check(err)
	for _, like := range []vedette.Job{{}, {Scraper: "s"}, {Owner: "w"}, {State: vedette.JobDead}} {
		_, err = s.Jobs().List(ctx, like, vedette.ID{}, 9)
		check(err)
	}
	_, err = s.Jobs().Queues(ctx)
	check(err)
	_, err = s.Jobs().Get(ctx, got[0].ID)
	check(err)
	check(s.Feed().Append(ctx, vedette.Entry{Topic: "t", Data: vedette.Raw("1")}))
	_, err = s.Feed().Read(ctx, "t", 0, 9)
	check(err)
	_, err = s.Feed().Last(ctx, "t", 9)
	check(err)
	check(s.KV().Put(ctx, vedette.Value{Key: "k"}))
	_, err = s.KV().Get(ctx, "k")
	check(err)
	_, err = s.KV().List(ctx, "k", "", 9)
	check(err)
	_, err = s.Queue().Beat(ctx, "w", 0, got[38].Ref())
	check(err)
	_, err = s.Queue().Rescue(ctx, leader)
	check(err)
	_, err = s.Queue().Retire(ctx, leader, time.Now().Add(time.Hour))
	check(err)
}
