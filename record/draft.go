package record

import (
	"context"
	"slices"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/verdict"
)

// A draft is one batch in the making. It changes copies, so that nothing has happened
// when the batch is not written.
type draft struct {
	ledger    *ledger
	batch     vedette.Batch
	statuses  map[vedette.MonitorID]vedette.Status // as they will be
	incidents map[vedette.ID]vedette.Incident
	order     []vedette.ID // of incidents
}

// status returns how a monitor does, by this draft.
func (d *draft) status(id vedette.MonitorID) vedette.Status {
	if s, ok := d.statuses[id]; ok {
		return s
	}
	s := d.ledger.statuses[id]
	s.Monitor = id
	return s
}

// fold adds results and what follows from them.
func (d *draft) fold(ctx context.Context, results ...vedette.Result) error {
	defs, err := d.ledger.ready(ctx, results)
	if err != nil {
		return err
	}
	d.batch.Results = slices.Grow(d.batch.Results, len(results))
	for i, r := range results {
		def := defs[i]
		if def == nil {
			r.Seq = 0 // gone meanwhile: it is history
			d.batch.Results = append(d.batch.Results, r)
			continue
		}
		s := d.status(r.Monitor)
		thin(&r, s)
		d.take(verdict.Fold(def.Monitor, s, r, def.inWindow(r.StartedAt), d.parents(def)))
	}
	return nil
}

// take adds an outcome that came of a result.
func (d *draft) take(out verdict.Outcome) {
	d.batch.Results = append(d.batch.Results, out.Result)
	if out.Result.Seq != 0 {
		d.change(out)
	}
}

// change adds the status and incident of an outcome.
func (d *draft) change(out verdict.Outcome) {
	d.statuses[out.Status.Monitor] = out.Status
	if out.Incident == nil {
		return
	}
	if d.incidents == nil {
		d.incidents = make(map[vedette.ID]vedette.Incident)
	}
	if _, known := d.incidents[out.Incident.ID]; !known {
		d.order = append(d.order, out.Incident.ID)
	}
	d.incidents[out.Incident.ID] = *out.Incident
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
func thin(r *vedette.Result, s vedette.Status) {
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
	return len(d.batch.Results)+len(d.statuses)+len(d.batch.Dead)+len(d.batch.Positions) == 0
}

func (d *draft) finish() vedette.Batch {
	for _, s := range d.statuses {
		d.batch.Statuses = append(d.batch.Statuses, s)
	}
	for _, id := range d.order {
		d.batch.Incidents = append(d.batch.Incidents, d.incidents[id])
	}
	return d.batch
}

// adopt makes the draft what is so, now that it is written.
func (d *draft) adopt() {
	for i, s := range d.batch.Statuses {
		s.Version++
		d.batch.Statuses[i] = s
		d.ledger.statuses[s.Monitor] = s
	}
	d.ledger.record.tell(News{Results: d.batch.Results, Statuses: d.batch.Statuses, Incidents: d.batch.Incidents})
}
