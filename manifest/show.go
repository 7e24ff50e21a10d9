package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/check"
	"github.com/vedettehq/vedette/internal/expand"
	"github.com/vedettehq/vedette/when"
)

// Show writes every value of the file, or of the monitors and scrapers with this name or id, with the
// place it came from as a comment. What monitors inherit stands in each of them. Secrets and the
// passwords in URLs are ***, unless a secret only names a variable or a file. It reports [vedette.ErrNotFound] if there is
// none, and an error after [File.Forget].
func (f *File) Show(w io.Writer, name string) error {
	if f.report == nil {
		return errors.New("show configuration: it was forgotten")
	}
	s := shower{file: f}
	s.WriteString(Header)
	if name == "" {
		s.top()
	}
	hit := name == ""
	s.WriteString("monitors:")
	none := true
	for i := range f.Monitors {
		if m := &f.Monitors[i]; name == "" || m.Name == name || string(m.ID) == name {
			s.monitor(i)
			hit, none = true, false
		}
	}
	if none {
		s.WriteString(" []")
	}
	s.WriteByte('\n')
	none = true
	for i := range f.Scrapers {
		if one := &f.Scrapers[i]; name == "" || one.Name == name || string(one.ID) == name {
			if none {
				s.WriteString("scrapers:")
			}
			s.scraper(i)
			hit, none = true, false
		}
	}
	if !none {
		s.WriteByte('\n')
	}
	if !hit {
		return fmt.Errorf("monitor or scraper %s: %w", name, vedette.ErrNotFound)
	}
	if _, err := s.WriteTo(w); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// A shower writes YAML, a key a line.
type shower struct {
	bytes.Buffer
	file *File
	at   func(path string) pos // where the value of a key comes from

	looking bool // what is shown is a monitor
}

// top shows all but what the monitors hold anyway.
func (s *shower) top() {
	f := s.file
	s.at = func(path string) pos {
		if n, whole := (stack{f.top}).find(path); whole {
			return n.at
		}
		return pos{}
	}
	shown := f.doc
	shown.Connectivity.Targets = nil
	for _, url := range f.doc.Connectivity.Targets {
		shown.Connectivity.Targets = append(shown.Connectivity.Targets, withoutPassword(url))
	}
	shown.Store, shown.Queue = hidePassword(shown.Store), hidePassword(shown.Queue)
	shown.Kafka.Registry = withoutPassword(shown.Kafka.Registry)
	doc := reflect.ValueOf(shown)
	for _, fd := range f.plans.of(doc.Type()) {
		switch fd.key {
		case "include", "defaults", "groups", "monitors", "scrapers", "maintenance":
			continue
		}
		if fd.key == "kafka" && s.idle(fd.key) && !isRemote(f.doc.Store) {
			continue
		}
		s.field(fd.key, fd.key, doc.FieldByIndex(fd.index), 0)
	}
}

// idle reports whether a default is one of Kafka, which nothing goes through.
func (s *shower) idle(path string) bool {
	of, rest, _ := strings.Cut(path, ".")
	return of == "kafka" && s.file.doc.Results == "" && !strings.HasPrefix(rest, "spool") && s.at(path).isZero()
}

// monitor shows one monitor as it is after all is resolved.
func (s *shower) monitor(i int) {
	m, l := &s.file.Monitors[i], s.file.layers[i]
	s.at = func(path string) pos {
		if n, whole := l.stack.find(path); whole {
			return n.at
		}
		return pos{}
	}
	s.looking = true
	s.entry(reflect.ValueOf(s.shape(m)), func(fd field) bool { return !fd.option || check.Fits(m.URL, fd.key) })
	s.shorthands(m)
}

// entry shows one item of a list, without the keys that hold nothing and are not said, or do not fit.
func (s *shower) entry(v reflect.Value, fits func(field) bool) {
	first := true
	for _, fd := range s.file.plans.of(v.Type()) {
		value := v.FieldByIndex(fd.index)
		if value.IsZero() && (s.at(fd.key).isZero() || !fits(fd)) {
			continue
		}
		if first {
			s.WriteString("\n  - ")
			s.value(fd.key, fd.key, value, 4)
			first = false
			continue
		}
		s.field(fd.key, fd.key, value, 4)
	}
}

// shape turns a monitor back into the struct of its keys.
func (s *shower) shape(m *vedette.Monitor) monitor {
	out := monitor{
		ID: string(m.ID), Name: m.Name, Group: m.Group, URL: withoutPassword(m.URL),
		settings: settings{
			Labels: m.Labels, Paused: m.Paused, Interval: m.Interval, Timeout: m.Timeout,
			Confirm: confirm{Down: m.Confirm.Down, Up: m.Confirm.Up}, RetryInterval: m.RetryInterval,
			Regions: m.Regions, Quorum: quorum{m.Quorum},
		},
	}
	for _, id := range m.DependsOn {
		out.DependsOn = append(out.DependsOn, string(id))
	}
	for _, w := range m.Maintenance {
		one := window{Name: w.Name, Cron: w.Cron, Zone: w.Zone, For: w.For}
		if !w.From.IsZero() {
			one.From, one.To = w.From.Format(time.RFC3339), w.To.Format(time.RFC3339)
		}
		out.Maintenance = append(out.Maintenance, one)
	}
	if m.Probe != nil {
		// What was marshalled from the same struct cannot fail.
		_ = json.Unmarshal(m.Probe, &out.Options)
	}
	return out
}

// field writes a key on a line of its own.
func (s *shower) field(key, path string, v reflect.Value, indent int) {
	if indent > 0 {
		s.WriteByte('\n')
	}
	s.WriteString(strings.Repeat(" ", indent))
	s.value(key, path, v, indent)
	if indent == 0 {
		s.WriteByte('\n')
	}
}

func (s *shower) value(key, path string, v reflect.Value, indent int) {
	s.WriteString(quote(key) + ":")
	if fields := s.parts(v); fields != nil {
		s.parent(path, v, fields, indent)
		return
	}
	if v.Kind() == reflect.Map && v.Len() > 0 {
		s.members(path, v, indent)
		return
	}
	s.WriteByte(' ')
	s.inline(v)
	fmt.Fprintf(s, "  # %s", s.origin(path))
}

func (s *shower) origin(path string) string {
	at := s.at(path)
	switch {
	case at.isZero() && path == "id":
		return "made of group and name"
	case at.isZero() && path == "timeout" && s.looking:
		return "built-in default, at most the interval"
	case at.isZero() && path == "quorum":
		return "built-in default, more than half of the regions"
	case at.isZero() && path == "maintenance":
		// What the file plans for all that match.
		at = s.file.top.get(path).at
	}
	return s.file.report.place(at)
}

// parts returns the fields of a struct that is shown line by line.
func (s *shower) parts(v reflect.Value) []field {
	if v.Kind() != reflect.Struct {
		return nil
	}
	switch v.Type() {
	case reflect.TypeFor[check.Secret](), reflect.TypeFor[timing](), reflect.TypeFor[retries](), reflect.TypeFor[rate](), reflect.TypeFor[shares]():
		return nil // shown on one line
	}
	return s.file.plans.of(v.Type())
}

func (s *shower) parent(path string, v reflect.Value, fields []field, indent int) {
	for _, fd := range fields {
		value := v.FieldByIndex(fd.index)
		if inner := join(path, fd.key); s.idle(inner) || value.IsZero() && indent > 0 && s.at(inner).isZero() {
			continue
		}
		s.WriteString("\n" + strings.Repeat(" ", indent+2))
		s.value(fd.key, join(path, fd.key), value, indent+2)
	}
}

// members writes a map a line each, since each may come from elsewhere.
func (s *shower) members(path string, v reflect.Value, indent int) {
	for _, key := range sorted(v) {
		s.WriteString("\n" + strings.Repeat(" ", indent+2) + quote(key) + ": ")
		s.inline(v.MapIndex(reflect.ValueOf(key)))
		fmt.Fprintf(s, "  # %s", s.origin(join(path, key)))
	}
}

func sorted(v reflect.Value) []string {
	keys := make([]string, 0, v.Len())
	for _, k := range v.MapKeys() {
		keys = append(keys, k.String())
	}
	slices.Sort(keys)
	return keys
}

// inline writes a value in flow style, which is JSON but for words that need no quotes.
func (s *shower) inline(v reflect.Value) {
	switch x := v.Interface().(type) {
	case time.Duration:
		s.WriteString(when.FormatDuration(x))
		return
	case check.Size:
		s.WriteString(x.String())
		return
	case check.Secret:
		s.WriteString(secretText(x))
		return
	case quorum:
		fmt.Fprint(s, x[0])
		return
	}
	if s.ofScraper(v.Interface()) {
		return
	}
	switch v.Kind() {
	case reflect.Map:
		s.table(v)
	case reflect.Slice:
		s.list(v)
	case reflect.Struct:
		s.flow(v)
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			s.WriteString("null")
			return
		}
		s.inline(v.Elem())
	case reflect.String:
		s.WriteString(quote(expand.Escape(v.String())))
	default:
		fmt.Fprint(s, v.Interface())
	}
}

