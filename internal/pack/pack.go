// Package pack makes compact bodies of results, statuses and jobs: what a store keeps beside the columns
// that it searches. What one version of Vedette wrote, all later ones read.
package pack

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
)

// Bodies are varints (encoding/binary) and strings behind their lengths. Durations in them are
// microseconds, but nanoseconds in Spent.
//
// A result's body:
//
//	flags      1 maintenance, 2 due, 4 certificate, 8 hops
//	due        how long before the start, signed, if flagged
//	token      how long before the start it was given, signed
//	seq, revision, region
//	phases     six
//	cert       not after, in seconds since 1970, if flagged
//	hops       their number, then url, code, addr and phases of each, if flagged
//
// A status's body: since, settled, incident id, muted, counted, spent, seq and the number of
// votes; then of each: region, state, since, streak, streak since, failing, stale, the last
// result's id, state, code, body and kind of failure, and if that is not "" its phase and message.

const (
	hasMaintenance = 1 << iota
	hasDue
	hasCert
	hasHops
)

// states numbers the states; the numbers are stored.
func states() []vedette.State {
	return []vedette.State{
		"", vedette.Up, vedette.Degraded, vedette.Down, vedette.Unknown, vedette.Maintenance, vedette.Paused,
	}
}

// StateNum returns the number that s is stored as, or -1 if there is no such state.
func StateNum(s vedette.State) int64 { return int64(slices.Index(states(), s)) }

// StateOf returns the state of a stored number, which is unknown if a later version wrote it.
func StateOf(n int64) vedette.State {
	if all := states(); n >= 0 && n < int64(len(all)) {
		return all[n]
	}
	return vedette.Unknown
}

