package codec

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vedettehq/vedette"
)

// What quick reads, package avro reads as the same.
func FuzzQuick(f *testing.F) {
	c, err := New(Config{})
	if err != nil {
		f.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, r := range []vedette.Result{
		{ID: vedette.NewID(at), Monitor: "shop", StartedAt: at, State: vedette.Up, Code: 200, Region: "fra", Token: 1 << 50},
		{ID: vedette.NewID(at), Monitor: "a", StartedAt: at, DueAt: at, CertNotAfter: at, State: vedette.Up, Addr: "192.0.2.1:443"},
	} {
		r.Phases.TTFB = 20 * time.Millisecond
		f.Add(appendResult(nil, &r))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var fast, slow vedette.Result
		if !quick(b, &fast, c.names) {
			return
		}
		if err := c.decodeAny(c.schema, b, &slow); err != nil {
			t.Fatalf("read quickly, and else %v", err)
		}
		if diff := cmp.Diff(slow, fast); diff != "" {
			t.Errorf("by package avro (-) and quickly (+):\n%s", diff)
		}
	})
}

func TestQuickTakesTheUsualResult(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := vedette.Result{ID: vedette.NewID(at), Monitor: "shop", StartedAt: at, DueAt: at, State: vedette.Up, Code: 200}
	var got vedette.Result
	if b := appendResult(nil, &r); !quick(b, &got, newNames()) || !cmp.Equal(got, r) {
		t.Errorf("read %+v, want %+v", got, r)
	}
}
