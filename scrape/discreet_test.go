package scrape_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/scrape"
)

func TestMistakesQuoteNoSecrets(t *testing.T) {
	for raw, want := range map[string]string{
		`{"argv":"curl -u me:hunter2"}`:                          `argv: "curl …" is not`,
		`{"argv":"TOKEN=hunter2 curl"}`:                          `argv: "TOKEN=*** …" is not`,
		`{"argv":["curl",{"token": "hunter2", "n": 7734}]}`:      `argv[1]: {"token": "***", "n": ***} is no text`,
		`{"argv":["a"],"env":["TOKEN=hunter2"]}`:                 `env: ["***"] is not`,
		`{"argv":["a"],"env":{"TOKEN=hunter2":"x"}}`:             `env.TOKEN=***: "TOKEN=***" is no name`,
		`{"argv":["a"],"env":{"TOKEN=hunter2":{}}}`:              `env.TOKEN=***: {} is no text`,
		`{"argv":["a"],"env":{"A":["say \"hunter2", ""]}}`:       `env.A: ["***", ""] is no text`,
		`{"url":"https://me:hunter2@a b/"}`:                      `url: "https://me:***@a b/" is no http`,
		`{"url":"https://hunter2@a b/"}`:                         `url: "https://***@a b/" is no http`,
		`{"url":"https://me:x?hunter2@a/"}`:                      `url: "https://me:***@a/" is no http`,
		`{"url":"https://a b/?x:hunter2@"}`:                      `url: "https://***@" is no http`,
		`{"url":"example.org/?page=7734&token=hunter2&hunter2"}`: `url: "example.org/?page=***&token=***&***" is no http`,
		`{"url":"ftp://a/?hunter2#hunter2"}`:                     `url: "ftp://a/?***#***" is no http`,
		`{"url":["https://a/?token=hunter2"]}`:                   `url: ["***"] is not`,
		`{"url":"https://a/","body":{"token":"hunter2"}}`:        `body: {"token":"***"} is not`,
		`{"url":"https://a/","headers":"Cookie: hunter2"}`:       `headers: "***" is not`,
	} {
		handler := "http"
		if strings.Contains(raw, "argv") {
			handler = "exec"
		}
		wrong := scrape.Mistakes(handler, vedette.Raw(raw))
		if got := wrong.Error(); !strings.HasPrefix(got, want) || strings.Contains(got, "hunter2") || strings.Contains(got, "7734") {
			t.Errorf("%s: got %s, want %s", raw, got, want)
		}
	}
}

func TestErrorsOfRunsQuoteNoSecrets(t *testing.T) {
	to := ""
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusFound)
	}))
	defer site.Close()
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	secret := strings.Replace(away.URL, "//", "//me:hunter2@", 1) + "/prices?token=hunter2#hunter2"
	shown := strings.Replace(away.URL, "//", "//me:***@", 1) + "/prices?token=***"
	for name, c := range map[string]struct {
		handler vedette.Handler
		params  map[string]any
		to      string
		want    string
	}{
		"nobody listens":       {scrape.HTTP(nil), map[string]any{"url": secret}, "", `"` + shown},
		"nor where it is led":  {scrape.HTTP(nil), map[string]any{"url": site.URL}, secret, `"` + shown},
		"it is led nowhere":    {scrape.HTTP(nil), map[string]any{"url": site.URL}, "http://[/?token=hunter2", `parse "http://[/?token=***"`},
		"nor beside":           {scrape.HTTP(nil), map[string]any{"url": site.URL}, "/%zz?token=hunter2", `parse "/%zz?token=***"`},
		"it may not go there":  {scrape.HTTP(nil), map[string]any{"url": "http://169.254.169.254/?token=hunter2"}, "", `"http://169.254.169.254/?token=***"`},
		"a line for a shell":   {scrape.Exec(scrape.ExecOptions{}), map[string]any{"argv": []string{"nonexistent --token hunter2"}}, "", "begin nonexistent … (argv is a list"},
		"one with a directory": {scrape.Exec(scrape.ExecOptions{}), map[string]any{"argv": []string{"/nonexistent/a --token hunter2"}}, "", "begin /nonexistent/a …"},
	} {
		to = c.to
		raw, err := json.Marshal(c.params)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.handler.Run(t.Context(), &vedette.Task{Job: vedette.Job{Params: raw}})
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}

func TestDiscreetErrorsAreWhatTheyWere(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	raw := vedette.Raw(`{"url":"http://127.0.0.1:1/"}`)
	if _, err := scrape.HTTP(nil).Run(ctx, &vedette.Task{Job: vedette.Job{Params: raw}}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
