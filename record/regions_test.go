package record_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/postgres"
	"github.com/vedettehq/vedette/postgres/pgtest"
	"github.com/vedettehq/vedette/record"
)

// Watchers of three regions look at the same monitors in the same phases, and write straight into
// one store.
func TestRegionsThatMeetInOneStoreAllMakeHeadway(t *testing.T) {
	const n, each, rounds = 1000, 100, 5
	url := pgtest.Schema(t)
	var monitors []vedette.Monitor
	for i := range n {
		monitors = append(monitors, monitor(fmt.Sprintf("m%04d", i)))
	}
	var all sync.WaitGroup
	began := time.Now().Add(-time.Minute)
	for _, region := range []string{"ams", "fra", "waw"} {
		store, err := postgres.Open(t.Context(), url, postgres.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		if region == "ams" {
			if err := store.Monitors().Put(t.Context(), monitors...); err != nil {
				t.Fatal(err)
			}
		}
		r := start(t, record.Config{
			Monitors: store.Monitors(), Writer: store, Reader: store, Keeper: store, Shared: true,
			Leaser: store.Leases(), Owner: region,
		})
		run(t, r)
		all.Go(func() {
			for i := range rounds {
				for piece := range slices.Chunk(monitors, each) {
					var found vedette.Found
					for _, m := range piece {
						one := look(string(m.ID), began.Add(time.Duration(i)*10*time.Second), vedette.Up)
						one.Region = region
						found.Results = append(found.Results, one)
					}
					if err := r.Send(t.Context(), found); err != nil {
						t.Errorf("%s, round %d: %v", region, i, err)
					}
				}
			}
		})
	}
	all.Wait()
	for what, sql := range map[string]string{
		"monitors lack results":           "(select monitor_id from results where kind is null group by 1 having count(*) = 15) as whole",
		"monitors have gaps in their seq": "(select monitor_id from results group by 1 having count(*) = max(seq) and count(distinct seq) = max(seq)) as whole",
		"statuses are not the last":       "statuses as s where seq = (select max(seq) from results as r where r.monitor_id = s.monitor_id)",
	} {
		if got := pgtest.Query(t, url, "select count(*) from "+sql); got != n {
			t.Errorf("%d %s", n-got, what)
		}
	}
}
