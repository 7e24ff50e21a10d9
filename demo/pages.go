package demo

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

// pages are the sites that misbehave within HTTP.
func (w *Web) pages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/slow", slow)
	mux.HandleFunc("/api", api)
	mux.Handle("/errors", status(http.StatusInternalServerError, "it broke"))
	mux.HandleFunc("/flapping", w.flap)
	mux.Handle("/content", status(http.StatusOK, "<h1>Error</h1> cannot reach the database"))
	mux.Handle("/loop", http.RedirectHandler("/loop/back", http.StatusFound))
	mux.Handle("/loop/back", http.RedirectHandler("/loop", http.StatusFound))
	mux.HandleFunc("/cut", cut)
	return mux
}

func hello() http.Handler { return status(http.StatusOK, "hello, sentry\n") }

func status(code int, text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, text)
	})
}

func slow(w http.ResponseWriter, r *http.Request) {
	select {
	case <-time.After(600 * time.Millisecond):
	case <-r.Context().Done():
	}
	_, _ = io.WriteString(w, "good things take time\n")
}

func api(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"service": "orders", "status": "ok", "queue": 5120}`)
}

func (w *Web) flap(rw http.ResponseWriter, r *http.Request) {
	if w.flapUp() {
		status(http.StatusOK, "up again\n").ServeHTTP(rw, r)
		return
	}
	status(http.StatusServiceUnavailable, "down again\n").ServeHTTP(rw, r)
}

// cut promises more than it sends.
func cut(w http.ResponseWriter, _ *http.Request) {
	c, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	_, _ = fmt.Fprintf(buf, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonce upon a")
	_ = buf.Flush()
}
