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
	// Handlers are the names that scrapers may use besides those of the built-in handlers; with
	// AnyHandler they may use any name.
	Handlers   []string
	AnyHandler bool
	// Checker tries every monitor, so that its mistakes are told with their places. Nil tries
	// none.
	Checker vedette.Checker
}

// A File is what a file and those it includes say.
type File struct {
	// Monitors are in the order of the files, with all that they inherit. Their Origin is
	// "FILE:LINE".
	Monitors []vedette.Monitor
	// Scrapers are in the order of the files, too, with an Origin.
	Scrapers []vedette.Scraper
	Store    string
	Queue    string // where jobs are kept; "" is the store
	ReadOnly bool   // people change nothing
	Worker   Worker
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
	// scraping are the layers of Scrapers.
	scraping []layered

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
	f.Scrapers, f.scraping = d.scrapers(f.top.get("scrapers"))
	f.tryScrapers(opt)
	f.tryLooks(opt)
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
	f.doc, f.top, f.layers, f.scraping, f.report, f.plans = document{}, nil, nil, nil, nil, nil
}

// fill decodes all but groups and monitors, which inherit, and scrapers.
func (f *File) fill(d *decoder) {
	f.doc = builtin()
	if f.top == nil {
		f.top = &node{kind: dict, at: pos{line: 1, col: 1}}
	}
	d.top = f.top
	d.object(f.top, reflect.ValueOf(&f.doc).Elem(), "", func(e entry) bool {
		return e.key == "groups" || e.key == "monitors" || e.key == "scrapers"
	})
	d.checkTop(f.doc, f.top)
	r := f.doc.Retention
	f.Retention = vedette.Retention{
		Results: r.Results, Failures: r.Failures, Hourly: r.Hourly, Daily: r.Daily,
		MaxBytes: int64(r.MaxBytes),
	}
	for _, url := range []*string{&f.doc.Store, &f.doc.Queue} {
		if *url == "memory" {
			*url = "memory:" // which YAML wants in quotes
		}
	}
	f.Queue, f.ReadOnly, f.Worker = f.doc.Queue, f.doc.ReadOnly, f.doc.Worker.plain()
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
	if text := checkStore(doc.Queue); text != "" && doc.Queue != "" {
		d.add(at("queue"), "queue", text, wantStore+", or redis://HOST:PORT")
	}
	if doc.Worker.Concurrency < 1 {
		d.add(at("worker.concurrency"), "worker.concurrency", fmt.Sprintf("%d is less than 1", doc.Worker.Concurrency), "")
	}
	if doc.Watch.MaxInFlight < 0 {
		d.add(at("watch.max_in_flight"), "watch.max_in_flight", "less than 0", "")
	}
	if doc.Metrics.MaxMonitors < 0 {
		d.add(at("metrics.max_monitors"), "metrics.max_monitors", "less than 0", "")
	}
	if len(d.found) == 0 { // which may be why there are none
		d.idle(top)
	}
}

// idle warns of a file that asks for nothing.
func (d *decoder) idle(top *node) {
	none := func(n *node) bool { return n == nil || n.kind == null || n.kind == list && len(n.items) == 0 }
	n := top.get("monitors")
	if !none(n) || !none(top.get("scrapers")) {
		return
	}
	where := top.at
	if n != nil {
		where = n.at
	}
	d.warn(where, "monitors", "there are no monitors: nothing will be watched", "")
}
