//go:build unix

package chaos

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/schedule"
)

// A ledger is what is known at the end of jobs: by the store, and by those who did them.
type ledger struct {
	plans   map[vedette.ScraperID]*schedule.Plan
	cursors map[vedette.ScraperID]vedette.Cursor
	jobs    []vedette.Job // oldest first, with their attempts
	chores  map[vedette.ID]chore
}

// A chore is what one job's program has written down.
type chore struct {
	began []time.Time
	done  []time.Time
	told  int // to end
}

func readLedger(t *testing.T, s shop, diary string) ledger {
	t.Helper()
	l := ledger{plans: map[vedette.ScraperID]*schedule.Plan{}, cursors: map[vedette.ScraperID]vedette.Cursor{}}
	scrapers, _, err := s.Scrapers().List(t.Context(), "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range scrapers {
		if l.plans[one.ID], err = schedule.Compile(one); err != nil {
			t.Fatal(err)
		}
	}
	cursors, err := s.Schedules().List(t.Context(), "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cursors {
		l.cursors[c.Scraper] = c
	}
	l.jobs, l.chores = listJobs(t, s.Jobs()), readDiary(t, diary)
	return l
}

func listJobs(t *testing.T, jobs vedette.Jobs) (all []vedette.Job) {
	t.Helper()
	const n = 500
	for before, more := (vedette.ID{}), true; more; {
		page, err := jobs.List(t.Context(), vedette.Job{}, before, n)
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range page {
			whole, err := jobs.Get(t.Context(), j.ID)
			if err != nil {
				t.Fatalf("job %s is listed: %v", j.ID, err)
			}
			all, before = append(all, whole), j.ID
		}
		more = len(page) == n
	}
	slices.Reverse(all)
	return all
}

func readDiary(t *testing.T, path string) map[vedette.ID]chore {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := map[vedette.ID]chore{}
	for _, e := range parseDiary(t, string(text)) {
		c := all[e.job]
		switch e.what {
		case "began":
			c.began = append(c.began, e.at)
		case "done":
			c.done = append(c.done, e.at)
		case "told":
			c.told++
		}
		all[e.job] = c
	}
	return all
}

// An entry is one line of the diary.
type entry struct {
	what    string
	job     vedette.ID
	attempt int
	pid     int
	parent  int // the worker's
	at      time.Time
}

func parseDiary(t *testing.T, text string) (all []entry) {
	t.Helper()
	for line := range strings.Lines(text) {
		var e entry
		var id string
		var at int64
		_, err := fmt.Sscan(line, &e.what, &id, &e.attempt, &e.pid, &e.parent, &at)
		if err == nil {
			e.job, err = vedette.ParseID(id)
		}
		if err != nil {
			t.Fatalf("the diary says %q: %v", line, err)
		}
		e.at = time.Unix(0, at)
		all = append(all, e)
	}
	return all
}

// of returns the jobs of each scraper, oldest first.
func (l ledger) of() map[vedette.ScraperID][]vedette.Job {
	all := map[vedette.ScraperID][]vedette.Job{}
	for _, j := range l.jobs {
		all[j.Scraper] = append(all[j.Scraper], j)
	}
	return all
}

// fired holds that every due time up to a while before the end became one job, or was counted as
// left out.
func (l ledger) fired(t *testing.T, end time.Time) {
	t.Helper()
	jobs := l.of()
	var skipped int64
	for id, p := range l.plans {
		c := l.cursors[id]
		if c.At.Before(end.Add(-leaseTTL)) {
			t.Errorf("%s stands still: %s is due, and at %s it was not fired", id, c.At, end)
		}
		due := map[time.Time]int{}
		for at := p.Next(c.Since); at.Before(c.At); at = p.Next(at) {
			due[at] = 0
		}
		for _, j := range jobs[id] {
			n, ok := due[j.FireAt.UTC()]
			if !ok || n > 0 {
				t.Errorf("%s: job %s of %s is one too many: due then %v, fired before %d", id, j.ID, j.FireAt, ok, n)
			}
			due[j.FireAt.UTC()]++
		}
		if c.Dropped != 0 {
			t.Errorf("%s: %d due times were dropped although they may be late", id, c.Dropped)
		}
		if got := int64(len(jobs[id])) + c.Skipped + c.Dropped; got != int64(len(due)) {
			t.Errorf("%s (%s): %d fired, %d skipped, %d dropped of %d that were due", id, p.Scraper().Schedule.Overlap,
				len(jobs[id]), c.Skipped, c.Dropped, len(due))
		}
		if o := p.Scraper().Schedule.Overlap; c.Skipped != 0 && (o == vedette.AllowAll || o == vedette.BufferAll) {
			t.Errorf("%s: %d skipped by %s", id, c.Skipped, o)
		}
		skipped += c.Skipped
	}
	t.Logf("%d jobs fired, %d due times skipped", len(l.jobs), skipped)
}

