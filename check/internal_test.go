package check

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/rule"
)

func TestSizesHaveUnits(t *testing.T) {
	for text, want := range map[string]Size{
		"512B": 512, "64KB": 64000, "1MiB": 1 << 20, "10MB": 1e7, "20GiB": 20 << 30, "1 kib": 1024, "0B": 0, "2TiB": 2 << 40,
	} {
		var got Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s = %d, %v; want %d", text, got, err, want)
		}
		var again Size
		if err := again.UnmarshalText([]byte(got.String())); err != nil || again != got {
			t.Errorf("%s is written %s and read back %d, %v", text, got, again, err)
		}
	}
	for text, want := range map[string]string{
		"512": "did you mean 512B", "": "want a whole number", "1.5MiB": "want a whole number", "-1B": "want a whole number",
		"MiB": "want a whole number", "9223372036854775807TiB": "want a whole number", "1XB": "want a whole number",
	} {
		var got Size
		if err := got.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %d, %v; want %s", text, got, err, want)
		}
	}
}

func TestSecretsPrintNothing(t *testing.T) {
	s := Secret{Text: "hunter2"}
	for _, verb := range []string{"%s", "%v", "%+v", "%#v", "%q", "%x", "%d"} {
		for _, v := range []any{s, &s, struct{ S Secret }{s}, []Secret{s}, map[string]Secret{"k": s}} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, "hunter2") || strings.Contains(got, "68756e74") {
				t.Errorf("%s prints %s", verb, got)
			}
		}
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "s", s)
	if strings.Contains(log.String(), "hunter2") {
		t.Errorf("logged: %s", log.String())
	}
}

func TestSecretsKeepTheirForm(t *testing.T) {
	for text, want := range map[string]Secret{
		`"a${B}"`: {Text: "a${B}"}, `{"file":"p"}`: {File: "p"}, `""`: {},
	} {
		var got Secret
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s is read as %q %q, %v", text, got.Text, got.File, err)
		}
		if b, err := json.Marshal(got); err != nil || string(b) != text {
			t.Errorf("%s is written as %s, %v", text, b, err)
		}
	}
	for _, text := range []string{`3`, `{}`, `{"file":""}`, `{"fil":"p"}`, `["a"]`} {
		if err := json.Unmarshal([]byte(text), new(Secret)); err == nil {
			t.Errorf("%s is read as a secret", text)
		}
	}
}

func TestSecretFilesAreReadAgainWhenTheyChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	write := func(text string, at time.Time) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	var v secrets
	now := time.Now()
	for i, c := range []struct{ text, want string }{{"one\n", "one"}, {"two\r\n", "two"}, {"six", "six"}, {"a\n\n", "a\n"}} {
		write(c.text, now.Add(time.Duration(i)*time.Second))
		if got, err := v.value(Secret{File: path}); err != nil || got != c.want {
			t.Errorf("%q: got %q, %v", c.text, got, err)
		}
	}
	for _, bad := range []string{filepath.Join(path, "x"), t.TempDir()} {
		if _, err := v.value(Secret{File: bad}); err == nil {
			t.Errorf("%s is a secret", bad)
		}
	}
}

func TestEnvironmentInSecrets(t *testing.T) {
	v := secrets{env: func(name string) (string, bool) { s, ok := map[string]string{"A": "1", "E": ""}[name]; return s, ok }}
	for text, want := range map[string]string{
		"x": "x", "${A}": "1", "a${A}b${A}": "a1b1", "${E}": "", "${E:-d}": "d", "${N:-d}": "d", "${N:-}": "", "$A $$ $": "$A $ $",
	} {
		if got, err := v.value(Secret{Text: text}); err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"${N}", "${A"} {
		if got, err := v.value(Secret{Text: text}); err == nil {
			t.Errorf("%s: got %q, want an error", text, got)
		}
	}
}

func TestExpectationsAreTextOrObject(t *testing.T) {
	var o Options
	if err := json.Unmarshal([]byte(`{"expect":["a",{"that":"b","say":"c"}]}`), &o); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(o.Expect, []Expectation{{That: "a"}, {That: "b", Say: "c"}}) {
		t.Errorf("got %+v", o.Expect)
	}
	if err := json.Unmarshal([]byte(`{"thet":"a"}`), new(Expectation)); err == nil {
		t.Error("an unknown key is read")
	}
}

func TestClockLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		c.start()
		for i, p := range []phase{inConnect, inTLS, inRequest, inTTFB, inTransfer, inDNS, inConnect, after} {
			time.Sleep(time.Duration(i+1) * time.Second)
			c.enter(p)
		}
		want := vedette.Phases{DNS: 8 * time.Second, Connect: 10 * time.Second, TLS: 3 * time.Second, Request: 4 * time.Second, TTFB: 5 * time.Second, Transfer: 6 * time.Second}
		want.DNS = 1*time.Second + 7*time.Second
		want.Connect = 2*time.Second + 8*time.Second
		if got := c.phases(); got != want || got.Total() != time.Since(c.begun) {
			t.Errorf("got %+v in %v, want %+v", got, time.Since(c.begun), want)
		}
	})
}

func TestVerifiedChainsAreForgottenWhenTheyEnd(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"a.test"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	roots, others := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(cert)
	var c chains
	for _, step := range []struct {
		roots *x509.CertPool
		name  string
		at    time.Time
		good  bool
	}{
		{roots, "a.test", now, true},
		{roots, "a.test", now, true},
		{roots, "b.test", now, false},
		{others, "a.test", now, false},
		{roots, "a.test", now.Add(2 * time.Hour), false},
		{roots, "a.test", now.Add(-2 * time.Hour), false},
		{roots, "a.test", now, true},
	} {
		if _, err := c.verify([]*x509.Certificate{cert}, step.roots, step.name, step.at); (err == nil) != step.good {
			t.Errorf("%s at %v: %v", step.name, step.at.Sub(now), err)
		}
	}
	if len(c.kept) != 1 {
		t.Errorf("%d chains are remembered, want 1", len(c.kept))
	}
}

func TestOwnExhaustionIsUnknown(t *testing.T) {
	c, _ := New(Config{})
	r := newRun(c)
	r.begin(t.Context(), &probe{Checker: c, plan: &plan{kind: tcpKind()}, timeout: time.Minute})
	four := &net.TCPAddr{IP: net.IPv4(1, 2, 3, 4), Port: 80}
	six := &net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 80}
	for _, phase := range []phase{inDNS, inConnect, inTLS, inTTFB} {
		for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL} {
			r.clock.now = phase
			err := &net.OpError{Op: "dial", Addr: four, Err: os.NewSyscallError("connect", errno)}
			if got := r.conclude(err); got.State != vedette.Unknown || got.Failure.Kind != vedette.KindInternal {
				t.Errorf("%v in %v: %s %+v", errno, phase, got.State, got.Failure)
			}
		}
	}
	r.clock.now = inDNS
	if got := r.conclude(&net.DNSError{Name: "x", Err: "dial udp: socket: too many open files"}); got.State != vedette.Unknown {
		t.Errorf("a resolver without descriptors: %s %+v", got.State, got.Failure)
	}
	r.clock.now = inConnect
	if got := r.conclude(&net.OpError{Op: "dial", Addr: six, Err: os.NewSyscallError("connect", syscall.EADDRNOTAVAIL)}); got.State != vedette.Down {
		t.Errorf("no IPv6 here: %s %+v", got.State, got.Failure)
	}
}

func TestPanicIsOurFault(t *testing.T) {
	c, _ := New(Config{})
	k := tcpKind()
	k.probe = func(*run) error { panic("boom") }
	p := &probe{Checker: c, plan: &plan{kind: k}, timeout: time.Minute}
	got := p.look(t.Context())
	if got.State != vedette.Unknown || got.Failure.Kind != vedette.KindInternal || !strings.Contains(got.Failure.Message, "boom") {
		t.Errorf("got %s %+v", got.State, got.Failure)
	}
}

