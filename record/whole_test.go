package record_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/record"
	"github.com/vedettehq/vedette/storetest"
	"github.com/vedettehq/vedette/watch"
)

// A world is sites that do what the test says, watched and recorded: the whole path from a
// look to the store, in one bubble.
type world struct {
	store  *memory.Store
	writes storetest.Failing

	mu   sync.Mutex
	slow time.Duration // of each write
	down map[vedette.MonitorID]bool
	told []vedette.Incident
}

func newWorld(t *testing.T, monitors ...vedette.Monitor) *world {
	t.Helper()
	w := &world{store: memory.New(), down: map[vedette.MonitorID]bool{}}
	put(t, w.store, monitors...)
	return w
}

func every(id string, interval time.Duration) vedette.Monitor {
	m := monitor(id)
	m.Interval, m.Timeout, m.RetryInterval = interval, min(interval, 5*time.Second), 10*time.Second
	return m
}

// say makes a site go down or come back.
func (w *world) say(id vedette.MonitorID, down bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down[id] = down
}

// Compile makes the world the watch's Checker. A look takes 20 ms.
func (w *world) Compile(m vedette.Monitor) (vedette.Check, error) {
	return func(context.Context) vedette.Result {
		time.Sleep(20 * time.Millisecond)
		w.mu.Lock()
		defer w.mu.Unlock()
		r := vedette.Result{State: vedette.Up, Phases: vedette.Phases{TTFB: 20 * time.Millisecond}}
		if w.down[m.ID] {
			r.State = vedette.Down
			r.Failure = &vedette.Failure{Kind: vedette.KindTimeout, Message: "no answer", Evidence: &vedette.Evidence{Addr: "127.0.0.1:1"}}
		}
		return r
	}, nil
}

// run watches and records until stop is called, from each of the regions.
func (w *world) run(t *testing.T, edit func(*watch.Config), regions ...string) (stop func(region string)) {
	t.Helper()
	cfg := config(w.store)
	cfg.Writer = w.writes.Writer(slowWriter{w.store, w})
	cfg.Leaser, cfg.Owner = w.store.Leases(), "recorder"
	cfg.Told = func(n record.News) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.told = append(w.told, n.Incidents...)
	}
	r := start(t, cfg)
	stops := map[string]func(){"": begin(t, r)}
	for _, region := range regions {
		c := watch.Config{
			Monitors: w.store.Monitors(), Leaser: w.store.Leases(), Reader: w.store, Checker: w, Sink: r,
			Region: region, MaxInFlight: 100,
		}
		if edit != nil {
			edit(&c)
		}
		own, err := watch.New(c)
		if err != nil {
			t.Fatal(err)
		}
		stops[region] = begin(t, own)
	}
	return func(region string) { stops[region]() }
}

// A slowWriter takes its time.
type slowWriter struct {
	vedette.Writer
	w *world
}

func (s slowWriter) Write(ctx context.Context, b vedette.Batch) error {
	s.w.mu.Lock()
	wait := s.w.slow
	s.w.mu.Unlock()
	time.Sleep(wait)
	return s.Writer.Write(ctx, b)
}