// Micros returns t as it is stored: in microseconds since 1970, 0 being none.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// TimeOf returns a time that was stored by Micros.
func TimeOf(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendInts appends numbers that are seldom negative.
func appendInts(b []byte, numbers ...int64) []byte {
	for _, n := range numbers {
		b = binary.AppendUvarint(b, uint64(n)) //nolint:gosec // read back as it was
	}
	return b
}

// AppendResult appends the body of r, without its ID, Monitor, State, Code and Failure.
func AppendResult(b []byte, r *vedette.Result) []byte {
	start := r.ID.Time().UnixMicro()
	at := len(b)
	b = append(b, 0)
	flags := byte(0)
	if r.Maintenance {
		flags |= hasMaintenance
	}
	if !r.DueAt.IsZero() {
		flags |= hasDue
		b = binary.AppendVarint(b, start-r.DueAt.UnixMicro())
	}
	b = binary.AppendVarint(b, start-r.Token)
	b = appendInts(b, r.Seq, r.Revision)
	b = appendString(b, r.Region)
	b = appendPhases(b, &r.Phases)
	if !r.CertNotAfter.IsZero() {
		flags |= hasCert
		b = binary.AppendVarint(b, r.CertNotAfter.Unix())
	}
	if len(r.Hops) > 0 {
		flags |= hasHops
		b = appendInts(b, int64(len(r.Hops)))
		for i := range r.Hops {
			h := &r.Hops[i]
			b = appendInts(appendString(b, h.URL), int64(h.Code))
			b = appendPhases(appendString(b, h.Addr), &h.Phases)
		}
	}
	b[at] = flags
	return b
}

func appendPhases(b []byte, p *vedette.Phases) []byte {
	return appendInts(b, p.DNS.Microseconds(), p.Connect.Microseconds(), p.TLS.Microseconds(),
		p.Request.Microseconds(), p.TTFB.Microseconds(), p.Transfer.Microseconds())
}

// AppendSpent appends s.
func AppendSpent(b []byte, s *vedette.Spent) []byte {
	return appendInts(b, int64(s.Up), int64(s.Degraded), int64(s.Down), int64(s.Unknown), int64(s.Maintenance))
}

// AppendStatus appends the body of st, without its Monitor, State and Version. Of an open incident
// it holds the ID.
func AppendStatus(b []byte, st *vedette.Status) []byte {
	b = appendInts(b, Micros(st.Since), StateNum(st.Settled))
	incident := ""
	if st.Incident != nil {
		incident = string(st.Incident.ID[:])
	}
	b = appendString(appendString(b, incident), st.Muted)
	b = AppendSpent(appendInts(b, Micros(st.Counted)), &st.Spent)
	b = appendInts(b, st.Seq, int64(len(st.Votes)))
	for i := range st.Votes {
		b = appendVote(b, &st.Votes[i])
	}
	return b
}

func appendVote(b []byte, v *vedette.Vote) []byte {
	b = appendString(b, v.Region)
	stale := int64(0)
	if v.Stale {
		stale = 1
	}
	b = appendInts(b, StateNum(v.State), Micros(v.Since), int64(v.Streak), Micros(v.StreakSince), int64(v.Failing), stale)
	last := v.Last
	last.Hops = nil
	b = append(b, last.ID[:]...)
	b = appendInts(b, StateNum(last.State), int64(last.Code))
	b = AppendResult(b, &last)
	if last.Failure == nil {
		return appendString(b, "")
	}
	b = appendString(b, string(last.Failure.Kind))
	return appendString(appendString(b, last.Failure.Phase), last.Failure.Message)
}

// errBody is what a body that was not written by us reads as.
var errBody = errors.New("stored body is cut short or damaged")

// Result fills r, whose ID is set, from the body that data is.
func Result(data []byte, r *vedette.Result) error {
	b := body{rest: data}
	b.result(r)
	return b.err
}

// Status fills st, whose Monitor and State are set, from the body that data is. Of an open
// incident it sets the ID and the Monitor.
func Status(data []byte, st *vedette.Status) error {
	b := body{rest: data}
	b.status(st)
	return b.err
}

// Spent reads what AppendSpent wrote.
func Spent(data []byte) (vedette.Spent, error) {
	b := body{rest: data}
	s := b.spent()
	return s, b.err
}

// A body is read from its front; after its first error it gives zeros.
type body struct {
	rest []byte
	err  error
}

// fail gives up.
func (b *body) fail() { b.rest, b.err = nil, errBody }

func (b *body) int() int64 {
	n, size := binary.Uvarint(b.rest)
	if size <= 0 {
		b.fail()
		return 0
	}
	b.rest = b.rest[size:]
	return int64(n) //nolint:gosec // as it was written
}

func (b *body) signed() int64 {
	n, size := binary.Varint(b.rest)
	if size <= 0 {
		b.fail()
		return 0
	}
	b.rest = b.rest[size:]
	return n
}

func (b *body) bytes(n int64) []byte {
	if n < 0 || n > int64(len(b.rest)) {
		b.fail()
		return nil
	}
	got := b.rest[:n]
	b.rest = b.rest[n:]
	return got
}

func (b *body) string() string { return string(b.bytes(b.int())) }

// count reads how many things follow, each of at least one byte.
func (b *body) count() int {
	n := b.int()
	if n < 0 || n > int64(len(b.rest)) {
		b.fail()
		return 0
	}
	return int(n)
}

func (b *body) id() (id vedette.ID) {
	copy(id[:], b.bytes(int64(len(id))))
	return id
}

func (b *body) time() time.Time { return TimeOf(b.int()) }

func (b *body) micros() time.Duration { return time.Duration(b.int()) * time.Microsecond }

func (b *body) phases() vedette.Phases {
	return vedette.Phases{
		DNS: b.micros(), Connect: b.micros(), TLS: b.micros(),
		Request: b.micros(), TTFB: b.micros(), Transfer: b.micros(),
	}
}

func (b *body) spent() vedette.Spent {
	return vedette.Spent{
		Up: time.Duration(b.int()), Degraded: time.Duration(b.int()), Down: time.Duration(b.int()),
		Unknown: time.Duration(b.int()), Maintenance: time.Duration(b.int()),
	}
}

func (b *body) result(r *vedette.Result) {
	start := r.ID.Time().UTC()
	if !r.ID.IsZero() {
		r.StartedAt = start
	}
	flags := byte(0)
	if first := b.bytes(1); first != nil {
		flags = first[0]
	}
	r.Maintenance = flags&hasMaintenance != 0
	if flags&hasDue != 0 {
		r.DueAt = start.Add(-time.Duration(b.signed()) * time.Microsecond)
	}
	r.Token = start.UnixMicro() - b.signed()
	r.Seq, r.Revision = b.int(), b.int()
	r.Region = b.string()
	r.Phases = b.phases()
	if flags&hasCert != 0 {
		r.CertNotAfter = time.Unix(b.signed(), 0).UTC()
	}
	if flags&hasHops != 0 {
		for range b.count() {
			r.Hops = append(r.Hops, vedette.Hop{URL: b.string(), Code: int(b.int()), Addr: b.string(), Phases: b.phases()})
		}
	}
}

func (b *body) status(st *vedette.Status) {
	st.Since, st.Settled = b.time(), StateOf(b.int())
	if incident := b.string(); len(incident) == len(vedette.ID{}) {
		st.Incident = &vedette.Incident{Monitor: st.Monitor, ID: vedette.ID([]byte(incident))}
	}
	st.Muted = b.string()
	st.Counted, st.Spent = b.time(), b.spent()
	st.Seq = b.int()
	for range b.count() {
		v := b.vote()
		v.Last.Monitor = st.Monitor
		st.Votes = append(st.Votes, v)
	}
}

func (b *body) vote() (v vedette.Vote) {
	v.Region = b.string()
	v.State, v.Since = StateOf(b.int()), b.time()
	v.Streak, v.StreakSince, v.Failing = int(b.int()), b.time(), int(b.int())
	v.Stale = b.int() == 1
	v.Last.ID = b.id()
	v.Last.State, v.Last.Code = StateOf(b.int()), int(b.int())
	b.result(&v.Last)
	if kind := b.string(); kind != "" {
		v.Last.Failure = &vedette.Failure{Kind: vedette.Kind(kind), Phase: b.string(), Message: b.string()}
	}
	return v
}
