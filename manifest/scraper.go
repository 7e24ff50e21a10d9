package manifest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/schedule"
	"github.com/vedettehq/vedette/when"
)

// scraper is one entry of scrapers.
type scraper struct {
	ID       string            `json:"id" doc:"Names the scraper for good: its runs are kept under it. Default: made of group and name."`
	Name     string            `json:"name" doc:"What people call it."`
	Group    string            `json:"group" doc:"For searching; scrapers inherit nothing of it."`
	Labels   map[string]string `json:"labels" doc:"Labels for searching."`
	Handler  string            `json:"handler" doc:"What does the work: exec, http, check, or one that the program has compiled in."`
	Schedule timing            `json:"schedule" doc:"When to run: a map, or a text as 5m, 0 3 * * * or every_hour. Default: by hand only."`
	Params   map[string]any    `json:"params" doc:"What the handler is told."`
	Priority priority          `json:"priority" doc:"Which runs go first: utmost, high, normal, or a number, the lowest first."`
	Queue    string            `json:"queue" doc:"The queue that runs wait in."`
	Timeout  time.Duration     `json:"timeout" doc:"When to give an attempt up; 0 is never."`
	Retries  retries           `json:"retries" doc:"How often to try again after a failure: a number, or a map."`
	Keep     int               `json:"keep" doc:"How many runs to keep as history; 0 is all."`
	LimitKey string            `json:"limit_key" doc:"Of all runs with this key only limit run at once."`
	Limit    int               `json:"limit" doc:"How many runs of limit_key run at once. Default: 1 with a limit_key."`
	Rate     rate              `json:"rate" doc:"How often runs may start: a text as 10/m, or a map."`
	Enabled  bool              `json:"enabled" doc:"Whether the schedule makes runs. By hand it can be run all the same."`
}

// newScraper returns what a scraper is unless it says otherwise.
func newScraper() scraper {
	return scraper{
		Priority: vedette.Normal, Queue: vedette.DefaultQueue, Timeout: time.Hour,
		Retries: retries{Times: 1, After: time.Minute}, Keep: 50, Enabled: true,
	}
}

// timing is when a scraper runs.
type timing struct {
	Every    time.Duration `json:"every" doc:"Again and again, e.g. 5m, at least 1s."`
	Cron     string        `json:"cron" doc:"Minute, hour, day of month, month, weekday; or six fields with the second first."`
	Calendar []calendar    `json:"calendar" doc:"Civil times whose parts are all among those listed."`
	At       []string      `json:"at" doc:"These times: 2026-03-01T22:00:00Z, or 2026-03-01 22:00 in the zone."`
	Zone     string        `json:"zone" doc:"Time zone of cron, calendar, at, from and to, e.g. Europe/Berlin. Default: UTC."`
	From     string        `json:"from" doc:"Due from then on."`
	To       string        `json:"to" doc:"Due before then."`
	Overlap  string        `json:"overlap" enum:"skip,buffer_one,buffer_all,cancel_other,terminate_other,allow_all" doc:"What to do when the run before still lives. Default: skip."`
	CatchUp  time.Duration `json:"catch_up" doc:"How late a run may begin that was missed. Default: 1m."`
	Jitter   time.Duration `json:"jitter" doc:"Delay each run by a part of it."`
	Pause    bool          `json:"pause_on_failure" doc:"Make no runs after one that failed, until one that somebody asked for succeeds or the scraper is changed."`
}

type calendar struct {
	Year    []int `json:"year" doc:"Default: any."`
	Month   []int `json:"month" doc:"1 to 12. Default: any."`
	Day     []int `json:"day" doc:"Of the month; -1 is the last. Default: any."`
	Weekday []int `json:"weekday" doc:"0 is Sunday. Default: any."`
	Hour    []int `json:"hour" doc:"Default: 0."`
	Minute  []int `json:"minute" doc:"Default: 0."`
	Second  []int `json:"second" doc:"Default: 0."`
	Except  bool  `json:"except" doc:"Takes out what others of the calendar put in."`
}

// UnmarshalText reads what [ParseSchedule] does.
func (t *timing) UnmarshalText(text []byte) error {
	s, err := ParseSchedule(string(text))
	t.Every, t.Cron = s.Every, s.Cron
	return err
}

