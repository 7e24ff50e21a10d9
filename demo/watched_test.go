package demo_test

import (
	"context"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/check"
	"github.com/vedettehq/vedette/demo"
	"github.com/vedettehq/vedette/manifest"
)

// TestCheckSeesWhatTheSitesPromise looks once at each site, as the manifest says, while the sites
// that go up and down are up, and while they are down.
func TestCheckSeesWhatTheSitesPromise(t *testing.T) {
	for name, age := range map[string]time.Duration{"up": 0, "down": 5 * time.Second} {
		t.Run(name, func(t *testing.T) { lookAtAll(t, age) })
	}
}

func lookAtAll(t *testing.T, age time.Duration) {
	web, err := demo.ServeAt(t.Context(), func() time.Duration { return age })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(web.Wait) // it takes the file of its authority away
	checker, err := check.New(check.Config{})
	if err != nil {
		t.Fatal(err)
	}
	file, err := manifest.Parse("vedette.yaml", web.Manifest("memory:", "127.0.0.1:0"), manifest.Options{Checker: checker})
	if err != nil {
		t.Fatal(err)
	}
	if len(file.Warnings) > 0 {
		t.Errorf("the manifest is warned about: %v", file.Warnings)
	}
	monitors := map[string]vedette.Monitor{}
	for _, m := range file.Monitors {
		monitors[m.Name] = m
	}
	for _, want := range web.Wanted() {
		t.Run(want.Name, func(t *testing.T) {
			t.Parallel()
			m, known := monitors[want.Name]
			if !known {
				t.Fatal("not in the manifest")
			}
			look, err := checker.Compile(m)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), m.Timeout)
			defer cancel()
			compare(t, want, look(ctx), age > 0)
		})
	}
}

func compare(t *testing.T, want demo.Want, r vedette.Result, down bool) {
	t.Helper()
	state, kind := want.States[0], want.Kind
	switch {
	case state == vedette.Maintenance: // a verdict, which no single look can give
		state = vedette.Down
	case len(want.States) == 2 && down:
		state = vedette.Down
	case len(want.States) == 2:
		kind = ""
	}
	var got vedette.Kind
	if r.Failure != nil {
		got = r.Failure.Kind
	}
	if r.State != state || got != kind && want.Muted == "" {
		t.Errorf("got %s, %q, %+v; want %s, %q", r.State, got, r.Failure, state, kind)
	}
}
