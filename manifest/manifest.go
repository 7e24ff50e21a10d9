package manifest

import (
	"cmp"
	"fmt"
	"os"
	"reflect"

	"github.com/vedettehq/vedette"
)

// Options say how to read a file. The zero Options know no environment and check no monitor.
type Options struct {
	// Env looks up ${NAME}, as os.LookupEnv does. Nil knows no name.
	Env func(name string) (string, bool)
	// Checker tries every monitor, so that its mistakes are told with their places. Nil tries
	// none.
	Checker vedette.Checker
}

// A File is what a file and those it includes say.
type File struct {
	// Monitors are in the order of the files, with all that they inherit. Their Origin is
	// "FILE:LINE".
	Monitors []vedette.Monitor
	Store    string
	// Results is the address of the topic that results go through; "" is none.
	Results      string
	Kafka        Kafka
	HTTP         HTTP
	Connectivity Connectivity
	Retention    vedette.Retention
	Metrics      Metrics
	Log          Log
	Regions      []string // all that there are; none is not said
	Region       string   // that of this process
	Watch        Watch
	// Snapshot tells when the files change. It is there even if they are wrong.
	Snapshot Snapshot
	Warnings Errors

	doc    document
	top    *node
	layers []layered
	report *report
	plans  plans
}

// Load reads the file at path and those it includes. What is wrong with them is reported as
// [Errors], all at once; then the File has its Snapshot and Warnings only, so that one can
// wait for a better version.
func Load(path string, opt Options) (*File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return parse(&File{}, path, data, opt)
}

// Parse is [Load] with the content of the first file at hand, which for its Snapshot never
// changes. Files that it includes are looked for beside name.
func Parse(name string, data []byte, opt Options) (*File, error) {
	return parse(&File{Snapshot: Snapshot{given: true}}, name, data, opt)
}

func parse(f *File, name string, data []byte, opt Options) (*File, error) {
	rep := &report{}
	f.report, f.plans = rep, plans{}
	in := includer{report: rep, env: opt.Env, snapshot: &f.Snapshot}
	f.top = in.read(name, data)
	f.Snapshot.seal()
	d := &decoder{report: rep, plans: f.plans, env: opt.Env}
	f.fill(d)
	res := d.resolve(f.top, f.doc)
	f.Monitors, f.layers = res.monitors, res.layers
	d.maintain(res, f.doc.Maintenance, f.top)
	f.try(opt.Checker)
	if len(rep.found) > 0 {
		rep.hide(f.top)
	}
	wrong, warnings := rep.errors()
	if len(wrong) > 0 {
		return &File{Snapshot: f.Snapshot, Warnings: warnings}, wrong
	}
	f.Warnings = warnings
	rep.forget()
	return f, nil
}

// Forget drops what only [File.Show] needs, which is most of the memory that a File takes.
func (f *File) Forget() {
	f.doc, f.top, f.layers, f.report, f.plans = document{}, nil, nil, nil, nil
}

// fill decodes all but groups and monitors, which inherit.
func (f *File) fill(d *decoder) {
	f.doc = builtin()
	if f.top == nil {
		f.top = &node{kind: dict, at: pos{line: 1, col: 1}}
	}
	d.top = f.top
	d.object(f.top, reflect.ValueOf(&f.doc).Elem(), "", func(e entry) bool {
		return e.key == "groups" || e.key == "monitors"
	})
	d.checkTop(f.doc, f.top)
	r := f.doc.Retention
	f.Retention = vedette.Retention{
		Results: r.Results, Failures: r.Failures, Hourly: r.Hourly, Daily: r.Daily,
		MaxBytes: int64(r.MaxBytes),
	}
	if f.doc.Store == "memory" {
		f.doc.Store = "memory:" // which YAML wants in quotes
	}
	f.Store, f.HTTP, f.Connectivity = f.doc.Store, f.doc.HTTP, f.doc.Connectivity
	f.Metrics, f.Log, f.Watch = f.doc.Metrics, f.doc.Log, f.doc.Watch
	f.Results, f.Kafka = f.doc.Results, f.doc.Kafka.plain()
	f.Regions, f.Region, d.regions = f.doc.Regions, f.doc.Region, f.doc.Regions
}

// checkTop finds what is wrong with values that are well-formed.
func (d *decoder) checkTop(doc document, top *node) {
	at := func(path string) pos {
		n, _ := stack{top}.find(path)
		return cmp.Or(n, top).at
	}
	if text := checkStore(doc.Store); text != "" {
		d.add(at("store"), "store", text, wantStore)
	}
	d.checkKafka(doc, at)
	d.checkRegions(doc, at)
	if text := checkListen(doc.HTTP.Listen); text != "" {
		d.add(at("http.listen"), "http.listen", text, "want HOST:PORT, as in 127.0.0.1:8080")
	}
	if doc.Watch.MaxInFlight < 0 {
		d.add(at("watch.max_in_flight"), "watch.max_in_flight", "less than 0", "")
	}
	if doc.Metrics.MaxMonitors < 0 {
		d.add(at("metrics.max_monitors"), "metrics.max_monitors", "less than 0", "")
	}
	if n := top.get("monitors"); len(d.found) > 0 {
		return // which may be why there are none
	} else if n == nil || n.kind == null || n.kind == list && len(n.items) == 0 {
		where := top.at
		if n != nil {
			where = n.at
		}
		d.warn(where, "monitors", "there are no monitors: nothing will be watched", "")
	}
}