func (s *shower) table(v reflect.Value) {
	s.WriteByte('{')
	for i, key := range sorted(v) {
		if i > 0 {
			s.WriteString(", ")
		}
		s.WriteString(quote(key) + ": ")
		s.inline(v.MapIndex(reflect.ValueOf(key)))
	}
	s.WriteByte('}')
}

func (s *shower) list(v reflect.Value) {
	s.WriteByte('[')
	for i := range v.Len() {
		if i > 0 {
			s.WriteString(", ")
		}
		s.inline(v.Index(i))
	}
	s.WriteByte(']')
}

// flow writes the fields of a struct that are set; an expectation without words is its
// expression.
func (s *shower) flow(v reflect.Value) {
	if e, ok := reflect.TypeAssert[check.Expectation](v); ok && e.Say == "" {
		s.WriteString(quote(expand.Escape(e.That)))
		return
	}
	s.WriteByte('{')
	first := true
	for _, fd := range s.file.plans.of(v.Type()) {
		value := v.FieldByIndex(fd.index)
		if value.IsZero() {
			continue
		}
		if !first {
			s.WriteString(", ")
		}
		first = false
		s.WriteString(quote(fd.key) + ": ")
		s.inline(value)
	}
	s.WriteByte('}')
}

// secretText shows where a secret comes from, and not what it is.
func secretText(x check.Secret) string {
	if x.File != "" {
		return "{file: " + quote(expand.Escape(x.File)) + "}"
	}
	if isReference(x.Text) {
		return quote(x.Text)
	}
	if x.Text == "" {
		return `""`
	}
	return `"***"`
}

// quote writes a string so that YAML reads the same string back, without quotes where they
// are not needed.
func quote(text string) string {
	if regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./-]*$`).MatchString(text) && !reserved(text) {
		return text
	}
	return strconv.QuoteToASCII(text)
}

// reserved reports whether some YAML takes a word for something else.
func reserved(word string) bool {
	switch strings.ToLower(word) {
	case "true", "false", "yes", "no", "on", "off", "null", "y", "n":
		return true
	}
	return false
}

// shorthands adds, as comments, the expressions that the keys of a check stand for.
func (s *shower) shorthands(m *vedette.Monitor) {
	all, err := check.Expand(*m)
	if err != nil {
		return // the file was read without a checker
	}
	for _, x := range all {
		if !x.Default && (strings.HasPrefix(x.Key, "expect") || strings.HasPrefix(x.Key, "warn")) {
			continue // it stands there already
		}
		class := "expect"
		if x.Warn {
			class = "warn"
		}
		if x.Default {
			class = "built-in " + class
		}
		fmt.Fprintf(s, "\n    # %s: %s: %s", x.Key, class, strings.Join(strings.Fields(x.That), " "))
	}
}
