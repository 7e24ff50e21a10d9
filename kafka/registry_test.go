package kafka_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/kafka"
)

const schema = `{"type":"record","name":"r","fields":[{"name":"a","type":"int"}]}`

// registry serves a fake one behind a login, whose first answers fail.
func registry(t *testing.T, failures int32) string {
	t.Helper()
	fake := srfake.New()
	t.Cleanup(fake.Close)
	var failed atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		switch {
		case failed.Add(1) <= failures:
			w.WriteHeader(http.StatusServiceUnavailable)
		case user != "ann" || password != "secret":
			w.WriteHeader(http.StatusUnauthorized)
		default:
			fake.Handler().ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "http://", "http://ann:secret@", 1)
}

func TestRegistryKeepsSchemas(t *testing.T) {
	r, err := kafka.NewRegistry(registry(t, 2), nil)
	if err != nil {
		t.Fatal(err)
	}
	id, err := r.Register(t.Context(), "results-value", schema)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := r.Register(t.Context(), "results-value", schema); again != id || err != nil {
		t.Errorf("registered again: %d, %v; want %d", again, err, id)
	}
	if got, err := r.Schema(t.Context(), id); got != schema || err != nil {
		t.Errorf("schema %d: %s, %v; want what was registered", id, got, err)
	}
	if _, err := r.Schema(t.Context(), id+100); !errors.Is(err, vedette.ErrNotFound) {
		t.Errorf("a schema that nobody registered: %v, want ErrNotFound", err)
	}
}

func TestRegistryTellsWhatIsNotThereFromWhatFails(t *testing.T) {
	var answer string
	var code int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.schemaregistry.v1+json")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	r, err := kafka.NewRegistry(server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		code   int
		answer string
		gone   bool
	}{
		{404, `{"error_code":40403,"message":"Schema not found"}`, true},
		{400, `{"error_code":400,"message":"no such number"}`, true},
		{422, `{"error_code":42201,"message":"no such number"}`, true},
		{200, `{"schemaType":"JSON","schema":"{}"}`, true},
		{401, `{"error_code":40101,"message":"who are you"}`, false},
		{403, `{"error_code":40301,"message":"not you"}`, false},
	} {
		code, answer = c.code, c.answer
		if _, err := r.Schema(t.Context(), 7); err == nil || errors.Is(err, vedette.ErrNotFound) != c.gone {
			t.Errorf("%d %s: got %v, want ErrNotFound to be %v", c.code, c.answer, err, c.gone)
		}
	}
}

func TestRegistryGivesUp(t *testing.T) {
	url := registry(t, 100)
	r, err := kafka.NewRegistry(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Schema(t.Context(), 1); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v, want an error without the password", err)
	}
}

func TestRegistryURL(t *testing.T) {
	for _, url := range []string{"", "registry:8081", "ftp://a:secret@b", "http://a:secret@", "http://a:secret%zz@b"} {
		if _, err := kafka.NewRegistry(url, nil); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v, want an error without the password", url, err)
		}
	}
}
