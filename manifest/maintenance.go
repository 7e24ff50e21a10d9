package manifest

import (
	"fmt"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/when"
)

// windows resolves planned work. path names the list within l.
func (d *decoder) windows(of []window, l layered, path string) []vedette.Window {
	if len(of) == 0 {
		return nil
	}
	out := make([]vedette.Window, 0, len(of))
	for i, w := range of {
		out = append(out, d.window(w, l, fmt.Sprintf("%s[%d]", path, i)))
	}
	return out
}

func (d *decoder) window(w window, l layered, path string) vedette.Window {
	wrong := func(key, text, fix string) {
		at := path
		if key != "" {
			at = join(path, key)
		}
		d.add(l.at(at), join(l.path, at), text, fix)
	}
	loc, err := time.LoadLocation(w.Zone)
	if err != nil || w.Zone == "Local" {
		wrong("zone", fmt.Sprintf("%q is no time zone", w.Zone), "use a name as Europe/Berlin")
		loc = time.UTC
	}
	out := vedette.Window{Name: w.Name, For: w.For}
	switch {
	case w.Cron != "" && (w.From != "" || w.To != ""):
		wrong("cron", "planned work is either once, from and to, or again and again, cron and for", "")
	case w.Cron != "":
		out.Cron, out.Zone = w.Cron, w.Zone
		if _, err := when.ParseCron(w.Cron); err != nil {
			wrong("cron", err.Error(), "")
		}
		if w.For <= 0 {
			wrong("cron", "how long the work takes is missing", "say it with for: 2h")
		}
	case w.From == "":
		wrong("", "planned work needs from and to, or cron and for", "")
	default:
		out.From, out.To = d.span(w, loc, wrong)
		out.For = 0 // it is in To
	}
	return out
}

// span returns when one-off work begins and ends.
func (d *decoder) span(w window, loc *time.Location, wrong func(key, text, fix string)) (from, to time.Time) {
	from, ok := ParseTime(w.From, loc)
	if !ok {
		wrong("from", fmt.Sprintf("%q is no time", w.From), "write it as 2026-03-01 22:00")
	}
	switch {
	case w.To == "" && w.For <= 0:
		wrong("", "when the work ends is missing", "say it with to: or for:")
		return from, from
	case w.To != "" && w.For > 0:
		wrong("for", "the work has an end already", "keep either to or for")
	case w.To == "":
		return from, from.Add(w.For)
	}
	to, okTo := ParseTime(w.To, loc)
	switch {
	case !okTo:
		wrong("to", fmt.Sprintf("%q is no time", w.To), "write it as 2026-03-01 22:00")
	case ok && !to.After(from):
		wrong("to", "the work ends before it begins", "")
	}
	return from, to
}

// ParseTime reads a time in the forms that people write, as 2026-03-01 22:00, in loc unless it names
// a zone.
func ParseTime(text string, loc *time.Location) (time.Time, bool) {
	for _, layout := range [...]string{
		time.RFC3339, "2006-01-02 15:04Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02 15:04:05Z07:00",
		"2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02",
	} {
		if t, err := time.ParseInLocation(layout, text, loc); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// maintain adds the file's planned work to the monitors that match.
func (d *decoder) maintain(res *resolved, rules []planned, top *node) {
	for i, rule := range rules {
		path := fmt.Sprintf("maintenance[%d]", i)
		l := layered{own: top, stack: stack{top}}
		w := d.window(rule.window, l, path)
		hit := false
		for k := range res.monitors {
			m := &res.monitors[k]
			if rule.Match.holds(m) {
				// The slice may be shared with the group.
				m.Maintenance = append(slices.Clip(m.Maintenance), w)
				hit = true
			}
		}
		if !hit && len(res.monitors) > 0 {
			at := join(path, "match")
			d.warn(l.at(at), at, "no monitor matches", rule.Match.guess(res))
		}
	}
}

func (w match) holds(m *vedette.Monitor) bool {
	if len(w.Group) > 0 && !slices.Contains(w.Group, m.Group) {
		return false
	}
	if len(w.Name) > 0 && !slices.Contains(w.Name, m.Name) && !slices.Contains(w.Name, string(m.ID)) {
		return false
	}
	for key, want := range w.Labels {
		if got, ok := m.Labels[key]; !ok || got != want {
			return false
		}
	}
	return true
}

// guess says which group or name was likely meant.
func (w match) guess(res *resolved) string {
	for _, named := range w.Group {
		if fix := didYouMean(named, func(yield func(string) bool) {
			for i := range res.monitors {
				if !yield(res.monitors[i].Group) {
					return
				}
			}
		}); fix != "" {
			return fix
		}
	}
	for _, named := range w.Name {
		if fix := didYouMean(named, func(yield func(string) bool) {
			for i := range res.monitors {
				if !yield(res.monitors[i].Name) {
					return
				}
			}
		}); fix != "" {
			return fix
		}
	}
	return ""
}
