package scrape_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/egress"
	"github.com/vedettehq/vedette/scrape"
)

func TestHTTPIsNotLedWhereItMustNotGo(t *testing.T) {
	var to string
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, to, http.StatusFound)
	}))
	defer site.Close()
	for _, to = range []string{
		"http://169.254.169.254/latest/meta-data/", "http://[::ffff:169.254.169.254]/", "http://metadata.google.internal./", "http://0.0.0.0/",
	} {
		for _, url := range []string{to, site.URL} {
			_, err := fetch(t, nil, map[string]any{"url": url, "method": "POST", "body": "x"})
			if _, ok := errors.AsType[*egress.ForbiddenError](err); !ok || !errors.Is(err, vedette.ErrPermanent) {
				t.Errorf("%s, then %s: %v, want it forbidden for good", url, to, err)
			}
		}
	}
}

func TestClientLooksAtTheAddressesOfNames(t *testing.T) {
	site := httptest.NewServer(http.NotFoundHandler())
	defer site.Close()
	url := strings.Replace(site.URL, "127.0.0.1", "localhost", 1)
	c := scrape.Client(egress.Metadata().Plus(netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")))
	if _, err := fetch(t, c, map[string]any{"url": url}); !errors.Is(err, vedette.ErrPermanent) || !strings.Contains(err.Error(), "forbidden network") {
		t.Errorf("error %v", err)
	}
	if _, err := fetch(t, nil, map[string]any{"url": url, "expect_status": []int{404}}); err != nil {
		t.Errorf("allowed by default: %v", err)
	}
}

// A proxy would resolve the name, and we would not see to what.
func TestProxyIsNotAskedForWhatMustNotBeReached(t *testing.T) {
	asked := 0
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer proxy.Close()
	t.Setenv("HTTP_PROXY", proxy.URL)
	for _, url := range []string{"http://169.254.169.254/", "http://metadata/"} {
		if _, err := fetch(t, nil, map[string]any{"url": url}); !errors.Is(err, vedette.ErrPermanent) || asked > 0 {
			t.Errorf("%s: %v, and the proxy was asked %d times", url, err, asked)
		}
	}
}
