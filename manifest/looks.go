package manifest

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/vedettehq/vedette"
)

// tryLooks warns of scrapers that look at a monitor which the file, though it has some, does not
// know. A program may have added it all the same.
func (f *File) tryLooks(opt Options) {
	if len(f.Monitors) == 0 || slices.Contains(opt.Handlers, "check") {
		return
	}
	known := make(map[vedette.MonitorID]bool, len(f.Monitors))
	for _, m := range f.Monitors {
		known[m.ID] = true
	}
	for i, s := range f.Scrapers {
		var look struct{ Monitor vedette.MonitorID }
		if s.Job.Handler != "check" || json.Unmarshal(s.Job.Params, &look) != nil || look.Monitor == "" || known[look.Monitor] {
			continue
		}
		l, key := f.scraping[i], "params.monitor"
		f.report.warn(l.at(key), join(l.path, key), fmt.Sprintf("no monitor of this file has the id %q", look.Monitor), f.meant(look.Monitor))
	}
}

// meant returns the id of the monitor that has a name, or nearly the id, that is none.
func (f *File) meant(id vedette.MonitorID) string {
	ids := make([]string, len(f.Monitors))
	for i, m := range f.Monitors {
		if ids[i] = string(m.ID); m.Name == string(id) {
			return fmt.Sprintf("did you mean %s?", m.ID)
		}
	}
	return didYouMean(string(id), slices.Values(ids))
}
