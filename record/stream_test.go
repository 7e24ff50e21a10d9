package record_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
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
	"github.com/vedettehq/vedette/verdict"
)

const topic = "results"

// A pipe is a broker and a store in this process.
type pipe struct {
	store  *memory.Store
	broker *memory.Stream
	want   map[vedette.ID]bool // what was sent and can be recorded
}

func newPipe(t *testing.T, monitors ...vedette.Monitor) *pipe {
	t.Helper()
	p := &pipe{store: memory.New(), broker: memory.NewStream(3), want: make(map[vedette.ID]bool)}
	put(t, p.store, monitors...)
	return p
}

// send publishes results as those who look do.
func (p *pipe) send(t *testing.T, results ...vedette.Result) {
	t.Helper()
	for _, r := range results {
		p.want[r.ID] = true
		body, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		p.sendBytes(t, r.Monitor, body)
	}
}

func (p *pipe) sendBytes(t *testing.T, key vedette.MonitorID, body []byte) {
	t.Helper()
	if err := p.broker.Publish(t.Context(), vedette.Message{Topic: topic, Key: []byte(key), Body: body}); err != nil {
		t.Fatal(err)
	}
}

func (p *pipe) source(owner string) vedette.Source {
	return p.broker.Source("vedette", topic, func(ctx context.Context, at ...vedette.Position) ([]vedette.Position, error) {
		return p.store.Positions().Claim(ctx, owner, at...)
	})
}

func decode(_ context.Context, m *vedette.Message, r *vedette.Result) (bool, error) {
	if err := json.Unmarshal(m.Body, r); err != nil {
		return false, fmt.Errorf("undecodable: %w: %w", err, vedette.ErrRefused)
	}
	return m.Header["resend"] == "1", nil
}

// through says up to when everything has come, as package app reckons it.
func (p *pipe) through(ctx context.Context) (through time.Time, err error) {
	positions, err := p.store.Positions().List(ctx, "vedette")
	for i, at := range positions {
		if i == 0 || at.Through.Before(through) {
			through = at.Through
		}
	}
	return through, err
}

// recorder starts a process that records, and returns what ends it.
func (p *pipe) recorder(t *testing.T, name string, edit func(*record.Config, *record.StreamConfig)) (stop func()) {
	t.Helper()
	cfg := config(p.store)
	cfg.Shared, cfg.Leaser, cfg.Owner, cfg.Through = true, p.store.Leases(), name, p.through
	stream := record.StreamConfig{Source: p.source(name), Decode: decode, Count: 50}
	if edit != nil {
		edit(&cfg, &stream)
	}
	r := start(t, cfg)
	s, err := r.Stream(stream)
	if err != nil {
		t.Fatal(err)
	}
	return begin(t, vedette.PartFunc(func(ctx context.Context) error { return vedette.Run(ctx, r, s) }))
}

// check holds that everything that was sent is kept exactly once, and that statuses are the fold
// over seq.
func (p *pipe) check(t *testing.T) {
	t.Helper()
	kept := make(map[vedette.ID]int)
	byMonitor := make(map[vedette.MonitorID][]vedette.Result)
	span := vedette.Span{N: 10_000}
	all, err := p.store.History(t.Context(), "", span)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if kept[r.ID]++; !verdict.Stale(r) && !p.want[r.ID] {
			t.Errorf("%s was not sent", r.ID)
		}
		if r.Seq != 0 {
			byMonitor[r.Monitor] = append(byMonitor[r.Monitor], r)
		}
	}
	for id := range p.want {
		if kept[id] != 1 {
			t.Errorf("%s is kept %d times", id, kept[id])
		}
	}
	for id, results := range byMonitor {
		slices.SortFunc(results, func(a, b vedette.Result) int { return int(a.Seq - b.Seq) })
		m, err := p.store.Monitors().Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		var s vedette.Status
		for i, r := range results {
			if r.Seq != int64(i)+1 {
				t.Fatalf("%s: seq %d follows on %d", id, r.Seq, i)
			}
			s = verdict.Fold(m, s, r, false, nil).Status
		}
		got := status(t, p.store, string(id))
		got.Version = 0
		if diff := cmp.Diff(s, got); diff != "" {
			t.Errorf("status of %s (-folded anew +kept):\n%s", id, diff)
		}
	}
}

func names(n int) (ids []string, monitors []vedette.Monitor) {
	for i := range n {
		ids = append(ids, fmt.Sprintf("m%02d", i))
		monitors = append(monitors, monitor(ids[i]))
	}
	return ids, monitors
}

// rounds returns looks at each monitor, one a second, of which some fail.
func rounds(ids []string, from time.Time, n int) (all []vedette.Result) {
	for i := range n {
		for j, id := range ids {
			s := vedette.Up
			if (i/5+j)%4 == 0 {
				s = vedette.Down
			}
			all = append(all, look(id, from.Add(time.Duration(i)*time.Second), s))
		}
	}
	return all
}

func TestStreamIsKeptOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids, monitors := names(20)
		p := newPipe(t, monitors...)
		stop := p.recorder(t, "a", nil)
		p.send(t, rounds(ids, time.Now(), 30)...)
		time.Sleep(time.Second)
		p.check(t)
		stop()
	})
}

// What was received when the stop came is written, not received again.
func TestStreamWritesWhatItHasAtAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids, monitors := names(3)
		p := newPipe(t, monitors...)
		stop := p.recorder(t, "a", func(_ *record.Config, s *record.StreamConfig) { s.Age, s.Count = time.Hour, 1000 })
		synctest.Wait()
		p.send(t, rounds(ids, time.Now(), 2)...)
		synctest.Wait()
		if n := len(p.kept(t)); n != 0 {
			t.Fatalf("%d results were kept before the batch was full", n)
		}
		stop()
		p.check(t)
	})
}

func (p *pipe) kept(t *testing.T) []vedette.Result {
	t.Helper()
	all, err := p.store.History(t.Context(), "", vedette.Span{N: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A store that fails, and one whose answers are lost, cost nothing but time.
func TestStreamSurvivesItsStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids, monitors := names(20)
		p := newPipe(t, monitors...)
		var failing storetest.Failing
		stop := p.recorder(t, "a", func(c *record.Config, _ *record.StreamConfig) { c.Writer = failing.Writer(p.store) })
		began := time.Now()
		gone := errors.New("connection reset")
		for i := range 40 {
			p.send(t, rounds(ids, began.Add(time.Duration(i)*time.Second), 1)...)
			switch i % 4 {
			case 1:
				failing.Fail(gone)
			case 2:
				failing.Lose(gone)
			default:
				failing.Fail(nil)
			}
			time.Sleep(500 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		p.check(t)
		stop()
	})
}

// Recorders come, go and are taken for dead while they hold a batch.
func TestRecordersShareAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids, monitors := names(20)
		p := newPipe(t, monitors...)
		stops := map[int]func(){0: p.recorder(t, "0", nil), 1: p.recorder(t, "1", nil)}
		began := time.Now()
		for i := range 60 {
			p.send(t, rounds(ids, began.Add(time.Duration(i)*time.Second), 1)...)
			switch i % 7 {
			case 2:
				p.broker.Expel()
			case 4:
				stops[i%2]()
				stops[i%2] = p.recorder(t, fmt.Sprint(i), nil)
			}
			time.Sleep(300 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		p.check(t)
		for stop := range maps.Values(stops) {
			stop()
		}
	})
}

// A slow store lets a write go on after its session is over.
type stalling struct {
	vedette.Writer
	mu    sync.Mutex
	until chan struct{}
}

func (s *stalling) Write(ctx context.Context, b vedette.Batch) error {
	s.mu.Lock()
	until := s.until
	s.mu.Unlock()
	if until != nil && len(b.Results) > 0 {
		<-until
	}
	return s.Writer.Write(ctx, b)
}

type meter struct {
	mu     sync.Mutex
	fenced int
	dead   []string
	lost   int64
}

func (m *meter) Committed(int, int, time.Duration) {}

func (m *meter) Fenced() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fenced++
}

func (m *meter) Dead(class string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead = append(m.dead, class)
}

func (m *meter) Lost(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lost += n
}

// A recorder that is paused with a batch in its hands writes nothing when it goes on.
func TestPausedRecorderIsFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids, monitors := names(20)
		p := newPipe(t, monitors...)
		paused := &stalling{Writer: p.store, until: make(chan struct{})}
		var m meter
		stopOld := p.recorder(t, "old", func(c *record.Config, s *record.StreamConfig) { c.Writer, s.Meter = paused, &m })
		p.send(t, rounds(ids, time.Now(), 10)...)
		time.Sleep(time.Second)
		p.broker.Expel()
		stopNew := p.recorder(t, "new", nil)
		time.Sleep(5 * time.Second)
		p.check(t)
		close(paused.until)
		time.Sleep(5 * time.Second)
		p.check(t)
		stopOld()
		stopNew()
		if m.fenced == 0 {
			t.Error("the paused recorder was not fenced")
		}
	})
}

// picky refuses results with a certain message, as a store does that has rules of its own.
type picky struct{ vedette.Writer }

func (p picky) Write(ctx context.Context, b vedette.Batch) error {
	for _, r := range b.Results {
		if r.Failure != nil && r.Failure.Message == "poison" {
			return fmt.Errorf("write batch: %w", vedette.ErrRefused)
		}
	}
	return p.Writer.Write(ctx, b)
}

func TestPoisonBecomesOneDeadLetterEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids, monitors := names(20)
		p := newPipe(t, monitors...)
		var m meter
		stop := p.recorder(t, "a", func(c *record.Config, s *record.StreamConfig) {
			c.Writer, s.Meter, s.Count = picky{p.store}, &m, 1000
			c.Retention.Results = time.Hour
			c.Letters, c.Dead, c.DeadTopic = p.store.Letters(), p.broker, "dead"
		})
		all := rounds(ids, time.Now(), 20)
		poison := look("m07", time.Now().Add(time.Minute), vedette.Down)
		poison.Failure.Message = "poison"
		p.send(t, all[:200]...)
		p.sendBytes(t, "m03", []byte{0xc3, 0x01, 0xff})
		p.send(t, poison)
		p.send(t, look("m04", time.Now().Add(-2*time.Hour), vedette.Up), look("m04", time.Now().Add(48*time.Hour), vedette.Up))
		p.send(t, all[200:]...)
		time.Sleep(10 * time.Second)
		for id := range p.want {
			if !slices.ContainsFunc(all, func(r vedette.Result) bool { return r.ID == id }) {
				delete(p.want, id)
			}
		}
		p.check(t)
		stop()
		slices.Sort(m.dead)
		if got := strings.Join(m.dead, " "); got != "out_of_range out_of_range refused undecodable" {
			t.Errorf("dead letters: %s", got)
		}
		if letters, err := p.store.Letters().Unsent(t.Context(), 10); err != nil || len(letters) != 0 {
			t.Errorf("letters that were not sent on: %v, %v", letters, err)
		}
		var sent int64
		for i := range int32(3) {
			sent += p.broker.End("dead", i)
		}
		if sent != 4 {
			t.Errorf("%d dead letters were sent on, want 4", sent)
		}
	})
}

// What is gone before it was read leaves a dead letter that says so, and the rest is kept.
func TestLostMessagesAreSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids, monitors := names(20)
		p := newPipe(t, monitors...)
		var m meter
		began := time.Now()
		p.send(t, rounds(ids, began, 3)...)
		stop := p.recorder(t, "a", nil)
		time.Sleep(time.Second)
		stop()
		p.check(t)
		before := p.broker.End(topic, 1)
		lost := maps.Clone(p.want)
		p.send(t, rounds(ids, began.Add(3*time.Second), 3)...)
		p.broker.Trim(topic, 1, p.broker.End(topic, 1)-2)
		gone := p.broker.End(topic, 1) - 2 - before
		stop = p.recorder(t, "b", func(_ *record.Config, s *record.StreamConfig) { s.Meter = &m })
		time.Sleep(time.Second)
		if n := len(p.kept(t)); int64(n) != int64(len(p.want))-gone {
			t.Errorf("%d results are kept of %d, %d were lost and %d kept before", n, len(p.want), gone, len(lost))
		}
		letters, err := p.store.Letters().Unsent(t.Context(), 10)
		if err != nil || len(letters) != 1 || !strings.HasPrefix(letters[0].Reason, "lost") ||
			letters[0].Position.From != before || letters[0].Position.Next != before+gone {
			t.Errorf("letters: %+v, %v; want one of [%d, %d)", letters, err, before, before+gone)
		}
		stop()
		if m.lost != gone {
			t.Errorf("%d messages were counted as lost, want %d", m.lost, gone)
		}
	})
}

// slowToOpen takes as long as a group may take to form.
type slowToOpen struct{ vedette.Source }

func (s slowToOpen) Open(ctx context.Context) (vedette.Session, error) {
	time.Sleep(8 * time.Second)
	return s.Source.Open(ctx)
}

// While nobody records, results wait in the broker: a site is silent only when nothing has come
// from it by then.
func TestSitesAreNotSilentWhileNobodyRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipe(t, monitor("steady"), monitor("silent"))
		var news []string
		told := func(c *record.Config, _ *record.StreamConfig) {
			c.Told = func(n record.News) {
				for _, s := range n.Statuses {
					if say := fmt.Sprint(s.Monitor, " ", s.State); len(news) == 0 || !slices.Contains(news, say) {
						news = append(news, say)
					}
				}
			}
		}
		stop := p.recorder(t, "a", told)
		p.send(t, look("steady", time.Now(), vedette.Up), look("silent", time.Now(), vedette.Up))
		time.Sleep(3 * time.Second)
		stop()
		for range 30 { // five minutes
			p.send(t, look("steady", time.Now(), vedette.Up))
			time.Sleep(10 * time.Second)
		}
		stop = p.recorder(t, "b", func(c *record.Config, s *record.StreamConfig) {
			told(c, s)
			s.Source = slowToOpen{s.Source} // others look for silence meanwhile
		})
		time.Sleep(14 * time.Second)
		stop()
		slices.Sort(news)
		if diff := cmp.Diff([]string{"silent unknown", "silent up", "steady up"}, news); diff != "" {
			t.Errorf("statuses told (-want +got):\n%s", diff)
		}
	})
}

func jsonOf(t *testing.T, r vedette.Result) string {
	t.Helper()
	body, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
