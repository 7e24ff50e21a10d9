// Package codec turns results into messages and messages into results.
//
// A body is one of three, told apart by its first byte: Avro in the single-object encoding
// (C3 01, then the CRC-64-AVRO fingerprint of the writer's schema), Avro behind the id that a
// schema registry gave to the schema (00, then the id in 4 bytes, the frame of Confluent), or
// the JSON of a [vedette.Result] ('{'). A [Codec] reads all of them, whichever it writes.
//
// The schema is result.avsc. Seq and Maintenance of a Result do not travel: whoever folds
// results sets them. Times and phases travel in microseconds, as the stores keep them.
package codec

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/twmb/avro"

	"github.com/vedettehq/vedette"
)

// What a body that is not taken is. The text of a wrapping error begins with the class.
var (
	// ErrUndecodable: the bytes are no result, or one of a schema that nobody knows.
	ErrUndecodable = errors.New("undecodable")
	// ErrInvalid: the bytes are a result, and it makes no sense.
	ErrInvalid = errors.New("invalid")
)

// MaxSize bounds a body, in bytes; it is what brokers take unless told otherwise.
const MaxSize = 1 << 20

// A Config says how to write. Its zero value writes single-object Avro.
type Config struct {
	// JSON writes JSON, for people who read topics. Register is not used then.
	JSON bool
	// Register gives the id of a schema under Subject and adds it if it is new; if it is set,
	// bodies are written behind that id. See [Codec.Register].
	Register func(ctx context.Context, subject, schema string) (id int, err error)
	Subject  string
	// Lookup returns the schema of an id. It reports vedette.ErrNotFound for one that is not
	// registered; after any other error the same body may be decoded later. Nil knows none.
	Lookup func(ctx context.Context, id int) (schema string, err error)
}

// A Codec writes and reads bodies of messages. It is safe for concurrent use.
type Codec struct {
	cfg    Config
	schema *avro.Schema
	head   atomic.Pointer[[]byte] // before the Avro of what we write; nil until it is registered
	prints map[[8]byte]*avro.Schema
	names  *names
	wires  sync.Pool // of *wire

	mu      sync.Mutex
	ids     map[uint32]reader
	missing map[uint32]time.Time // when the registry did not know an id
}

// New returns a Codec. It talks to nobody.
func New(cfg Config) (*Codec, error) {
	if cfg.Register != nil && cfg.Subject == "" {
		return nil, errors.New("codec: a registry needs a subject")
	}
	schema, err := parseOwn(resultSchema)
	if err != nil {
		return nil, fmt.Errorf("codec: parse our schema: %w", err)
	}
	c := &Codec{cfg: cfg, schema: schema, names: newNames(), ids: map[uint32]reader{}, missing: map[uint32]time.Time{}}
	c.wires.New = func() any { return new(wire) }
	if c.prints, err = known(schema); err != nil {
		return nil, fmt.Errorf("codec: %w", err)
	}
	if cfg.Register == nil {
		mark := fingerprint(schema)
		head := append([]byte{magic0, magic1}, mark[:]...)
		c.head.Store(&head)
	}
	return c, nil
}

// Register makes the schema known to the registry, once. Without a registry it does nothing.
// A [Sink] calls it; who calls Encode without one must do so before.
func (c *Codec) Register(ctx context.Context) error {
	if c.cfg.JSON || c.head.Load() != nil {
		return nil
	}
	id, err := c.cfg.Register(ctx, c.cfg.Subject, resultSchema)
	if err != nil {
		return fmt.Errorf("register schema as %s: %w", c.cfg.Subject, err)
	}
	head := binary.BigEndian.AppendUint32([]byte{confluent}, uint32(id)) //nolint:gosec // ids have 31 bits
	c.head.Store(&head)
	return nil
}

