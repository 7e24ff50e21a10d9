package postgres

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/pack"
)

// check refuses what could not be told from something else, or read back.
func check(b *vedette.Batch) error {
	for i := range b.Results {
		if err := checkResult(&b.Results[i]); err != nil {
			return fmt.Errorf("result %s of monitor %q: %w", b.Results[i].ID, b.Results[i].Monitor, err)
		}
	}
	for i := range b.Statuses {
		st := &b.Statuses[i]
		if !named(st.Monitor) || pack.StateNum(st.State) < 0 || pack.StateNum(st.Settled) < 0 {
			return fmt.Errorf("status of monitor %q, state %q, settled %q: %w", st.Monitor, st.State, st.Settled, vedette.ErrRefused)
		}
	}
	for i := range b.Incidents {
		if b.Incidents[i].ID.IsZero() || !named(b.Incidents[i].Monitor) {
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
	case !named(r.Monitor) || r.ID.IsZero():
		return fmt.Errorf("no monitor or no id: %w", vedette.ErrRefused)
	case clean(r.Region) != r.Region:
		return fmt.Errorf("region %q: %w", r.Region, vedette.ErrRefused)
	case r.ID.Time().UnixMicro() != r.StartedAt.UnixMicro():
		return fmt.Errorf("id of %v, started at %v: %w", r.ID.Time(), r.StartedAt, vedette.ErrRefused)
	case pack.StateNum(r.State) <= 0:
		return fmt.Errorf("state %q: %w", r.State, vedette.ErrRefused)
	case int64(r.Code) != int64(int32(r.Code)): //nolint:gosec // that is the question
		return fmt.Errorf("code %d: %w", r.Code, vedette.ErrRefused)
	case r.Failure != nil && !slices.Contains(vedette.Kinds(), r.Failure.Kind):
		return fmt.Errorf("kind of failure %q: %w", r.Failure.Kind, vedette.ErrRefused)
	}
	return nil
}

// named reports whether id can be kept: PostgreSQL takes no NUL in text.
func named[K ~string](id K) bool { return id != "" && clean(string(id)) == string(id) }

// clean replaces what PostgreSQL takes in no text: NUL and what is not UTF-8.
func clean(s string) string {
	if strings.IndexByte(s, 0) < 0 && utf8.ValidString(s) {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
}

// jsonText returns v in JSON that PostgreSQL takes as jsonb.
func jsonText(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil || !bytes.Contains(text, []byte(`\u0000`)) {
		return text, err
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		if bytes.HasPrefix(text[i:], []byte(`\u0000`)) {
			copy(text[i:], `\ufffd`)
		}
		i++ // what an escape stands for is no escape itself
	}
	return text, nil
}

// evidenceText returns e in JSON, or nil.
func evidenceText(e *vedette.Evidence) ([]byte, error) {
	if e == nil {
		return nil, nil
	}
	return jsonText(e)
}
