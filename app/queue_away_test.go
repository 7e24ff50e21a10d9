package app

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
)

// A remote is a leaser that may be out of reach.
type remote struct {
	vedette.Leaser
	err error
}

func (r *remote) Acquire(ctx context.Context, owner string, ttl time.Duration, names ...string) ([]vedette.Lease, error) {
	if r.err != nil {
		return nil, r.err
	}
	return r.Leaser.Acquire(ctx, owner, ttl, names...)
}

func TestReadyTellsWhenTheQueueIsAway(t *testing.T) {
	a := &App{cfg: Config{Roles: []string{"work"}}}
	a.ready.applied.Store(true)
	server := &remote{Leaser: memory.New().Leases()}
	leases := a.ready.leaser(server)
	for _, step := range []struct {
		err  error
		code int
		want string
	}{
		{nil, http.StatusOK, "queue: ok\n"},
		{errors.New("no route"), http.StatusServiceUnavailable, "Z: no route\n"},
		{errors.New("still no route"), http.StatusServiceUnavailable, "Z: no route\n"},
		{nil, http.StatusOK, "queue: ok\n"},
	} {
		server.err = step.err
		_, _ = leases.Acquire(t.Context(), "me", time.Minute, "member/work/me") // its error is what is told
		w := httptest.NewRecorder()
		a.handleReady(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		if w.Code != step.code || !strings.Contains(w.Body.String(), step.want) {
			t.Errorf("with %v: %d %s", step.err, w.Code, w.Body)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	server.err = context.Canceled
	_, _ = leases.Acquire(gone, "me", time.Minute, "member/work/me")
	if told := a.ready.queue.Load().String(); told != "" {
		t.Errorf("a stop is no trouble: %s", told)
	}
}

func TestReadyIsSilentAboutAQueueThatNobodyHereAsks(t *testing.T) {
	a := &App{cfg: Config{Roles: []string{"api"}}}
	w := httptest.NewRecorder()
	a.handleReady(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	if strings.Contains(w.Body.String(), "queue") {
		t.Error(w.Body)
	}
}
