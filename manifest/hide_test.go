package manifest_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vedettehq/vedette/manifest"
)

// told returns what is said of a file with mistakes.
func told(t *testing.T, text string) string {
	t.Helper()
	_, err := manifest.Parse("a.yaml", []byte(text), manifest.Options{Checker: strict{}})
	var wrong manifest.Errors
	if !errors.As(err, &wrong) {
		t.Fatalf("got %v\n%s", err, text)
	}
	var b bytes.Buffer
	if err := wrong.Format(&b, false); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestLinesUnderMistakesHideSecrets(t *testing.T) {
	for name, text := range map[string]string{
		"plain":               "defaults: {request: {bearer: hunter2, reuse: maybe}}\n",
		"quoted":              "defaults: {request: {bearer: \"hun\\\"ter2\", body: 'it''s hunter2', reuse: maybe}}\n",
		"a header":            "defaults: {request: {headers: {X-Anything: hunter2}, reuse: maybe}}\n",
		"basic":               "defaults: {request: {basic_auth: {username: u, password: hunter2}, reuse: maybe}}\n",
		"over lines":          "defaults: {request: {body: \"a\n  hunter2\", reuse: maybe}}\n",
		"after a block":       "defaults: {bearer: &a !!str hunter2}\nx-a: &b |\n  hunter2\nstore: x\nx-b: {body: *b}\n",
		"tagged":              "defaults: {request: {bearer: !!str hunter2, reuse: maybe}}\n",
		"an anchor":           "x-a: &a hunter2\nstore: 'x'\nx-b: *b\ndefaults: {request: {bearer: *a}}\n",
		"a default":           "defaults: {request: {bearer: '${T:=hunter2}'}}\n",
		"an open variable":    "defaults: {request: {bearer: '${hunter2 '}}\n",
		"a proxy":             "defaults: {request: {proxy_url: 'http://u:hunter2@p:1', reuse: maybe}}\n",
		"a misspelled key":    "defaults: {request: {baerer: hunter2}}\n",
		"a key of others":     "defaults: {bearer_token: hunter2}\n",
		"a misspelled parent": "defaults: {requst: {headers: {A: hunter2}}}\n",
		"twice":               "defaults: {request: {headers: {A: x, A: hunter2}}}\n",
		"bearer twice":        "defaults: {request: {bearer: x, bearer: hunter2}}\n",
		"a list":              "defaults: {request: {bearer: [hunter2]}}\n",
		"a number":            "defaults: {request: {bearer: 0xhunter2, body: 1_hunter2, reuse: maybe}}\n",
		"a byte order mark":   "\ufeffdefaults: {request: {bearer: hunter2, reuse: maybe}}\n",
		"carriage returns":    "x-a: 1\r\ndefaults: {request: {bearer: hunter2, reuse: maybe}}\r\n",
		"after é":             "defaults: {region: é, request: {bearer: hunter2}}\n",
		"no YAML":             "defaults:\n  request: {bearer: \"hunter2}\n",
		"no YAML in a header": "defaults:\n  request: {headers: {X: hunter2}\nstore: a\n",
		"a URL":               "monitors:\n- {url: 'https://u:hunter2@h/'}\n",
		"a wrong URL":         "monitors:\n- {url: 'https://u:p@hunter2/x@h/'}\n",
	} {
		if got := told(t, text); strings.Contains(got, "hunter2") || strings.Contains(got, "ter2") {
			t.Errorf("%s:\n%s", name, got)
		}
	}
}

func TestHidingMovesNothing(t *testing.T) {
	got := told(t, `defaults: {request: {headers: {A: "é x", B: "${B}"}, bearer: {file: p}, reuse: maybe}}
monitors: [{url: "http://u:${P}@h/", name: é}]
`)
	want := `a.yaml:1:51: error: defaults.request.headers.B: environment variable B is not set: set it, or write ${B:-default}
    1 | defaults: {request: {headers: {A: "***", B: "${B}"}, bearer: {file: p}, reuse: maybe}}
      |                                             ^
`
	want = strings.Replace(want, "1:51", "1:45", 1)
	if !strings.HasPrefix(got, want) || !strings.Contains(got, `{url: "http://u:${P}@h/", name: é}`) {
		t.Error(cmp.Diff(want, got))
	}
}

func TestKeysThatHoldNoSecretAreShown(t *testing.T) {
	got := told(t, "monitors:\n- {name: a, url: 'https://h:80/@me', header: {A: shown}, json: {$.a: shown}, request: {method: shown, http: 3}}\n")
	if strings.Count(got, "shown") != 3 {
		t.Error(got)
	}
}
