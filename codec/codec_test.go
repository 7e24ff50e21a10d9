package codec_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/codec"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// look returns a plain result that is up.
func look(m vedette.MonitorID, at time.Time) vedette.Result {
	return vedette.Result{
		ID: vedette.NewID(at), Monitor: m, Revision: 3, Region: "eu", Token: at.Add(-time.Minute).UnixMicro(),
		DueAt: at.Add(-700 * time.Microsecond), StartedAt: at, State: vedette.Up, Code: 200,
		Phases: vedette.Phases{
			DNS: 1201 * time.Microsecond, Connect: 8123 * time.Microsecond, TLS: 17345 * time.Microsecond,
			Request: 45 * time.Microsecond, TTFB: 35678 * time.Microsecond, Transfer: 2345 * time.Microsecond,
		},
	}
}

// whole returns a result of which every field that travels is set.
func whole() vedette.Result {
	r := look("shop/home", noon)
	r.State, r.Code, r.Addr, r.CertNotAfter = vedette.Down, 503, "192.0.2.7:443", noon.Add(time.Hour)
	r.Hops = []vedette.Hop{
		{URL: "http://example.com/", Code: 301, Addr: "192.0.2.7:80", Phases: r.Phases},
		{URL: "https://example.com/", Code: 503, Addr: "192.0.2.7:443", Phases: vedette.Phases{TTFB: time.Millisecond}},
	}
	r.Failure = &vedette.Failure{
		Kind: vedette.KindStatus, Phase: "ttfb", Message: "status 503, want 200-299",
		Evidence: &vedette.Evidence{
			Proto: "HTTP/1.1", Addr: "192.0.2.7:443", Body: "over capacity", Truncated: true,
			Header:    map[string][]string{"Retry-After": {"30"}, "Via": {"a", "b"}},
			Redirects: []string{"https://example.com/"},
			Cert: &vedette.Cert{
				Subject: "CN=example.com", Issuer: "CN=ca", Names: []string{"example.com", "www.example.com"},
				NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(time.Hour), SHA256: "ab12",
			},
		},
	}
	return r
}

