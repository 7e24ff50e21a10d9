package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

// Write keeps all of b or none of it, as [vedette.Writer] says. After an error of the disk the
// store works again as soon as the disk does.
func (s *Store) Write(ctx context.Context, b vedette.Batch) error {
	err := check(b)
	if err == nil {
		err = s.owned(ctx, func(tx *tx) error { return tx.write(b) })
	}
	if err != nil {
		return fmt.Errorf("write batch: %w", err)
	}
	return nil
}

// check refuses what could not be told from something else, or read back.
func check(b vedette.Batch) error {
	for i := range b.Results {
		if err := checkResult(&b.Results[i]); err != nil {
			return fmt.Errorf("result %s of monitor %q: %w", b.Results[i].ID, b.Results[i].Monitor, err)
		}
	}
	for _, st := range b.Statuses {
		if st.Monitor == "" || pack.StateNum(st.State) < 0 || pack.StateNum(st.Settled) < 0 {
			return fmt.Errorf("status of monitor %q, state %q, settled %q: %w", st.Monitor, st.State, st.Settled, vedette.ErrRefused)
		}
	}
	for _, in := range b.Incidents {
		if in.ID.IsZero() || in.Monitor == "" {
			return fmt.Errorf("incident without an id or a monitor: %w", vedette.ErrRefused)
		}
	}
	for i := range b.Dead {
		if b.Dead[i].ID.IsZero() {
			return fmt.Errorf("dead letter without an id: %w", vedette.ErrRefused)
		}
	}
	return nil
}

func checkResult(r *vedette.Result) error {
	switch {
	case r.Monitor == "" || r.ID.IsZero():
		return fmt.Errorf("no monitor or no id: %w", vedette.ErrRefused)
	case r.ID.Time().UnixMicro() != r.StartedAt.UnixMicro():
		return fmt.Errorf("id of %v, started at %v: %w", r.ID.Time(), r.StartedAt, vedette.ErrRefused)
	case pack.StateNum(r.State) <= 0:
		return fmt.Errorf("state %q: %w", r.State, vedette.ErrRefused)
	case r.Failure != nil && !slices.Contains(vedette.Kinds(), r.Failure.Kind):
		return fmt.Errorf("kind of failure %q: %w", r.Failure.Kind, vedette.ErrRefused)
	}
	return nil
}

func (t *tx) write(b vedette.Batch) error {
	for i := range b.Positions {
		if err := t.move(&b.Positions[i]); err != nil {
			return err
		}
	}
	var buf []byte
	for i := range b.Results {
		r := &b.Results[i]
		num, err := t.num(r.Monitor)
		if err != nil {
			return err
		}
		buf = pack.AppendResult(buf[:0], r)
		if err := t.writeResult(num, r, buf); err != nil {
			return fmt.Errorf("result %s: %w", r.ID, err)
		}
	}
	for i := range b.Statuses {
		st := &b.Statuses[i]
		buf = pack.AppendStatus(buf[:0], st)
		if err := t.writeStatus(st, buf); err != nil {
			return fmt.Errorf("status of monitor %q: %w", st.Monitor, err)
		}
	}
	for i := range b.Incidents {
		if err := t.writeIncident(&b.Incidents[i]); err != nil {
			return fmt.Errorf("incident %s: %w", b.Incidents[i].ID, err)
		}
	}
	for i := range b.Dead {
		if err := t.writeLetter(&b.Dead[i]); err != nil {
			return fmt.Errorf("dead letter %s: %w", b.Dead[i].ID, err)
		}
	}
	return nil
}

// writeResult keeps r unless it is kept already, and marks its hour.
func (t *tx) writeResult(num int64, r *vedette.Result, body []byte) (err error) {
	minute := r.StartedAt.Unix() / 60
	var added int64
	if f := r.Failure; f == nil {
		added, err = t.exec("insert into results values (?, ?, ?, ?, ?, ?) on conflict do nothing",
			minute, num, r.ID[:], pack.StateNum(r.State), int64(r.Code), body)
		t.add("results", added)
	} else {
		evidence, mistake := evidenceText(f.Evidence)
		if mistake != nil {
			return mistake
		}
		added, err = t.exec("insert into failures values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing",
			minute, num, r.ID[:], pack.StateNum(r.State), int64(r.Code), body, string(f.Kind), f.Phase, f.Message, evidence)
		t.add("failures", added)
	}
	if err != nil || added == 0 {
		return err
	}
	return t.dirty(num, minute/60)
}

// evidenceText returns e in JSON, or nil.
func evidenceText(e *vedette.Evidence) (any, error) {
	if e == nil {
		return nil, nil
	}
	text, err := json.Marshal(e)
	return string(text), err
}

// dirty marks a slot, unless it bears a mark that nobody has read: then that is as good as new.
func (t *tx) dirty(num, hour int64) error {
	if t.hours[num] == hour || t.s.hours[num] == hour {
		return nil
	}
	mark, err := t.mark()
	if err != nil {
		return fmt.Errorf("mark slot: %w", err)
	}
	added, err := t.exec("insert into slots values (?, ?, ?) on conflict do nothing", hour, num, mark)
	if err == nil && added == 0 {
		added, err = t.exec("update slots set mark = ? where hour = ? and num = ? and mark = 0", mark, hour, num)
	}
	if err == nil && added == 0 {
		_, err = t.exec("update slots set mark = ? where hour = ? and num = ?", mark, hour, num)
	}
	if err != nil {
		return fmt.Errorf("mark slot: %w", err)
	}
	t.add("dirty", added)
	if t.hours == nil {
		t.hours = map[int64]int64{}
	}
	t.hours[num] = hour
	return nil
}

func (t *tx) writeStatus(st *vedette.Status, body []byte) error {
	num, err := t.num(st.Monitor)
	if err != nil {
		return err
	}
	var changed int64
	if st.Version == 0 {
		changed, err = t.exec("insert into statuses values (?, 1, ?, ?) on conflict do nothing", num, pack.StateNum(st.State), body)
		t.add("statuses", changed)
	} else {
		changed, err = t.exec("update statuses set version = version + 1, state = ?, body = ? where num = ? and version = ?",
			pack.StateNum(st.State), body, num, st.Version)
	}
	if err == nil && changed == 0 {
		err = fmt.Errorf("version %d: %w", st.Version, vedette.ErrConflict)
	}
	return err
}

func (t *tx) writeIncident(in *vedette.Incident) error {
	num, err := t.num(in.Monitor)
	if err != nil {
		return err
	}
	evidence, err := evidenceText(in.Cause.Evidence)
	if err != nil {
		return err
	}
	id, opened, closed := in.ID[:], pack.Micros(in.Opened), pack.Micros(in.Closed)
	kind, phase, message := string(in.Cause.Kind), in.Cause.Phase, in.Cause.Message
	added, err := t.exec("insert into incidents values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing",
		id, num, opened, closed, in.Reason, in.Seq, kind, phase, message, evidence)
	if err == nil && added == 0 {
		_, err = t.exec(`update incidents
			set num = ?, opened = ?, closed = ?, reason = ?, seq = ?, kind = ?, phase = ?, message = ?, evidence = ?
			where id = ?`,
			num, opened, closed, in.Reason, in.Seq, kind, phase, message, evidence, id)
	}
	t.add("incidents", added)
	return err
}

// hourTime returns the beginning of an hour counted from 1970.
func hourTime(hour int64) time.Time { return time.Unix(hour*3600, 0).UTC() }
