package manifest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/schedule"
)

// builtinHandlers are those that every program has.
func builtinHandlers() []string { return []string{"exec", "http", "check"} }

// scrapers makes the scrapers of the file.
func (d *decoder) scrapers(n *node) (made []vedette.Scraper, layers []layered) {
	if n == nil || n.kind == null {
		return nil, nil
	}
	if n.kind != list {
		d.add(n.at, "scrapers", fmt.Sprintf("want a list, not %s", n.kind), "begin each scraper with a dash")
	}
	first := map[vedette.ScraperID]int{}
	for i, item := range n.items {
		path := fmt.Sprintf("scrapers[%d]", i)
		if item.kind == null {
			d.add(item.at, path, emptyItem, "")
			continue
		}
		if item.kind != dict {
			d.add(item.at, path, fmt.Sprintf("want a map with name and handler, not %s", item.kind), "")
			continue
		}
		l := layered{own: item, stack: stack{item}, path: path}
		s := d.scraper(l)
		if k, taken := first[s.ID]; taken && s.ID != "" {
			d.taken(string(s.ID), made[k].Name, s.Name, layers[k], l)
		} else {
			first[s.ID] = len(made)
		}
		made, layers = append(made, s), append(layers, l)
	}
	return made, layers
}

// scraper makes one scraper.
func (d *decoder) scraper(l layered) vedette.Scraper {
	s := newScraper()
	d.value(l.own, reflect.ValueOf(&s).Elem(), l.path)
	for key, what := range map[string]string{"name": "give it one with name:", "handler": "say what does the work with handler:"} {
		if !l.own.has(key) {
			d.add(l.own.at, l.path, "the scraper has no "+key, what)
		}
	}
	if s.Retries.Times < 0 {
		d.add(l.at("retries"), join(l.path, "retries"), fmt.Sprintf("%d is less than 0", s.Retries.Times), "")
	}
	if s.Queue == "" || len(s.Queue) > 100 || strings.Trim(s.Queue, letters) != "" {
		d.add(l.at("queue"), join(l.path, "queue"), fmt.Sprintf("%q is no name of a queue", s.Queue), wantQueue)
	}
	return vedette.Scraper{
		ID:       vedette.ScraperID(d.id(s.ID, s.Group, s.Name, l)),
		Meta:     vedette.Meta{Name: s.Name, Group: s.Group, Labels: s.Labels, Paused: !s.Enabled, Origin: d.place(l.own.at)},
		Schedule: d.schedule(s.Schedule, l),
		Job:      d.job(s, l),
	}
}

const wantQueue = "use up to 100 letters, digits and - _ ."

// job returns what each run of a scraper starts from.
func (d *decoder) job(s scraper, l layered) vedette.Job {
	j := vedette.Job{
		Handler: s.Handler, Queue: s.Queue, Priority: int(s.Priority), Timeout: s.Timeout, Keep: s.Keep,
		MaxAttempts: max(s.Retries.Times, 0) + 1, LimitKey: s.LimitKey, Limit: s.Limit,
	}
	if s.Retries.Times > 0 {
		j.RetryAfter = s.Retries.After
	}
	if len(s.Params) > 0 {
		raw, err := json.Marshal(s.Params)
		if err != nil {
			d.add(l.at("params"), join(l.path, "params"), err.Error(), "")
		}
		j.Params = raw
	}
	if j.LimitKey != "" && !l.own.has("limit") {
		j.Limit = 1
	}
	if s.Rate != (rate{}) {
		j.RateKey, j.RateEvery, j.RateBurst = s.Rate.Key, s.Rate.Every, s.Rate.Burst
		if j.RateKey == "" {
			j.RateKey = "scraper/" + cmp.Or(s.ID, string(ID(s.Group, s.Name)))
		}
	}
	return j
}

// schedule reads the times of a schedule; the rest package schedule judges.
func (d *decoder) schedule(t timing, l layered) vedette.Schedule {
	loc, err := time.LoadLocation(t.Zone)
	if err != nil {
		loc = time.UTC // package schedule says so
	}
	read := func(key, text string) time.Time {
		at, ok := ParseTime(text, loc)
		if !ok && text != "" {
			d.add(l.at(key), join(l.path, key), fmt.Sprintf("%q is no time", text), "write it as 2026-03-01 22:00")
		}
		return at
	}
	s := vedette.Schedule{
		Every: t.Every, Cron: t.Cron, Zone: t.Zone, Overlap: vedette.Overlap(t.Overlap), CatchUp: t.CatchUp, Jitter: t.Jitter,
		PauseOnFailure: t.Pause, From: read("schedule.from", t.From), To: read("schedule.to", t.To),
	}
	for i, text := range t.At {
		s.At = append(s.At, read(fmt.Sprintf("schedule.at[%d]", i), text))
	}
	for _, c := range t.Calendar {
		s.Calendar = append(s.Calendar, vedette.Calendar(c))
	}
	return s
}

// tryScrapers tells what is wrong with scrapers that are well-formed, with the places in the files.
func (f *File) tryScrapers(opt Options) {
	f.report.unread = maps.Clone(f.report.wrong)
	for i, s := range f.Scrapers {
		l := f.scraping[i]
		var all vedette.Mistakes
		if s.ID == "" {
			s.ID = "unnamed" // which is told already
		}
		_, err := schedule.Compile(s)
		wrong, _ := errors.AsType[vedette.Mistakes](err) // which is what Compile returns
		for _, m := range wrong {
			m.Path = keyOf(m.Path)
			all = append(all, m)
		}
		all = append(all, opt.handlerMistakes(s)...)
		all = slices.DeleteFunc(all, func(m vedette.Mistake) bool { return m.Path == "handler" && s.Job.Handler == "" })
		if len(all) > 0 {
			f.report.checker(all, l, "")
		}
	}
}

// keyOf returns the key of the file for one of a scraper's JSON.
func keyOf(path string) string {
	path = strings.TrimPrefix(path, "job.")
	switch path {
	case "max_attempts":
		return "retries.times"
	case "retry_after":
		return "retries.after"
	case "rate_key", "rate_every", "rate_burst":
		return "rate." + strings.TrimPrefix(path, "rate_")
	}
	return path
}

// handlerMistakes tells a handler that does not exist, and what it will not take.
func (opt Options) handlerMistakes(s vedette.Scraper) vedette.Mistakes {
	known := slices.Concat(builtinHandlers(), opt.Handlers)
	name := s.Job.Handler
	if name != "" && !opt.AnyHandler && !slices.Contains(known, name) {
		fix := didYouMean(name, slices.Values(known))
		if fix == "" {
			fix = "want one of " + strings.Join(known, ", ") + ", or one that the program registers"
		}
		return vedette.Mistakes{{Path: "handler", Text: fmt.Sprintf("there is no handler %q", name), Fix: fix}}
	}
	if slices.Contains(opt.Handlers, name) {
		return nil // it may have taken the name of a built-in one
	}
	wrong := ParamMistakes(name, s.Job.Params)
	for i := range wrong {
		wrong[i].Path = join("params", wrong[i].Path)
	}
	return wrong
}
