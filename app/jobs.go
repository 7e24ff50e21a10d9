package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/hold"
	"github.com/vedettehq/vedette/manifest"
	"github.com/vedettehq/vedette/schedule"
	"github.com/vedettehq/vedette/worker"
)

// Handle makes a handler known by a name, for scrapers of the file and those made by
// [App.Scrape]. It may take the place of a built-in one, which are exec, http and check. It is
// called before the app runs: a file whose scrapers name handlers that nobody made known is
// refused, by Run of those with the role work.
func (a *App) Handle(name string, h vedette.Handler) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.handlers == nil {
		a.handlers = make(map[string]vedette.Handler)
	}
	a.handlers[name] = h
}

// Scrape adds scrapers, or replaces those of the same ID, whatever their Version. Those that a
// file owns cannot be replaced (ErrReadOnly). The mistakes of all of them come at once, as
// [vedette.Mistakes], those in the params of built-in handlers too.
func (a *App) Scrape(ctx context.Context, scrapers ...vedette.Scraper) error {
	wrong := checkScrapers(scrapers...)
	own := a.names()
	for _, s := range scrapers {
		if !slices.Contains(own, s.Job.Handler) {
			wrong = append(wrong, of(s, "params", manifest.ParamMistakes(s.Job.Handler, s.Job.Params))...)
		}
	}
	if err := wrong.Err(); err != nil {
		return err
	}
	a.definitions.Lock()
	defer a.definitions.Unlock()
	return a.store.scraperShelf().set(ctx, scrapers...)
}

// checkScrapers returns what is wrong with scrapers, after filling in what names follow from.
func checkScrapers(scrapers ...vedette.Scraper) (wrong vedette.Mistakes) {
	for i := range scrapers {
		s := &scrapers[i]
		if s.Name == "" {
			s.Name = string(s.ID)
		}
		_, err := schedule.Compile(*s)
		own, _ := errors.AsType[vedette.Mistakes](err) // which is what Compile returns
		wrong = append(wrong, of(*s, "", own)...)
	}
	return wrong
}

// of says which scraper, and which key of it, mistakes are in.
func of(s vedette.Scraper, key string, wrong vedette.Mistakes) vedette.Mistakes {
	for i := range wrong {
		path := wrong[i].Path
		if key != "" {
			path = strings.TrimSuffix(key+"."+path, ".")
		}
		wrong[i].Path = s.Name + ": " + path
	}
	return wrong
}

// names returns the handlers that Handle made known.
func (a *App) names() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(maps.Keys(a.handlers))
}

// memberPrefix begins the names of the leases by which processes of a role know each other:
// member/ROLE/OWNER. They lie beside the jobs.
const memberPrefix = "member/"

// jobParts makes what decides on jobs and does them, each of which may use those before it.
func (a *App) jobParts(sink vedette.Sink) ([]vedette.Part, error) {
	var parts []vedette.Part
	var members []string
	for _, role := range []string{"work", "schedule"} {
		if a.has(role) {
			members = append(members, memberPrefix+role+"/"+a.owner)
		}
	}
	if len(members) == 0 {
		return nil, nil
	}
	member, err := hold.New(hold.Config{Leaser: a.ready.leaser(a.store.queue.leases), Owner: a.owner, Names: members}) // those who do the work say what is wrong
	if err != nil {
		return nil, err
	}
	parts = append(parts, member)
	if a.has("work") {
		w, err := a.newWorker(sink)
		if err != nil {
			return nil, err
		}
		parts = append(parts, w)
	}
	if a.has("schedule") {
		l, err := a.newLeader()
		if err != nil {
			return nil, err
		}
		parts = append(parts, l, vedette.PartFunc(a.gauges(l)))
	}
	return parts, nil
}

func (a *App) newLeader() (*schedule.Leader, error) {
	q := a.store.queue
	return schedule.New(schedule.Config{
		Owner: a.owner, Leases: q.leases, Scrapers: a.store.scrapers,
		Schedules: q.schedules, Jobs: q.jobs, Queue: q.work,
		Log: a.cfg.Log.With("part", "schedule"),
	})
}

func (a *App) newWorker(sink vedette.Sink) (*worker.Worker, error) {
	q := a.store.queue
	cfg := worker.Config{
		Queue: q.work, Feed: q.feed, KV: a.store.kv, Handlers: a.allHandlers(sink), Owner: a.owner, Grace: a.cfg.Grace,
		Log: a.cfg.Log, Meter: a.metrics.Jobs(),
	}
	if f := a.file.Load(); f != nil {
		cfg.Concurrency, cfg.Strict = f.Worker.Concurrency, f.Worker.Strict
		for _, s := range f.Worker.Queues {
			cfg.Queues = append(cfg.Queues, worker.Share{Queue: s.Queue, Weight: s.Weight, Concurrency: s.Concurrency})
		}
	}
	w, err := worker.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	return w, nil
}

// allHandlers returns the built-in handlers, and those that Handle made known.
func (a *App) allHandlers(sink vedette.Sink) map[string]vedette.Handler {
	all := a.builtins(sink)
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.Copy(all, a.handlers)
	return all
}
