package check

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const typeCAA = dnsmessage.Type(257) // RFC 8659

// dnsTypes are the types that can be asked for.
func dnsTypes() map[string]dnsmessage.Type {
	return map[string]dnsmessage.Type{
		"A": dnsmessage.TypeA, "AAAA": dnsmessage.TypeAAAA, "CNAME": dnsmessage.TypeCNAME,
		"MX": dnsmessage.TypeMX, "NS": dnsmessage.TypeNS, "TXT": dnsmessage.TypeTXT,
		"SOA": dnsmessage.TypeSOA, "SRV": dnsmessage.TypeSRV, "PTR": dnsmessage.TypePTR, "CAA": typeCAA,
	}
}

func dnsTypeNames() []string { return slices.Sorted(maps.Keys(dnsTypes())) }

// rcodes are the names of response codes by number (RFC 1035, RFC 2136).
func rcodes() []string {
	return []string{
		"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
		"YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE",
	}
}

func rcodeName(code int) string {
	if names := rcodes(); code < len(names) {
		return names[code]
	}
	return fmt.Sprintf("RCODE%d", code)
}

// newQuery returns the message that asks for a name, which ends in a dot.
func newQuery(id uint16, name string, kind dnsmessage.Type) ([]byte, error) {
	n, err := dnsmessage.NewName(name)
	if err != nil {
		return nil, err
	}
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: id, RecursionDesired: true})
	var opt dnsmessage.ResourceHeader
	steps := []func() error{
		b.StartQuestions,
		func() error {
			return b.Question(dnsmessage.Question{Name: n, Type: kind, Class: dnsmessage.ClassINET})
		},
		b.StartAdditionals,
		func() error { return opt.SetEDNS0(1232, dnsmessage.RCodeSuccess, false) },
		func() error { return b.OPTResource(opt, dnsmessage.OPTResource{}) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return b.Finish()
}

// A dnsAnswer is what a server answered.
type dnsAnswer struct {
	rcode     int
	truncated bool
	answers   []string // of the type asked for, sorted
	ttl       time.Duration
}

// errNotOurs is reported for a message that answers another question.
var errNotOurs = errors.New("the answer is to another question")

// parseAnswer reads the answer to query.
func parseAnswer(msg, query []byte) (dnsAnswer, error) {
	asked, err := question(query)
	if err != nil {
		return dnsAnswer{}, err
	}
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil || !h.Response || !bytes.Equal(msg[:2], query[:2]) {
		return dnsAnswer{}, errNotOurs
	}
	questions, err := p.AllQuestions()
	if err != nil {
		return dnsAnswer{}, err
	}
	got := dnsAnswer{rcode: int(h.RCode), truncated: h.Truncated}
	// Servers leave the question out of an answer that says that they could not read it.
	if len(questions) == 0 && h.RCode != dnsmessage.RCodeSuccess {
		return got, nil
	}
	if len(questions) != 1 || !sameQuestion(questions[0], asked) {
		return dnsAnswer{}, errNotOurs
	}
	if got.truncated {
		return got, nil
	}
	return got, got.read(&p, asked.Type)
}

func question(query []byte) (dnsmessage.Question, error) {
	var p dnsmessage.Parser
	if _, err := p.Start(query); err != nil {
		return dnsmessage.Question{}, err
	}
	return p.Question()
}

func sameQuestion(a, b dnsmessage.Question) bool {
	return a.Type == b.Type && a.Class == b.Class && strings.EqualFold(a.Name.String(), b.Name.String())
}

// read collects the answers of one type.
func (a *dnsAnswer) read(p *dnsmessage.Parser, kind dnsmessage.Type) error {
	for {
		h, err := p.AnswerHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			slices.Sort(a.answers)
			return nil
		}
		if err != nil {
			return err
		}
		if h.Type != kind {
			if err := p.SkipAnswer(); err != nil {
				return err
			}
			continue
		}
		text, err := answerText(p, kind)
		if err != nil {
			return err
		}
		if ttl := time.Duration(h.TTL) * time.Second; len(a.answers) == 0 || ttl < a.ttl {
			a.ttl = ttl
		}
		a.answers = append(a.answers, text)
	}
}

// answerText reads one record the way zone files write it, names without the dot at their end.
func answerText(p *dnsmessage.Parser, kind dnsmessage.Type) (string, error) {
	switch kind {
	case dnsmessage.TypeA:
		r, err := p.AResource()
		return netip.AddrFrom4(r.A).String(), err
	case dnsmessage.TypeAAAA:
		r, err := p.AAAAResource()
		return netip.AddrFrom16(r.AAAA).String(), err
	case dnsmessage.TypeCNAME:
		r, err := p.CNAMEResource()
		return bare(r.CNAME), err
	case dnsmessage.TypeNS:
		r, err := p.NSResource()
		return bare(r.NS), err
	case dnsmessage.TypePTR:
		r, err := p.PTRResource()
		return bare(r.PTR), err
	case dnsmessage.TypeMX:
		r, err := p.MXResource()
		return fmt.Sprintf("%d %s", r.Pref, bare(r.MX)), err
	case dnsmessage.TypeTXT:
		r, err := p.TXTResource()
		return strings.Join(r.TXT, ""), err
	case dnsmessage.TypeSRV:
		r, err := p.SRVResource()
		return fmt.Sprintf("%d %d %d %s", r.Priority, r.Weight, r.Port, bare(r.Target)), err
	case dnsmessage.TypeSOA:
		r, err := p.SOAResource()
		return fmt.Sprintf("%s %s %d %d %d %d %d", bare(r.NS), bare(r.MBox), r.Serial, r.Refresh, r.Retry, r.Expire, r.MinTTL), err
	}
	r, err := p.UnknownResource()
	if err != nil {
		return "", err
	}
	return caaText(r.Data), nil
}

func bare(n dnsmessage.Name) string {
	s := n.String()
	if s == "." {
		return s
	}
	return strings.TrimSuffix(s, ".")
}

// caaText reads the data of a CAA record: flags, the length of the tag, the tag, the value.
func caaText(b []byte) string {
	if len(b) < 2 || len(b) < 2+int(b[1]) {
		return `\# ` + hex.EncodeToString(b)
	}
	end := 2 + int(b[1])
	tag, value := b[2:end], b[end:]
	return fmt.Sprintf("%d %s %q", b[0], tag, value)
}
