package schedule_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/schedule"
)

func TestWhoResignsIsFollowedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		first, stop := lead(t, store, "a")
		time.Sleep(time.Second)
		var others [2]*schedule.Leader
		for i, name := range []string{"b", "c"} {
			others[i], _ = lead(t, store, name)
		}
		time.Sleep(5*time.Second + 37*time.Millisecond)
		if !first.Leads() || others[0].Leads() || others[1].Leads() {
			t.Fatal("want the first to lead, alone")
		}
		stop()
		resigned := time.Now()
		for !others[0].Leads() && !others[1].Leads() {
			time.Sleep(time.Millisecond)
		}
		if took := time.Since(resigned); took > 200*time.Millisecond {
			t.Errorf("another leads after %v", took)
		}
	})
}
