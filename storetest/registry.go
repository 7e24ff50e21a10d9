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

// A kind is what the suite of registries knows of the things it keeps.
type kind[K ~string, T any] struct {
	make func(K) T
	id   func(T) K
	meta func(*T) *vedette.Meta
	// change changes what thing shares with its copies.
	change func(thing T)
}

// A registry is a store's, with what the suite knows of it.
type registry[K ~string, T any] struct {
	vedette.Registry[K, T]
	kind kind[K, T]
}

// testRegistry holds a registry to its contract.
func testRegistry[K ~string, T any](t *testing.T, k kind[K, T], open func(t *testing.T) vedette.Registry[K, T]) {
	for name, test := range map[string]func(*testing.T, registry[K, T]){
		"keeps what was put":                testPut[K, T],
		"refuses stale versions":            testStaleVersion[K, T],
		"keeps what files own from others":  testOwned[K, T],
		"puts and deletes all or none":      testPutAllOrNone[K, T],
		"lists in pages":                    testListPages[K, T],
		"shares no memory":                  testNoSharing[K, T],
		"waits for changes":                 testChangesWait[K, T],
		"tells all changes while they come": testChangesMissNothing[K, T],
		"resumes changes":                   testChangesResume[K, T],
		"does what a map does":              testRegistryModel[K, T],
	} {
		t.Run(name, func(t *testing.T) { test(t, registry[K, T]{open(t), k}) })
	}
}

// put keeps things.
func put[K ~string, T any](t testing.TB, r vedette.Registry[K, T], things ...T) {
	t.Helper()
	if err := r.Put(t.Context(), things...); err != nil {
		t.Fatalf("Put: %v", err)
	}
}

// get returns one thing.
func get[K ~string, T any](t testing.TB, r vedette.Registry[K, T], id K) T {
	t.Helper()
	thing, err := r.Get(t.Context(), id)
	if err != nil {
		t.Fatalf("Get(%q): %v", id, err)
	}
	return thing
}

// of returns the meta of a thing.
func (r registry[K, T]) of(thing T) vedette.Meta { return *r.kind.meta(&thing) }

// with returns thing with a changed meta.
func (r registry[K, T]) with(thing T, change func(*vedette.Meta)) T {
	change(r.kind.meta(&thing))
	return thing
}

func (r registry[K, T]) ids(things []T) []K {
	var all []K
	for _, thing := range things {
		all = append(all, r.kind.id(thing))
	}
	return all
}