func make1(t testing.TB, cfg codec.Config) *codec.Codec {
	t.Helper()
	c, err := codec.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func encode(t testing.TB, c *codec.Codec, r vedette.Result) []byte {
	t.Helper()
	b, err := c.Encode(nil, &r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode(t testing.TB, c *codec.Codec, b []byte) vedette.Result {
	t.Helper()
	var r vedette.Result
	if err := c.Decode(t.Context(), b, &r); err != nil {
		t.Fatalf("Decode(%.100q): %v", b, err)
	}
	return r
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// A toy registry.
type registry struct {
	schemas []string
	asked   int
	err     error
}

func (g *registry) register(_ context.Context, subject, schema string) (int, error) {
	g.asked++
	if subject != "looks-value" {
		return 0, fmt.Errorf("subject %q", subject)
	}
	if i := slices.Index(g.schemas, schema); i >= 0 {
		return i, g.err
	}
	g.schemas = append(g.schemas, schema)
	return len(g.schemas) - 1, g.err
}

func (g *registry) lookup(_ context.Context, id int) (string, error) {
	g.asked++
	if g.err != nil {
		return "", g.err
	}
	if id >= len(g.schemas) {
		return "", fmt.Errorf("id %d: %w", id, vedette.ErrNotFound)
	}
	return g.schemas[id], nil
}

func (g *registry) config() codec.Config {
	return codec.Config{Register: g.register, Subject: "looks-value", Lookup: g.lookup}
}

// codecs are one of each frame.
func codecs(t testing.TB) map[string]*codec.Codec {
	framed := make1(t, (&registry{schemas: []string{`"null"`}}).config())
	if err := framed.Register(t.Context()); err != nil {
		t.Fatal(err)
	}
	return map[string]*codec.Codec{
		"avro": make1(t, codec.Config{}), "json": make1(t, codec.Config{JSON: true}), "registry": framed,
	}
}

func TestResultTravelsWhole(t *testing.T) {
	bare := look("b", noon)
	bare.DueAt, bare.Region, bare.Token = time.Time{}, "", 0
	shown := whole()
	shown.Failure.Evidence.Cert = nil
	told := whole()
	told.Failure.Evidence, told.Hops = nil, nil
	zero := whole()
	zero.Failure.Evidence = &vedette.Evidence{Cert: &vedette.Cert{}}
	for name, c := range codecs(t) {
		for _, r := range []vedette.Result{look("a", noon), whole(), bare, shown, told, zero} {
			b := encode(t, c, r)
			got := decode(t, c, b)
			clear(b)
			same(t, name, got, r)
			// One decoder for all: without JSON set, JSON is read all the same.
			if name != "registry" {
				same(t, name+" read by another", decode(t, make1(t, codec.Config{JSON: name == "avro"}), encode(t, c, r)), r)
			}
		}
	}
}

func TestWhatTheFoldSetsAndFractionsDoNotTravel(t *testing.T) {
	want := look("a", noon)
	r := want
	r.Seq, r.Maintenance = 7, true
	r.DueAt = r.DueAt.Add(999).In(time.FixedZone("", 7200))
	r.Phases.DNS += 999
	for name, c := range codecs(t) {
		same(t, name, decode(t, c, encode(t, c, r)), want)
	}
}

func TestPlainResultIsSmall(t *testing.T) {
	if b := encode(t, make1(t, codec.Config{}), look("shop/home-page", noon)); len(b) > 100 {
		t.Errorf("%d bytes, want at most 100", len(b))
	}
}

func TestFrameIsToldByItsFirstBytes(t *testing.T) {
	for name, want := range map[string]string{"avro": "\xc3\x01", "json": "{", "registry": "\x00\x00\x00\x00\x01"} {
		if b := encode(t, codecs(t)[name], look("a", noon)); !strings.HasPrefix(string(b), want) {
			t.Errorf("%s begins with % x, want % x", name, b[:5], want)
		}
	}
}

func TestUndecodable(t *testing.T) {
	c := codecs(t)["registry"]
	avro := encode(t, codecs(t)["avro"], whole())
	for name, b := range map[string][]byte{
		"nothing":                nil,
		"text":                   []byte("hello"),
		"an unknown schema":      []byte("\xc3\x01ABCDEFGHIJK"),
		"half a frame":           avro[:7],
		"a body cut short":       avro[:len(avro)-1],
		"a byte too many":        append(slices.Clone(avro), 0),
		"half a JSON":            []byte(`{"id":`),
		"two JSONs":              []byte(`{}{}`),
		"JSON with a wrong type": []byte(`{"id":7}`),
		"JSON not in UTF-8":      []byte("{\"monitor\":\"\xff\"}"),
		"an unregistered schema": {0, 0, 0, 0, 9, 1, 2},
		"a schema of another":    {0, 0, 0, 0, 0, 1, 2},
		"too much":               append([]byte("{"), make([]byte, codec.MaxSize)...),
	} {
		var r vedette.Result
		err := c.Decode(t.Context(), b, &r)
		if !errors.Is(err, codec.ErrUndecodable) || !strings.HasPrefix(err.Error(), "undecodable: ") {
			t.Errorf("%s: %v, want undecodable", name, err)
		}
		if name == "an unknown schema" && !strings.Contains(err.Error(), "4142434445464748") {
			t.Errorf("%v does not say which", err)
		}
	}
	r := look("a", noon)
	if err := make1(t, codec.Config{}).Decode(t.Context(), encode(t, c, r), &r); !errors.Is(err, codec.ErrUndecodable) {
		t.Errorf("a registry's frame without a registry: %v", err)
	}
}

// spoiled are ways to make a result that makes no sense.
var spoiled = map[string]func(*vedette.Result){
	"no monitor":         func(r *vedette.Result) { r.Monitor = "" },
	"long monitor":       func(r *vedette.Result) { r.Monitor = vedette.MonitorID(strings.Repeat("x", 1025)) },
	"NUL in the monitor": func(r *vedette.Result) { r.Monitor = "a\x00" },
	"NUL in the region":  func(r *vedette.Result) { r.Region = "\x00" },
	"no id":              func(r *vedette.Result) { r.ID = vedette.ID{} },
	"another time":       func(r *vedette.Result) { r.StartedAt = r.StartedAt.Add(time.Microsecond) },
	"no state":           func(r *vedette.Result) { r.State = "" },
	"unknown state":      func(r *vedette.Result) { r.State = "sideways" },
	"state of a verdict": func(r *vedette.Result) { r.State = vedette.Paused },
	"unknown kind":       func(r *vedette.Result) { r.Failure.Kind = "bad luck" },
	"negative phase":     func(r *vedette.Result) { r.Phases.TLS = -time.Microsecond },
	"endless phase":      func(r *vedette.Result) { r.Hops[0].Phases.TLS = math.MaxInt64 },
	"negative code":      func(r *vedette.Result) { r.Code = -1 },
	"absurd code":        func(r *vedette.Result) { r.Hops[1].Code = 1 << 20 },
	"negative token":     func(r *vedette.Result) { r.Token = -1 },
	"negative revision":  func(r *vedette.Result) { r.Revision = -1 },
}

func TestSenselessResultIsInvalidToReadAndRefusedToWrite(t *testing.T) {
	c := make1(t, codec.Config{})
	for name, spoil := range spoiled {
		r := whole()
		spoil(&r)
		b, err := c.Encode([]byte("before"), &r)
		if !errors.Is(err, vedette.ErrRefused) || string(b) != "before" {
			t.Errorf("%s: Encode: %q, %v, want ErrRefused and nothing appended", name, b, err)
		}
		for frame, b := range map[string][]byte{"avro": codec.AppendUnchecked(c, &r), "json": toJSON(t, r)} {
			err := c.Decode(t.Context(), b, &r)
			if !errors.Is(err, codec.ErrInvalid) || !strings.HasPrefix(err.Error(), "invalid: ") {
				t.Errorf("%s: Decode of %s: %v, want invalid", name, frame, err)
			}
		}
	}
	// What JSON cannot carry or brings by itself.
	for name, spoil := range map[string]func(*vedette.Result){
		"text that is not UTF-8": func(r *vedette.Result) { r.Failure.Evidence.Body = "\xff" },
		"NUL in a header":        func(r *vedette.Result) { r.Failure.Evidence.Header["\x00"] = nil },
		"monitor not in UTF-8":   func(r *vedette.Result) { r.Monitor = "\xff" },
		"time beyond years":      func(r *vedette.Result) { r.CertNotAfter = time.UnixMicro(math.MaxInt64) },
	} {
		r := whole()
		spoil(&r)
		if err := c.Decode(t.Context(), codec.AppendUnchecked(c, &r), &r); !errors.Is(err, codec.ErrInvalid) {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
}

func toJSON(t *testing.T, r vedette.Result) []byte {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTextsForPeopleAreMended(t *testing.T) {
	r := whole()
	before := whole()
	before.ID = r.ID
	dirty := func(s *string) { *s = "a\x00b\xffc" }
	set := func(r *vedette.Result) {
		dirty(&r.Addr)
		dirty(&r.Hops[0].URL)
		dirty(&r.Failure.Message)
		e := r.Failure.Evidence
		dirty(&e.Body)
		dirty(&e.Redirects[0])
		dirty(&e.Cert.Subject)
		dirty(&e.Cert.Names[1])
		e.Header = map[string][]string{"a\x00b\xffc": {"a\x00b\xffc"}}
	}
	set(&r)
	set(&before)
	for name, c := range codecs(t) {
		got := decode(t, c, encode(t, c, r))
		same(t, name+" changed what it was given", r, before)
		const want = "a\uFFFDb\uFFFDc"
		e := got.Failure.Evidence
		for _, text := range []string{
			got.Addr, got.Hops[0].URL, got.Failure.Message, e.Body, e.Redirects[0],
			e.Cert.Subject, e.Cert.Names[1], e.Header[want][0],
		} {
			if text != want {
				t.Errorf("%s: %q, want %q", name, text, want)
			}
		}
	}
}

func TestResultTooLargeIsRefused(t *testing.T) {
	for name, c := range codecs(t) {
		r := whole()
		r.Failure.Evidence.Body = strings.Repeat("x", codec.MaxSize)
		if _, err := c.Encode(nil, &r); !errors.Is(err, vedette.ErrRefused) {
			t.Errorf("%s: %v, want ErrRefused", name, err)
		}
	}
}

func TestDecodeSharesNothingAndForgetsWhatWasBefore(t *testing.T) {
	for name, c := range codecs(t) {
		first, second := whole(), look("other", noon.Add(time.Second))
		b := encode(t, c, first)
		r := decode(t, c, b)
		for i := range b {
			b[i] = 'x'
		}
		same(t, name+" after its bytes are gone", r, first)
		if err := c.Decode(t.Context(), encode(t, c, second), &r); err != nil {
			t.Fatal(err)
		}
		same(t, name+" into a used result", r, second)
	}
}

func TestDecodeOfPlainResultsAllocatesNothing(t *testing.T) {
	c := make1(t, codec.Config{})
	b := encode(t, c, look("shop/home-page", noon))
	var r vedette.Result
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() {
		if err := c.Decode(ctx, b, &r); err != nil {
			t.Fatal(err)
		}
	}); n > 1 {
		t.Errorf("%v allocations, want at most 1", n)
	}
}

func TestManyMonitorsStayApart(t *testing.T) {
	c := make1(t, codec.Config{})
	for i := range 200_000 {
		id := vedette.MonitorID(fmt.Sprintf("m%d", i))
		if got := decode(t, c, encode(t, c, look(id, noon))).Monitor; got != id {
			t.Fatalf("%s came back as %s", id, got)
		}
	}
}
