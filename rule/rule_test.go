package rule_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vedettehq/vedette/rule"
)

type phases struct {
	DNS time.Duration `expr:"dns"`
	TLS time.Duration `expr:"tls"`
}

type cert struct {
	Days float64 `expr:"days"`
}

type facts struct {
	rule.Meter
	Status int                       `expr:"status"`
	Total  time.Duration             `expr:"total"`
	Phases phases                    `expr:"phases"`
	Body   string                    `expr:"body"`
	Names  []string                  `expr:"names"`
	Labels map[string]string         `expr:"labels"`
	Cert   cert                      `expr:"cert"`
	Ends   time.Time                 `expr:"ends"`
	JSON   func(string) (any, error) `expr:"json"`
}

var errPath = errors.New("no such path")

func sample() *facts {
	return &facts{
		Status: 200, Total: 3210 * time.Millisecond, Phases: phases{time.Millisecond, 2 * time.Millisecond},
		Body: "Example Domain", Names: []string{"a", "b"}, Labels: map[string]string{"team": "web"},
		Ends: time.Now().Add(100 * time.Hour),
		JSON: func(path string) (any, error) {
			switch path {
			case "$.q":
				return int64(5120), nil
			case "$.list":
				return []any{map[string]any{"ok": true}, map[string]any{"ok": false}}, nil
			}
			return nil, errPath
		},
	}
}

func lang() *rule.Lang {
	return rule.New(rule.Config{
		Facts:     &facts{},
		Elsewhere: map[string]string{"cert": "https and tls"},
		Args: map[string]func(string) error{"json": func(path string) error {
			if !strings.HasPrefix(path, "$") {
				return fmt.Errorf("path %q does not begin with $", path)
			}
			return nil
		}},
	})
}

