package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/manifest"
	"github.com/vedettehq/vedette/record"
)

// Handler answers /metrics, /healthz, /readyz and POST /-/reload, to be mounted at the root.
func (a *App) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", a.metrics.Handler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", a.handleReady)
	mux.HandleFunc("POST /-/reload", a.handleReload)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		say(w, http.StatusOK, "Vedette "+a.cfg.Version+"\n\n/metrics\n/healthz\n/readyz\nPOST /-/reload\n")
	})
	return mux
}

func say(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text)) // who asked may be gone
}

// handleReload reads the file again. A browser sends the cross-site kind of request that
// this must not answer with an Origin of its own.
func (a *App) handleReload(w http.ResponseWriter, r *http.Request) {
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		say(w, http.StatusForbidden, err.Error()+"\n")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	err := a.Reload(ctx)
	var mistakes manifest.Errors
	switch {
	case err == nil:
		say(w, http.StatusOK, "reloaded\n")
	case errors.Is(err, ErrNoFile):
		say(w, http.StatusNotFound, err.Error()+"\n")
	case errors.As(err, &mistakes):
		say(w, http.StatusBadRequest, "the file is refused, the old one stays in force:\n"+err.Error()+"\n")
	default:
		say(w, http.StatusServiceUnavailable, err.Error()+"\n")
	}
}

// A readiness is what /readyz tells, a line for each thing that we depend on.
type readiness struct {
	applied atomic.Bool            // the definitions are in the store
	refused atomic.Pointer[error]  // why the file as it is now is refused
	failed  atomic.Pointer[string] // why results cannot be kept at the moment
	queue   atomic.Pointer[away]   // that the queue cannot be reached, by those who schedule and work
}

func (a *App) handleReady(w http.ResponseWriter, _ *http.Request) {
	code, text := http.StatusOK, ""
	line := func(what, bad string) {
		if bad == "" {
			text += what + ": ok\n"
			return
		}
		text += what + ": " + bad + "\n"
		code = http.StatusServiceUnavailable
	}
	definitions := ""
	if !a.ready.applied.Load() {
		definitions = "not applied yet"
	}
	line("definitions", definitions)
	failed := ""
	if f := a.ready.failed.Load(); f != nil {
		failed = *f
	}
	line("store", failed)
	if a.has("schedule") || a.has("work") {
		line("queue", a.ready.queue.Load().String())
	}
	if s := a.reading.Load(); s != nil {
		line("stream", streamLine(s))
	}
	if a.spool != nil {
		waits, full := a.spoolLine()
		if line("spool", full); full == "" && waits != "" {
			text = strings.TrimSuffix(text, "ok\n") + waits + "\n"
		}
	}
	if refused := a.ready.refused.Load(); refused != nil {
		// The old file is in force: that is no reason to take us out of service.
		text += "configuration: refused, the old one stays in force: " + (*refused).Error() + "\n"
	} else {
		text += "configuration: ok\n"
	}
	say(w, code, text)
}

// streamLine says why what lies in Kafka is not recorded here.
func streamLine(s *record.Stream) string {
	since, err := s.Trouble()
	if err == nil {
		return ""
	}
	return fmt.Sprintf("not recorded since %s: %v", since.UTC().Format(time.RFC3339), err)
}

// spoolLine says what waits on disk, and what is wrong if the spool is full.
func (a *App) spoolLine() (waits, full string) {
	st := a.spool.State()
	if st.Records == 0 && st.Full.IsZero() {
		return "", ""
	}
	waits = fmt.Sprintf("%d results wait on disk since %s: %v", st.Records, st.Since.UTC().Format(time.RFC3339), st.Err)
	if !st.Full.IsZero() {
		return "", fmt.Sprintf("full since %s, %s", st.Full.UTC().Format(time.RFC3339), waits)
	}
	return waits, ""
}

// sink notes whether results can be kept.
func (r *readiness) sink(s vedette.Sink) vedette.Sink { return notingSink{s, r} }

type notingSink struct {
	vedette.Sink
	ready *readiness
}

func (s notingSink) Send(ctx context.Context, f vedette.Found) error {
	err := s.Sink.Send(ctx, f)
	switch {
	case err == nil:
		s.ready.failed.Store(nil)
	case ctx.Err() == nil:
		text := fmt.Sprintf("results wait to be written: %v", err)
		s.ready.failed.Store(&text)
	}
	return err
}
