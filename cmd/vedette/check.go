package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/app"
	"github.com/vedettehq/vedette/check"
	"github.com/vedettehq/vedette/when"
)

const checkHelp = `Looks once and shows where the time went.

With URLs no configuration is read; the flags say how to look. Otherwise monitors
of the configuration are looked at as it says: those named, those of --group, or
--all. Nothing is stored.

Exit code: 0 all are up or degraded, 3 one is down, 1 one could not be looked at.
With --nagios: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN, and one line a site.`

// A checkFlags is what `vedette check` is told.
type checkFlags struct {
	config, group, format string
	all, nagios           bool
	timeout               string
	method, ip, http      string
	resolver, caFile      string
	insecure              bool
	headers               []string
	options               check.Options
	expect, warn          []string
}

func newCheck(s streams) *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use: "check URL... | [-c FILE] NAME... | --group G | --all", Short: "Look once", Long: checkHelp,
		Example: "  vedette check https://example.com/\n  vedette check --expect 'total < \"500ms\"' --pattern Welcome https://example.com/\n  vedette check -c vedette.yaml --group shop",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(f.format); err != nil {
				return err
			}
			monitors, err := f.monitors(args)
			if err != nil {
				return err
			}
			if len(args) == 0 || !strings.Contains(args[0], "://") {
				if err := onlyForURLs(cmd.Flags()); err != nil {
					return err
				}
			}
			return lookAt(cmd.Context(), s, f, monitors)
		},
	}
	configFlag(cmd, &f.config)
	outputFlag(cmd, &f.format)
	flags := cmd.Flags()
	flags.StringVar(&f.group, "group", "", "look at the monitors of this group")
	flags.BoolVar(&f.all, "all", false, "look at all monitors of the configuration")
	flags.BoolVar(&f.nagios, "nagios", false, "answer by the convention of Nagios plugins")
	flags.StringVar(&f.timeout, "timeout", "10s", "when to give up")
	flags.StringSliceVar(&f.options.Status, "status", nil, "codes that mean up: 200, 2xx, 200-299, any")
	flags.StringArrayVar(&f.options.Pattern, "pattern", nil, "regular expression that the body must match")
	flags.StringArrayVar(&f.options.Contains, "contains", nil, "text that the body must contain")
	flags.StringArrayVar(&f.expect, "expect", nil, `expression that must hold, e.g. 'total < "2s"'`)
	flags.StringArrayVar(&f.warn, "warn", nil, "expression that should hold")
	flags.StringVar(&f.method, "method", "", "HTTP method")
	flags.StringArrayVarP(&f.headers, "header", "H", nil, "request header, 'Name: value'")
	flags.StringVar(&f.http, "http", "", "HTTP version: auto, 1, 2")
	flags.StringVar(&f.ip, "ip", "", "address family: auto, 4, 6, both")
	flags.StringVar(&f.resolver, "resolver", "", "DNS server to resolve the host with")
	flags.StringVar(&f.options.Send, "send", "", "what to send over tcp")
	flags.StringVar(&f.caFile, "ca-file", "", "PEM file with the authorities to trust")
	flags.BoolVar(&f.insecure, "insecure", false, "accept any certificate")
	return cmd
}

// onlyForURLs refuses flags that would have no effect on monitors of a configuration.
func onlyForURLs(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		if !slices.Contains([]string{"config", "group", "all", "nagios", "output"}, f.Name) {
			err = usagef("--%s is for URLs alone: the configuration says how to look at its monitors", f.Name)
		}
	})
	return err
}

// monitors returns what to look at.
func (f *checkFlags) monitors(args []string) ([]vedette.Monitor, error) {
	if len(args) > 0 && strings.Contains(args[0], "://") {
		if f.all || f.group != "" || f.config != "" {
			return nil, usagef("either URLs, or monitors of a configuration")
		}
		return f.ofURLs(args)
	}
	if len(args) == 0 && !f.all && f.group == "" {
		return nil, usagef("what to look at? give URLs, names of monitors, --group G or --all")
	}
	file, err := load(f.config)
	if err != nil {
		if len(args) > 0 && f.config == "" && strings.Contains(args[0], ".") {
			return nil, usagef("%q is not a URL: did you mean https://%s?", args[0], args[0])
		}
		return nil, err
	}
	return choose(file.Monitors, args, f.group)
}

