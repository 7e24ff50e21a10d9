package app

import (
	"context"
	"errors"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/codec"
	"github.com/vedettehq/vedette/scrape"
)

// errNowhere is what a look meets that nobody could place; another worker may know where it is.
var errNowhere = errors.New("this worker has none of the regions, so that its looks would not count: give it one with --region")

// builtins returns the handlers that every program has. A look that a job makes goes where those
// of the watch go; without a sink there is none.
func (a *App) builtins(sink vedette.Sink) map[string]vedette.Handler {
	all := map[string]vedette.Handler{
		"exec": scrape.Exec(scrape.ExecOptions{Jobs: a.store.queue.jobs}),
		"http": scrape.HTTP(nil),
	}
	switch f := a.file.Load(); {
	case sink == nil:
	case f != nil && len(f.Regions) > 0 && a.cfg.Region == "":
		all["check"] = vedette.HandlerFunc(func(context.Context, *vedette.Task) (string, error) {
			return "", errNowhere
		})
	default:
		all["check"] = scrape.Check(a.store.monitors, a.checker, a.metrics.Sink(sink), scrape.CheckOptions{
			Reader: a.store.reader, Region: a.cfg.Region,
		})
	}
	return all
}

// straight returns where a process that does not watch sends what its jobs saw: no spool waits for
// what is away, since a job that cannot be done is tried again.
func (a *App) straight() vedette.Sink {
	switch {
	case !a.store.keepsResults():
		return nil
	case a.stream != nil:
		return codec.NewSink(a.stream.publisher, a.stream.topic, a.stream.codec)
	}
	return a.record
}
