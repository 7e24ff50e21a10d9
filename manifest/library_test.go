package manifest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/manifest"
)

func TestIDsAreMadeOfGroupAndName(t *testing.T) {
	for _, c := range []struct{ group, name, want string }{
		{"", "Home page", "home-page"},
		{"Web Shop", "Home  page!", "web-shop/home-page"},
		{"", "https://example.com/a?b=c", "https-example-com-a-b-c"},
		{"--", "a", "a"},
		{"shop", "A/B", "shop/a-b"},
		{"", "日本", ""},
	} {
		if got := manifest.ID(c.group, c.name); string(got) != c.want {
			t.Errorf("%q in %q is %q, want %q", c.name, c.group, got, c.want)
		}
	}
}

func TestDefaultsAreThoseOfAFile(t *testing.T) {
	got := parse(t, "monitors:\n- {name: a, url: 'tcp://a:1'}\n").Monitors[0]
	want := manifest.Defaults()
	want.ID, want.URL, want.Meta = got.ID, got.URL, got.Meta
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsEncodedIsReadBackAsTheSame(t *testing.T) {
	at := time.Date(2026, 3, 1, 22, 0, 0, 0, time.UTC)
	want := []vedette.Incident{{
		ID: vedette.NewID(at), Monitor: "shop/a", Opened: at, Seq: 7,
		Cause: vedette.Failure{
			Kind: vedette.KindContent, Message: "a: \"b\" # c\n- yes\t*é ${X}",
			Evidence: &vedette.Evidence{Header: map[string][]string{"X-Test": {"no", "1"}}, Body: "<p>\r\n 007 "},
		},
	}}
	var b bytes.Buffer
	if err := manifest.Encode(&b, want); err != nil {
		t.Fatal(err)
	}
	var value any
	if err := yaml.Unmarshal(b.Bytes(), &value); err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var got []vedette.Incident
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s\n%s", diff, b.String())
	}
}

func TestEncodedDurationsAreTexts(t *testing.T) {
	var b bytes.Buffer
	if err := manifest.Encode(&b, vedette.Spent{Up: 90 * time.Minute}); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "up: 1h30m0s\n"; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestEncodeTellsWhatWentWrong(t *testing.T) {
	if err := manifest.Encode(fullDisk{}, []int{1}); err == nil || err.Error() != "full" {
		t.Errorf("got %v", err)
	}
	if err := manifest.Encode(&bytes.Buffer{}, make(chan int)); err == nil {
		t.Error("a channel was encoded")
	}
}