func TestManyMonitorsShareWhatIsEqual(t *testing.T) {
	c, _ := New(Config{})
	const n = 2000
	checks := make([]vedette.Check, n)
	urls := make([]string, n)
	for i := range urls {
		urls[i] = fmt.Sprintf("https://host-%d.example.com/some/path", i)
	}
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range checks {
		var err error
		checks[i], err = c.Compile(vedette.Monitor{URL: urls[i], Probe: vedette.Raw(`{"expect":["total < \"2s\""]}`)})
		if err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&now)
	each := int64(now.HeapAlloc-before.HeapAlloc) / n
	t.Logf("%d bytes a check", each)
	if each > 1536 {
		t.Errorf("a compiled check holds %d bytes", each)
	}
	runtime.KeepAlive(checks)
	runtime.KeepAlive(urls)
}

func FuzzParseStatus(f *testing.F) {
	for _, s := range []string{"200", "2xx", "200-299", "any", "2XX", "-", "99", "1000", "٢٠٠"} {
		f.Add(s)
	}
	lang := language(httpKind(), kinds())
	f.Fuzz(func(t *testing.T, item string) {
		s, err := parseStatus(item)
		if err != nil {
			return
		}
		if s.from < 100 || s.to > 999 || s.from > s.to {
			t.Fatalf("%q is %d-%d", item, s.from, s.to)
		}
		r, err := lang.Compile(expression([]span{s}))
		if err != nil {
			t.Fatal(err)
		}
		for _, code := range []int{s.from - 1, s.from, s.to, s.to + 1} {
			ok, err := r.Eval(&facts{Status: code})
			if err != nil || ok != (code >= s.from && code <= s.to) {
				t.Fatalf("%q: %d is %v, %v", item, code, ok, err)
			}
		}
	})
}

func FuzzParseAnswer(f *testing.F) {
	query, err := newQuery(7, "example.com.", dnsmessage.TypeMX)
	if err != nil {
		f.Fatal(err)
	}
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		f.Fatal(err)
	}
	m.Response = true
	h := dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 5}
	m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.MXResource{Pref: 1, MX: m.Questions[0].Name}}}
	b, _ := m.Pack()
	f.Add(b)
	f.Add(query)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, msg []byte) {
		got, err := parseAnswer(msg, query)
		if err == nil && (len(msg) < 12 || msg[0] != 0 || msg[1] != 7) {
			t.Fatalf("%x was taken for %+v", msg, got)
		}
		_ = caaText(msg)
	})
}

func FuzzExpectations(f *testing.F) {
	f.Add(`json("$.q") < 1000`, `{"q":5120}`)
	f.Add(`all(json("$..a"), # > 1)`, `[{"a":2}]`)
	f.Add(`json("$[?@.a == 1].b") == ["x"]`, `[{"a":1,"b":"x"}]`)
	f.Add(`body matches "^a" and header("A") == ""`, `a`)
	c, err := New(Config{})
	if err != nil {
		f.Fatal(err)
	}
	lang := c.langs["https"]
	f.Fuzz(func(t *testing.T, src, body string) {
		r, err := lang.Compile(src)
		if err != nil {
			if _, ok := errors.AsType[*rule.Error](err); !ok {
				t.Fatal(err)
			}
			return
		}
		run := newRun(c)
		run.begin(t.Context(), &probe{Checker: c, plan: &plan{kind: httpsKind(), uses: []string{"body", "json", "ip"}}, timeout: time.Minute})
		run.body = []byte(body)
		run.collect()
		f := run.unmet([]want{{Expanded{That: src, Kind: vedette.KindExpectation}, r}})
		if f != nil && f.kind != vedette.KindExpectation && f.kind != vedette.KindContent {
			t.Fatalf("%s over %q: %+v", src, body, f)
		}
	})
}

func BenchmarkExpectation(b *testing.B) {
	c, _ := New(Config{})
	run := newRun(c)
	run.begin(b.Context(), &probe{Checker: c, plan: &plan{kind: httpKind()}, timeout: time.Minute})
	run.code, run.facts.Status = 200, 200
	r, err := c.langs["http"].Compile(`status in 200..299 and total < "2s"`)
	if err != nil {
		b.Fatal(err)
	}
	wants := []want{{Expanded{}, r}}
	b.ReportAllocs()
	for b.Loop() {
		if f := run.unmet(wants); f != nil {
			b.Fatal(f)
		}
	}
}
