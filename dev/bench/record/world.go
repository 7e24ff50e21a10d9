//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/codec"
	"github.com/vedettehq/vedette/kafka"
	"github.com/vedettehq/vedette/postgres"
	"github.com/vedettehq/vedette/record"
)

// A schema is a set of tables of our own in the test database.
type schema struct{ name, base, url string }

func newSchema(ctx context.Context, base, name string) (*schema, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	s := &schema{name: name, base: base, url: u.String()}
	s.drop(ctx)
	if err := s.exec(ctx, "create schema "+name); err != nil {
		return nil, err
	}
	store, err := postgres.Open(ctx, s.url, postgres.Options{})
	if err != nil {
		return nil, err
	}
	return s, store.Close()
}

func (s *schema) exec(ctx context.Context, sql string) error {
	c, err := pgconn.Connect(ctx, s.base)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(ctx) }()
	return c.Exec(ctx, sql).Close()
}

func (s *schema) drop(ctx context.Context) {
	_ = s.exec(ctx, "drop schema if exists "+s.name+" cascade") // it may not be there
}

// openDays has the store make the partitions of these days, by writing into them once.
func (s *schema) openDays(ctx context.Context, first, last time.Time) error {
	store, err := postgres.Open(ctx, s.url, postgres.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	for at := first.Truncate(24 * time.Hour); !at.After(last); at = at.Add(24 * time.Hour) {
		r := look("day", at, at)
		if err := store.Write(ctx, vedette.Batch{Found: vedette.Found{Results: []vedette.Result{r}}}); err != nil {
			return err
		}
	}
	return s.exec(ctx, "truncate "+s.name+".results")
}

// A world is a topic and tables.
type world struct {
	options
	schema      *schema
	kafka       kafka.Config
	topic       string
	codec       *codec.Codec
	first, last time.Time
	monitors    []vedette.Monitor
}

func newWorld(ctx context.Context, o options, format string) (*world, error) {
	w := &world{options: o, kafka: kafka.Config{Brokers: []string{o.kafka}}, topic: fmt.Sprintf("bench-%s-%d", format, time.Now().UnixNano())}
	var err error
	if w.codec, err = codec.New(codec.Config{JSON: format == "json"}); err != nil {
		return nil, err
	}
	if w.schema, err = newSchema(ctx, o.postgres, "bench_record"); err != nil {
		return nil, err
	}
	if _, err := kafka.EnsureTopic(ctx, w.kafka, w.topic, int32(o.partitions), 1); err != nil { //nolint:gosec // few
		return nil, err
	}
	store, err := postgres.Open(ctx, w.schema.url, postgres.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = store.Close() }()
	for i := range o.sites {
		id := vedette.MonitorID(fmt.Sprintf("shop/site-%05d", i))
		w.monitors = append(w.monitors, vedette.Monitor{
			ID: id, Meta: vedette.Meta{Name: string(id)}, URL: "http://127.0.0.1/", Interval: every, Timeout: 5 * time.Second,
			Confirm: vedette.Confirm{Down: 3, Up: 2},
		})
	}
	return w, store.Monitors().Put(ctx, w.monitors...)
}

func (w *world) close(ctx context.Context) { w.schema.drop(ctx) }

const every = 10 * time.Second // the interval of all monitors

// look is a result as most are: up, over TLS.
func look(id vedette.MonitorID, due, at time.Time) vedette.Result {
	return vedette.Result{
		ID: vedette.NewID(at), Monitor: id, Revision: 1, Token: 1_700_000_000_000_000, DueAt: due, StartedAt: at, State: vedette.Up, Code: 200,
		Phases: vedette.Phases{
			DNS: 1201 * time.Microsecond, Connect: 8123 * time.Microsecond, TLS: 17345 * time.Microsecond,
			Request: 45 * time.Microsecond, TTFB: 35678 * time.Microsecond, Transfer: 2345 * time.Microsecond,
		},
		CertNotAfter: at.Add(60 * 24 * time.Hour).Truncate(time.Second),
	}
}

// fill publishes rows results, the looks at all sites round by round up to now. One in a
// hundred sites is down in one round of ten.
func (w *world) fill(ctx context.Context, rows int) (bytes int, err error) {
	p, err := kafka.NewPublisher(w.kafka)
	if err != nil {
		return 0, err
	}
	defer func() { _ = p.Close() }()
	rounds := (rows + len(w.monitors) - 1) / len(w.monitors)
	w.last = time.Now().Truncate(time.Microsecond)
	w.first = w.last.Add(-time.Duration(rounds) * every)
	counting := counter{next: p}
	sink := codec.NewSink(&counting, w.topic, w.codec)
	batch := make([]vedette.Result, 0, 5000)
	for i := range rows {
		n, round := i%len(w.monitors), i/len(w.monitors)
		due := w.first.Add(time.Duration(round)*every + every*time.Duration(n)/time.Duration(len(w.monitors))).Truncate(time.Microsecond)
		r := look(w.monitors[n].ID, due, due.Add(700*time.Microsecond))
		if n%100 == 7 && round%10 == 3 {
			r.State, r.Code = vedette.Down, 503
			r.Failure = &vedette.Failure{Kind: vedette.KindStatus, Message: "status is 503, want 200-299"}
		}
		if batch = append(batch, r); len(batch) == cap(batch) || i == rows-1 {
			if err := sink.Send(ctx, vedette.Found{Results: batch}); err != nil {
				return 0, err
			}
			batch = batch[:0]
		}
	}
	return int(counting.bytes.Load()), nil
}

// A counter counts the bytes of what is published.
type counter struct {
	next  vedette.Publisher
	bytes atomic.Int64
}

func (c *counter) Publish(ctx context.Context, m ...vedette.Message) error {
	for i := range m {
		c.bytes.Add(int64(len(m[i].Body)))
	}
	return c.next.Publish(ctx, m...)
}

// A tally is told of what is recorded, and when it is enough.
type tally struct {
	want    int64
	kept    atomic.Int64
	batches atomic.Int64
	done    chan struct{}
	once    sync.Once
}

func (t *tally) Committed(messages, _ int, _ time.Duration) { t.batches.Add(1); _ = messages }
func (t *tally) Fenced()                                    {}
func (t *tally) Dead(string)                                {}
func (t *tally) Lost(int64)                                 {}

func (t *tally) told(n record.News) {
	if t.kept.Add(int64(len(n.Results))) >= t.want {
		t.once.Do(func() { close(t.done) })
	}
}

// record records what is in the topic, with everything on.
func (w *world) record(ctx context.Context, rows int) (pass, error) {
	t := &tally{want: int64(rows), done: make(chan struct{})}
	if w.profile != "" {
		f, err := os.Create(w.profile)
		if err != nil {
			return pass{}, err
		}
		defer func() { _ = f.Close() }()
		if err := pprof.StartCPUProfile(f); err != nil {
			return pass{}, err
		}
		defer pprof.StopCPUProfile()
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	began, used := time.Now(), cpu()
	ended := make(chan error, 1)
	go func() { ended <- w.recorder(ctx, t.told, t) }()
	select {
	case <-t.done:
	case err := <-ended:
		return pass{}, errors.Join(errors.New("the recorder has ended by itself"), err)
	}
	p := pass{took: time.Since(began), cpu: cpu() - used, batches: t.batches.Load()}
	stop()
	return p, <-ended
}

// recorder runs a recorder as `vedette up --role record` does, until ctx ends.
func (w *world) recorder(ctx context.Context, told func(record.News), meter record.StreamMeter) error {
	store, err := postgres.Open(ctx, w.schema.url, postgres.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	r, err := record.New(record.Config{
		Monitors: store.Monitors(), Writer: store, Reader: store, Keeper: store, Leaser: store.Leases(), Owner: "bench",
		Shared: true, Letters: store.Letters(), Told: told, Log: log,
		Through: func(context.Context) (time.Time, error) { return time.Time{}, nil },
	})
	if err != nil {
		return err
	}
	source, err := kafka.NewSource(w.kafka, kafka.Reading{
		Group: w.topic, Topics: []string{w.topic},
		Claim: func(ctx context.Context, p ...vedette.Position) ([]vedette.Position, error) {
			return store.Positions().Claim(ctx, "bench", p...)
		},
	})
	if err != nil {
		return err
	}
	s, err := r.Stream(record.StreamConfig{
		Source: source, Lanes: w.lanes, Count: w.count, Meter: meter,
		Decode: func(ctx context.Context, m *vedette.Message, r *vedette.Result) (bool, error) {
			return codec.Resent(*m), w.codec.Decode(ctx, m.Body, r)
		},
	})
	if err != nil {
		return err
	}
	return vedette.Run(ctx, r, s)
}

// verify counts what was recorded.
func (w *world) verify(ctx context.Context, rows int) error {
	c, err := pgconn.Connect(ctx, w.schema.url)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(ctx) }()
	got := make([]string, 0, 4)
	for _, query := range []string{
		"select count(*) from results", "select count(distinct id) from results", "select sum(next_offset) from stream_offsets", "select sum(seq) from statuses",
	} {
		r := c.ExecParams(ctx, query, nil, nil, nil, nil).Read()
		if r.Err != nil {
			return r.Err
		}
		got = append(got, string(r.Rows[0][0]))
	}
	want := fmt.Sprint(rows)
	if strings.Join(got, " ") != strings.Join([]string{want, want, want, want}, " ") {
		return fmt.Errorf("not exactly once: rows, distinct ids, positions and seqs are %v, want %s each", got, want)
	}
	return nil
}

// cpu is the CPU time that this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
