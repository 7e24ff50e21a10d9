package app_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vedettehq/vedette/app"
)

// Nobody listens on port 1: a recorder has nothing to do, and says why.
func TestReadyzSaysThatTheStreamIsNotRecorded(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "vedette.yaml")
	write(t, file, "store: memory\nresults: kafka://127.0.0.1:1/results\nmonitors: [{name: a, url: \"tcp://127.0.0.1:1\"}]\n")
	a := newApp(t, app.Config{File: file, Roles: []string{"record"}})
	run(t, a)
	await(t, "the stream to fail", func() bool {
		code, text := get(t, a, "GET", "/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(text, "stream: not recorded since 2") &&
			strings.Contains(text, "connection refused")
	})
}
