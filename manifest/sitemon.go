package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/check"
)

// sitemon is bereal/sitemon, a small monitor of websites whose producer looks and publishes to
// Kafka and whose consumer keeps the latest look in Postgres. Its files know interval, sites
// {url, pattern}, kafka {server, topic, consumers} and postgres {host, port, user, password, db},
// and no environment. What it did with them is what this file goes by.

// An Import is a configuration made of another tool's files.
type Import struct {
	// Text is the configuration.
	Text []byte
	// Notes say, one thing each, what could not be carried over or is different from now on.
	Notes []string
}

// ImportSitemon makes a configuration of the files of sitemon's producer, its consumer, or both.
// What is wrong with them is reported as [Errors].
func ImportSitemon(opt Options, paths ...string) (*Import, error) {
	s := newSitemon(opt)
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("import: %w", err)
		}
		s.read(path, data)
	}
	return s.imported()
}

// IsSitemon reports whether a file is one of sitemon's, and none of ours.
func IsSitemon(data []byte) bool {
	top := readYAML(0, data, &report{files: []source{{data: data}}})
	if top == nil || top.has("monitors") {
		return false
	}
	return top.has("sites") || top.has("postgres") || top.get("kafka").has("server")
}

// A sitemon collects what its files say.
type sitemon struct {
	*report
	checker  vedette.Checker
	top      *node // of all files
	sites    []oldSite
	every    time.Duration
	kafka    section
	postgres section
	store    string
	results  string
	notes    []string
}

// An oldSite is one of sites.
type oldSite struct {
	at           *node
	url, pattern string
	every        time.Duration
}

// A section is the first of its kind, and the file that it stands in.
type section struct {
	at   *node
	file string
}

func newSitemon(opt Options) *sitemon {
	return &sitemon{report: &report{}, checker: opt.Checker, top: &node{kind: dict}}
}

// read takes what one file says.
func (s *sitemon) read(name string, data []byte) {
	file := int32(len(s.files)) //nolint:gosec // nobody has so many files
	s.files = append(s.files, source{name: name, data: data})
	top := readYAML(file, data, s.report)
	switch {
	case top == nil && s.files[file].broken:
		return
	case top == nil || top.kind != dict || !top.has("sites") && !top.has("postgres") && !top.has("kafka"):
		s.add(pos{file, 1, 1}, "", "this is no file of sitemon", "want sites and kafka of a producer, or kafka and postgres of a consumer")
		return
	}
	s.top.keys = append(s.top.keys, top.keys...)
	every := s.interval(top.get("interval"))
	for _, e := range top.keys {
		switch e.key {
		case "interval":
		case "sites":
			s.readSites(e.val, every)
		case "kafka":
			s.section(&s.kafka, e, name, "server", "topic", "consumers")
		case "postgres":
			s.section(&s.postgres, e, name, "host", "port", "user", "password", "db")
		default:
			s.note(e.at, e.key+": sitemon ignored it, and so is it here")
		}
	}
}

// interval reads seconds.
func (s *sitemon) interval(n *node) time.Duration {
	if n == nil || n.kind == null {
		return 10 * time.Second
	}
	f, err := strconv.ParseFloat(n.text, 64)
	if n.kind != scalar || !n.plain || err != nil || f <= 0 || f > 1e9 || f != f {
		s.add(n.at, "interval", "this is no number of seconds above 0", "")
		return 10 * time.Second
	}
	every := time.Duration(f * float64(time.Second))
	if every < minInterval {
		s.note(n.at, fmt.Sprintf("interval: %ss is raised to %s, the shortest there is", n.text, minInterval))
		every = minInterval
	}
	return every.Round(time.Microsecond)
}

func (s *sitemon) readSites(n *node, every time.Duration) {
	if n.kind == null {
		return
	}
	if n.kind != list {
		s.add(n.at, "sites", fmt.Sprintf("want a list, not %s", n.kind), "begin each site with a dash")
		return
	}
	if len(s.sites) == 0 {
		s.every = every
	}
	for i, item := range n.items {
		path := fmt.Sprintf("sites[%d]", i)
		if item.kind != dict {
			s.add(item.at, path, fmt.Sprintf("want a map with url, not %s", item.kind), "")
			continue
		}
		s.refused(item, path, "url", "pattern")
		one := oldSite{at: item, every: every}
		one.url = s.text(item, path, "url")
		one.pattern = s.text(item, path, "pattern")
		if one.url == "" && !item.has("url") {
			s.add(item.at, path, "the site has no url", "")
		}
		s.sites = append(s.sites, one)
		s.try(one, path)
	}
}