// wantErr checks what a call reports.
func wantErr(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func testPut[K ~string, T any](t *testing.T, r registry[K, T]) {
	want := r.kind.make("a")
	put(t, r, want)
	got := get(t, r, "a")
	first := r.of(got).Version
	if first < 1 {
		t.Errorf("version %d after the first Put, want at least 1", first)
	}
	want = r.with(want, func(m *vedette.Meta) { m.Version = first })
	same(t, "what was put", got, want)

	put(t, r, r.with(got, func(m *vedette.Meta) { m.Name = "another" }))
	again := r.of(get(t, r, "a"))
	if again.Name != "another" || again.Version != first+1 {
		t.Errorf("after a change: %q version %d, want \"another\" version %d", again.Name, again.Version, first+1)
	}
	_, err := r.Get(t.Context(), "b")
	wantErr(t, "Get of an unknown thing", err, vedette.ErrNotFound)
	wantErr(t, "Put without an id", r.Put(t.Context(), *new(T)), vedette.ErrRefused)
}

func testStaleVersion[K ~string, T any](t *testing.T, r registry[K, T]) {
	put(t, r, r.kind.make("a"))
	first := get(t, r, "a")
	put(t, r, first)
	wantErr(t, "Put of an old version", r.Put(t.Context(), first), vedette.ErrConflict)
	wantErr(t, "Put of a new one over another", r.Put(t.Context(), r.kind.make("a")), vedette.ErrConflict)
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

	put(t, r, r.kind.make("a"))
	if got, old := r.of(get(t, r, "a")).Version, r.of(second).Version; got <= old {
		t.Errorf("version %d after coming back, want above %d, or an old holder's change passes", got, old)
	}
}

func testOwned[K ~string, T any](t *testing.T, r registry[K, T]) {
	from := func(thing T, origin string) T {
		return r.with(thing, func(m *vedette.Meta) { m.Origin = origin })
	}
	put(t, r, from(r.kind.make("a"), "vedette.yaml:3"))
	owned := get(t, r, "a")
	wantErr(t, "Put by another than the file", r.Put(t.Context(), from(owned, "")), vedette.ErrReadOnly)
	wantErr(t, "Delete by another than the file", r.Delete(t.Context(), from(owned, "")), vedette.ErrReadOnly)
	put(t, r, from(owned, "vedette.yaml:4"))
	if err := r.Delete(t.Context(), get(t, r, "a")); err != nil {
		t.Errorf("Delete by the file: %v", err)
	}
}

func testPutAllOrNone[K ~string, T any](t *testing.T, r registry[K, T]) {
	put(t, r, r.kind.make("b"))
	b := get(t, r, "b")
	put(t, r, b)
	wantErr(t, "Put with a stale one in the middle", r.Put(t.Context(), r.kind.make("a"), b, r.kind.make("c")), vedette.ErrConflict)
	wantErr(t, "Put of one twice", r.Put(t.Context(), r.kind.make("a"), r.kind.make("a")), vedette.ErrConflict)
	put(t, r, r.kind.make("d"))
	wantErr(t, "Delete with a stale one", r.Delete(t.Context(), get(t, r, "d"), b), vedette.ErrConflict)
	page, _, err := r.List(t.Context(), "", 10)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "what is left", r.ids(page), []K{"b", "d"})
}

func testListPages[K ~string, T any](t *testing.T, r registry[K, T]) {
	var want []K
	var all []T
	for i := range 25 {
		want = append(want, numbered[K](i))
		all = append(all, r.kind.make(numbered[K](24-i)))
	}
	put(t, r, all...)
	if err := r.Delete(t.Context(), get(t, r, want[10])); err != nil {
		t.Fatal(err)
	}
	want = slices.Delete(want, 10, 11)
	var got []K
	for after := K(""); ; {
		page, rev, err := r.List(t.Context(), after, 7)
		if err != nil || rev < 1 {
			t.Fatalf("List: revision %d, %v", rev, err)
		}
		got = append(got, r.ids(page)...)
		if len(page) < 7 {
			break
		}
		after = got[len(got)-1]
	}
	same(t, "pages", got, want)
}

func testNoSharing[K ~string, T any](t *testing.T, r registry[K, T]) {
	thing := r.kind.make("a")
	put(t, r, thing)
	r.kind.change(thing)
	got := get(t, r, "a")
	r.kind.change(got)
	want := r.with(r.kind.make("a"), func(m *vedette.Meta) { m.Version = r.of(got).Version })
	same(t, "after its holders changed their copies", get(t, r, "a"), want)
}

func testChangesWait[K ~string, T any](t *testing.T, r registry[K, T]) {
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
		if err == nil && (len(now) != 1 || r.kind.id(now[0]) != "a") {
			err = fmt.Errorf("got %v, want a", r.ids(now))
		}
		woken <- err
	}()
	put(t, r, r.kind.make("a"))
	if err := <-woken; err != nil {
		t.Error(err)
	}
}

