package codec_test

import (
	"encoding/binary"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/codec"
)

func TestRegistryIsAskedOnceAndItsTroublePasses(t *testing.T) {
	g := &registry{schemas: []string{`"null"`}, err: errors.New("registry is away")}
	c := make1(t, g.config())
	if err := c.Register(t.Context()); !errors.Is(err, g.err) {
		t.Errorf("Register: %v, want the registry's error", err)
	}
	r := look("a", noon)
	if _, err := c.Encode(nil, &r); err == nil || errors.Is(err, vedette.ErrRefused) {
		t.Errorf("Encode before Register: %v, want an error that passes", err)
	}
	g.err = nil
	for range 2 {
		if err := c.Register(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	b := encode(t, c, r)
	g.err, g.asked = errors.New("registry is away"), 0
	err := c.Decode(t.Context(), b, &r)
	if !errors.Is(err, g.err) || errors.Is(err, codec.ErrUndecodable) || errors.Is(err, codec.ErrInvalid) {
		t.Errorf("Decode: %v, want only the registry's error", err)
	}
	g.err = nil
	for range 3 {
		decode(t, c, b)
	}
	if g.asked != 2 {
		t.Errorf("the registry was asked %d times, want once in trouble and once more", g.asked)
	}
}

func TestUnknownIDsOfARegistryAreNotAskedForAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &registry{}
		c := make1(t, g.config())
		unknown := func(id uint32) {
			t.Helper()
			var r vedette.Result
			body := binary.BigEndian.AppendUint32([]byte{0}, id)
			if err := c.Decode(t.Context(), body, &r); !errors.Is(err, codec.ErrUndecodable) {
				t.Errorf("schema %d: %v, want undecodable", id, err)
			}
		}
		for range 100 {
			unknown(3)
			unknown(1 << 31) // ids have 31 bits
		}
		if g.asked != 1 {
			t.Errorf("the registry was asked %d times, want once", g.asked)
		}
		g.schemas = []string{"", "", "", schema(t)}
		time.Sleep(11 * time.Minute)
		b := encode(t, make1(t, codec.Config{}), look("a", noon))
		decode(t, c, append(binary.BigEndian.AppendUint32([]byte{0}, 3), b[10:]...))
	})
}
