package codec

import (
	"context"
	"fmt"

	"github.com/vedettehq/vedette"
)

// resent is the header of messages that may have been sent before.
const resent = "resend"

// Resent reports whether m may have been sent before, by what its sender says.
func Resent(m vedette.Message) bool { return m.Header[resent] == "1" }

// A Sink sends each result as a message under the id of its monitor.
type Sink struct {
	p     vedette.Publisher
	topic string
	c     *Codec
}

var _ vedette.Sink = (*Sink)(nil)

// NewSink returns a Sink that sends to topic through p.
func NewSink(p vedette.Publisher, topic string, c *Codec) *Sink { return &Sink{p, topic, c} }

// Send publishes all of f in one call, or nothing if a result of it is refused.
func (s *Sink) Send(ctx context.Context, f vedette.Found) error {
	if len(f.Results) == 0 {
		return nil
	}
	if err := s.c.Register(ctx); err != nil {
		return err
	}
	messages, err := s.messages(f)
	if err != nil {
		return err
	}
	if err := s.p.Publish(ctx, messages...); err != nil {
		return fmt.Errorf("publish %d results to %s: %w", len(messages), s.topic, err)
	}
	return nil
}

// messages puts all keys and bodies into one buffer, which is not used again: a publisher may
// still hold it when it has given up.
func (s *Sink) messages(f vedette.Found) (all []vedette.Message, err error) {
	var header map[string]string
	if f.Resent {
		header = map[string]string{resent: "1"}
	}
	all = make([]vedette.Message, len(f.Results))
	buf := make([]byte, 0, 160*len(f.Results))
	for i := range f.Results {
		r := &f.Results[i]
		key := len(buf)
		buf = append(buf, r.Monitor...)
		body := len(buf)
		if buf, err = s.c.Encode(buf, r); err != nil {
			return nil, err
		}
		all[i] = vedette.Message{Topic: s.topic, Key: buf[key:body:body], Body: buf[body:len(buf):len(buf)], Header: header}
	}
	return all, nil
}