// ParseSchedule reads a schedule that is one text: a duration ("5m", "every 5m", "@every 5m"),
// a cron expression, which has blanks or begins with @, or one of Sneakpeek's names, as
// every_hour or inactive. What is wrong within a cron expression package schedule says.
func ParseSchedule(text string) (vedette.Schedule, error) {
	if every, ok := strings.CutPrefix(strings.TrimPrefix(text, "@"), "every "); ok {
		d, err := when.ParseDuration(strings.TrimSpace(every))
		return vedette.Schedule{Every: d}, err
	}
	names := slices.DeleteFunc(schedule.Names(), func(name string) bool { return name == "crontab" })
	switch {
	case slices.Contains(names, text):
		return schedule.ParseName(text, "")
	case text == "crontab":
		return vedette.Schedule{}, errors.New("crontab is no schedule: write its five fields, as in 0 3 * * *")
	case strings.HasPrefix(text, "@") || len(strings.Fields(text)) > 1:
		return vedette.Schedule{Cron: text}, nil
	}
	d, err := when.ParseDuration(text)
	if err == nil || text != "" && text[0] >= '0' && text[0] <= '9' {
		return vedette.Schedule{Every: d}, err
	}
	fix := didYouMean(text, slices.Values(names))
	if fix == "" {
		fix = "want a duration as 5m, five fields of cron, or one of " + strings.Join(names, ", ")
	}
	return vedette.Schedule{}, fmt.Errorf("%q is no schedule: %s", text, fix)
}

// A priority is a number, and the first three have names.
type priority int

func priorities() []string { return []string{"utmost", "high", "normal"} }

// UnmarshalText reads a name or a number.
func (p *priority) UnmarshalText(text []byte) error {
	n, err := ParsePriority(string(text))
	*p = priority(n)
	return err
}

// ParsePriority reads utmost, high, normal, or a number.
func ParsePriority(text string) (int, error) {
	if i := slices.Index(priorities(), strings.ToLower(text)); i >= 0 {
		return i, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err == nil {
		return int(n), nil
	}
	fix := didYouMean(text, slices.Values(priorities()))
	if fix == "" {
		fix = "want " + strings.Join(priorities(), ", ") + " or a whole number"
	}
	return vedette.Normal, fmt.Errorf("%q is no priority: %s", text, fix)
}

// FormatPriority writes a priority by its name if it has one.
func FormatPriority(n int) string {
	if n >= 0 && n < len(priorities()) {
		return priorities()[n]
	}
	return strconv.Itoa(n)
}

type retries struct {
	Times int           `json:"times" doc:"How often. Default: 1."`
	After time.Duration `json:"after" doc:"How long after the first failure; then twice as long, and so on. Default: 1m."`
}

// UnmarshalText reads how often.
func (r *retries) UnmarshalText(text []byte) error {
	n, err := strconv.ParseInt(string(text), 10, 32)
	if err != nil {
		return fmt.Errorf("%q is no whole number: want one, or a map as {times: 3, after: 5m}", text)
	}
	r.Times = int(n)
	return nil
}

type rate struct {
	Every time.Duration `json:"every" doc:"Time between two starts, on average."`
	Burst int           `json:"burst" doc:"How many may start at once. Default: 1."`
	Key   string        `json:"key" doc:"Scrapers of one key share the rate. Default: the scraper alone."`
}

// UnmarshalText reads a number of starts in a time, as 10/m or 1/30s.
func (r *rate) UnmarshalText(text []byte) error {
	first, second, ok := strings.Cut(string(text), "/")
	n, err := strconv.Atoi(strings.TrimSpace(first))
	if second = strings.TrimSpace(second); second != "" && (second[0] < '0' || second[0] > '9') {
		second = "1" + second
	}
	within, errTime := when.ParseDuration(second)
	if !ok || err != nil || errTime != nil || n < 1 || within <= 0 {
		return fmt.Errorf("%q is no rate: want a number of starts in a time, as in 10/m", text)
	}
	r.Every = within / time.Duration(n)
	return nil
}
