package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vedettehq/vedette"
)

// kvCases hold KV to its contract.
func kvCases() map[string]func(*desk) {
	return map[string]func(*desk){
		"keeps values":                     testKVKeeps,
		"refuses stale versions of values": testKVVersions,
		"puts all values or none":          testKVAllOrNone,
		"deletes by version":               testKVDelete,
		"lets values expire":               testKVExpires,
		"lists by prefix, in pages":        testKVList,
		"shares no memory of values":       testKVSharing,
		"lets one of 32 win":               testKVRace,
		"counts up under 8 writers":        testKVCount,
	}
}

func (d *desk) keep(v ...vedette.Value) {
	d.t.Helper()
	if err := d.s.KV().Put(d.t.Context(), v...); err != nil {
		d.t.Fatalf("Put: %v", err)
	}
}

func (d *desk) value(key string) vedette.Value {
	d.t.Helper()
	v, err := d.s.KV().Get(d.t.Context(), key)
	if err != nil {
		d.t.Fatalf("Get(%q): %v", key, err)
	}
	return v
}

func (d *desk) wantNoValue(what, key string) {
	d.t.Helper()
	_, err := d.s.KV().Get(d.t.Context(), key)
	wantErr(d.t, what, err, vedette.ErrNotFound)
}

func testKVKeeps(d *desk) {
	d.wantNoValue("an unknown key", "k")
	data := []byte{0, 1, 0xff, '\n', 'x'}
	ends := d.now().Add(time.Hour)
	d.keep(vedette.Value{Key: "k", Data: data, Expires: ends}, vedette.Value{Key: "empty"})
	got := d.value("k")
	if got.Version < 1 {
		d.t.Errorf("version %d, want at least 1", got.Version)
	}
	same(d.t, "kept", got, vedette.Value{Key: "k", Data: data, Version: got.Version, Expires: ends})
	same(d.t, "empty", len(d.value("empty").Data), 0)
	if err := d.s.KV().Put(ended(d.t), vedette.Value{Key: "late"}); err == nil {
		d.t.Error("Put in a context that has ended says that it did")
	}
	d.wantNoValue("what it put", "late")
}

func testKVVersions(d *desk) {
	put := func(v vedette.Value) error { return d.s.KV().Put(d.t.Context(), v) }
	d.keep(vedette.Value{Key: "k", Data: []byte("1")})
	first := d.value("k")
	wantErr(d.t, "a new value over another", put(vedette.Value{Key: "k"}), vedette.ErrConflict)
	second := first
	second.Data = []byte("2")
	d.keep(second)
	if got := d.value("k"); got.Version <= first.Version || string(got.Data) != "2" {
		d.t.Errorf("%s of version %d after %d", got.Data, got.Version, first.Version)
	}
	wantErr(d.t, "an old version", put(first), vedette.ErrConflict)
	wantErr(d.t, "a version that is not yet", put(vedette.Value{Key: "k", Version: 1 << 60}), vedette.ErrConflict)
	wantErr(d.t, "a version of what is not there", put(vedette.Value{Key: "none", Version: 1}), vedette.ErrConflict)
	same(d.t, "in the end", string(d.value("k").Data), "2")
}

func testKVAllOrNone(d *desk) {
	d.keep(vedette.Value{Key: "b"})
	put := func(v ...vedette.Value) error { return d.s.KV().Put(d.t.Context(), v...) }
	wantErr(d.t, "a stale one in the middle", put(vedette.Value{Key: "a"}, vedette.Value{Key: "b"}, vedette.Value{Key: "c"}), vedette.ErrConflict)
	wantErr(d.t, "one key twice", put(vedette.Value{Key: "a"}, vedette.Value{Key: "a"}), vedette.ErrConflict)
	d.wantNoValue("before it", "a")
	d.wantNoValue("behind it", "c")
	d.keep(vedette.Value{Key: "c"})
	c, stale := d.value("c"), d.value("b")
	stale.Version += 1 << 40
	wantErr(d.t, "Delete with a stale one", d.s.KV().Delete(d.t.Context(), c, stale), vedette.ErrConflict)
	same(d.t, "what is left", d.value("c"), c)
}

func testKVDelete(d *desk) {
	drop := func(v ...vedette.Value) error { return d.s.KV().Delete(d.t.Context(), v...) }
	d.keep(vedette.Value{Key: "k"})
	first := d.value("k")
	d.keep(first)
	second := d.value("k")
	wantErr(d.t, "an old version", drop(first), vedette.ErrConflict)
	if err := drop(second, vedette.Value{Key: "unknown", Version: 7}); err != nil {
		d.t.Fatalf("Delete: %v", err)
	}
	d.wantNoValue("deleted", "k")
	if err := drop(second); err != nil {
		d.t.Errorf("Delete of what is gone: %v", err)
	}
	wantErr(d.t, "its old version", d.s.KV().Put(d.t.Context(), second), vedette.ErrConflict)
	d.keep(vedette.Value{Key: "k"})
	if got := d.value("k").Version; got <= second.Version {
		d.t.Errorf("version %d after coming back, want above %d, or an old holder's change passes", got, second.Version)
	}
}