// begin runs a part beside the test, until it is stopped or the test ends.
func begin(t *testing.T, p vedette.Part) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// history returns all results of a monitor, which must be kept once each and advance its
// status one by one.
func (w *world) history(t *testing.T, id vedette.MonitorID) []vedette.Result {
	t.Helper()
	all, err := w.store.History(t.Context(), id, vedette.Span{N: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	last, seen := map[string]int64{}, map[int64]bool{}
	for _, r := range all {
		if seen[r.Seq] || r.Seq <= last[r.Region] || r.Seq > int64(len(all)) {
			t.Fatalf("result of %s at %v has seq %d after %d, of %d", id, r.StartedAt, r.Seq, last[r.Region], len(all))
		}
		seen[r.Seq], last[r.Region] = true, r.Seq
	}
	return all
}

// runs shortens results to their states, each said once for those in a row.
func runs(results []vedette.Result) string {
	var said []string
	for _, r := range results {
		what := string(r.State)
		if r.Failure != nil {
			what += ":" + string(r.Failure.Kind)
		}
		if len(said) == 0 || said[len(said)-1] != what {
			said = append(said, what)
		}
	}
	return strings.Join(said, " ")
}

// The store takes nothing for five minutes while the watch goes on, after it took everything
// without saying so for some seconds. What was seen meanwhile comes late, little by little, in
// order and once, and is judged as if it had come in time.
func TestStoreOutForFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := []vedette.Monitor{monitor("bank"), every("fast", time.Second)}
		for i := range 300 {
			all = append(all, every(fmt.Sprintf("site%03d", i), time.Second))
		}
		w := newWorld(t, all...)
		stop := w.run(t, nil, "eu")
		time.Sleep(50 * time.Second)
		w.writes.Lose(errors.New("connection cut"))
		time.Sleep(10 * time.Second)
		w.mu.Lock()
		w.slow = 200 * time.Millisecond
		w.mu.Unlock()
		w.writes.Fail(errors.New("disk full"))
		time.Sleep(time.Minute)
		w.say("bank", true)
		fell := time.Now()
		time.Sleep(4 * time.Minute)
		w.writes.Fail(nil)
		time.Sleep(time.Minute)
		stop("eu")

		for _, m := range all[1:] {
			if got := runs(w.history(t, m.ID)); got != "up" {
				t.Errorf("looks at %s say %q, want up all the time", m.ID, got)
			}
		}
		if n := len(w.history(t, "fast")); n < 418 || n > 421 {
			t.Errorf("%d looks of 420 s at fast", n)
		}
		bank := w.history(t, "bank")
		if got := runs(bank); got != "up down:timeout" {
			t.Errorf("looks at bank say %q", got)
		}
		var first vedette.Result
		evidence := 0
		for _, r := range bank {
			if r.State == vedette.Down && first.ID.IsZero() {
				first = r
			}
			if r.Failure != nil && r.Failure.Evidence != nil {
				evidence++
			}
		}
		if evidence != 1 || first.Failure.Evidence == nil || first.StartedAt.Sub(fell) > 10*time.Second {
			t.Errorf("evidence with %d results, first failure %v after the fall", evidence, first.StartedAt.Sub(fell))
		}
		if len(w.told) != 1 || !w.told[0].Opened.Equal(first.StartedAt) {
			t.Errorf("told of %+v, want one incident from %v on", w.told, first.StartedAt)
		}
		if diff := cmp.Diff([]string{"bank open"}, incidents(t, w.store)); diff != "" {
			t.Error(diff)
		}
	})
}

// Nobody looks for five minutes: that is said once a site, and nothing is down for it.
func TestProcessOffForFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, monitor("shop"), monitor("down"), every("fast", time.Second), every("slow", 10*time.Minute))
		stop := w.run(t, nil, "eu")
		time.Sleep(15 * time.Minute)
		w.say("down", true)
		time.Sleep(time.Minute)
		stop("eu")
		stop("")
		time.Sleep(5 * time.Minute)
		w.run(t, nil, "eu")
		time.Sleep(time.Minute)
		for id, want := range map[vedette.MonitorID]string{
			"shop": "up unknown:stale up",
			"down": "up down:timeout unknown:stale down:timeout", // its incident goes on
			"fast": "up",                                         // looked at again before anybody looks for silence
			"slow": "up",
		} {
			results := w.history(t, id)
			if got := runs(results); got != want {
				t.Errorf("looks at %s say %q, want %q", id, got, want)
			}
			stale := 0
			for _, r := range results {
				if r.Failure != nil && r.Failure.Kind == vedette.KindStale {
					stale++
				}
			}
			if stale > 1 {
				t.Errorf("silence of %s was said %d times", id, stale)
			}
		}
		if diff := cmp.Diff([]string{"down open"}, incidents(t, w.store)); diff != "" {
			t.Error(diff)
		}
	})
}

// A parent that is looked at every minute hides a child that is looked at every five seconds,
// from the first failure of both on, and for no longer than it is down.
func TestSlowParentHidesFastChild(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gateway, shop := every("gateway", time.Minute), every("shop", 5*time.Second)
		shop.DependsOn = []vedette.MonitorID{"gateway"}
		w := newWorld(t, gateway, shop)
		w.run(t, nil, "eu")
		time.Sleep(5*time.Minute + time.Second)
		for _, step := range []struct {
			gateway, shop bool // down
			want          []string
		}{
			{true, true, []string{"gateway open"}},
			{false, false, []string{"gateway recovered"}},
			{true, true, []string{"gateway recovered", "gateway open"}},
			{false, true, []string{"gateway recovered", "gateway recovered", "shop open"}},
			{true, true, []string{"gateway recovered", "gateway recovered", "shop open", "gateway open"}},
			{false, true, []string{"gateway recovered", "gateway recovered", "shop open", "gateway recovered"}},
			{false, false, []string{"gateway recovered", "gateway recovered", "shop recovered", "gateway recovered"}},
		} {
			w.say("gateway", step.gateway)
			w.say("shop", step.shop)
			time.Sleep(5*time.Minute + 7*time.Second)
			if diff := cmp.Diff(count(step.want), count(incidents(t, w.store))); diff != "" {
				t.Fatalf("gateway down %v, shop down %v: %s", step.gateway, step.shop, diff)
			}
		}
	})
}

