package check

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/rule"
)

// dnsKind asks a DNS server one question. Its URL is that of RFC 4501,
// dns://SERVER:PORT/NAME?type=TYPE; without a server it asks the system's first one.
func dnsKind() *kind {
	return &kind{
		scheme: "dns", port: 53, path: true,
		knows: []string{"dns"},
		keys:  []string{"rcode"},
		check: checkDNS,
		probe: probeDNS,
	}
}

// checkDNS reads the URL. The target's uri is NAME/TYPE.
func checkDNS(w *compiler) {
	u := w.url
	if u.Host != "" {
		var err error
		if w.to, err = newTarget(u, 53); err != nil {
			w.wrong(err.Error(), "")
		}
	}
	name, more, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), ";")
	kind := "A"
	for _, part := range strings.FieldsFunc(u.RawQuery+";"+more, func(r rune) bool { return r == ';' || r == '&' }) {
		key, value, _ := strings.Cut(part, "=")
		switch strings.ToLower(key) {
		case "type":
			kind = strings.ToUpper(value)
		case "class":
			if !strings.EqualFold(value, "IN") {
				w.wrong("only class IN can be asked for", "")
			}
		default:
			w.wrong(fmt.Sprintf("a dns URL has no %s", key), "want ?type=A")
		}
	}
	if _, ok := dnsTypes()[kind]; !ok {
		w.wrong(fmt.Sprintf("unknown type %s", kind), rule.DidYouMean(kind, dnsTypeNames()))
	}
	w.to.scheme, w.to.uri = "dns", kind+" "+w.dnsName(name)
}

func (w *compiler) dnsName(name string) string {
	if name == "" {
		w.wrong("the URL has no name to ask for", "want dns://"+w.url.Host+"/example.com")
		return ""
	}
	ascii, err := asciiName(name)
	if err != nil {
		w.wrong(err.Error(), "")
	}
	ascii = strings.TrimSuffix(ascii, ".") + "."
	if _, err := newQuery(0, ascii, dnsmessage.TypeA); err != nil {
		w.wrong(fmt.Sprintf("%q is no name: %v", name, err), "")
	}
	return ascii
}

func probeDNS(r *run) error {
	host, port, err := r.dnsServer()
	if err != nil {
		return err
	}
	kind, name, _ := strings.Cut(r.probe.to.uri, " ")
	id := uint16(rand.Uint32()) //nolint:gosec // any 16 bits
	query, err := newQuery(id, name, dnsTypes()[kind])
	if err != nil {
		return r.failf(vedette.KindInternal, "%v", err)
	}
	r.clock.enter(inDNS)
	addrs, err := r.resolve(host)
	if err != nil {
		return err
	}
	got, err := r.askUDP(netip.AddrPortFrom(addrs[0], port), query)
	if err == nil && got.truncated {
		got, err = r.askTCP(host, port, query)
	}
	if err != nil {
		return err
	}
	r.code = got.rcode
	r.facts.DNS = &dnsFacts{Rcode: rcodeName(got.rcode), Answers: got.answers, TTL: got.ttl}
	r.body = append(r.body, strings.Join(got.answers, "\n")...)
	return nil
}

// dnsServer returns the server to ask.
func (r *run) dnsServer() (host string, port uint16, err error) {
	if to := r.probe.to; to.host != "" {
		return to.host, to.port, nil
	}
	text := r.plan.opts.Resolver
	if text == "" {
		if text, err = systemServer("/etc/resolv.conf"); err != nil {
			return "", 0, r.failf(vedette.KindInternal, "find the system's DNS server: %v", err)
		}
	}
	addr, err := serverAddr(text)
	if err != nil {
		return "", 0, r.failf(vedette.KindInternal, "%v", err)
	}
	host, service, _ := net.SplitHostPort(addr)
	n, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return "", 0, r.failf(vedette.KindInternal, "%q is no port", service)
	}
	return host, uint16(n), nil
}

// systemServer returns the first name server that the file at path names.
func systemServer(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "nameserver" {
			return f[1], nil
		}
	}
	return "", fmt.Errorf("%s names no nameserver", path)
}

// resend is how long to wait for an answer over UDP before asking again.
const resend = 2 * time.Second

func (r *run) askUDP(to netip.AddrPort, query []byte) (dnsAnswer, error) {
	r.clock.enter(inConnect)
	r.addr = to
	if err := r.probe.deny.Addr(to.Addr()); err != nil {
		return dnsAnswer{}, err
	}
	conn, err := new(net.Dialer).DialUDP(r.ctx, "udp", netip.AddrPort{}, to)
	if err != nil {
		return dnsAnswer{}, err
	}
	r.hold(conn)
	defer r.hangUp()
	for {
		r.clock.enter(inRequest)
		if _, err := conn.Write(query); err != nil {
			return dnsAnswer{}, err
		}
		r.clock.enter(inTTFB)
		got, err := r.hearUDP(conn, query)
		again := errors.Is(err, os.ErrDeadlineExceeded) && !r.late(err) && !r.cancelled()
		if !again {
			return got, err
		}
	}
}

// hearUDP waits for the answer to query for a while. What answers something else is ignored: it
// may be forged.
func (r *run) hearUDP(conn *net.UDPConn, query []byte) (dnsAnswer, error) {
	until := time.Now().Add(resend)
	if r.deadline.Before(until) {
		until = r.deadline
	}
	if err := conn.SetReadDeadline(until); err != nil {
		return dnsAnswer{}, err
	}
	if r.ctx.Err() != nil {
		return dnsAnswer{}, context.Cause(r.ctx)
	}
	buf := r.buffer()
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return dnsAnswer{}, err
		}
		got, err := parseAnswer(buf[:n], query)
		if errors.Is(err, errNotOurs) {
			continue
		}
		r.firstByte()
		return got, r.dnsFault(err)
	}
}

func (r *run) dnsFault(err error) error {
	if err == nil {
		return nil
	}
	return r.failf(vedette.KindProtocol, "%s sent a broken answer: %v", r.who(), err)
}

func (r *run) askTCP(host string, port uint16, query []byte) (dnsAnswer, error) {
	if err := r.dial(host, port, r.probe.deny); err != nil {
		return dnsAnswer{}, err
	}
	r.clock.enter(inRequest)
	r.out = binary.BigEndian.AppendUint16(r.out[:0], uint16(len(query))) //nolint:gosec // a query is short
	r.out = append(r.out, query...)
	if _, err := r.conn.Write(r.out); err != nil {
		return dnsAnswer{}, err
	}
	r.clock.enter(inTTFB)
	var size [2]byte
	if _, err := io.ReadFull(r.conn, size[:]); err != nil {
		return dnsAnswer{}, err
	}
	r.firstByte()
	msg := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(r.conn, msg); err != nil {
		return dnsAnswer{}, err
	}
	got, err := parseAnswer(msg, query)
	return got, r.dnsFault(err)
}