func testKVExpires(d *desk) {
	soon := d.now().Add(d.c.s(2))
	d.keep(vedette.Value{Key: "p/soon", Expires: soon}, vedette.Value{Key: "p/later", Expires: soon.Add(time.Hour)}, vedette.Value{Key: "p/never"})
	old := d.value("p/soon")
	d.c.wait(d.c.s(3))
	d.wantNoValue("expired", "p/soon")
	same(d.t, "listed", d.keys("p/"), []string{"p/later", "p/never"})
	wantErr(d.t, "Put of the version that expired", d.s.KV().Put(d.t.Context(), old), vedette.ErrConflict)
	if err := d.s.KV().Delete(d.t.Context(), old); err != nil {
		d.t.Errorf("Delete of what has expired: %v", err)
	}
	d.keep(vedette.Value{Key: "p/soon"})
	if got := d.value("p/soon"); got.Version <= old.Version || !got.Expires.IsZero() {
		d.t.Errorf("put anew: %+v, want a version above %d that never expires", got, old.Version)
	}
}

// keys reads all keys with a prefix, ten at a time.
func (d *desk) keys(prefix string) []string {
	d.t.Helper()
	const n = 10
	var all []string
	for after := ""; ; after = all[len(all)-1] {
		page, err := d.s.KV().List(d.t.Context(), prefix, after, n)
		if err != nil || len(page) > n {
			d.t.Fatalf("List of %d: %d values, %v", n, len(page), err)
		}
		for _, v := range page {
			all = append(all, v.Key)
		}
		if len(page) < n {
			return all
		}
	}
}

func testKVList(d *desk) {
	var want []string
	for i := range 25 {
		key := fmt.Sprintf("a_b/%02d", 24-i)
		d.keep(vedette.Value{Key: key, Data: []byte(key)})
		want = append(want, fmt.Sprintf("a_b/%02d", i))
	}
	d.keep(vedette.Value{Key: "axb/1"}, vedette.Value{Key: "A_b/1"}, vedette.Value{Key: "a_b"}, vedette.Value{Key: "a%"}, vedette.Value{Key: "ä"})
	same(d.t, "by prefix", d.keys("a_b/"), want)
	same(d.t, "a prefix with a sign of SQL", d.keys("a%"), []string{"a%"})
	same(d.t, "all, by bytes", d.keys(""), append(append([]string{"A_b/1", "a%", "a_b"}, want...), "axb/1", "ä"))
	page, err := d.s.KV().List(d.t.Context(), "a_b/", "", 1)
	if err != nil || len(page) != 1 || string(page[0].Data) != want[0] || page[0].Version < 1 {
		d.t.Errorf("listed %+v, %v; want the whole value", page, err)
	}
}

func testKVSharing(d *desk) {
	v := vedette.Value{Key: "k", Data: []byte("abc")}
	d.keep(v)
	v.Data[0] = 'x'
	d.value("k").Data[1] = 'y'
	page, err := d.s.KV().List(d.t.Context(), "k", "", 1)
	if err != nil || len(page) != 1 {
		d.t.Fatal(page, err)
	}
	page[0].Data[2] = 'z'
	same(d.t, "after its holders changed their copies", string(d.value("k").Data), "abc")
}

func testKVRace(d *desk) {
	for round := range 5 {
		var done sync.WaitGroup
		var won atomic.Int64
		for range 32 {
			done.Go(func() {
				err := d.s.KV().Put(d.t.Context(), vedette.Value{Key: fmt.Sprint(round)}, vedette.Value{Key: fmt.Sprint(round, "b")})
				switch {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, vedette.ErrConflict):
					d.t.Errorf("Put: %v", err)
				}
			})
		}
		done.Wait()
		if won.Load() != 1 {
			d.t.Errorf("round %d: %d won, want 1", round, won.Load())
		}
	}
}

// testKVCount lets eight add to a number, each by reading it and putting the next.
func testKVCount(d *desk) {
	const writers, each = 8, 20
	d.keep(vedette.Value{Key: "n", Data: []byte("0")})
	var done sync.WaitGroup
	for range writers {
		done.Go(func() {
			for left := each; left > 0; {
				v, err := d.s.KV().Get(d.t.Context(), "n")
				if err != nil {
					d.t.Errorf("Get: %v", err)
					return
				}
				var n int
				if _, err := fmt.Sscan(string(v.Data), &n); err != nil {
					d.t.Errorf("%q: %v", v.Data, err)
					return
				}
				v.Data = fmt.Append(nil, n+1)
				switch err := d.s.KV().Put(d.t.Context(), v); {
				case err == nil:
					left--
				case !errors.Is(err, vedette.ErrConflict):
					d.t.Errorf("Put: %v", err)
					return
				}
			}
		})
	}
	done.Wait()
	same(d.t, "counted", string(d.value("n").Data), fmt.Sprint(writers*each))
}