// count leaves out the order: an incident's id is that of the result which confirmed it.
func count(said []string) map[string]int {
	n := map[string]int{}
	for _, one := range said {
		n[one]++
	}
	return n
}

// While we have no network ourselves nothing is down. A site that is down when the network is
// back is found down then.
func TestGuardOfflineThenOnlineWithTheSiteDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, monitor("shop"), monitor("bank"))
		target, err := w.Compile(monitor("target"))
		if err != nil {
			t.Fatal(err)
		}
		w.run(t, func(c *watch.Config) { c.Guard = watch.NewGuard([]vedette.Check{target}, nil) }, "eu")
		time.Sleep(time.Minute)
		for _, id := range []vedette.MonitorID{"shop", "bank", "target"} {
			w.say(id, true)
		}
		time.Sleep(5 * time.Minute)
		if got := incidents(t, w.store); len(got) != 0 {
			t.Errorf("offline: %v", got)
		}
		if s := status(t, w.store, "shop"); s.State != vedette.Unknown {
			t.Errorf("shop is %s offline, want unknown", s.State)
		}
		online := time.Now()
		w.say("target", false)
		w.say("shop", false)
		time.Sleep(2 * time.Minute)
		if diff := cmp.Diff([]string{"bank open"}, incidents(t, w.store)); diff != "" {
			t.Error(diff)
		}
		if s := status(t, w.store, "bank"); s.Incident == nil || s.Incident.Opened.Before(online) {
			t.Errorf("bank is down since %+v, want since %v or after", s.Incident, online)
		}
		if got, want := runs(w.history(t, "shop")), "up unknown:timeout up"; got != want {
			t.Errorf("looks at shop say %q, want %q", got, want)
		}
	})
}

// Two of three regions stop while the third finds the site down: one cannot say it alone.
func TestQuorumWithTwoRegionsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := monitor("shop")
		shop.Quorum = 2
		w := newWorld(t, shop)
		stop := w.run(t, nil, "ap", "eu", "us")
		time.Sleep(time.Minute)
		if s := status(t, w.store, "shop"); s.State != vedette.Up || len(s.Votes) != 3 {
			t.Fatalf("status %+v, want up by three", s)
		}
		stop("ap")
		stop("us")
		w.say("shop", true)
		time.Sleep(5 * time.Minute)
		if s := status(t, w.store, "shop"); s.State != vedette.Unknown || s.Incident != nil {
			t.Errorf("shop is %s, incident %v; want unknown and none", s.State, s.Incident)
		}
		ends := map[string]int{}
		for _, r := range w.history(t, "shop") {
			if r.Failure != nil && r.Failure.Kind == vedette.KindStale {
				ends[r.Region]++
			}
		}
		if diff := cmp.Diff(map[string]int{"ap": 1, "us": 1}, ends); diff != "" {
			t.Errorf("ends of votes: %s", diff)
		}
		if got := incidents(t, w.store); len(got) != 0 {
			t.Errorf("incidents %v", got)
		}
	})
}

// The first failure is seen by one watcher and the second by its successor; the first one's
// own second failure comes ten minutes later and changes nothing.
func TestLateResultOfAReplacedWatcher(t *testing.T) {
	store := memory.New()
	shop := monitor("shop")
	shop.Confirm = vedette.Confirm{Down: 2, Up: 1}
	put(t, store, shop)
	r := start(t, config(store))
	at := time.Now().Add(-time.Hour)
	by := func(token int64, after time.Duration, s vedette.State) vedette.Result {
		one := look("shop", at.Add(after), s)
		one.Token = token
		return one
	}
	send(t, r, by(1, 0, vedette.Up), by(1, 10*time.Second, vedette.Down))
	send(t, r, by(2, 20*time.Second, vedette.Down), by(2, 30*time.Second, vedette.Up))
	before := status(t, store, "shop")
	for _, after := range []time.Duration{15 * time.Second, 25 * time.Second, time.Minute} { // its clock may be ahead
		send(t, r, by(1, after, vedette.Down), by(1, after+time.Second, vedette.Down))
	}
	if diff := cmp.Diff(before, status(t, store, "shop")); diff != "" {
		t.Errorf("late results change the status: %s", diff)
	}
	all, err := store.Incidents(t.Context(), "shop", vedette.Span{})
	if err != nil || len(all) != 1 || !all[0].Opened.Equal(at.Add(10*time.Second).Truncate(time.Microsecond)) || all[0].Reason != "recovered" {
		t.Errorf("incidents %+v, %v; want one from the first failure, recovered", all, err)
	}
}