// Encode appends the body of r to dst. Texts for people are made valid UTF-8 without NULs. It
// reports ErrRefused for a result that Decode would call invalid, and then dst is as it was.
func (c *Codec) Encode(dst []byte, r *vedette.Result) ([]byte, error) {
	r = clean(r)
	if err := check(r); err != nil {
		return dst, fmt.Errorf("encode result %s of monitor %q: %w: %w", r.ID, r.Monitor, vedette.ErrRefused, err)
	}
	at := len(dst)
	out, err := c.encode(dst, r)
	if err == nil && len(out)-at > MaxSize {
		err = fmt.Errorf("%w: %d bytes", vedette.ErrRefused, len(out)-at)
	}
	if err != nil {
		return dst[:at], fmt.Errorf("encode result %s of monitor %q: %w", r.ID, r.Monitor, err)
	}
	return out, nil
}

func (c *Codec) encode(dst []byte, r *vedette.Result) ([]byte, error) {
	if c.cfg.JSON {
		text, err := json.Marshal(plain(*r))
		return append(dst, text...), err
	}
	head := c.head.Load()
	if head == nil {
		return dst, errors.New("the schema is not registered yet")
	}
	return appendResult(append(dst, *head...), r), nil
}

// Decode reads a body into r, which shares no memory with it. It reports ErrUndecodable and
// ErrInvalid for a body that will never be taken; any other error is the registry's, and the
// body may be decoded later. After an error r is of no use.
func (c *Codec) Decode(ctx context.Context, b []byte, r *vedette.Result) error {
	if len(b) > MaxSize {
		return fmt.Errorf("%w: %d bytes, want at most %d", ErrUndecodable, len(b), MaxSize)
	}
	if len(b) > 0 && b[0] == '{' {
		if err := decodeJSON(b, r); err != nil {
			return err
		}
	} else {
		schema, rest, err := c.writer(ctx, b)
		if err != nil {
			return err
		}
		if err := c.decodeAvro(schema, rest, r); err != nil {
			return err
		}
	}
	if err := check(r); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

func (c *Codec) decodeAvro(schema *avro.Schema, b []byte, r *vedette.Result) error {
	if schema == c.schema && quick(b, r, c.names) {
		return nil
	}
	return c.decodeAny(schema, b, r)
}

func (c *Codec) decodeAny(schema *avro.Schema, b []byte, r *vedette.Result) error {
	w := c.wires.Get().(*wire)
	w.blank()
	defer func() {
		*w = wire{} // it points into b
		c.wires.Put(w)
	}()
	rest, err := schema.Decode(b, w, avro.AliasInput())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	if len(rest) > 0 {
		return fmt.Errorf("%w: %d bytes too many", ErrUndecodable, len(rest))
	}
	w.result(r, c.names)
	return nil
}

func decodeJSON(b []byte, r *vedette.Result) error {
	if !utf8.Valid(b) {
		return fmt.Errorf("%w: JSON that is not UTF-8", ErrUndecodable)
	}
	*r = vedette.Result{}
	if err := json.Unmarshal(b, r); err != nil {
		return fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	*r = plain(*r)
	return nil
}

// plain returns r as it would be after a journey by Avro.
func plain(r vedette.Result) vedette.Result {
	r.Seq, r.Maintenance = 0, false
	for _, t := range []*time.Time{&r.DueAt, &r.StartedAt, &r.CertNotAfter} {
		*t = t.UTC().Truncate(time.Microsecond)
	}
	r.Phases = plainPhases(r.Phases)
	hops := make([]vedette.Hop, 0, len(r.Hops))
	for _, h := range r.Hops {
		h.Phases = plainPhases(h.Phases)
		hops = append(hops, h)
	}
	r.Hops = hops
	if len(hops) == 0 {
		r.Hops = nil
	}
	return r
}

func plainPhases(p vedette.Phases) vedette.Phases {
	const us = time.Microsecond
	return vedette.Phases{
		DNS: p.DNS.Truncate(us), Connect: p.Connect.Truncate(us), TLS: p.TLS.Truncate(us),
		Request: p.Request.Truncate(us), TTFB: p.TTFB.Truncate(us), Transfer: p.Transfer.Truncate(us),
	}
}
