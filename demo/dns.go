package demo

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
)

// known is the one name that the DNS server knows. It is behind the gateway: while that is
// down, questions for it are not answered.
const known = "names.demo.test"

// openDNS starts the DNS server.
func (w *Web) openDNS() error {
	c, err := (&net.ListenConfig{}).ListenPacket(context.Background(), "udp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for DNS: %w", err)
	}
	w.ends = append(w.ends, c)
	w.Resolver = c.LocalAddr().String()
	w.wg.Go(func() {
		buf := make([]byte, 512)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply := w.resolve(buf[:n]); reply != nil {
				_, _ = c.WriteTo(reply, from)
			}
		}
	})
	return nil
}

// resolve answers one question in the format of RFC 1035, section 4; nil is no answer.
func (w *Web) resolve(query []byte) []byte {
	name, end := question(query)
	if end == 0 || name == known && !w.gateUp() {
		return nil
	}
	kind := binary.BigEndian.Uint16(query[end-4:])
	reply := append([]byte(nil), query[:end]...)
	copy(reply[2:], []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}) // an answer, one question, no records
	switch {
	case name != known:
		reply[3] |= 3 // NXDOMAIN
	case kind == 1: // A
		reply[7] = 1
		reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7)
	}
	return reply
}

// question returns the name that is asked for and where the question ends; 0 if there is none.
func question(query []byte) (name string, end int) {
	var labels []string
	for at := 12; at < len(query); {
		n := int(query[at])
		at++
		switch {
		case n == 0 && at+4 <= len(query):
			return strings.ToLower(strings.Join(labels, ".")), at + 4
		case n == 0 || n > 63 || at+n > len(query):
			return "", 0
		}
		labels = append(labels, string(query[at:at+n]))
		at += n
	}
	return "", 0
}
