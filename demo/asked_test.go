package demo_test

import (
	"strings"
	"testing"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/check"
	"github.com/vedettehq/vedette/demo"
)

// A failure to resolve names the server that was asked, not the system's.
func TestUnresolvedNameSaysWhoWasAsked(t *testing.T) {
	web, err := demo.Serve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(web.Wait)
	r, err := check.Look(t.Context(), vedette.Monitor{
		URL: web.URL("nowhere"), Probe: vedette.Raw(`{"resolver": "` + web.Resolver + `"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Failure == nil || r.Failure.Kind != vedette.KindDNS || !strings.Contains(r.Failure.Message, web.Resolver) {
		t.Errorf("failure %+v, want one that names %s", r.Failure, web.Resolver)
	}
}
