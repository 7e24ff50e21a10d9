package sketch_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vedettehq/vedette/sketch"
)

func durations(t *rapid.T, name string) []time.Duration {
	// Lengths are drawn by magnitude, since uniform ones would all be centuries.
	one := rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.Uint64Range(0, 1<<63-1).Draw(t, "d") >> rapid.IntRange(0, 63).Draw(t, "shift"))
	})
	return rapid.SliceOfN(one, 1, 200).Draw(t, name)
}

func of(ds []time.Duration) *sketch.Sketch {
	var s sketch.Sketch
	for _, d := range ds {
		s.Add(d)
	}
	return &s
}

func bytesOf(t interface{ Fatal(...any) }, s *sketch.Sketch) []byte {
	b, err := s.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestQuantilesAreWithinOnePercent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ds := durations(t, "durations")
		s := of(ds)
		slices.Sort(ds)
		if s.Count() != int64(len(ds)) {
			t.Fatalf("count %d, want %d", s.Count(), len(ds))
		}
		for _, q := range []float64{0, 0.25, 0.5, 0.9, 0.95, 0.99, 1} {
			want := ds[int(q*float64(len(ds)-1))]
			got := s.Quantile(q)
			// Half a nanosecond is lost to rounding, and a little to floating point.
			if off := math.Abs(float64(got) - float64(want)); off > float64(want)*(sketch.Accuracy+1e-9)+0.5 {
				t.Fatalf("quantile %v is %d, want %d within 1 %%", q, got, want)
			}
		}
	})
}

func TestMergingIsAssociativeAndCommutative(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := durations(t, "a"), durations(t, "b"), durations(t, "c")
		left := of(a)
		left.Merge(of(b))
		left.Merge(of(c))
		inner := of(c)
		inner.Merge(of(b))
		right := of(nil)
		right.Merge(inner)
		right.Merge(of(a))
		all := bytesOf(t, of(slices.Concat(a, b, c)))
		if !bytes.Equal(bytesOf(t, left), all) || !bytes.Equal(bytesOf(t, right), all) {
			t.Fatalf("merged in parts:\n%x\n%x\nat once:\n%x", bytesOf(t, left), bytesOf(t, right), all)
		}
	})
}

func TestMergingLeavesTheOtherAsItWas(t *testing.T) {
	a, b := of([]time.Duration{1}), of([]time.Duration{time.Second})
	before := bytesOf(t, b)
	a.Merge(b)
	a.Add(time.Second)
	if after := bytesOf(t, b); !bytes.Equal(before, after) {
		t.Errorf("%x became %x", before, after)
	}
}

func TestAnEmptySketchAnswersZero(t *testing.T) {
	var s, again sketch.Sketch
	if s.Count() != 0 || s.Quantile(0.5) != 0 {
		t.Errorf("count %d, median %v", s.Count(), s.Quantile(0.5))
	}
	if err := again.UnmarshalBinary(bytesOf(t, &s)); err != nil || again.Count() != 0 {
		t.Errorf("read back: %v, count %d", err, again.Count())
	}
}

func TestSketchesAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := of(durations(t, "durations"))
		b := bytesOf(t, s)
		var again sketch.Sketch
		if err := again.UnmarshalBinary(b); err != nil {
			t.Fatal(err)
		}
		if again.Count() != s.Count() || !bytes.Equal(bytesOf(t, &again), b) {
			t.Fatalf("%x read back is %x", b, bytesOf(t, &again))
		}
	})
}

func TestAnHourOfLatenciesIsSmall(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var s sketch.Sketch
	for range 3600 {
		s.Add(time.Duration(80e6 * math.Exp(0.3*r.NormFloat64())))
	}
	if n := len(bytesOf(t, &s)); n > 160 {
		t.Errorf("3600 latencies around 80ms take %d bytes", n)
	}
}

func TestForeignBytesAreRefused(t *testing.T) {
	huge := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}
	for name, b := range map[string][]byte{
		"nothing":                 {},
		"another version":         {2, 0},
		"no zero count":           {1},
		"a bucket without counts": {1, 0, 5},
		"a bucket out of range":   {1, 0, 0x89, 0x11, 1},
		"an empty last bucket":    {1, 0, 5, 0, 0},
		"a row without length":    {1, 0, 5, 0},
		"a row of no end":         slices.Concat([]byte{1, 0, 5, 0}, huge),
		"too many rows":           append(slices.Concat([]byte{1, 0, 5}, bytes.Repeat([]byte{0, 0x80, 0x10}, 9)), 1),
		"too high a count":        slices.Concat([]byte{1, 0, 5}, huge),
		"half a varint":           {1, 0, 5, 0x80},
	} {
		s := of([]time.Duration{time.Second})
		if err := s.UnmarshalBinary(b); err == nil {
			t.Errorf("%s: no error", name)
		}
		if s.Count() != 1 {
			t.Errorf("%s: the sketch was changed", name)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	b, _ := of([]time.Duration{0, 1, time.Second, time.Hour}).MarshalBinary()
	f.Add(b)
	f.Add([]byte{1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var s, again sketch.Sketch
		if s.UnmarshalBinary(b) != nil {
			return
		}
		s.Quantile(0.99)
		if err := again.UnmarshalBinary(bytesOf(t, &s)); err != nil || again.Count() != s.Count() {
			t.Fatalf("%x: %v, count %d, want %d", b, err, again.Count(), s.Count())
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	var s sketch.Sketch
	for d := time.Duration(0); b.Loop(); d = (d + 7919) % time.Second {
		s.Add(d)
	}
}
