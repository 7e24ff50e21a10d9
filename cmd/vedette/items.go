package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/app"
)

const itemsHelp = `Shows what a job found: the items of the attempt by whose word it ended, a JSON line
each. What other attempts found does not count: it was found again, or their worker
was lost. So while a job lives nothing is shown; -f waits for its end.

--all shows the items of every attempt, each with its id, epoch and number and
whether it counts, also while the job lives; with -f they come as they are found.
-o jsonl, json, yaml and csv show ids too. The id of an item is always the same
(UUIDv5 of JOB/EPOCH/N).`

func newJobsItems(s streams) *cobra.Command {
	var f deskFlags
	var want app.ItemFilter
	cmd := withJob("items ID", "Show what a job found, a JSON line each", false, &f, func(ctx context.Context, d *app.Desk, id vedette.ID) error {
		var lines []app.ItemLine
		shown := 0
		show := itemLine(s, f.format, want.All)
		err := d.Items(ctx, id, want, func(l app.ItemLine) error {
			shown++
			if show != nil {
				return show(l)
			}
			lines = append(lines, l)
			return nil
		})
		if err == nil && shown == 0 && f.format == "table" {
			words(s, "job %s: no items%s", id, map[bool]string{false: " that count"}[want.All])
		}
		if err != nil || show != nil {
			return err
		}
		return write(s.out, f.format, lines, nil)
	})
	cmd.Long = itemsHelp
	cmd.Example = "  vedette jobs items -f $(vedette run prices)\n  vedette jobs items --all -o csv 019a5c1e-8a00-7000-8000-000000000000"
	cmd.Flags().BoolVar(&want.All, "all", false, "of every attempt, whether they count or not")
	cmd.Flags().BoolVarP(&want.Follow, "follow", "f", false, "wait until the job has ended")
	return cmd
}

// itemLine prints items as they come, or is nil for formats that are written as a whole.
func itemLine(s streams, format string, all bool) func(app.ItemLine) error {
	switch {
	case format == "jsonl", format == "table" && all:
		e := json.NewEncoder(s.out)
		e.SetEscapeHTML(false)
		return func(l app.ItemLine) error { return e.Encode(l) }
	case format == "table":
		return func(l app.ItemLine) error {
			_, err := fmt.Fprintf(s.out, "%s\n", l.Item)
			return err
		}
	}
	return nil
}
