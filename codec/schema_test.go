package codec_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/avro"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/codec"
)

func schema(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("result.avsc")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func parse(t *testing.T, text string) *avro.Schema {
	t.Helper()
	s, err := avro.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// foreign reads and writes result.avsc as a stranger does, with nothing of ours.
func foreign(t *testing.T, s *avro.Schema, b []byte) map[string]any {
	t.Helper()
	var all map[string]any
	rest, err := s.Decode(b, &all)
	if err != nil || len(rest) > 0 {
		t.Fatalf("%d bytes left, %v", len(rest), err)
	}
	return all
}

// TestSchemasStayReadable reads a result of every schema that we ever wrote. The newest of them
// is the present one: who changes it adds a number.
func TestSchemasStayReadable(t *testing.T) {
	paths, err := filepath.Glob("testdata/result-*.avsc")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	c := make1(t, codec.Config{})
	for i, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if i == len(paths)-1 && string(text) != schema(t) {
			t.Errorf("result.avsc is not %s: keep each schema under a number of its own, and list the one before in older", path)
		}
		b, err := os.ReadFile(strings.TrimSuffix(path, "avsc") + "bin")
		if err != nil {
			t.Fatal(err)
		}
		var want vedette.Result
		asJSON, err := os.ReadFile(strings.TrimSuffix(path, "avsc") + "json")
		if err == nil {
			err = json.Unmarshal(asJSON, &want)
		}
		if err != nil {
			t.Fatal(err)
		}
		same(t, path, decode(t, c, b), want)
	}
}

// TestStrangersReadWhatWeWrite holds our encoder to the library's decoder and encoder.
func TestStrangersReadWhatWeWrite(t *testing.T) {
	s := parse(t, schema(t))
	r := whole()
	r.Failure.Evidence.Header = map[string][]string{"Retry-After": {"30"}} // one order only
	b := encode(t, make1(t, codec.Config{}), r)
	body := b[10:]
	got := foreign(t, s, body)
	if got["monitor"] != "shop/home" || got["started_at"] != noon || got["code"] != int32(503) || got["cert_not_after"] != r.CertNotAfter {
		t.Errorf("a stranger reads %v", got)
	}
	again, err := s.AppendEncode(nil, got)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again, body) {
		t.Errorf("a stranger writes\n% x, we\n% x", again, body)
	}
	single, err := s.AppendSingleObject(nil, got)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(single, b) {
		t.Errorf("a stranger frames\n% x, we\n% x", single, b)
	}
}

// evolve returns result.avsc with its list of fields changed.
func evolve(t *testing.T, change func(fields []any) []any) string {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal([]byte(schema(t)), &all); err != nil {
		t.Fatal(err)
	}
	all["fields"] = change(all["fields"].([]any))
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func name(field any) string { return field.(map[string]any)["name"].(string) }

func without(names ...string) func([]any) []any {
	return func(fields []any) []any {
		return slices.DeleteFunc(fields, func(f any) bool { return slices.Contains(names, name(f)) })
	}
}

// TestSchemasGrowBothWays lets today's reader read what others write, and others read what we
// write.
func TestSchemasGrowBothWays(t *testing.T) {
	r := whole()
	for what, c := range map[string]struct {
		change func([]any) []any
		want   func(*vedette.Result)
	}{
		"a further field": {func(fields []any) []any {
			return slices.Insert(fields, 2, any(map[string]any{"name": "attempt", "type": "string", "default": "first"}))
		}, func(*vedette.Result) {}},
		"fields less": {without("phases", "failure", "hops", "region", "due_at"), func(r *vedette.Result) {
			r.Phases, r.Failure, r.Hops, r.Region, r.DueAt = vedette.Phases{}, nil, nil, "", vedette.Result{}.DueAt
		}},
		"another order": {func(fields []any) []any {
			last := len(fields) - 1
			return slices.Concat(fields[last:], fields[1:last], fields[:1])
		}, func(*vedette.Result) {}},
	} {
		t.Run(what, func(t *testing.T) {
			text := evolve(t, c.change)
			theirs := parse(t, text)
			g := &registry{schemas: []string{text}}
			ours := make1(t, codec.Config{Lookup: g.lookup})
			body := encode(t, ours, r)[10:]
			resolved, err := avro.Resolve(parse(t, schema(t)), theirs)
			if err != nil {
				t.Fatal(err)
			}
			all := foreign(t, resolved, body)
			if what == "a further field" && all["attempt"] != "first" {
				t.Errorf("they read %v", all)
			}
			written, err := theirs.AppendEncode([]byte{0, 0, 0, 0, 0}, all)
			if err != nil {
				t.Fatal(err)
			}
			want := r
			c.want(&want)
			same(t, "we read them", decode(t, ours, written), want)
		})
	}
}

func TestSchemaThatDoesNotFitIsUndecodableForGood(t *testing.T) {
	g := &registry{schemas: []string{evolve(t, without("started_at")), "no schema at all"}}
	c := make1(t, codec.Config{Lookup: g.lookup})
	for range 2 {
		for id := range byte(2) {
			var r vedette.Result
			if err := c.Decode(t.Context(), []byte{0, 0, 0, 0, id, 1, 2, 3}, &r); !errors.Is(err, codec.ErrUndecodable) {
				t.Errorf("schema %d: %v", id, err)
			}
		}
	}
	if g.asked != 2 {
		t.Errorf("the registry was asked %d times, want once a schema", g.asked)
	}
}
