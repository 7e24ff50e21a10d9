package check_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/check"
)

func TestTCP(t *testing.T) {
	greets := bare(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "220 mail ")
		_, _ = io.WriteString(conn, "ready\r\n")
		_, _ = io.Copy(io.Discard, conn)
	})
	echoes := bare(t, func(conn net.Conn) { _, _ = io.Copy(conn, conn) })
	mute := bare(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	for _, c := range []struct {
		addr, options string
		state         vedette.State
		want          string
	}{
		{mute, ``, vedette.Up, ""},
		{closed(t), ``, vedette.Down, "refused connect connection refused by 127.0.0.1:"},
		{greets, `"contains":["ready"]`, vedette.Up, ""},
		{greets, `"pattern":["^220 "],"not_contains":["closed"]`, vedette.Up, ""},
		{greets, `"contains":["250"]`, vedette.Down, `content  body contains "250" is false: body = "220 mail ready`},
		{echoes, `"send":"PING\r\n"`, vedette.Up, ""},
		{echoes, `"send":"PING\r\n","expect":["body == \"PING\\r\\n\" and size == 6"]`, vedette.Up, ""},
		{mute, `"send":"PING"`, vedette.Down, "timeout ttfb no answer within 1s"},
		{bare(t, func(conn net.Conn) { _, _ = io.WriteString(conn, "bye") }), `"contains":["hello"]`, vedette.Down, "content "},
		{bare(t, func(net.Conn) {}), `"contains":["hello"]`, vedette.Down, "reset ttfb"},
		{closed(t), `"fails_with":["refused","timeout"]`, vedette.Up, ""},
		{mute, `"fails_with":["refused"]`, vedette.Down, "the look succeeded"},
	} {
		m := vedette.Monitor{URL: "tcp://" + c.addr, Probe: vedette.Raw("{" + c.options + "}"), Timeout: time.Second}
		want(t, lookWith(t, check.Config{}, m), c.state, c.want)
	}
}

// dual is a name server that knows 127.0.0.1 and ::1 for every name.
func dual(t testing.TB) string {
	return nameServer(t, func(q []byte, send func([]byte)) {
		send(answers(t, q, func(m *dnsmessage.Message) {
			h := dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET}
			m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}}}
			if m.Questions[0].Type == dnsmessage.TypeAAAA {
				m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AAAAResource{AAAA: [16]byte{15: 1}}}}
			}
		}))
	})
}

func TestBothFamilies(t *testing.T) {
	four := serve(t, ok)
	port := four[strings.LastIndex(four, ":"):]
	resolver := `"resolver":"` + dual(t) + `"`
	r := look(t, "http://site.example"+port, `{"ip":"both",`+resolver+`}`)
	want(t, r, vedette.Degraded, "IPv6: ")
	if r.Code != 200 {
		t.Errorf("the result is not that of the family that works: %+v", r)
	}
	want(t, look(t, "http://site.example"+port, `{`+resolver+`}`), vedette.Up)
	want(t, look(t, "http://127.0.0.1"+port, `{"ip":"6"}`), vedette.Down, "dns dns", "no address of this family")
	want(t, look(t, "http://127.0.0.1"+port, `{"ip":"4"}`), vedette.Up)
	r = look(t, "http://site.example"+strings.TrimPrefix(closed(t), "127.0.0.1"), `{"ip":"both",`+resolver+`}`)
	want(t, r, vedette.Down, "IPv")

	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "[::1]"+port)
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	six := httptest.NewUnstartedServer(http.HandlerFunc(ok))
	_ = six.Listener.Close()
	six.Listener = l
	six.Start()
	defer six.Close()
	want(t, look(t, "http://site.example"+port, `{"ip":"both",`+resolver+`}`), vedette.Up)
	want(t, look(t, "http://[::1]"+port, `{"expect":["family == 6 and ip == \"::1\""]}`), vedette.Up)
}

