package demo

import (
	"bytes"
	"fmt"
	"time"
)

const head = `# The sites of the demo. Edit this file and save it: what you change is live within a second,
# and nothing else is disturbed. Try another interval, timeout or confirm, or add a site.
store: %q
http: {listen: %q}

defaults:
  interval: 1s
  timeout: 1s
  confirm: {down: 3, up: 2} # looks in a row that make a site down, and up again
  retry_interval: 500ms # between looks while that is not decided

groups:
  web: {labels: {team: web}}
  behind: {depends_on: [gateway]} # while the gateway is down, these raise no alarm

maintenance:
  - {name: patch day, match: {name: patching}, from: %q, to: %q}

monitors:
`

// Manifest returns a configuration file that watches the sites once a second.
func (w *Web) Manifest(store, listen string) []byte {
	var b bytes.Buffer
	now := time.Now().UTC()
	fmt.Fprintf(&b, head, store, listen, now.Add(-time.Hour).Format(time.RFC3339), now.Add(day).Format(time.RFC3339))
	for _, s := range w.sites {
		fmt.Fprintf(&b, "  # %s\n  - name: %s\n", s.About, s.Name)
		if s.Group != "" {
			fmt.Fprintf(&b, "    group: %s\n", s.Group)
		}
		fmt.Fprintf(&b, "    url: %q\n", s.URL)
		for _, key := range s.Keys {
			fmt.Fprintf(&b, "    %s\n", key)
		}
	}
	return b.Bytes()
}
