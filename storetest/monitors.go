package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vedettehq/vedette"
)

// TestMonitors holds a registry of monitors to its contract.
func TestMonitors(t *testing.T, open func(t *testing.T) vedette.Monitors) {
	for name, test := range map[string]func(*testing.T, vedette.Monitors){
		"keeps what was put":                testPut,
		"refuses stale versions":            testStaleVersion,
		"keeps what files own from others":  testOwned,
		"puts and deletes all or none":      testPutAllOrNone,
		"lists in pages":                    testListPages,
		"shares no memory":                  testNoSharing,
		"waits for changes":                 testChangesWait,
		"tells all changes while they come": testChangesMissNothing,
		"resumes changes":                   testChangesResume,
		"does what a map does":              testRegistryModel,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func put(t testing.TB, r vedette.Monitors, things ...vedette.Monitor) {
	t.Helper()
	if err := r.Put(t.Context(), things...); err != nil {
		t.Fatalf("Put: %v", err)
	}
}

func get(t testing.TB, r vedette.Monitors, id vedette.MonitorID) vedette.Monitor {
	t.Helper()
	m, err := r.Get(t.Context(), id)
	if err != nil {
		t.Fatalf("Get(%q): %v", id, err)
	}
	return m
}

// wantErr checks what a call reports.
func wantErr(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func testPut(t *testing.T, r vedette.Monitors) {
	want := monitor("a")
	put(t, r, want)
	got := get(t, r, "a")
	if got.Version < 1 {
		t.Errorf("version %d after the first Put, want at least 1", got.Version)
	}
	want.Version = got.Version
	same(t, "what was put", got, want)

	got.URL = "https://example.org/"
	put(t, r, got)
	again := get(t, r, "a")
	if again.URL != got.URL || again.Version != got.Version+1 {
		t.Errorf("after a change: %s version %d, want %s version %d", again.URL, again.Version, got.URL, got.Version+1)
	}
	_, err := r.Get(t.Context(), "b")
	wantErr(t, "Get of an unknown monitor", err, vedette.ErrNotFound)
	wantErr(t, "Put without an id", r.Put(t.Context(), vedette.Monitor{}), vedette.ErrRefused)
}

func testStaleVersion(t *testing.T, r vedette.Monitors) {
	put(t, r, monitor("a"))
	first := get(t, r, "a")
	put(t, r, first)
	wantErr(t, "Put of an old version", r.Put(t.Context(), first), vedette.ErrConflict)
	wantErr(t, "Put of a new one over another", r.Put(t.Context(), monitor("a")), vedette.ErrConflict)
	wantErr(t, "Delete of an old version", r.Delete(t.Context(), first), vedette.ErrConflict)

	second := get(t, r, "a")
	if err := r.Delete(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	if err := r.Delete(t.Context(), second); err != nil {
		t.Errorf("Delete of what is gone: %v", err)
	}
	wantErr(t, "Put of what is gone", r.Put(t.Context(), second), vedette.ErrConflict)
	_, err := r.Get(t.Context(), "a")
	wantErr(t, "Get of what is gone", err, vedette.ErrNotFound)

	put(t, r, monitor("a"))
	if got := get(t, r, "a"); got.Version <= second.Version {
		t.Errorf("version %d after coming back, want above %d, or an old holder's change passes", got.Version, second.Version)
	}
}

func testOwned(t *testing.T, r vedette.Monitors) {
	m := monitor("a")
	m.Origin = "vedette.yaml:3"
	put(t, r, m)
	m = get(t, r, "a")
	theirs := m
	theirs.Origin = ""
	wantErr(t, "Put by another than the file", r.Put(t.Context(), theirs), vedette.ErrReadOnly)
	wantErr(t, "Delete by another than the file", r.Delete(t.Context(), theirs), vedette.ErrReadOnly)
	m.Origin = "vedette.yaml:4"
	put(t, r, m)
	if err := r.Delete(t.Context(), get(t, r, "a")); err != nil {
		t.Errorf("Delete by the file: %v", err)
	}
}

func testPutAllOrNone(t *testing.T, r vedette.Monitors) {
	put(t, r, monitor("b"))
	b := get(t, r, "b")
	put(t, r, b)
	wantErr(t, "Put with a stale one in the middle", r.Put(t.Context(), monitor("a"), b, monitor("c")), vedette.ErrConflict)
	wantErr(t, "Put of one twice", r.Put(t.Context(), monitor("a"), monitor("a")), vedette.ErrConflict)
	put(t, r, monitor("d"))
	wantErr(t, "Delete with a stale one", r.Delete(t.Context(), get(t, r, "d"), b), vedette.ErrConflict)
	page, _, err := r.List(t.Context(), "", 10)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "what is left", names(page), []vedette.MonitorID{"b", "d"})
}

func names(page []vedette.Monitor) []vedette.MonitorID {
	var all []vedette.MonitorID
	for _, m := range page {
		all = append(all, m.ID)
	}
	return all
}

func testListPages(t *testing.T, r vedette.Monitors) {
	var want []vedette.MonitorID
	var all []vedette.Monitor
	for i := range 25 {
		want = append(want, monitorID(i))
		all = append(all, monitor(monitorID(24-i)))
	}
	put(t, r, all...)
	if err := r.Delete(t.Context(), get(t, r, want[10])); err != nil {
		t.Fatal(err)
	}
	want = slices.Delete(want, 10, 11)
	var got []vedette.MonitorID
	for after := vedette.MonitorID(""); ; {
		page, rev, err := r.List(t.Context(), after, 7)
		if err != nil || rev < 1 {
			t.Fatalf("List: revision %d, %v", rev, err)
		}
		got = append(got, names(page)...)
		if len(page) < 7 {
			break
		}
		after = got[len(got)-1]
	}
	same(t, "pages", got, want)
}

func testNoSharing(t *testing.T, r vedette.Monitors) {
	m := monitor("a")
	put(t, r, m)
	m.Labels["team"], m.DependsOn[0], m.Probe[0] = "changed", "changed", 'x'
	got := get(t, r, "a")
	got.Labels["team"], got.DependsOn[0] = "changed", "changed"
	want := monitor("a")
	want.Version = got.Version
	same(t, "after its holders changed their copies", get(t, r, "a"), want)
}

func testChangesWait(t *testing.T, r vedette.Monitors) {
	_, rev, err := r.List(t.Context(), "", 1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, _, _, err = r.Changes(ctx, rev)
	wantErr(t, "Changes when nothing changes", err, context.DeadlineExceeded)

	woken := make(chan error, 1)
	go func() {
		now, _, _, err := r.Changes(t.Context(), rev)
		if err == nil && (len(now) != 1 || now[0].ID != "a") {
			err = fmt.Errorf("got %v, want a", names(now))
		}
		woken <- err
	}()
	put(t, r, monitor("a"))
	if err := <-woken; err != nil {
		t.Error(err)
	}
}

func testChangesResume(t *testing.T, r vedette.Monitors) {
	put(t, r, monitor("a"), monitor("b"))
	_, _, rev, err := r.Changes(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	put(t, r, monitor("c"))
	if err := r.Delete(t.Context(), get(t, r, "a")); err != nil {
		t.Fatal(err)
	}
	now, gone, next, err := r.Changes(t.Context(), rev)
	if err != nil || next <= rev {
		t.Fatalf("next revision %d after %d, %v", next, rev, err)
	}
	same(t, "put since", names(now), []vedette.MonitorID{"c"})
	same(t, "deleted since", gone, []vedette.MonitorID{"a"})

	if err := r.Delete(t.Context(), get(t, r, "c")); err != nil {
		t.Fatal(err)
	}
	put(t, r, monitor("a"))
	now, gone, _, err = r.Changes(t.Context(), rev)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "put in the end", names(now), []vedette.MonitorID{"a"})
	same(t, "deleted in the end", gone, []vedette.MonitorID{"c"})
}

// testChangesMissNothing follows the changes while eight writers put and delete; whoever
// follows must end with what is kept.
func testChangesMissNothing(t *testing.T, r vedette.Monitors) {
	const writers, rounds = 8, 12
	var done sync.WaitGroup
	for w := range writers {
		done.Go(func() {
			id := monitorID(w)
			for i := range rounds {
				if err := toggle(t.Context(), r, id); err != nil {
					t.Errorf("round %d of %s: %v", i, id, err)
					return
				}
			}
			if err := r.Put(t.Context(), monitor(id)); err != nil {
				t.Error(err)
			}
		})
	}
	go func() {
		done.Wait()
		if err := r.Put(t.Context(), monitor("end")); err != nil {
			t.Error(err)
		}
	}()
	seen := map[vedette.MonitorID]int64{}
	for rev := int64(0); seen["end"] == 0; {
		now, gone, next, err := r.Changes(t.Context(), rev)
		if err != nil || next <= rev {
			t.Fatalf("Changes(%d): next %d, %v", rev, next, err)
		}
		for _, id := range gone {
			delete(seen, id)
		}
		for _, m := range now {
			seen[m.ID] = m.Version
		}
		rev = next
	}
	kept := map[vedette.MonitorID]int64{}
	page, _, err := r.List(t.Context(), "", 100)
	if err != nil || len(page) != writers+1 {
		t.Fatalf("%d monitors in the end, want %d; %v", len(page), writers+1, err)
	}
	for _, m := range page {
		kept[m.ID] = m.Version
	}
	same(t, "what the follower saw", seen, kept)
}

// toggle adds id and deletes it again.
func toggle(ctx context.Context, r vedette.Monitors, id vedette.MonitorID) error {
	if err := r.Put(ctx, monitor(id)); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	m, err := r.Get(ctx, id)
	if err != nil {
		return fmt.Errorf("get: %w", err)
	}
	return r.Delete(ctx, m)
}

// testRegistryModel does random operations on the registry and on a map.
func testRegistryModel(t *testing.T, r vedette.Monitors) {
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		model := map[vedette.MonitorID]vedette.Monitor{}
		for range rapid.IntRange(1, 10).Draw(rt, "steps") {
			id := vedette.MonitorID(fmt.Sprintf("%d/%d", run, rapid.IntRange(0, 2).Draw(rt, "id")))
			step(t.Context(), rt, r, model, id)
			got, err := r.Get(t.Context(), id)
			want, live := model[id]
			switch {
			case !live && !errors.Is(err, vedette.ErrNotFound):
				rt.Fatalf("Get(%q) = %v, %v; want ErrNotFound", id, got, err)
			case live && (err != nil || got.Version < want.Version || got.Name != want.Name):
				rt.Fatalf("Get(%q) = %+v, %v; want %+v", id, got, err, want)
			case live:
				model[id] = got
			}
		}
	})
}

// step does one random operation and says whether the registry answered as the model does.
func step(ctx context.Context, rt *rapid.T, r vedette.Monitors, model map[vedette.MonitorID]vedette.Monitor, id vedette.MonitorID) {
	old, live := model[id]
	m := monitor(id)
	m.Version = old.Version + int64(rapid.SampledFrom([]int{0, 0, 0, -1, 1}).Draw(rt, "version"))
	m.Name = rapid.StringMatching(`[a-z]{1,4}`).Draw(rt, "name")
	if rapid.Bool().Draw(rt, "owned") {
		m.Origin = "vedette.yaml:1"
	}
	remove := rapid.Bool().Draw(rt, "delete")
	var want error
	switch {
	case remove && !live:
	case m.Version != old.Version:
		want = vedette.ErrConflict
	case live && old.Origin != "" && m.Origin == "":
		want = vedette.ErrReadOnly
	}
	var err error
	if remove {
		err = r.Delete(ctx, m)
	} else {
		err = r.Put(ctx, m)
	}
	if !errors.Is(err, want) {
		rt.Fatalf("delete %v of %+v over %+v: %v, want %v", remove, m, old, err, want)
	}
	switch {
	case err != nil:
	case remove:
		delete(model, id)
	default:
		m.Version++
		model[id] = m
	}
}