// answers builds the answer to a DNS query.
func answers(t testing.TB, query []byte, change func(*dnsmessage.Message)) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		t.Error(err)
		return nil
	}
	m.Response, m.Additionals = true, nil
	name := m.Questions[0].Name
	h := dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: 300}
	n := dnsmessage.MustNewName
	switch m.Questions[0].Type {
	case dnsmessage.TypeA:
		short := h
		short.TTL = 60
		m.Answers = []dnsmessage.Resource{
			{Header: h, Body: &dnsmessage.CNAMEResource{CNAME: n("web.example.")}},
			{Header: h, Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 9}}},
			{Header: short, Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}}},
		}
	case dnsmessage.TypeAAAA:
		m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AAAAResource{AAAA: [16]byte{0x20, 1, 0xd, 0xb8, 15: 1}}}}
	case dnsmessage.TypeMX:
		m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.MXResource{Pref: 10, MX: n("mx.example.")}}}
	case dnsmessage.TypeTXT:
		m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.TXTResource{TXT: []string{"v=spf1 ", "-all"}}}}
	case dnsmessage.TypeNS:
		m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.NSResource{NS: n("ns.example.")}}}
	case dnsmessage.TypeSOA:
		m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.SOAResource{NS: n("ns.example."), MBox: n("me.example."), Serial: 1, Refresh: 2, Retry: 3, Expire: 4, MinTTL: 5}}}
	case dnsmessage.TypeSRV:
		m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.SRVResource{Priority: 1, Weight: 2, Port: 443, Target: n("srv.example.")}}}
	case dnsmessage.TypePTR:
		m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.PTRResource{PTR: n("ptr.example.")}}}
	case dnsmessage.TypeCNAME:
		m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.CNAMEResource{CNAME: n("web.example.")}}}
	default:
		h.Type = 257
		m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.UnknownResource{Type: 257, Data: []byte("\x00\x05issueca.example")}}}
	}
	if change != nil {
		change(&m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Error(err)
	}
	return b
}

// nameServer answers over UDP with f, and over TCP in full.
func nameServer(t testing.TB, f func(query []byte, send func([]byte))) (addr string) {
	t.Helper()
	tcp := bare(t, func(conn net.Conn) {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		_, _ = io.ReadFull(conn, query)
		b := answers(t, query, nil)
		_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
	})
	udp, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", tcp)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = udp.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := udp.ReadFrom(buf)
			if err != nil {
				return
			}
			f(buf[:n], func(b []byte) { _, _ = udp.WriteTo(b, from) })
		}
	}()
	return tcp
}

