package manifest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/vedettehq/vedette"
)

// scraper shows one scraper.
func (s *shower) scraper(i int) {
	s.looking = false
	own := s.file.scraping[i].own
	s.at = func(path string) pos {
		if n, whole := own.find(path); whole && n.kind != null {
			return n.at
		}
		return pos{}
	}
	s.entry(reflect.ValueOf(shapeOf(s.file.Scrapers[i])), func(field) bool { return true })
}

// shapeOf turns a scraper back into the struct of its keys.
func shapeOf(s vedette.Scraper) scraper {
	j := s.Job
	out := scraper{
		ID: string(s.ID), Name: s.Name, Group: s.Group, Labels: s.Labels, Handler: j.Handler, Schedule: timingOf(s.Schedule),
		Priority: priority(j.Priority), Queue: j.Queue, Timeout: j.Timeout, Retries: retries{j.MaxAttempts - 1, j.RetryAfter},
		Keep: j.Keep, LimitKey: j.LimitKey, Limit: j.Limit, Rate: rate{j.RateEvery, j.RateBurst, j.RateKey}, Enabled: !s.Paused,
	}
	if j.Params != nil {
		// What was marshalled from a map cannot fail.
		v, _ := decodeParams(HideParams(j.Params))
		out.Params, _ = v.(map[string]any)
	}
	return out
}

func timingOf(s vedette.Schedule) timing {
	out := timing{
		Every: s.Every, Cron: s.Cron, Zone: s.Zone, From: timeText(s.From), To: timeText(s.To),
		Overlap: string(s.Overlap), CatchUp: s.CatchUp, Jitter: s.Jitter, Pause: s.PauseOnFailure,
	}
	for _, at := range s.At {
		out.At = append(out.At, timeText(at))
	}
	for _, c := range s.Calendar {
		out.Calendar = append(out.Calendar, calendar(c))
	}
	return out
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// ofScraper writes the values that only scrapers and workers have, and reports whether it was one.
func (s *shower) ofScraper(v any) bool {
	switch x := v.(type) {
	case priority:
		fmt.Fprint(s, FormatPriority(int(x)))
	case json.Number:
		s.WriteString(x.String())
	case retries:
		fmt.Fprintf(s, "{times: %d, after: ", x.Times)
		s.inline(reflect.ValueOf(x.After))
		s.WriteByte('}')
	case shares:
		s.shares(x)
	default:
		return false
	}
	return true
}

// shares writes the queues of a worker in the shortest form that says all.
func (s *shower) shares(x shares) {
	names := make([]string, len(x.of))
	plain := true
	for i, one := range x.of {
		names[i] = one.Queue
		plain = plain && one.Weight == 0 && one.Concurrency == 0
	}
	switch {
	case x.strict:
		s.WriteString("{strict: ")
		s.inline(reflect.ValueOf(names))
		s.WriteByte('}')
		return
	case plain:
		s.inline(reflect.ValueOf(names))
		return
	}
	s.WriteByte('{')
	for i, one := range x.of {
		if i > 0 {
			s.WriteString(", ")
		}
		s.WriteString(quote(one.Queue) + ": ")
		s.flow(reflect.ValueOf(one))
	}
	s.WriteByte('}')
}
