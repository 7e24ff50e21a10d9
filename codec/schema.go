package codec

import (
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"regexp"
	"time"

	"github.com/twmb/avro"

	"github.com/vedettehq/vedette"
)

// The first bytes of a body.
const (
	magic0, magic1 = 0xC3, 0x01
	confluent      = 0x00
)

// resultSchema is what we write. A change of it goes to testdata too, under the next number,
// and what it was before goes to older, so that what was written with it is read for good.
//
//go:embed result.avsc
var resultSchema string

// older lists the schemas that we wrote once.
func older() []string { return nil }

// A reader decodes what was written with one schema of a registry, or says why it cannot.
type reader struct {
	schema *avro.Schema
	err    error
}

// logical matches what says that a number is a time, or bytes an id.
var logical = regexp.MustCompile(`,\s*"logicalType":\s*"[a-z-]+"`)

// parseOwn parses a schema of ours for the quick paths of the library: times and ids are the
// numbers and bytes that they are on the wire. The fingerprint is the same.
func parseOwn(text string) (*avro.Schema, error) {
	return avro.Parse(logical.ReplaceAllString(text, ""))
}

// known returns how to read what was written with any schema of ours, by fingerprint.
func known(own *avro.Schema) (map[[8]byte]*avro.Schema, error) {
	all := map[[8]byte]*avro.Schema{fingerprint(own): own}
	for i, text := range older() {
		writer, err := parseOwn(text)
		if err != nil {
			return nil, fmt.Errorf("parse older schema %d: %w", i, err)
		}
		if all[fingerprint(writer)], err = avro.Resolve(writer, own); err != nil {
			return nil, fmt.Errorf("read older schema %d: %w", i, err)
		}
	}
	return all, nil
}

// fingerprint is the CRC-64-AVRO of a schema in the order of bytes in which it is sent.
func fingerprint(s *avro.Schema) (p [8]byte) {
	h := avro.NewRabin()
	_, _ = h.Write(s.Canonical())
	binary.LittleEndian.PutUint64(p[:], h.Sum64())
	return p
}

// writer returns how to read b, and what is behind its frame.
func (c *Codec) writer(ctx context.Context, b []byte) (*avro.Schema, []byte, error) {
	switch {
	case len(b) >= 10 && b[0] == magic0 && b[1] == magic1:
		mark := [8]byte(b[2:10])
		schema := c.prints[mark]
		if schema == nil {
			return nil, nil, fmt.Errorf("%w: unknown schema with fingerprint %x", ErrUndecodable, mark)
		}
		return schema, b[10:], nil
	case len(b) >= 5 && b[0] == confluent:
		r, err := c.registered(ctx, binary.BigEndian.Uint32(b[1:5]))
		if err == nil {
			err = r.err
		}
		return r.schema, b[5:], err
	}
	return nil, nil, fmt.Errorf("%w: neither Avro in a frame nor JSON: %d bytes that begin with %x", ErrUndecodable, len(b), b[:min(len(b), 10)])
}

// A registry is not asked again for an id that it did not know before missingFor has passed: anybody
// who may write to the topic can name any id. maxMissing of them are remembered, more than
// are ever read at once.
const (
	missingFor = 10 * time.Minute
	maxMissing = 1 << 18
)

// registered returns how to read what was written with the schema that the registry knows as
// id. Its error is one that may pass.
func (c *Codec) registered(ctx context.Context, id uint32) (reader, error) {
	c.mu.Lock()
	r, known := c.ids[id]
	asked, missing := c.missing[id]
	c.mu.Unlock()
	switch {
	case known:
		return r, nil
	case c.cfg.Lookup == nil:
		return reader{err: fmt.Errorf("%w: schema %d of a registry, and none is configured", ErrUndecodable, id)}, nil
	case id > math.MaxInt32, missing && time.Since(asked) < missingFor:
		return unknown(id), nil
	}
	text, err := c.cfg.Lookup(ctx, int(id))
	switch {
	case errors.Is(err, vedette.ErrNotFound):
		c.miss(id)
		return unknown(id), nil
	case err != nil:
		return reader{}, fmt.Errorf("look up schema %d: %w", id, err)
	}
	r = c.readerOf(id, text)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ids[id] = r // what an id stands for never changes
	return r, nil
}

// readerOf returns how to read what was written with the schema of this text.
func (c *Codec) readerOf(id uint32, text string) (r reader) {
	writer, err := avro.Parse(text)
	switch {
	case err == nil && fingerprint(writer) == fingerprint(c.schema):
		r.schema = c.schema
	case err == nil:
		r.schema, err = avro.Resolve(writer, c.schema)
	}
	if err != nil {
		r.err = fmt.Errorf("%w: schema %d: %w", ErrUndecodable, id, err)
	}
	return r
}

func unknown(id uint32) reader {
	return reader{err: fmt.Errorf("%w: schema %d is not in the registry", ErrUndecodable, id)}
}

func (c *Codec) miss(id uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.missing) >= maxMissing {
		clear(c.missing)
	}
	c.missing[id] = time.Now()
}
