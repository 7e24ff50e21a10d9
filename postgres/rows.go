package postgres

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

// resultRows returns the columns of resultColumns.
func resultRows(results []*vedette.Result) (rows, error) {
	all := rows{
		oids: []uint32{
			oidUUID, oidText, oidText, oidText, oidTime, oidTime, oidTime, oidInt8, oidInt8, oidInt8, oidInt4,
			oidInt4, oidInt4, oidInt4, oidInt4, oidInt4, oidInt4, oidBool, oidText, oidText, oidText, oidJSONB, oidJSONB,
		},
		buf: make([]byte, 0, 256*len(results)),
	}
	for _, r := range results {
		var evidence, hops []byte
		var err error
		if r.Failure != nil {
			evidence, err = evidenceText(r.Failure.Evidence)
		}
		if err == nil && len(r.Hops) > 0 {
			hops, err = jsonText(r.Hops)
		}
		if err != nil {
			return all, fmt.Errorf("result %s: %w", r.ID, err)
		}
		all.add(func(b row) row { return resultRow(b, r).jsonb(evidence).jsonb(hops) })
	}
	return all, nil
}

func resultRow(b row, r *vedette.Result) row {
	p := &r.Phases
	b = b.uuid(r.ID).text(string(r.Monitor)).text(r.Region).text(string(r.State))
	b = b.time(r.StartedAt).when(r.DueAt).when(r.CertNotAfter).int8(r.Token).int8(r.Revision).int8(r.Seq)
	b = b.int4(int32(r.Code)) //nolint:gosec // checked
	b = b.micros(p.DNS).micros(p.Connect).micros(p.TLS).micros(p.Request).micros(p.TTFB).micros(p.Transfer)
	b = b.bool(r.Maintenance)
	if f := r.Failure; f != nil {
		return b.text(string(f.Kind)).text(clean(f.Phase)).text(clean(f.Message))
	}
	return b.null().null().null()
}

// statusRows returns the columns of statuses by monitor. It reports ErrConflict for two of one monitor: the second must be derived from the
// first.
func statusRows(statuses []vedette.Status) (*rows, error) {
	order := make([]*vedette.Status, len(statuses))
	for i := range statuses {
		order[i] = &statuses[i]
	}
	slices.SortFunc(order, func(x, y *vedette.Status) int { return strings.Compare(string(x.Monitor), string(y.Monitor)) })
	all := &rows{
		oids: []uint32{oidText, oidText, oidText, oidTime, oidTime, oidUUID, oidInt8, oidInt8, oidBytea},
		buf:  make([]byte, 0, 256*len(order)),
	}
	var body []byte
	for i, st := range order {
		if i > 0 && order[i-1].Monitor == st.Monitor {
			return nil, fmt.Errorf("two statuses of monitor %q: %w", st.Monitor, vedette.ErrConflict)
		}
		last, _ := st.Last()
		body = pack.AppendStatus(body[:0], st)
		all.add(func(b row) row {
			b = b.text(string(st.Monitor)).text(string(st.State)).text(string(st.Settled)).when(st.Since).when(last.StartedAt)
			if st.Incident == nil {
				b = b.null()
			} else {
				b = b.uuid(st.Incident.ID)
			}
			return b.int8(st.Seq).int8(st.Version + 1).bytes(body)
		})
	}
	return all, nil
}

// incidentRows returns the columns of incidents by id, of those with one id the last.
func incidentRows(incidents []vedette.Incident) (*rows, error) {
	byID := map[vedette.ID]*vedette.Incident{}
	for i := range incidents {
		byID[incidents[i].ID] = &incidents[i]
	}
	all := &rows{oids: []uint32{oidUUID, oidText, oidTime, oidTime, oidText, oidInt8, oidText, oidText, oidText, oidJSONB}}
	order := make([]*vedette.Incident, 0, len(byID))
	for _, in := range byID {
		order = append(order, in)
	}
	slices.SortFunc(order, func(x, y *vedette.Incident) int { return bytes.Compare(x.ID[:], y.ID[:]) })
	for _, in := range order {
		evidence, err := evidenceText(in.Cause.Evidence)
		if err != nil {
			return nil, fmt.Errorf("incident %s: %w", in.ID, err)
		}
		all.add(func(b row) row {
			b = b.uuid(in.ID).text(string(in.Monitor)).time(in.Opened).when(in.Closed).text(clean(in.Reason)).int8(in.Seq)
			return b.text(clean(string(in.Cause.Kind))).text(clean(in.Cause.Phase)).text(clean(in.Cause.Message)).jsonb(evidence)
		})
	}
	return all, nil
}
