package codec_test

import (
	"testing"
	"time"

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

func BenchmarkEncode(b *testing.B) {
	c, err := codec.New(codec.Config{})
	if err != nil {
		b.Fatal(err)
	}
	r := look("shop/home-page", noon)
	buf, err := c.Encode(nil, &r)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ReportMetric(float64(len(buf)), "bytes")
	for b.Loop() {
		if buf, err = c.Encode(buf[:0], &r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	c, err := codec.New(codec.Config{})
	if err != nil {
		b.Fatal(err)
	}
	r := look("shop/home-page", noon)
	buf, err := c.Encode(nil, &r)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Decode(b.Context(), buf, &r); err != nil {
			b.Fatal(err)
		}
	}
}
