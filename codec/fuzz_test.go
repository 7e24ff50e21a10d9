package codec_test

import (
	"errors"
	"testing"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/codec"
)

func BenchmarkEncode(b *testing.B) {
	c := make1(b, codec.Config{})
	r := look("shop/home-page", noon)
	buf := encode(b, c, r)
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = c.Encode(buf[:0], &r); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(buf)), "B/result")
}

func BenchmarkDecode(b *testing.B) {
	for name, c := range codecs(b) {
		b.Run(name, func(b *testing.B) {
			r := look("shop/home-page", noon)
			buf := encode(b, c, r)
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if err := c.Decode(ctx, buf, &r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range codecs(f) {
		f.Add(encode(f, c, look("a", noon)))
		f.Add(encode(f, c, whole()))
	}
	f.Add([]byte("{"))
	g := &registry{schemas: []string{`"null"`}}
	c := make1(f, g.config())
	if err := c.Register(f.Context()); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r vedette.Result
		err := c.Decode(t.Context(), b, &r)
		if err != nil {
			if !errors.Is(err, codec.ErrUndecodable) && !errors.Is(err, codec.ErrInvalid) {
				t.Fatalf("an error of no class: %v", err)
			}
			return
		}
		// What was taken can be sent on, and comes back the same.
		again := decode(t, c, encode(t, c, r))
		same(t, "sent on", again, r)
	})
}