// ended holds that every job came to an end of its own.
func (l ledger) ended(t *testing.T) {
	t.Helper()
	states := map[vedette.JobState]int{}
	attempts := 0
	for _, j := range l.jobs {
		states[j.State]++
		attempts += len(j.Attempts)
		switch n := len(j.Attempts); {
		case j.State.Live():
			t.Errorf("job %s of %s is %s still", j.ID, j.Scraper, j.State)
		case j.FinishedAt.Before(j.CreatedAt):
			t.Errorf("job %s ended at %s before it was made at %s", j.ID, j.FinishedAt, j.CreatedAt)
		case j.State == vedette.JobFailed:
			t.Errorf("job %s failed for good: %s", j.ID, j.Error)
		case j.State == vedette.JobDead && n != j.MaxAttempts, n > j.MaxAttempts:
			t.Errorf("job %s is %s after %d attempts of %d", j.ID, j.State, n, j.MaxAttempts)
		case j.State == vedette.JobSucceeded && (n == 0 || j.Attempts[n-1].State != j.State):
			t.Errorf("job %s succeeded, and its attempts did not: %+v", j.ID, j.Attempts)
		}
	}
	t.Logf("%d attempts; jobs by state: %v", attempts, states)
}

// owned holds that no claim of a job began before the one before it had ended.
func (l ledger) owned(t *testing.T) {
	t.Helper()
	for _, j := range l.jobs {
		for i, a := range j.Attempts {
			if a.FinishedAt.Before(a.StartedAt) {
				t.Errorf("job %s: attempt %d ended before it began: %+v", j.ID, i, a)
			}
			if i == 0 {
				continue
			}
			if b := j.Attempts[i-1]; a.StartedAt.Before(b.FinishedAt) || a.Epoch <= b.Epoch {
				t.Errorf("job %s: attempt %d %+v follows on %+v", j.ID, i, a, b)
			}
		}
	}
}

// alone holds that of a scraper that skips no two jobs lived at once.
func (l ledger) alone(t *testing.T) {
	t.Helper()
	for id, jobs := range l.of() {
		if l.plans[id].Scraper().Schedule.Overlap != vedette.Skip {
			continue
		}
		for i := 1; i < len(jobs); i++ {
			if a, b := jobs[i-1], jobs[i]; b.CreatedAt.Before(a.FinishedAt) {
				t.Errorf("%s: job %s was made %s before %s ended", id, b.ID, a.FinishedAt.Sub(b.CreatedAt), a.ID)
			}
		}
	}
}

// limited holds that of no key more jobs were started at once than its limit allows.
func (l ledger) limited(t *testing.T) {
	t.Helper()
	type event struct {
		at   time.Time
		step int
		job  vedette.ID
	}
	events, limits := map[string][]event{}, map[string]int{}
	for _, j := range l.jobs {
		if j.Limit == 0 {
			continue
		}
		limits[j.LimitKey] = j.Limit
		for _, a := range j.Attempts {
			events[j.LimitKey] = append(events[j.LimitKey], event{a.StartedAt, 1, j.ID}, event{a.FinishedAt, -1, j.ID})
		}
	}
	for key, all := range events {
		// Of one moment, ends come first.
		slices.SortFunc(all, func(a, b event) int {
			if c := a.at.Compare(b.at); c != 0 {
				return c
			}
			return a.step - b.step
		})
		running := 0
		for _, e := range all {
			if running += e.step; running > limits[key] {
				t.Errorf("%s: job %s at %s is the %d. at once, and %d may be", key, e.job, e.at, running, limits[key])
			}
		}
	}
	t.Logf("%d keys with limits", len(events))
}

// refused holds that the ends that workers were refused, by job and epoch, are of claims that were
// taken from them: what was said before may be said again.
func (l ledger) refused(t *testing.T, ends [][2]string) {
	t.Helper()
	kept := map[string]string{}
	for _, j := range l.jobs {
		for _, a := range j.Attempts {
			if a.State == vedette.JobSucceeded || a.State == vedette.JobRetrying {
				kept[fmt.Sprint(j.ID, a.Epoch)] = string(a.State)
			}
		}
	}
	for _, e := range ends {
		if state := kept[e[0]+e[1]]; state != "" {
			t.Errorf("the end of job %s, epoch %s, was refused, and it is kept as %s", e[0], e[1], state)
		}
	}
}

// told holds that the store and the programs tell the same: what began was claimed, and what
// succeeded was done.
func (l ledger) told(t *testing.T) {
	t.Helper()
	rest := maps.Clone(l.chores)
	began := 0
	for _, j := range l.jobs {
		c := l.chores[j.ID]
		delete(rest, j.ID)
		began += len(c.began)
		// What was told to end may have been handed back, which counts as no attempt.
		if len(c.began) > len(j.Attempts)+c.told {
			t.Errorf("job %s began %d times and was claimed %d times", j.ID, len(c.began), len(j.Attempts))
		}
		if len(c.began) > 0 && (len(j.Attempts) == 0 || c.began[0].Before(j.Attempts[0].StartedAt)) && c.told == 0 {
			t.Errorf("job %s began at %s before it was claimed: %+v", j.ID, c.began[0], j.Attempts)
		}
		if j.State != vedette.JobSucceeded {
			continue
		}
		last := j.Attempts[len(j.Attempts)-1]
		if !slices.ContainsFunc(c.done, func(at time.Time) bool { return at.After(last.StartedAt) && at.Before(last.FinishedAt) }) {
			t.Errorf("job %s succeeded by %+v, and its program was done at %v", j.ID, last, c.done)
		}
	}
	for id, c := range rest {
		t.Errorf("job %s was begun at %v, and the store does not know it", id, c.began)
	}
	t.Logf("%d programs began", began)
}
