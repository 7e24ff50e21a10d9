package manifest

import (
	"time"

	"github.com/vedettehq/vedette/check"
)

// The structs of this file are the file format: json names a key, doc explains it and enum
// lists what is allowed. Parsing, the schema and Show all follow them.

// document is the whole file.
type document struct {
	Store        string              `json:"store" doc:"Where to keep monitors and results: memory, sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE."`
	Queue        string              `json:"queue" doc:"Where to keep jobs: as store, or redis://HOST:PORT. Default: in the store."`
	ReadOnly     bool                `json:"read_only" doc:"People look and change nothing; what runs goes on."`
	Results      string              `json:"results" doc:"The topic that results go through: kafka://HOST:PORT[,HOST:PORT]/TOPIC. Default: straight into the store."`
	Kafka        kafka               `json:"kafka" doc:"How to talk to Kafka, and where results wait while it is away."`
	HTTP         HTTP                `json:"http" doc:"The server for metrics, health and reload."`
	Include      []string            `json:"include" doc:"Further files, by pattern, relative to this one. Their monitors and groups are added."`
	Defaults     settings            `json:"defaults" doc:"What all monitors have unless they or their group say otherwise."`
	Groups       map[string]settings `json:"groups" doc:"What the monitors of a group have unless they say otherwise. Maps merge, lists replace."`
	Monitors     []monitor           `json:"monitors" doc:"The sites to watch."`
	Scrapers     []scraper           `json:"scrapers" doc:"What to run, and when."`
	Worker       worker              `json:"worker" doc:"How to run jobs."`
	Connectivity Connectivity        `json:"connectivity" doc:"How to tell that it is we who are offline."`
	Maintenance  []planned           `json:"maintenance" doc:"Planned work on the monitors that match."`
	Retention    retention           `json:"retention" doc:"For how long to keep what; 0 keeps for ever."`
	Metrics      Metrics             `json:"metrics" doc:"Metrics of single monitors."`
	Log          Log                 `json:"log" doc:"What to log, and how."`
	Regions      []string            `json:"regions" doc:"All regions that there are."`
	Region       string              `json:"region" doc:"The region that this process looks from."`
	Watch        Watch               `json:"watch" doc:"How to look."`
}

// HTTP says where to serve metrics, health and reload.
type HTTP struct {
	Listen string `json:"listen" doc:"Address to listen on, HOST:PORT. Empty: do not listen."`
}

// Connectivity says how to tell that it is we who are offline.
type Connectivity struct {
	Targets []string `json:"targets" doc:"URLs that answer whenever we are online. While none does, looks that fail are unknown instead of down."`
}

// Metrics says how single monitors appear in metrics.
type Metrics struct {
	Labels      []string `json:"labels" doc:"Labels of monitors that become labels of metrics."`
	MaxMonitors int      `json:"max_monitors" doc:"How many monitors have metrics of their own; the rest is counted."`
}

// Log says what to log, and how.
type Log struct {
	Format string `json:"format" enum:"text,json" doc:"How lines look."`
	Level  string `json:"level" enum:"debug,info,warn,error" doc:"The least urgent lines to write."`
}

// Watch says how to look.
type Watch struct {
	MaxInFlight int `json:"max_in_flight" doc:"How many looks may be under way at once. 0: as many as open files allow."`
}

type retention struct {
	Results  time.Duration `json:"results" doc:"Every look."`
	Failures time.Duration `json:"failures" doc:"Looks that failed, with their evidence, and closed incidents."`
	Hourly   time.Duration `json:"hourly" doc:"Sums of an hour."`
	Daily    time.Duration `json:"daily" doc:"Sums of a day."`
	MaxBytes check.Size    `json:"max_bytes" doc:"Of everything; the oldest looks go first."`
}

// monitor is one entry of monitors.
type monitor struct {
	ID    string `json:"id" doc:"Names the monitor for good: history is kept under it. Default: made of group and name."`
	Name  string `json:"name" doc:"What people call it."`
	Group string `json:"group" doc:"The group whose settings it inherits."`
	URL   string `json:"url" doc:"What to look at; the scheme says how: http, https, tcp, tls or dns."`
	settings
}

// settings are the keys that defaults and groups have too.
type settings struct {
	Labels        map[string]string `json:"labels" doc:"Labels for searching, metrics and messages."`
	Paused        bool              `json:"paused" doc:"Do not look."`
	Interval      time.Duration     `json:"interval" doc:"How often to look, e.g. 30s."`
	Timeout       time.Duration     `json:"timeout" doc:"When to give a look up. Default: 10s, at most the interval."`
	Confirm       confirm           `json:"confirm" doc:"How many looks in a row it takes to believe a change."`
	RetryInterval time.Duration     `json:"retry_interval" doc:"How often to look while a change is being confirmed, if that is more often."`
	DependsOn     []string          `json:"depends_on" doc:"Monitors, by id or name, without which this one cannot be up: while one of them is down, this one opens no incident."`
	Maintenance   []window          `json:"maintenance" doc:"Planned work on this monitor."`
	Regions       []string          `json:"regions" doc:"The regions that look. Default: all."`
	Quorum        quorum            `json:"quorum" doc:"How many regions must agree that the site is down, as 2 or 2 of 3. Default: more than half of those that look."`
	check.Options
}

type confirm struct {
	Down int `json:"down" doc:"From up to down."`
	Up   int `json:"up" doc:"From down to up."`
}

// window is a span of planned work.
type window struct {
	Name string        `json:"name" doc:"What is done."`
	From string        `json:"from" doc:"When it begins: 2026-03-01T22:00:00Z, or 2026-03-01 22:00 in the zone."`
	To   string        `json:"to" doc:"When it ends."`
	Cron string        `json:"cron" doc:"When it begins, again and again: minute, hour, day of month, month, weekday."`
	Zone string        `json:"zone" doc:"Time zone of cron, from and to, e.g. Europe/Berlin. Default: UTC."`
	For  time.Duration `json:"for" doc:"How long it lasts, from a time of cron or from on."`
}

// planned is a window with the monitors it is for.
type planned struct {
	Match match `json:"match" doc:"The monitors it is for; all conditions must hold. Default: all monitors."`
	window
}

type match struct {
	Group  []string          `json:"group" doc:"The group is one of these."`
	Name   []string          `json:"name" doc:"The name or id is one of these."`
	Labels map[string]string `json:"labels" doc:"The labels have these values."`
}

// builtin returns the document that an empty file stands for.
func builtin() document {
	return document{
		Store: "sqlite:vedette.db",
		Kafka: kafka{
			Kafka: Kafka{Compression: "snappy", Group: "vedette", Partitions: 12, Format: "avro"},
			Spool: spool{Dir: "vedette.spool", MaxBytes: 1 << 30, WhenFull: "block"},
		},
		HTTP: HTTP{Listen: "127.0.0.1:8080"},
		Defaults: settings{
			Interval:      time.Minute,
			Timeout:       10 * time.Second,
			Confirm:       confirm{Down: 3, Up: 2},
			RetryInterval: 10 * time.Second,
		},
		Retention: retention{
			Results:  3 * 24 * time.Hour,
			Failures: 30 * 24 * time.Hour,
			Hourly:   90 * 24 * time.Hour,
			Daily:    3 * 365 * 24 * time.Hour,
			MaxBytes: 20 << 30,
		},
		Worker:  worker{Concurrency: 50},
		Metrics: Metrics{MaxMonitors: 10_000},
		Log:     Log{Format: "text", Level: "info"},
	}
}
