package codec_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/codec"
)

type publisher struct {
	got []vedette.Message
	err error
}

func (p *publisher) Publish(_ context.Context, m ...vedette.Message) error {
	p.got = append(p.got, m...)
	return p.err
}

func some(n int) (all []vedette.Result) {
	for i := range n {
		all = append(all, look(vedette.MonitorID(fmt.Sprintf("shop/%d", i%7)), noon.Add(time.Duration(i)*time.Second)))
	}
	return all
}

func TestSinkSendsEachResultUnderItsMonitor(t *testing.T) {
	p := &publisher{}
	c := make1(t, codec.Config{})
	s := codec.NewSink(p, "looks", c)
	all := some(500)
	all[3] = whole() // larger than the rest
	for _, resent := range []bool{false, true} {
		p.got = nil
		if err := s.Send(t.Context(), vedette.Found{Results: all, Resent: resent}); err != nil {
			t.Fatal(err)
		}
		if len(p.got) != len(all) {
			t.Fatalf("%d messages, want %d", len(p.got), len(all))
		}
		for i, m := range p.got {
			if m.Topic != "looks" || string(m.Key) != string(all[i].Monitor) || codec.Resent(m) != resent {
				t.Fatalf("message %d: %+v", i, m)
			}
			same(t, "body", decode(t, c, m.Body), all[i])
			_ = append(m.Key, "xxxxxxxx"...) // must not reach into the body
			same(t, "body", decode(t, c, m.Body), all[i])
		}
	}
}

func TestSinkSendsNothingOfWhatIsRefused(t *testing.T) {
	p := &publisher{}
	s := codec.NewSink(p, "looks", make1(t, codec.Config{}))
	all := some(3)
	all[2].Monitor = ""
	if err := s.Send(t.Context(), vedette.Found{Results: all}); !errors.Is(err, vedette.ErrRefused) || len(p.got) > 0 {
		t.Errorf("%v, %d messages, want ErrRefused and none", err, len(p.got))
	}
	p.err = fmt.Errorf("too large: %w", vedette.ErrRefused)
	if err := s.Send(t.Context(), vedette.Found{Results: all[:2]}); !errors.Is(err, vedette.ErrRefused) {
		t.Errorf("%v, want the publisher's ErrRefused", err)
	}
	p.err = errors.New("away")
	if err := s.Send(t.Context(), vedette.Found{Results: all[:2]}); !errors.Is(err, p.err) || errors.Is(err, vedette.ErrRefused) {
		t.Errorf("%v, want the publisher's error", err)
	}
}

func TestSinkRegistersTheSchemaFirst(t *testing.T) {
	p, g := &publisher{}, &registry{}
	s := codec.NewSink(p, "looks", make1(t, g.config()))
	for range 3 {
		if err := s.Send(t.Context(), vedette.Found{Results: some(1)}); err != nil {
			t.Fatal(err)
		}
	}
	if g.asked != 1 || len(p.got) != 3 || p.got[0].Body[0] != 0 {
		t.Errorf("asked %d times, messages %+v", g.asked, p.got)
	}
}

func BenchmarkSink(b *testing.B) {
	p := &publisher{}
	s := codec.NewSink(p, "looks", make1(b, codec.Config{}))
	f := vedette.Found{Results: some(500)}
	b.ReportAllocs()
	for b.Loop() {
		p.got = p.got[:0]
		if err := s.Send(b.Context(), f); err != nil {
			b.Fatal(err)
		}
	}
}