func TestDNS(t *testing.T) {
	full := nameServer(t, func(q []byte, send func([]byte)) { send(answers(t, q, nil)) })
	short := nameServer(t, func(q []byte, send func([]byte)) {
		send(answers(t, q, func(m *dnsmessage.Message) { m.Truncated, m.Answers = true, nil }))
	})
	rcode := func(code dnsmessage.RCode) string {
		return nameServer(t, func(q []byte, send func([]byte)) {
			send(answers(t, q, func(m *dnsmessage.Message) { m.RCode, m.Answers = code, nil }))
		})
	}
	forged := nameServer(t, func(q []byte, send func([]byte)) {
		send([]byte("\x00"))
		send(answers(t, q, func(m *dnsmessage.Message) { m.ID++; m.Answers = nil }))
		send(answers(t, q, func(m *dnsmessage.Message) {
			m.Questions[0].Name, m.Answers = dnsmessage.MustNewName("evil.example."), nil
		}))
		send(answers(t, q, nil))
	})
	mute := nameServer(t, func([]byte, func([]byte)) {})
	garbage := nameServer(t, func(q []byte, send func([]byte)) { send(append(answers(t, q, nil)[:40:40], 0xff, 0xff)) })
	is := func(list string) string { return fmt.Sprintf(`"expect":["dns.answers == [%s]"]`, list) }
	for _, c := range []struct {
		server, question, options string
		state                     vedette.State
		want                      string
	}{
		{full, "example.com", is(`\"192.0.2.1\", \"192.0.2.9\"`), vedette.Up, ""},
		{full, "example.com?type=A", `"expect":["dns.ttl == \"1m\" and dns.rcode == \"NOERROR\""]`, vedette.Up, ""},
		{full, "example.com;type=AAAA", is(`\"2001:db8::1\"`), vedette.Up, ""},
		{full, "example.com?class=IN;type=mx", is(`\"10 mx.example\"`), vedette.Up, ""},
		{full, "example.com?type=TXT", is(`\"v=spf1 -all\"`), vedette.Up, ""},
		{full, "example.com?type=NS", is(`\"ns.example\"`), vedette.Up, ""},
		{full, "example.com?type=SOA", is(`\"ns.example me.example 1 2 3 4 5\"`), vedette.Up, ""},
		{full, "example.com?type=SRV", is(`\"1 2 443 srv.example\"`), vedette.Up, ""},
		{full, "example.com?type=PTR", is(`\"ptr.example\"`), vedette.Up, ""},
		{full, "example.com?type=CNAME", is(`\"web.example\"`), vedette.Up, ""},
		{full, "example.com?type=CAA", is(`\"0 issue \\\"ca.example\\\"\"`), vedette.Up, ""},
		{short, "example.com", is(`\"192.0.2.1\", \"192.0.2.9\"`), vedette.Up, ""},
		{forged, "example.com", is(`\"192.0.2.1\", \"192.0.2.9\"`), vedette.Up, ""},
		{rcode(3), "example.com", ``, vedette.Down, "status  rcode is NXDOMAIN, want NOERROR"},
		{rcode(3), "example.com", `"rcode":["nxdomain"]`, vedette.Up, ""},
		{rcode(2), "example.com", `"rcode":["NXDOMAIN","REFUSED"]`, vedette.Down, "rcode is SERVFAIL, want NXDOMAIN, REFUSED"},
		{full, "example.com", `"expect":["dns.answers == []"]`, vedette.Down, `dns.answers = ["192.0.2.1","192.0.2.9"]`},
		{mute, "example.com", ``, vedette.Down, "timeout ttfb no answer within 200ms"},
		{garbage, "example.com", ``, vedette.Down, "protocol transfer"},
		{closed(t), "example.com", ``, vedette.Down, "refused"},
	} {
		m := vedette.Monitor{URL: "dns://" + c.server + "/" + c.question, Probe: vedette.Raw("{" + c.options + "}"), Timeout: 5 * time.Second}
		if c.server == mute {
			m.Timeout = 200 * time.Millisecond
		}
		r := lookWith(t, check.Config{}, m)
		want(t, r, c.state, c.want)
		if t.Failed() {
			t.Fatalf("%s %s", c.question, c.options)
		}
	}
	if r := lookWith(t, check.Config{}, vedette.Monitor{URL: "dns://" + rcode(3) + "/x"}); r.Code != 3 {
		t.Errorf("code is %d, want 3", r.Code)
	}
	r := lookWith(t, check.Config{}, vedette.Monitor{URL: "dns:///x", Probe: vedette.Raw(`{"resolver":"` + full + `"}`)})
	want(t, r, vedette.Up)
}

func TestHostsAreResolvedByTheResolverThatIsNamed(t *testing.T) {
	url := serve(t, ok)
	server := nameServer(t, func(q []byte, send func([]byte)) {
		send(answers(t, q, func(m *dnsmessage.Message) {
			if m.Questions[0].Type != dnsmessage.TypeA {
				m.Answers = nil
				return
			}
			h := dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET}
			m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}}}
		}))
	})
	m := strings.Replace(url, "127.0.0.1", "site.example", 1)
	r := look(t, m, `{"resolver":"`+server+`"}`)
	want(t, r, vedette.Up)
	if r.Phases.DNS == 0 {
		t.Error("resolving took no time")
	}
	// A name that leads a redirect to a forbidden address is found out when it is dialled.
	evil := nameServer(t, func(q []byte, send func([]byte)) {
		send(answers(t, q, func(m *dnsmessage.Message) {
			h := dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET}
			m.Answers = nil
			if m.Questions[0].Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AResource{A: [4]byte{169, 254, 169, 254}}}}
			}
		}))
	})
	r = look(t, sending(t, "http://harmless.example/"), `{"resolver":"`+evil+`"}`)
	want(t, r, vedette.Down, "forbidden connect 169.254.169.254")
}
