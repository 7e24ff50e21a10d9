package app

import "github.com/vedettehq/vedette"

// silent is what a region says whose vote has ended.
const silent = "silent"

// regionsOf says how a site does as seen from each region: up, degraded, down, unknown before
// anything is confirmed, or silent. It is nil where there are no regions.
func regionsOf(s vedette.Status) map[string]string {
	var by map[string]string
	for _, v := range s.Votes {
		if v.Region == "" {
			continue
		}
		if by == nil {
			by = make(map[string]string, len(s.Votes))
		}
		switch {
		case v.Stale:
			by[v.Region] = silent
		case v.State == "":
			by[v.Region] = string(vedette.Unknown)
		default:
			by[v.Region] = string(v.State)
		}
	}
	return by
}
