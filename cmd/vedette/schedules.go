package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/app"
	"github.com/vedettehq/vedette/manifest"
	"github.com/vedettehq/vedette/schedule"
)

func newSchedules(s streams) *cobra.Command {
	return noun("schedules", "Show when schedules are due", newSchedulesNext(s))
}

const nextHelp = `Shows the next due times of a schedule, or of a scraper by id or name.

SPEC is a cron expression (0 3 * * MON-FRI, @daily; a second may stand first), a
duration (5m, @every 5m) or one of every_second, every_minute, every_hour, every_day,
every_week and every_month. When in an interval a scraper is due follows from its
id: with a duration alone, times of one that has no id yet are shown.`

// A due is one due time.
type due struct {
	At time.Time `json:"at"`
}

func newSchedulesNext(s streams) *cobra.Command {
	var f deskFlags
	var zone string
	var n int
	cmd := &cobra.Command{
		Use: "next SPEC|SCRAPER", Short: "Show the next due times of a schedule or a scraper", Long: nextHelp,
		Example: "  vedette schedules next '0 3 * * MON-FRI' --zone Europe/Berlin\n  vedette schedules next prices -n 3",
		Args:    some("schedule"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := errors.Join(checkFormat(f.format), checkLimit(n)); err != nil {
				return err
			}
			plan, err := f.plan(cmd.Context(), strings.Join(args, " "), zone)
			if err != nil {
				return err
			}
			loc, err := time.LoadLocation(plan.Scraper().Schedule.Zone)
			if err != nil {
				return err // it was compiled with it
			}
			var times []due
			for _, at := range plan.Upcoming(time.Now(), n) {
				times = append(times, due{at.In(loc)})
			}
			if f.format == "table" && len(times) == 0 {
				words(s, "never due")
				return nil
			}
			return write(s.out, f.format, times, dueColumns())
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&zone, "zone", "", "time zone of a SPEC, e.g. Europe/Berlin (default UTC)")
	limitFlag(cmd, &n, 10, "how many")
	cmd.ValidArgsFunction = f.complete
	return cmd
}

func dueColumns() []column[due] {
	return []column[due]{
		{"due", func(d due) string { return d.At.Format("Mon 2006-01-02 15:04:05 -0700 MST") }},
		{"in", func(d due) string { return short(time.Until(d.At)) }},
		{"", func(due) string { return "" }},
	}
}

// plan returns that of a schedule, or of the scraper of that name.
func (f *deskFlags) plan(ctx context.Context, spec, zone string) (*schedule.Plan, error) {
	timing, errSpec := manifest.ParseSchedule(spec)
	timing.Zone = zone
	if errSpec == nil {
		plan, err := schedule.Compile(vedette.Scraper{ID: "next", Schedule: timing, Job: vedette.Job{Handler: "exec"}})
		if err != nil {
			return nil, usageError{err}
		}
		return plan, nil
	}
	if zone != "" {
		return nil, usagef("%v (--zone goes with a schedule, and a scraper has its own)", errSpec)
	}
	var s vedette.Scraper
	err := f.open(ctx, false, func(d *app.Desk) (err error) {
		s, err = d.Scraper(ctx, spec)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%w, and %w", errSpec, err)
	}
	return schedule.Compile(s)
}
