package manifest

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"

	"github.com/vedettehq/vedette/internal/expand"
)

// Header is the first line of files that are written for people: it tells editors the schema.
const Header = "# yaml-language-server: $schema=" + SchemaURL + "\n"

const starterHead = `
# Where to keep monitors and results.
store: sqlite:vedette.db

# Metrics, health and reload.
http:
  listen: 127.0.0.1:8080

# What all monitors have unless they say otherwise. These are the built-in values.
defaults:
  interval: 60s          # how often to look
  timeout: 10s           # when to give a look up
  confirm: {down: 3, up: 2}  # how many looks in a row it takes to believe a change
  retry_interval: 10s    # how often to look meanwhile

# What the monitors of a group have in common.
# groups:
#   shop:
#     interval: 15s
#     labels: {team: web}

monitors:
`

const starterKeys = `    # status: [2xx, 301]            # codes that mean up
    # pattern: "Example Domain"     # a regular expression that the body must match
    # expect: ['total < "2s"']      # must hold, or the site is down
    # warn: ['cert.days > 14']      # should hold, or the site is degraded
    # depends_on: [gateway]         # open no incident while that one is down
    # request:
    #   headers: {Accept: text/html}
    #   bearer: ${TOKEN}
`

const starterTail = `
# Say when it is we who are offline.
# connectivity:
#   targets: ["tcp://9.9.9.9:53"]

# What to run, and when: the program's log and what it prints are kept with each run.
# scrapers:
#   - name: prices
#     handler: exec
#     schedule: every_hour         # or 5m, or 0 3 * * *
#     params: {argv: [python3, prices.py], items: stdout}

# Planned work: looks go on, nobody is told.
# maintenance:
#   - {name: patch, match: {group: shop}, cron: "0 2 * * SUN", zone: Europe/Berlin, for: 2h}
`

// Init returns a file to begin with, with comments, that watches these URLs, or an example if
// there are none.
func Init(urls []string) []byte {
	if len(urls) == 0 {
		urls = []string{"https://example.com/"}
	}
	var b bytes.Buffer
	b.WriteString(Header)
	b.WriteString(starterHead)
	taken := map[string]bool{}
	for i, u := range urls {
		fmt.Fprintf(&b, "  - name: %s\n    url: %s\n", quote(expand.Escape(siteName(u, taken))), quote(expand.Escape(u)))
		if i == 0 {
			b.WriteString(starterKeys)
		}
	}
	b.WriteString(starterTail)
	return b.Bytes()
}

// siteName makes a name of a URL that gives an id of its own.
func siteName(raw string, taken map[string]bool) string {
	name := raw
	if u, err := url.Parse(raw); err == nil && u.Host != "" {
		name = strings.TrimSuffix(u.Host+u.Path, "/")
	}
	if slug(name) == "" {
		name = "site"
	}
	unique := name
	for n := 2; taken[slug(unique)]; n++ {
		unique = fmt.Sprintf("%s %d", name, n)
	}
	taken[slug(unique)] = true
	return unique
}