func TestExpressionsHold(t *testing.T) {
	l := lang()
	for src, want := range map[string]bool{
		`status == 200`:                                           true,
		`status in 200..299`:                                      true,
		`status in [201, 202]`:                                    false,
		`total < "2s"`:                                            false,
		`total < "1m"`:                                            true,
		`"2s" > total`:                                            false,
		`total < "1d"`:                                            true,
		`total < duration("1w")`:                                  true,
		`total - phases.dns < "1s"`:                               false,
		`max(phases.dns, phases.tls) < "5ms"`:                     true,
		`min(phases.dns, phases.tls) == "1ms"`:                    true,
		`max([1, 5, 3]) == 5`:                                     true,
		`body contains "Domain" and body matches "^Exa"`:          true,
		`not (lower(body) startsWith "x") or false`:               true,
		`len(body) == 14`:                                         true,
		`json("$.q") < 1000`:                                      false,
		`json("$.q") == 5120`:                                     true,
		`count(json("$.list"), .ok) == 1`:                         true,
		`all(json("$.list"), .ok)`:                                false,
		`any(names, # == "b")`:                                    true,
		`labels.team == "web"`:                                    true,
		`(labels["none"] ?? "x") == ""`:                           true,
		`ends - now() > "3d"`:                                     true,
		`status == 200 ? total > "1s" : false`:                    true,
		`let s = status; s > 100 and s < 300`:                     true,
		`len(filter(map(names, upper(#)), # != "A")) == 1`:        true,
		`none(names, # == "c")`:                                   true,
		`float("1.5") > 1 and int("3") == 3 and string(1) == "1"`: true,
	} {
		r, err := l.Compile(src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if got, err := r.Eval(sample()); got != want || err != nil {
			t.Errorf("%s = %v, %v; want %v", src, got, err, want)
		}
	}
}

func TestMistakesTeach(t *testing.T) {
	l := lang()
	for _, c := range []struct {
		src    string
		offset int
		want   string
	}{
		{``, 0, "the expression is empty"},
		{`total < 2`, 8, `total is a duration, 2 is a bare number (did you mean "2s" or "2ms"?)`},
		{`2.5 > total`, 0, `total is a duration, 2.5 is a bare number (did you mean "2.5s" or "2.5ms"?)`},
		{`total < status`, 8, `total is a duration, status is a number`},
		{`total < "2 parsecs"`, 8, `parsecs`},
		{`total < duration("2")`, 17, `2s`},
		{`stauts == 200`, 0, "unknown name stauts (did you mean status?)"},
		{`"é" == body and stauts == 200`, 17, "unknown name stauts"},
		{`phases.dsn < "1s"`, 7, "there is no dsn (did you mean dns?)"},
		{`cert.days > 14`, 0, "cert.days is known only for https and tls"},
		{`cert.days > 14 and stauts`, 0, "cert.days is known only for https and tls"},
		{`status`, 0, "this gives int, want true or false"},
		{`repeat("a", 1000000) == body`, 0, "unknown name repeat"},
		{`any(body, # == "x")`, 4, "any goes over a list, body is string"},
		{`body matches names[0]`, 0, "must be a constant"},
		{`body matches "("`, 0, "missing closing )"},
		{`body + body == ""`, 5, "texts cannot be joined"},
		{`json(body) == 1`, 5, "must be a constant"},
		{`json("q") == 1`, 5, `path "q" does not begin with $`},
		{`$env == nil`, 0, "unknown name $env"},
		{`status ==`, 8, "unexpected token EOF"},
		{`status == "200"`, 7, "mismatched types int and string"},
		{strings.Repeat("(", 5000), 4096, "longer than 4096 bytes"},
		{strings.Repeat("status + ", 300) + "1 > 0", 0, "maximum allowed nodes"},
	} {
		_, err := l.Compile(c.src)
		var got *rule.Error
		if !errors.As(err, &got) {
			t.Errorf("%.40s: got %v, want a *rule.Error", c.src, err)
			continue
		}
		if !strings.Contains(got.Error(), c.want) || got.Offset < c.offset || got.Offset > c.offset && c.offset > 0 {
			t.Errorf("%.40s: got %d: %v, want %d: %s", c.src, got.Offset, got, c.offset, c.want)
		}
	}
}

func TestWhyShowsTheOperands(t *testing.T) {
	l := lang()
	f := sample()
	f.Body = strings.Repeat("x", 200)
	for src, want := range map[string]string{
		`json("$.q") < 1000`:                 `json("$.q") = 5120`,
		`total < "2s" and status == 201`:     `total = 3.21s, status = 200`,
		`body contains "y"`:                  `body = "` + strings.Repeat("x", 78) + "…",
		`len(body) < 5`:                      `len(body) = 200`,
		`any(names, # == "z")`:               `names = ["a","b"]`,
		`labels.team == "ops"`:               `labels.team = "w**"`,
		`max(phases.dns, phases.tls) > "1s"`: `max(phases.dns, phases.tls) = 2ms`,
		`1 > 2`:                              ``,
	} {
		r, err := l.Compile(src)
		if err != nil {
			t.Fatal(err)
		}
		mask := func(s string) string { return strings.ReplaceAll(s, "web", "w**") }
		if got := r.Why(f, mask); got != want {
			t.Errorf("%s: got %s, want %s", src, got, want)
		}
	}
}

func TestErrorsOfFunctionsComeThrough(t *testing.T) {
	r, err := lang().Compile(`json("$.none") == 1`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Eval(sample()); !errors.Is(err, errPath) {
		t.Errorf("got %v, want %v", err, errPath)
	}
	r, _ = lang().Compile(`json("$.q") startsWith "x"`)
	if ok, err := r.Eval(sample()); ok || err == nil {
		t.Errorf("a number that starts with a text: got %v, %v; want an error", ok, err)
	}
	r, _ = lang().Compile(`json("$.q")`)
	if ok, err := r.Eval(sample()); ok || err == nil || !strings.Contains(err.Error(), "5120") {
		t.Errorf("a number for a verdict: got %v, %v; want an error with it", ok, err)
	}
}

func TestLoopsAreBounded(t *testing.T) {
	l := lang()
	huge := make([]any, 100_000)
	for i := range huge {
		huge[i] = "x"
	}
	f := sample()
	f.JSON = func(string) (any, error) { return huge, nil }
	f.Body = strings.Repeat("x", 1<<20)
	f.Weight = len(f.Body)
	for _, src := range []string{
		`all(json("$.a"), all(json("$.a"), all(json("$.a"), true)))`,
		`all(json("$.a"), body contains "y" or true)`,
		`all(1..1000000, # > 0)`,
		`len(map(1..90000, upper(body))) > 0`,
	} {
		r, err := l.Compile(src)
		if err != nil {
			t.Fatalf("%s: %v", src, err)
		}
		begin := time.Now()
		if ok, err := r.Eval(f); ok || err == nil {
			t.Errorf("%s: got %v, want an error", src, ok)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("%s took %v", src, took)
		}
	}
	r, _ := l.Compile(`all(json("$.a"), # == "x")`)
	if ok, err := r.Eval(f); !ok || err != nil {
		t.Errorf("a plain loop over 100,000 elements: %v, %v", ok, err)
	}
}

func TestRulesWithTheSameTextAreOne(t *testing.T) {
	l := lang()
	a, _ := l.Compile(`status == 200`)
	b, _ := l.Compile(`status == ` + fmt.Sprint(200))
	if a != b {
		t.Error("two rules of one text")
	}
	runtime.KeepAlive(a)
}

func TestUses(t *testing.T) {
	r, _ := lang().Compile(`body contains "x" and json("$.a") == 1`)
	if !r.Uses("body") || !r.Uses("json") || r.Uses("status") {
		t.Error("Uses does not say what occurs")
	}
}

func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		`status == 200 and total < "2s"`, `json("$.q") ?? 3 < 1000`, `all(names, # contains "a")`,
		`cert.days > 14`, `body matches "("`, `let x = 1; x > 0`, `names[1:2] == ["b"]`, `now() > ends`,
	} {
		f.Add(seed)
	}
	l := lang()
	f.Fuzz(func(t *testing.T, src string) {
		r, err := l.Compile(src)
		if err != nil {
			var e *rule.Error
			if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(src) {
				t.Fatalf("%q: %v at %d", src, err, e.Offset)
			}
			return
		}
		_, _ = r.Eval(sample())
		_ = r.Why(sample(), nil)
	})
}

func BenchmarkEval(b *testing.B) {
	l := lang()
	f := sample()
	for _, src := range []string{`status == 200 and total < "10s"`, `body contains "Domain"`, `json("$.q") < 10000`} {
		r, err := l.Compile(src)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(src, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if ok, err := r.Eval(f); !ok || err != nil {
					b.Fatal(ok, err)
				}
			}
		})
	}
}
