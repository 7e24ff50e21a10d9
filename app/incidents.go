package app

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/vedettehq/vedette"
)

// An IncidentLine is a line of `vedette incidents`.
type IncidentLine struct {
	ID          vedette.ID        `json:"id"`
	Monitor     vedette.MonitorID `json:"monitor"`
	OpenedAt    time.Time         `json:"opened_at"`
	ClosedAt    *time.Time        `json:"closed_at"`
	DurationS   float64           `json:"duration_s"`
	Reason      string            `json:"reason"`
	FailureKind vedette.Kind      `json:"failure_kind"`
	Failure     string            `json:"failure"`
	Evidence    *vedette.Evidence `json:"evidence,omitempty"`
}

// Incidents returns incidents, newest first. n 0 means 1000.
func (v *View) Incidents(ctx context.Context, filter Filter, openOnly bool, n int) ([]IncidentLine, error) {
	monitors, err := v.choose(ctx, filter)
	if err != nil {
		return nil, err
	}
	var id vedette.MonitorID
	if len(filter.Names) == 1 && len(monitors) == 1 {
		id = monitors[0].ID
	}
	chosen := make(map[vedette.MonitorID]bool, len(monitors))
	for _, m := range monitors {
		chosen[m.ID] = true
	}
	var lines []IncidentLine
	span := vedette.Span{N: incidentPage, Newest: true}
	for {
		page, err := v.store.reader.Incidents(ctx, id, span)
		if err != nil {
			return nil, fmt.Errorf("read incidents: %w", err)
		}
		for _, in := range page {
			if filter.restricts() && !chosen[in.Monitor] || openOnly && !in.Closed.IsZero() {
				continue
			}
			if lines = append(lines, incidentLine(in)); len(lines) == n {
				return lines, nil
			}
		}
		if len(page) < span.N {
			return lines, nil
		}
		span.After = page[len(page)-1].ID
	}
}

// incidentPage is how many incidents are read at once: a filter may pass few of them.
const incidentPage = 1000

func incidentLine(in vedette.Incident) IncidentLine {
	end := in.Closed
	if end.IsZero() {
		end = time.Now()
	}
	return IncidentLine{
		ID: in.ID, Monitor: in.Monitor, OpenedAt: in.Opened.UTC(), ClosedAt: timeOrNil(in.Closed),
		DurationS: math.Round(end.Sub(in.Opened).Seconds()*1000) / 1000, Reason: in.Reason,
		FailureKind: in.Cause.Kind, Failure: in.Cause.Message, Evidence: in.Cause.Evidence,
	}
}
