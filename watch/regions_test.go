package watch

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
)

// inRegion is a watcher of a region.
func inRegion(t *testing.T, store *memory.Store, region string) *rig {
	t.Helper()
	return rigged(t, store, allUp, func(c *Config) { c.Region = region }).start(t)
}

// restrict changes the regions of one monitor.
func restrict(t *testing.T, store *memory.Store, id vedette.MonitorID, regions ...string) {
	t.Helper()
	edit(t, store, id, func(m *vedette.Monitor) { m.Regions = regions })
}

func TestRegionsLookAtWhatIsTheirs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		ids := monitors(t, store, 3, vedette.Monitor{Interval: time.Second})
		restrict(t, store, ids[1], "eu")
		restrict(t, store, ids[2], "us", "ap")
		eu, us, none := inRegion(t, store, "eu"), inRegion(t, store, "us"), inRegion(t, store, "")
		time.Sleep(20500 * time.Millisecond)
		_, _, _ = eu.stop(), us.stop(), none.stop()
		for _, c := range []struct {
			r    *rig
			name string
			want []vedette.MonitorID
		}{{eu, "eu", ids[:2]}, {us, "us", []vedette.MonitorID{ids[0], ids[2]}}, {none, "", ids[:1]}} {
			if len(c.r.sites) != len(c.want) {
				t.Errorf("region %q knows %d monitors, want %d", c.name, len(c.r.sites), len(c.want))
			}
			for _, id := range ids {
				rs := c.r.sink.of(id)
				if slices.Contains(c.want, id) != (len(rs) >= 18) || len(rs) > 21 {
					t.Errorf("region %q looked at %s %d times in 20s", c.name, id, len(rs))
				}
				for _, got := range rs {
					if got.Region != c.name {
						t.Fatalf("a result of region %q says %q", c.name, got.Region)
					}
				}
			}
		}
	})
}

func TestChangeOfRegionsTakesEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		ids := monitors(t, store, 2, vedette.Monitor{Interval: time.Second})
		restrict(t, store, ids[0], "us")
		r := inRegion(t, store, "eu")
		for i, regions := range [][]string{{"us"}, {"us", "eu"}, {"us"}, nil} {
			before, others := len(r.sink.of(ids[0])), len(r.sink.of(ids[1]))
			restrict(t, store, ids[0], regions...)
			time.Sleep(10 * time.Second)
			looks := len(r.sink.of(ids[0])) - before
			if ours := regions == nil || len(regions) == 2; ours && (looks < 9 || looks > 11) || !ours && looks > 0 {
				t.Errorf("step %d, regions %v: %d looks in 10s", i, regions, looks)
			}
			if n := len(r.sink.of(ids[1])) - others; i > 0 && (n < 9 || n > 11) {
				t.Errorf("step %d: the other monitor was looked at %d times", i, n)
			}
		}
		_ = r.stop()
		if len(r.meter.missed) > 0 {
			t.Errorf("missed %v", r.meter.missed)
		}
	})
}

// TestRegionsShareNoShards: each region has all shards for itself, and its watchers share them.
func TestRegionsShareNoShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		ids := monitors(t, store, 200, vedette.Monitor{Interval: 2 * time.Second})
		one, two, us := inRegion(t, store, "eu"), inRegion(t, store, "eu"), inRegion(t, store, "us")
		time.Sleep(30 * time.Second)
		if a, b, c := one.meter.shards(), two.meter.shards(), us.meter.shards(); a != 32 || b != 32 || c != 64 {
			t.Errorf("shards: %d and %d of eu, %d of us; want 32, 32 and 64", a, b, c)
		}
		for region, want := range map[string]int{"eu": 2, "us": 1} {
			members, err := store.Leases().List(t.Context(), "member/"+region+"/")
			if err != nil || len(members) != want {
				t.Errorf("%d members of %s, %v; want %d", len(members), region, err, want)
			}
		}
		_, _, _ = one.stop(), two.stop(), us.stop()
		eu := onBeat(t, 2*time.Second, slices.Concat(one.sink.results(), two.sink.results())...)
		all := onBeat(t, 2*time.Second, us.sink.results()...)
		for _, id := range ids {
			for at, n := range eu[id] {
				if n > 1 {
					t.Fatalf("%s was looked at %d times for %v by eu", id, n, at)
				}
			}
			if len(eu[id]) < 12 || len(all[id]) < 13 {
				t.Fatalf("%s was looked at %d times by eu and %d times by us in 30s", id, len(eu[id]), len(all[id]))
			}
		}
	})
}
