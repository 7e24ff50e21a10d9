package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/codec"
	"github.com/vedettehq/vedette/internal/retry"
	"github.com/vedettehq/vedette/kafka"
	"github.com/vedettehq/vedette/manifest"
	"github.com/vedettehq/vedette/record"
	"github.com/vedettehq/vedette/spool"
)

// deadSuffix makes the name of a topic that of its dead letters.
const deadSuffix = ".dead"

// A stream is the topic that results go through, from those who look to those who record. It
// implements [vedette.Part]: it sees to it that the topics are there.
type stream struct {
	*App
	cfg        kafka.Config
	topic      string
	group      string
	partitions int
	codec      *codec.Codec
	publisher  *kafka.Publisher
}

// newStream returns the stream that the file asks for, or nil.
func (a *App) newStream() (*stream, error) {
	f := a.file.Load()
	if f == nil || f.Results == "" {
		return nil, nil //nolint:nilnil // results go straight into the store
	}
	s := &stream{App: a, group: f.Kafka.Group, partitions: f.Kafka.Partitions}
	var err error
	if s.cfg.Brokers, s.topic, err = kafka.ParseURL(f.Results); err != nil {
		return nil, err
	}
	if err := s.configure(f.Kafka); err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	if s.codec, err = newCodec(f.Kafka, s.topic); err != nil {
		return nil, err
	}
	s.publisher, err = kafka.NewPublisher(s.cfg)
	return s, err
}

func (s *stream) configure(k manifest.Kafka) error {
	s.cfg.Compression, s.cfg.Prefix = k.Compression, k.Prefix
	s.cfg.Log, s.cfg.Meter = s.App.cfg.Log, s.metrics.Kafka()
	if t := k.TLS; t != nil {
		s.cfg.TLS = &kafka.TLS{CA: t.CA, Cert: t.Cert, Key: t.Key, Dir: t.Dir, ServerName: t.ServerName, Insecure: t.Insecure}
	}
	if k.SASL != nil {
		password, err := k.SASL.Reveal(s.App.cfg.Env)
		if err != nil {
			return err
		}
		s.cfg.SASL = &kafka.SASL{Mechanism: k.SASL.Mechanism, User: k.SASL.User, Password: password}
	}
	return s.cfg.Check()
}

func newCodec(k manifest.Kafka, topic string) (*codec.Codec, error) {
	cfg := codec.Config{JSON: k.Format == "json"}
	if k.Registry != "" {
		registry, err := kafka.NewRegistry(k.Registry, nil)
		if err != nil {
			return nil, fmt.Errorf("kafka.registry: %w", err)
		}
		cfg.Subject, cfg.Register, cfg.Lookup = k.Prefix+topic+"-value", registry.Register, registry.Schema
	}
	return codec.New(cfg)
}

// Run sees to it that the topics are there, and closes the publisher at the end.
func (s *stream) Run(ctx context.Context) error {
	pause := retry.Backoff{Min: 500 * time.Millisecond, Max: 10 * time.Second}
	for told := false; ; {
		err := s.prepare(ctx)
		if err == nil || ctx.Err() != nil {
			break
		}
		if !told {
			s.App.cfg.Log.Warn("topics not made sure of, trying again", "topic", s.topic, "err", err)
		}
		told = true
		_ = pause.Wait(ctx) // told to stop while waiting is told to stop
	}
	<-ctx.Done()
	return s.publisher.Close()
}

func (s *stream) prepare(ctx context.Context) error {
	for topic, partitions := range map[string]int{s.topic: s.partitions, s.topic + deadSuffix: 1} {
		warning, err := kafka.EnsureTopic(ctx, s.cfg, topic, int32(partitions), 0) //nolint:gosec // the file bounds it
		if err != nil {
			return err
		}
		if warning != "" {
			s.App.cfg.Log.Warn("a topic is less than it should be, and is left as it is", "warning", warning)
		}
	}
	return s.codec.Register(ctx)
}

// recordStream returns what records from the topic.
func (a *App) recordStream() (*record.Stream, error) {
	name := owner()
	source, err := kafka.NewSource(a.stream.cfg, kafka.Reading{
		Group: a.stream.group, Topics: []string{a.stream.topic}, Now: a.record.Now,
		Claim: func(ctx context.Context, p ...vedette.Position) ([]vedette.Position, error) {
			return a.store.positions.Claim(ctx, name, p...)
		},
	})
	if err != nil {
		return nil, err
	}
	return a.record.Stream(record.StreamConfig{
		Source: source, Meter: a.metrics.Stream(),
		Decode: a.stream.decode,
	})
}

func (s *stream) decode(ctx context.Context, m *vedette.Message, r *vedette.Result) (resent bool, err error) {
	err = s.codec.Decode(ctx, m.Body, r)
	if errors.Is(err, codec.ErrUndecodable) || errors.Is(err, codec.ErrInvalid) {
		err = refused{err}
	}
	return codec.Resent(*m), err
}

// refused makes an error one of what will never be taken. Its text stays: it begins with a class.
type refused struct{ error }

func (refused) Is(target error) bool { return target == vedette.ErrRefused }

func (r refused) Unwrap() error { return r.error }

// through says up to when all results have been recorded: by whom does not matter.
func (a *App) through(ctx context.Context) (time.Time, error) {
	positions, err := a.store.positions.List(ctx, a.stream.group)
	if err != nil {
		return time.Time{}, err
	}
	// A topic that was made anew may have fewer partitions: what is kept of the others is over.
	var live vedette.Position
	for _, p := range positions {
		if p.Topic == a.stream.topic && p.Through.After(live.Through) {
			live = p
		}
	}
	through := live.Through
	for _, p := range positions {
		if p.Topic == live.Topic && p.Stream == live.Stream && p.Through.Before(through) {
			through = p.Through
		}
	}
	return through, nil
}

// sink returns where those who look send what they found. Before what is far away stands a spool.
func (a *App) sink() (vedette.Sink, error) {
	if a.stream == nil && !a.store.shared {
		return a.record, nil
	}
	cfg := spool.Config{Next: a.record, Log: a.cfg.Log, Meter: a.metrics.Spool()}
	plain, err := codec.New(codec.Config{})
	if err != nil {
		return nil, err
	}
	cfg.Encode = plain.Encode
	cfg.Decode = func(b []byte, r *vedette.Result) error { return plain.Decode(context.Background(), b, r) }
	if a.stream != nil {
		cfg.Next = codec.NewSink(a.stream.publisher, a.stream.topic, a.stream.codec)
	}
	cfg.Dir = "vedette.spool"
	if f := a.file.Load(); f != nil {
		cfg.Dir, cfg.MaxBytes = f.Kafka.Spool.Dir, f.Kafka.Spool.MaxBytes
		if f.Kafka.Spool.WhenFull == "drop_oldest" {
			cfg.WhenFull = spool.DropOldest
		}
	}
	if a.spool, err = spool.New(cfg); err != nil {
		return nil, err
	}
	if a.stream != nil && !a.has("record") {
		return tellingSink{a.spool, a}, nil
	}
	return a.spool, nil
}

// A tellingSink tells of results when they are kept somewhere, where nobody here tells of them
// when they are recorded.
type tellingSink struct {
	vedette.Sink
	app *App
}

func (s tellingSink) Send(ctx context.Context, f vedette.Found) error {
	err := s.Sink.Send(ctx, f)
	if err == nil {
		s.app.kept(f.Results)
	}
	return err
}
