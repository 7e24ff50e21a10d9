package manifest

import (
	"bytes"
	"slices"

	"github.com/vedettehq/vedette"
)

// ParseScrapers reads scrapers that stand alone, as YAML or JSON: one of them, a list, or a file
// with the key scrapers. Keys that tell of a scraper and do not make it, as version, are passed
// over. What is wrong is reported as [Errors], all at once. The scrapers have no Origin.
func ParseScrapers(name string, data []byte, opt Options) ([]vedette.Scraper, error) {
	rep := &report{files: []source{{name: name, data: bytes.TrimPrefix(data, []byte("\ufeff"))}}}
	f := &File{report: rep, plans: plans{}}
	top := readYAML(0, rep.files[0].data, rep)
	if top == nil {
		rep.add(pos{0, 1, 1}, "", "there is no scraper in it", "")
	} else {
		d := &decoder{report: rep, plans: f.plans, env: opt.Env}
		f.Scrapers, f.scraping = d.scrapers(alone(top))
	}
	f.tryScrapers(opt)
	rep.hide(top)
	if wrong, _ := rep.errors(); len(wrong) > 0 {
		return nil, wrong
	}
	for i := range f.Scrapers {
		f.Scrapers[i].Origin = ""
	}
	return f.Scrapers, nil
}

// alone returns the list of scrapers that n holds, without what only tells of them.
func alone(n *node) *node {
	if n.has("scrapers") {
		n = n.get("scrapers")
	}
	out := &node{kind: list, at: n.at}
	for _, item := range n.many() {
		bare := *item
		bare.keys = slices.DeleteFunc(slices.Clone(item.keys), func(e entry) bool {
			return slices.Contains([]string{"origin", "version", "next_at", "last_at", "skipped", "dropped", "held_by", "next", "runs"}, e.key)
		})
		out.items = append(out.items, &bare)
	}
	return out
}
