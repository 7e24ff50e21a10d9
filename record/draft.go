package record

import (
	"context"
	"slices"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/verdict"
)

// A draft is one batch in the making. It changes what the entries will be, so that nothing has
// happened when the batch is not written.
type draft struct {
	ledger    *ledger
	turn      int64 // tells it from other drafts of the ledger
	batch     vedette.Batch
	fresh     []*entry // those whose statuses it changes
	strange   []*entry // those of monitors that are gone
	incidents map[vedette.ID]vedette.Incident
	order     []vedette.ID // of incidents
}

// status returns how a monitor does, by this draft.
func (d *draft) status(id vedette.MonitorID) vedette.Status {
	if e := d.ledger.entries[id]; e != nil && e.turn == d.turn && e.fresh {
		return e.next
	}
	s, _ := d.ledger.status(id)
	return s
}

// fold adds results and what follows from them. It does so monitor by monitor where it may, which
// looks everything up once.
func (d *draft) fold(ctx context.Context, results ...vedette.Result) error {
	touched, err := d.ledger.ready(ctx, d, results)
	if err != nil {
		return err
	}
	if d.ledger.all || related(touched) {
		for _, e := range touched {
			e.list = e.list[:0]
		}
		for _, r := range results {
			d.judge(d.ledger.entries[r.Monitor], r)
		}
	}
	for _, e := range touched {
		for _, i := range e.list {
			d.judge(e, results[i])
		}
		e.list = e.list[:0]
		if e.def == nil {
			d.strange = append(d.strange, e)
		}
	}
	return nil
}

// related reports whether one of these monitors depends on another, so that the order between
// them counts.
func related(entries []*entry) bool {
	for _, e := range entries {
		if e.def != nil && len(e.def.DependsOn) > 0 {
			return true
		}
	}
	return false
}

// judge adds one result and what follows from it.
func (d *draft) judge(e *entry, r vedette.Result) {
	if e.def == nil {
		r.Seq = 0 // gone meanwhile: it is history
		d.batch.Results = append(d.batch.Results, r)
		return
	}
	if !e.fresh {
		e.next = e.status
		e.next.Votes = slices.Clone(e.status.Votes)
	}
	thin(&r, &e.next)
	in := verdict.FoldInto(&e.def.Monitor, &e.next, &r, e.def.inWindow(r.StartedAt), d.parents(e.def))
	d.batch.Results = append(d.batch.Results, r)
	if r.Seq != 0 {
		d.changed(e, in)
	}
}

// change adds a status and the incident that comes of it.
func (d *draft) change(out verdict.Outcome) {
	e := d.ledger.entry(out.Status.Monitor)
	if e.turn != d.turn {
		e.begin(d)
	}
	e.next = out.Status
	d.changed(e, out.Incident)
}

// changed notes that what e will be differs from what it is.
func (d *draft) changed(e *entry, in *vedette.Incident) {
	if !e.fresh {
		e.fresh = true
		d.fresh = append(d.fresh, e)
	}
	if in == nil {
		return
	}
	if d.incidents == nil {
		d.incidents = make(map[vedette.ID]vedette.Incident)
	}
	if _, known := d.incidents[in.ID]; !known {
		d.order = append(d.order, in.ID)
	}
	d.incidents[in.ID] = *in
}

func (d *draft) parents(def *definition) []verdict.Parent {
	if len(def.DependsOn) == 0 {
		return nil
	}
	parents := make([]verdict.Parent, 0, len(def.DependsOn))
	for _, id := range def.DependsOn {
		if p, ok := d.ledger.defs.get(id); ok {
			parents = append(parents, verdict.Parent{Monitor: p.Monitor, Status: d.status(id)})
		}
	}
	return parents
}

// thin drops the evidence of a failure that goes on as it was: it stands with the first one.
func thin(r *vedette.Result, s *vedette.Status) {
	if r.Failure == nil || r.Failure.Evidence == nil {
		return
	}
	for _, v := range s.Votes {
		last := v.Last
		if v.Region == r.Region && last.Failure != nil && last.Failure.Kind == r.Failure.Kind && last.Code == r.Code {
			f := *r.Failure
			f.Evidence = nil
			r.Failure = &f
		}
	}
}

func (d *draft) empty() bool {
	return len(d.batch.Results)+len(d.fresh)+len(d.batch.Dead)+len(d.batch.Positions) == 0
}

// touched names the monitors whose statuses the draft changes.
func (d *draft) touched() []vedette.MonitorID {
	ids := make([]vedette.MonitorID, len(d.fresh))
	for i, e := range d.fresh {
		ids[i] = e.status.Monitor
	}
	return ids
}

func (d *draft) finish() vedette.Batch {
	d.batch.Statuses = make([]vedette.Status, len(d.fresh))
	for i, e := range d.fresh {
		d.batch.Statuses[i] = e.next
	}
	for _, id := range d.order {
		d.batch.Incidents = append(d.batch.Incidents, d.incidents[id])
	}
	return d.batch
}

// adopt makes the draft what is so, now that it is written.
func (d *draft) adopt() {
	l := d.ledger
	for i, e := range d.fresh {
		e.next.Version++
		d.batch.Statuses[i].Version++
		e.status, e.next, e.read = e.next, vedette.Status{}, true
	}
	for _, e := range d.strange {
		if e.status.Version == 0 {
			delete(l.entries, e.status.Monitor) // whoever sends such results can name any number
		}
	}
	l.record.tell(News{Results: d.batch.Results, Statuses: d.batch.Statuses, Incidents: d.batch.Incidents})
	if !l.all {
		l.results = d.batch.Results[:0]
	}
}