func testChangesResume[K ~string, T any](t *testing.T, r registry[K, T]) {
	put(t, r, r.kind.make("a"), r.kind.make("b"))
	_, _, rev, err := r.Changes(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	put(t, r, r.kind.make("c"))
	if err := r.Delete(t.Context(), get(t, r, "a")); err != nil {
		t.Fatal(err)
	}
	now, gone, next, err := r.Changes(t.Context(), rev)
	if err != nil || next <= rev {
		t.Fatalf("next revision %d after %d, %v", next, rev, err)
	}
	same(t, "put since", r.ids(now), []K{"c"})
	same(t, "deleted since", gone, []K{"a"})

	if err := r.Delete(t.Context(), get(t, r, "c")); err != nil {
		t.Fatal(err)
	}
	put(t, r, r.kind.make("a"))
	now, gone, _, err = r.Changes(t.Context(), rev)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "put in the end", r.ids(now), []K{"a"})
	same(t, "deleted in the end", gone, []K{"c"})
}

// testChangesMissNothing follows the changes while eight writers put and delete; whoever
// follows must end with what is kept.
func testChangesMissNothing[K ~string, T any](t *testing.T, r registry[K, T]) {
	const writers, rounds = 8, 12
	var done sync.WaitGroup
	for w := range writers {
		done.Go(func() {
			id := numbered[K](w)
			for i := range rounds {
				if err := r.toggle(t.Context(), id); err != nil {
					t.Errorf("round %d of %s: %v", i, id, err)
					return
				}
			}
			if err := r.Put(t.Context(), r.kind.make(id)); err != nil {
				t.Error(err)
			}
		})
	}
	var last sync.WaitGroup
	last.Go(func() {
		done.Wait()
		if err := r.Put(t.Context(), r.kind.make("end")); err != nil {
			t.Error(err)
		}
	})
	defer last.Wait()
	seen := map[K]int64{}
	for rev := int64(0); seen["end"] == 0; {
		now, gone, next, err := r.Changes(t.Context(), rev)
		if err != nil || next <= rev {
			t.Fatalf("Changes(%d): next %d, %v", rev, next, err)
		}
		for _, id := range gone {
			delete(seen, id)
		}
		for _, m := range now {
			seen[r.kind.id(m)] = r.of(m).Version
		}
		rev = next
	}
	kept := map[K]int64{}
	page, _, err := r.List(t.Context(), "", 100)
	if err != nil || len(page) != writers+1 {
		t.Fatalf("%d things in the end, want %d; %v", len(page), writers+1, err)
	}
	for _, m := range page {
		kept[r.kind.id(m)] = r.of(m).Version
	}
	same(t, "what the follower saw", seen, kept)
}

// toggle adds id and deletes it again.
func (r registry[K, T]) toggle(ctx context.Context, id K) error {
	if err := r.Put(ctx, r.kind.make(id)); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	m, err := r.Get(ctx, id)
	if err != nil {
		return fmt.Errorf("get: %w", err)
	}
	return r.Delete(ctx, m)
}

// testRegistryModel does random operations on the registry and on a map.
func testRegistryModel[K ~string, T any](t *testing.T, r registry[K, T]) {
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		model := map[K]vedette.Meta{}
		for range rapid.IntRange(1, 10).Draw(rt, "steps") {
			id := K(fmt.Sprintf("%d/%d", run, rapid.IntRange(0, 2).Draw(rt, "id")))
			r.step(t.Context(), rt, model, id)
			thing, err := r.Get(t.Context(), id)
			got := r.of(thing)
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
func (r registry[K, T]) step(ctx context.Context, rt *rapid.T, model map[K]vedette.Meta, id K) {
	old, live := model[id]
	thing := r.kind.make(id)
	m := r.kind.meta(&thing)
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
		err = r.Delete(ctx, thing)
	} else {
		err = r.Put(ctx, thing)
	}
	if !errors.Is(err, want) {
		rt.Fatalf("delete %v of %+v over %+v: %v, want %v", remove, *m, old, err, want)
	}
	switch {
	case err != nil:
	case remove:
		delete(model, id)
	default:
		m.Version++
		model[id] = *m
	}
}

// numbered returns the id of the i-th thing.
func numbered[K ~string](i int) K { return K(fmt.Sprintf("shop/%05d", i)) }
