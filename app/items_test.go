package app_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/app"
	"github.com/vedettehq/vedette/sqlite"
)

// found returns the items of a job in a few words: epoch/n item, and whether it counts.
func found(t *testing.T, d *app.Desk, id vedette.ID, want app.ItemFilter) (items []string) {
	t.Helper()
	ids := map[vedette.ID]bool{}
	err := d.Items(t.Context(), id, want, func(l app.ItemLine) error {
		if want := vedette.ItemID(vedette.Ref{Job: id, Epoch: l.Epoch}, l.N); l.ID != want || l.Job != id || ids[l.ID] {
			t.Errorf("item %d of epoch %d has the id %s, want %s, once", l.N, l.Epoch, l.ID, want)
		}
		ids[l.ID] = true
		counts := "?"
		if l.Counts != nil {
			counts = fmt.Sprint(*l.Counts)
		}
		items = append(items, fmt.Sprintf("%d/%d %s %s", l.Epoch, l.N, l.Item, counts))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return items
}

// finding runs an app whose scraper s finds something in each of two attempts, of which end makes what
// it returns.
func finding(t *testing.T, store string, end func(context.Context, vedette.Job) error) (*app.Desk, vedette.ID) {
	t.Helper()
	a := newApp(t, app.Config{Store: store})
	a.Handle("finds", vedette.HandlerFunc(func(ctx context.Context, t *vedette.Task) (string, error) {
		err := t.Emit(ctx, vedette.Raw(fmt.Sprintf(`{"attempt":%d}`, t.Job.Attempt)), vedette.Raw(`"<b>"`))
		return "", errors.Join(err, end(ctx, t.Job))
	}))
	run(t, a)
	if err := a.Scrape(t.Context(), vedette.Scraper{ID: "s", Job: vedette.Job{Handler: "finds", MaxAttempts: 2, RetryAfter: time.Millisecond}}); err != nil {
		t.Fatal(err)
	}
	j, err := a.Desk().Run(t.Context(), "s", app.RunRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return a.Desk(), j.ID
}

func TestItemsAreThoseOfTheAttemptThatCounts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.db")
	goOn := make(chan struct{})
	d, id := finding(t, "sqlite:"+path, func(_ context.Context, j vedette.Job) error {
		if j.Attempt == 1 {
			return errors.New("not now")
		}
		<-goOn
		return nil
	})
	await(t, "what both attempts found", func() bool { return len(found(t, d, id, app.ItemFilter{All: true})) == 4 })
	all := []string{`1/1 {"attempt":1} ?`, `1/2 "<b>" ?`, `2/1 {"attempt":2} ?`, `2/2 "<b>" ?`}
	if diff := cmp.Diff(all, found(t, d, id, app.ItemFilter{All: true})); diff != "" {
		t.Error(diff)
	}
	shown := false
	err := d.Items(t.Context(), id, app.ItemFilter{}, func(app.ItemLine) error { shown = true; return nil })
	if !errors.Is(err, vedette.ErrRefused) || shown {
		t.Errorf("while it runs: error %v, shown %v", err, shown)
	}
	time.AfterFunc(50*time.Millisecond, func() { close(goOn) })
	want := []string{`2/1 {"attempt":2} true`, `2/2 "<b>" true`}
	if diff := cmp.Diff(want, found(t, d, id, app.ItemFilter{Follow: true})); diff != "" {
		t.Error("when it has ended:", diff)
	}
	// What the first attempt sent comes late, and what the second sent comes again.
	late(t, path, id, `{"epoch":1,"n":3,"item":"late"}`, `{"epoch":2,"n":1,"item":{"attempt":2}}`)
	if diff := cmp.Diff(want, found(t, d, id, app.ItemFilter{})); diff != "" {
		t.Error("when a lost attempt has spoken:", diff)
	}
	all = []string{`1/1 {"attempt":1} false`, `1/2 "<b>" false`, `2/1 {"attempt":2} true`, `2/2 "<b>" true`, `1/3 "late" false`}
	if diff := cmp.Diff(all, found(t, d, id, app.ItemFilter{All: true, Follow: true})); diff != "" {
		t.Error("all of them:", diff)
	}
}

// late appends items to those of a job that has ended.
func late(t *testing.T, path string, id vedette.ID, items ...string) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{Guest: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range items {
		if err := s.Feed().Append(t.Context(), vedette.Entry{Topic: vedette.ItemsTopic(id), Data: vedette.Raw(item)}); err != nil {
			t.Error(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestItemsOfAJobThatFailedAreThoseOfTheAttemptThatEndedIt(t *testing.T) {
	t.Parallel()
	d, id := finding(t, "memory:", func(context.Context, vedette.Job) error { return errors.New("no luck") })
	if diff := cmp.Diff([]string{`2/1 {"attempt":2} true`, `2/2 "<b>" true`}, found(t, d, id, app.ItemFilter{Follow: true})); diff != "" {
		t.Error(diff)
	}
}

func TestNoItemsCountOfAJobThatWasCancelledWhileItWaited(t *testing.T) {
	t.Parallel()
	d, id := finding(t, "memory:", func(context.Context, vedette.Job) error {
		return vedette.RetryAfter(time.Hour, errors.New("not now"))
	})
	await(t, "the first attempt", func() bool { return len(found(t, d, id, app.ItemFilter{All: true})) == 2 })
	await(t, "its end", func() bool { j, err := d.Job(t.Context(), id); return err == nil && j.State == vedette.JobRetrying })
	if err := d.Cancel(t.Context(), "enough", id); err != nil {
		t.Fatal(err)
	}
	if items := found(t, d, id, app.ItemFilter{}); items != nil {
		t.Errorf("items %v count", items)
	}
}
