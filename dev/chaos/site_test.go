//go:build unix

package chaos

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

// A web answers for all sites, some of them badly, and takes down who came when.
type web struct {
	server *httptest.Server
	began  time.Time

	mu       sync.Mutex
	calm     bool // nobody fails any more
	arrivals map[vedette.MonitorID][]time.Time
}

func newWeb(t *testing.T) *web {
	w := &web{began: time.Now(), arrivals: make(map[vedette.MonitorID][]time.Time)}
	w.server = httptest.NewServer(w)
	t.Cleanup(w.server.Close)
	return w
}

// ServeHTTP answers /ID. A third of the sites fail for 5 s of every 15, each at times of its own.
func (w *web) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	id := vedette.MonitorID(r.URL.Path[1:])
	now := time.Now()
	w.mu.Lock()
	w.arrivals[id] = append(w.arrivals[id], now)
	calm := w.calm
	w.mu.Unlock()
	h := id.Hash() >> 32
	if !calm && h%3 == 0 && (now.Sub(w.began)+time.Duration(h%15_000)*time.Millisecond)%(15*time.Second) < 5*time.Second {
		http.Error(out, "over capacity", http.StatusServiceUnavailable)
		return
	}
	_, _ = fmt.Fprintln(out, "ok")
}

func (w *web) relax() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calm = true
}

func (w *web) came() map[vedette.MonitorID][]time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.arrivals
}