func choose(all []vedette.Monitor, names []string, group string) ([]vedette.Monitor, error) {
	var chosen []vedette.Monitor
	for _, m := range all {
		named := len(names) == 0 || slices.Contains(names, m.Name) || slices.Contains(names, string(m.ID))
		if named && (group == "" || m.Group == group) {
			chosen = append(chosen, m)
		}
	}
	for _, n := range names {
		if !slices.ContainsFunc(chosen, func(m vedette.Monitor) bool { return m.Name == n || string(m.ID) == n }) {
			return nil, fmt.Errorf("monitor %q: %w in the configuration", n, vedette.ErrNotFound)
		}
	}
	switch {
	case len(all) == 0:
		return nil, errors.New("the configuration has no monitors")
	case len(chosen) == 0:
		return nil, fmt.Errorf("no monitor of group %q: %w in the configuration", group, vedette.ErrNotFound)
	}
	return chosen, nil
}

func (f *checkFlags) ofURLs(urls []string) ([]vedette.Monitor, error) {
	timeout, err := when.ParseDuration(f.timeout)
	if err != nil {
		return nil, usagef("--timeout: %v", err)
	}
	if err := f.fill(); err != nil {
		return nil, err
	}
	probe, err := json.Marshal(f.options)
	if err != nil {
		return nil, err
	}
	var monitors []vedette.Monitor
	for _, u := range urls {
		monitors = append(monitors, vedette.Monitor{
			ID: vedette.MonitorID(u), Meta: vedette.Meta{Name: u, Origin: "command line"}, URL: u, Timeout: timeout, Interval: time.Minute, Probe: probe,
		})
	}
	return monitors, nil
}

// fill moves the flags that are not options themselves into the options.
func (f *checkFlags) fill() error {
	o := &f.options
	for _, e := range f.expect {
		o.Expect = append(o.Expect, check.Expectation{That: e})
	}
	for _, e := range f.warn {
		o.Warn = append(o.Warn, check.Expectation{That: e})
	}
	o.Request.Method, o.Request.HTTP, o.IP, o.Resolver = f.method, f.http, f.ip, f.resolver
	o.TLS.CAFile, o.TLS.InsecureSkipVerify = f.caFile, f.insecure
	for _, h := range f.headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return usagef("--header %q: want 'Name: value'", h)
		}
		if o.Request.Headers == nil {
			o.Request.Headers = make(map[string]check.Secret)
		}
		o.Request.Headers[strings.TrimSpace(name)] = check.Secret{Text: strings.TrimSpace(value)}
	}
	return nil
}

// A looked is what a look at a monitor saw.
type looked struct {
	name, url string
	vedette.Result
}

// most is how many looks `vedette check` makes at once.
const most = 50

func lookAt(ctx context.Context, s streams, f checkFlags, monitors []vedette.Monitor) error {
	checker, err := newChecker()
	if err != nil {
		return err
	}
	checks, err := compile(checker, monitors)
	if err != nil {
		return err
	}
	seen := make([]looked, len(monitors))
	slots := make(chan struct{}, most)
	var wg sync.WaitGroup
	for i, look := range checks {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			seen[i] = looked{monitors[i].Name, monitors[i].URL, once(ctx, look, monitors[i])}
		})
	}
	wg.Wait()
	if f.nagios {
		return nagios(s.out, seen)
	}
	if err := show(s, f.format, seen); err != nil {
		return err
	}
	return verdictOf(seen)
}

func compile(checker *check.Checker, monitors []vedette.Monitor) ([]vedette.Check, error) {
	var mistakes vedette.Mistakes
	checks := make([]vedette.Check, len(monitors))
	for i, m := range monitors {
		look, err := checker.Compile(m)
		var own vedette.Mistakes
		switch {
		case errors.As(err, &own):
			for _, one := range own {
				one.Path = strings.TrimSuffix(m.Name+" "+one.Path, " ")
				mistakes = append(mistakes, one)
			}
		case err != nil:
			return nil, err
		}
		checks[i] = look
	}
	if err := mistakes.Err(); err != nil {
		return nil, usageError{err}
	}
	return checks, nil
}

// once looks at one site now.
func once(ctx context.Context, look vedette.Check, m vedette.Monitor) vedette.Result {
	began := time.Now().Truncate(time.Microsecond)
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(m.Timeout, 10*time.Second))
	defer cancel()
	r := look(ctx)
	r.ID, r.Monitor, r.StartedAt, r.DueAt = vedette.NewID(began), m.ID, began, began
	return r
}

// verdictOf turns what was seen into an exit code.
func verdictOf(seen []looked) error {
	code := exitOK
	for _, l := range seen {
		switch l.State {
		case vedette.Down:
			return exitCode(exitDown)
		case vedette.Unknown:
			code = exitFailed
		}
	}
	if code == exitOK {
		return nil
	}
	return exitCode(code)
}

func show(s streams, format string, seen []looked) error {
	if format == "table" {
		for _, l := range seen {
			showLook(s.out, l)
		}
		return nil
	}
	lines := make([]app.ResultLine, len(seen))
	for i, l := range seen {
		lines[i] = app.NewResultLine(l.Result, l.url)
	}
	return write(s.out, format, lines, nil)
}