// try has the checker compile what a site becomes.
func (s *sitemon) try(one oldSite, path string) {
	if s.checker == nil || one.url == "" {
		return
	}
	options := check.Options{Status: []string{"any"}}
	if one.pattern != "" {
		options.Pattern = []string{one.pattern}
	}
	probe, err := json.Marshal(options)
	if err == nil {
		_, err = s.checker.Compile(vedette.Monitor{
			ID: "site", Meta: vedette.Meta{Name: "site"}, URL: one.url,
			Interval: one.every, Timeout: min(builtin().Defaults.Timeout, one.every), Probe: probe,
		})
	}
	if all, ok := errors.AsType[vedette.Mistakes](err); ok {
		for i, m := range all {
			if m.Fix == "" && strings.HasPrefix(m.Path, "pattern") {
				all[i].Fix = `RE2 has no look-around and no back references, and Python's \Z is \z`
			}
		}
	}
	if err != nil {
		s.report.checker(err, layered{own: one.at, stack: stack{one.at}, path: path}, "")
	}
}

// text returns a text under a key, or "".
func (s *sitemon) text(in *node, path, key string) string {
	n := in.get(key)
	if n == nil || n.kind == null {
		return ""
	}
	if n.kind != scalar {
		s.add(n.at, join(path, key), fmt.Sprintf("want a value, not %s", n.kind), "")
		return ""
	}
	return n.text
}

// section takes the first of its kind, and tells where another one says something else.
func (s *sitemon) section(first *section, e entry, file string, keys ...string) {
	if e.val.kind != dict {
		s.add(e.at, e.key, fmt.Sprintf("want a map, not %s", e.val.kind), "")
		return
	}
	s.refused(e.val, e.key, keys...)
	if first.at == nil {
		*first = section{e.val, file}
		return
	}
	for _, key := range keys {
		if n := e.val.get(key); e.val.has(key) && key != "consumers" && flat(first.at.get(key)) != flat(n) {
			s.note(n.at, fmt.Sprintf("%s.%s: it differs from that of %s, which is used", e.key, key, first.file))
		}
	}
}

// refused tells of keys that sitemon did not know and did not take.
func (s *sitemon) refused(n *node, path string, known ...string) {
	for _, e := range n.keys {
		if !slices.Contains(known, e.key) {
			s.note(e.at, fmt.Sprintf("%s: sitemon refused this key; it is left out", join(path, e.key)))
		}
	}
}

// address makes results of kafka: {server, topic}.
func (s *sitemon) address() {
	if s.kafka.at == nil {
		return
	}
	var servers []string
	for server := range strings.SplitSeq(flat(s.kafka.at.get("server")), ",") {
		server = strings.TrimSpace(server)
		if server != "" && !strings.Contains(server, ":") {
			server += ":9092"
		}
		servers = append(servers, server)
	}
	s.results = "kafka://" + strings.Join(servers, ",") + "/" + s.text(s.kafka.at, "kafka", "topic")
	if err := CheckResults(s.results); err != nil {
		s.add(s.kafka.at.at, "kafka", err.Error(), "want server: HOST:PORT and topic: NAME")
	}
	if n := s.kafka.at.get("consumers"); n != nil {
		s.note(n.at, "kafka.consumers: not needed: one that records uses the processors that there are, and more of them share the partitions")
	}
}

// flat returns a value, or those of a list with commas.
func flat(n *node) string {
	if n == nil || n.kind == dict {
		return ""
	}
	var all []string
	for _, one := range n.many() {
		all = append(all, one.text)
	}
	return strings.Join(all, ",")
}

// database makes store of postgres: {host, port, user, password, db}.
func (s *sitemon) database() {
	if s.postgres.at == nil {
		return
	}
	of := func(key, otherwise string) string {
		if text := s.text(s.postgres.at, "postgres", key); text != "" {
			return text
		}
		return otherwise
	}
	user := of("user", "postgres")
	u := url.URL{Scheme: "postgres", User: url.User(user), Host: net.JoinHostPort(of("host", ""), of("port", "5432")), Path: "/" + of("db", user)}
	if password := of("password", ""); password != "" {
		u.User = url.UserPassword(user, password)
	}
	s.store = u.String()
	if text := checkStore(s.store); text != "" {
		s.add(s.postgres.at.at, "postgres", text, "want host, and port, user, password and db as they are needed")
	}
}

func (s *sitemon) note(at pos, text string) {
	s.notes = append(s.notes, fmt.Sprintf("%s: %s", s.place(at), text))
}

// imported makes the configuration.
func (s *sitemon) imported() (*Import, error) {
	s.address()
	s.database()
	if len(s.found) > 0 {
		s.hide(s.top)
	}
	if wrong, _ := s.errors(); len(wrong) > 0 {
		return nil, wrong
	}
	out := &Import{Text: s.write(), Notes: append(s.notes, s.general()...)}
	if _, err := Parse("the configuration made of "+s.names(), out.Text, Options{Checker: s.checker}); err != nil {
		return nil, err
	}
	return out, nil
}

// names returns the names of the files, for people.
func (s *sitemon) names() string {
	var all []string
	for _, f := range s.files {
		all = append(all, quote(filepath.ToSlash(f.name)))
	}
	return strings.Join(all, " and ")
}
