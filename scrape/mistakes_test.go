package scrape_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/scrape"
)

func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		name, handler, params string
		want                  []string
	}{
		{"no mistake", "exec", `{"argv":["ls", 1],"env":{"A":true},"cpu":"10s","memory":"512MiB","grace":"1m","items":"stdout","own":{}}`, nil},
		{"memory in bytes", "exec", `{"argv":["ls"],"memory":1048576}`, nil},
		{"null is not there", "exec", `{"argv":["ls"],"dir":null,"memory":null}`, nil},
		{"another's handler", "mine", `[]`, nil},
		{"nothing", "exec", ``, []string{`argv: is required (name the program and its arguments, as in ["python3", "shop.py"])`}},
		{"no object", "exec", `[1]`, []string{"params are no object (write key: value)", `argv: is required (name the program and its arguments, as in ["python3", "shop.py"])`}},
		{"argv is a text", "exec", `{"argv":"ls -l"}`, []string{`argv: "ls …" is not what it takes (write a list, as in ["curl", "-s"])`}},
		{"a word is none", "exec", `{"argv":["ls",["-l"],null]}`, []string{`argv[1]: ["***"] is no text (write a text)`, `argv[2]: null is no text (write a text)`}},
		{"an empty name", "exec", `{"argv":[""]}`, []string{"argv[0]: is empty (name the program)"}},
		{"all at once", "exec", `{"argv":["a"],"env":{"A=":"1","B":{}},"cpu":10,"memory":"lots","grace":"-1s","items":"stderr"}`, []string{
			`env.B: {} is no text (write a text)`,
			`grace: "-1s" is no duration above 0 (write it with its unit, as in "10s")`,
			`cpu: 10 is not what it takes (write it with its unit, as in "10s")`,
			`memory: "lots" is no size above 0 (write bytes, or "512MiB")`,
			`env.A=: "A=" is no name of a variable`,
			`items: "stderr" is no place to take items from (write stdout, or leave it out)`,
		}},
		{"near misses", "exec", `{"argv":["a"],"item":"stdout","arg":1}`, []string{"item: is no key of exec (did you mean items?)"}},
		{"near miss of what is required", "exec", `{"command":["a"]}`, []string{
			`argv: is required (name the program and its arguments, as in ["python3", "shop.py"])`,
			"command: is no key of exec (did you mean argv?)",
		}},
		{"http", "http", `{"url":"https://example.org/","method":"get","expect_status":[200],"max_bytes":10,"headers":{"A":"b"},"body":"x"}`, nil},
		{"http's mistakes", "http", `{"url":"example.org","method":"G T","expect_status":[2],"urls":[]}`, []string{
			`url: "example.org" is no http or https URL (write it whole, as in https://example.org/)`,
			`method: "G T" is no method (write GET, POST or the like)`,
			`expect_status[0]: 2 is no status`,
			`urls: is no key of this handler (want one of url, method, headers, body, expect_status, max_bytes)`,
		}},
		{"check", "check", `{"monitor":"shop"}`, nil},
		{"check's mistakes", "check", `{"monitors":[]}`, []string{
			"monitor: is required (name the id of a monitor)", "monitors: is no key of this handler (want one of monitor)",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, m := range scrape.Mistakes(c.handler, vedette.Raw(c.params)) {
				got = append(got, m.String())
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzMistakes(f *testing.F) {
	f.Add("exec", `{"argv":["a"],"memory":"9999999999GiB","cpu":"1ns"}`)
	f.Add("http", `{"url":"http://a","max_bytes":"1 kB"}`)
	f.Fuzz(func(t *testing.T, handler, params string) {
		for _, m := range scrape.Mistakes(handler, vedette.Raw(params)) {
			if m.Text == "" {
				t.Errorf("a mistake that says nothing: %+v", m)
			}
		}
	})
}
