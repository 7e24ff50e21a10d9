package scrape_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/scrape"
)

func fetch(t *testing.T, c *http.Client, params map[string]any) (string, error) {
	t.Helper()
	raw, err := json.Marshal(params)
	if err != nil {
		t.Fatal(err)
	}
	return scrape.HTTP(c).Run(t.Context(), &vedette.Task{Job: vedette.Job{Params: raw}})
}

func TestHTTPStoresTheStatus(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || string(body) != "hello" || r.Header.Get("X-Key") != "1" || r.Host != "shop.example" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		fmt.Fprint(w, strings.Repeat("x", 5120))
	}))
	defer site.Close()
	params := map[string]any{
		"url": site.URL, "method": "post", "body": "hello", "headers": map[string]any{"X-Key": 1, "Host": "shop.example"},
	}
	result, err := fetch(t, nil, params)
	if err != nil || !regexp.MustCompile(`^200 OK, 5120 bytes in \d+m?s$`).MatchString(result) {
		t.Errorf("%q, %v", result, err)
	}
	params["max_bytes"] = "1KiB"
	if result, err := fetch(t, site.Client(), params); err != nil || !strings.HasPrefix(result, "200 OK, more than 1024 bytes in ") {
		t.Errorf("%q, %v", result, err)
	}
}

func TestHTTPFailsOnOtherStatuses(t *testing.T) {
	var status int
	var header http.Header
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		maps.Copy(w.Header(), header)
		w.WriteHeader(status)
	}))
	defer site.Close()
	date := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	for name, c := range map[string]struct {
		status int
		header http.Header
		expect []int
		want   string // of the error
		after  time.Duration
	}{
		"a redirect that leads nowhere is well":      {304, nil, nil, "", 0},
		"404 is not":                                 {404, nil, nil, "404 Not Found, 0 bytes in ", 0},
		"unless it is expected":                      {404, nil, []int{200, 404}, "", 0},
		"and then others are not":                    {201, nil, []int{200, 404}, "want status 200 404", 0},
		"429 is tried again when it says":            {429, http.Header{"Retry-After": {"120"}}, nil, "429 Too Many Requests", 2 * time.Minute},
		"but within an hour":                         {429, http.Header{"Retry-After": {"86400"}}, nil, "429", time.Hour},
		"503 by a date of the server's clock":        {503, http.Header{"Date": {date(-time.Hour)}, "Retry-After": {date(10*time.Minute - time.Hour)}}, nil, "503", 10 * time.Minute},
		"a date that is past is none":                {503, http.Header{"Retry-After": {date(-time.Minute)}}, nil, "503", 0},
		"a Retry-After of another status is nothing": {500, http.Header{"Retry-After": {"120"}}, nil, "500", 0},
	} {
		t.Run(name, func(t *testing.T) {
			status, header = c.status, c.header
			params := map[string]any{"url": site.URL}
			if c.expect != nil {
				params["expect_status"] = c.expect
			}
			_, err := fetch(t, nil, params)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want %q", err, c.want)
			}
			again, ok := errors.AsType[*vedette.RetryError](err)
			if ok != (c.after > 0) || ok && again.After != c.after {
				t.Errorf("tried again %+v, want after %v", again, c.after)
			}
		})
	}
}

func TestHTTPEndsWithItsRun(t *testing.T) {
	began := make(chan struct{})
	site := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
	}))
	defer site.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-began
		cancel()
	}()
	raw, _ := json.Marshal(map[string]any{"url": site.URL})
	if _, err := scrape.HTTP(nil).Run(ctx, &vedette.Task{Job: vedette.Job{Params: raw}}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestHTTPSaysThatAResponseBreaksOff(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "half")
	}))
	defer site.Close()
	if _, err := fetch(t, nil, map[string]any{"url": site.URL}); err == nil || !strings.Contains(err.Error(), "breaks off after 4 bytes") {
		t.Errorf("error %v", err)
	}
}
