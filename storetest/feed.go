package storetest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/vedettehq/vedette"
)

// feedCases hold Feed to its contract.
func feedCases() map[string]func(*desk) {
	return map[string]func(*desk){
		"keeps entries in their order":          testFeedOrder,
		"appends all or none":                   testFeedAllOrNone,
		"keeps topics apart":                    testFeedTopics,
		"waits for more":                        testFeedWait,
		"ends with its context":                 testFeedEnds,
		"shows the last entries":                testFeedLast,
		"drops topics":                          testFeedDrop,
		"shares no memory of entries":           testFeedSharing,
		"shows nothing behind what was read":    testFeedRace,
		"keeps batches of many topics in order": testFeedBatches,
	}
}

func entry(topic string, n int) vedette.Entry {
	return vedette.Entry{Topic: topic, Data: vedette.Raw(fmt.Sprintf(`{"n":%d}`, n))}
}

func (d *desk) append(e ...vedette.Entry) {
	d.t.Helper()
	if err := d.s.Feed().Append(d.t.Context(), e...); err != nil {
		d.t.Fatalf("Append: %v", err)
	}
}

func (d *desk) read(topic string, after int64, n int) []vedette.Entry {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	page, err := d.s.Feed().Read(ctx, topic, after, n)
	if err != nil || len(page) == 0 || len(page) > n {
		d.t.Fatalf("Read of %d: %d entries, %v", n, len(page), err)
	}
	return page
}

func (d *desk) last(topic string, n int) []vedette.Entry {
	d.t.Helper()
	page, err := d.s.Feed().Last(d.t.Context(), topic, n)
	if err != nil {
		d.t.Fatalf("Last: %v", err)
	}
	return page
}

// wantEntries checks the data and numbers of entries, which count from one on.
func (d *desk) wantEntries(what string, got []vedette.Entry, first int64, want ...vedette.Entry) {
	d.t.Helper()
	same(d.t, what+": how many", len(got), len(want))
	for i := range min(len(got), len(want)) {
		if got[i].Seq != first+int64(i) || string(got[i].Data) != string(want[i].Data) || got[i].Topic != want[i].Topic {
			d.t.Errorf("%s: entry %d is %d %s of %q, want %d %s", what, i, got[i].Seq, got[i].Data, got[i].Topic, first+int64(i), want[i].Data)
		}
	}
}

func testFeedOrder(d *desk) {
	var all []vedette.Entry
	for i := range 25 {
		all = append(all, entry("t", i))
	}
	all[3].At = d.began.Add(-time.Hour)
	d.append(all[:5]...)
	for _, e := range all[5:] {
		d.append(e)
	}
	got := d.read("t", 0, 10)
	d.wantEntries("first page", got, 1, all[:10]...)
	if !got[3].At.Equal(all[3].At) || got[4].At.Before(d.began) || got[4].At.After(d.now()) {
		d.t.Errorf("at %v and %v, want what was said, and the store's time", got[3].At, got[4].At)
	}
	d.wantEntries("next page", d.read("t", 10, 10), 11, all[10:20]...)
	d.wantEntries("the rest", d.read("t", 20, 10), 21, all[20:]...)
}

func testFeedAllOrNone(d *desk) {
	err := d.s.Feed().Append(d.t.Context(), entry("t", 1), entry("", 2), entry("t", 3))
	wantErr(d.t, "Append without a topic in the middle", err, vedette.ErrRefused)
	err = d.s.Feed().Append(d.t.Context(), entry("t", 1), vedette.Entry{Topic: "t", Data: vedette.Raw("{")})
	wantErr(d.t, "Append of what is not JSON", err, vedette.ErrRefused)
	if err := d.s.Feed().Append(ended(d.t), entry("t", 1)); err == nil {
		d.t.Error("Append in a context that has ended says that it did")
	}
	d.wantEntries("kept", d.last("t", 10), 1)
}

func testFeedTopics(d *desk) {
	d.append(entry("a", 1), entry("b", 2), entry("a", 3), entry("a/b", 4))
	d.wantEntries("a", d.read("a", 0, 10), 1, entry("a", 1), entry("a", 3))
	d.wantEntries("b", d.read("b", 0, 10), 1, entry("b", 2))
	d.wantEntries("unknown", d.last("unknown", 10), 1)
}

func testFeedWait(d *desk) {
	d.append(entry("t", 1))
	for i := range 3 {
		type answer struct {
			page []vedette.Entry
			at   time.Time
		}
		done := make(chan answer, 2)
		for range cap(done) {
			go func() {
				page, err := d.s.Feed().Read(d.t.Context(), "t", int64(i+1), 10)
				if err != nil {
					d.t.Errorf("Read: %v", err)
				}
				done <- answer{page, time.Now()}
			}()
		}
		d.c.settle()
		d.append(entry("another", 0))
		d.c.settle()
		at := time.Now()
		d.append(entry("t", i+2))
		for range cap(done) {
			got := <-done
			d.wantEntries("what came", got.page, int64(i+2), entry("t", i+2))
			if took := got.at.Sub(at); took > d.c.soon() {
				d.t.Errorf("woke after %v", took)
			}
		}
	}
}

func testFeedEnds(d *desk) {
	d.append(entry("t", 1))
	for topic, after := range map[string]int64{"t": 1, "unknown": 0} {
		ctx, cancel := context.WithTimeout(d.t.Context(), d.c.s(1))
		_, err := d.s.Feed().Read(ctx, topic, after, 10)
		cancel()
		wantErr(d.t, "Read when nothing comes", err, context.DeadlineExceeded)
	}
}

func testFeedLast(d *desk) {
	var all []vedette.Entry
	for i := range 10 {
		all = append(all, entry("t", i))
	}
	d.append(all...)
	d.wantEntries("the last three", d.last("t", 3), 8, all[7:]...)
	d.wantEntries("more than there are", d.last("t", 30), 1, all...)
	d.wantEntries("none", d.last("t", 0), 1)
}

func testFeedDrop(d *desk) {
	d.append(entry("a", 1), entry("b", 2), entry("c", 3))
	ctx, cancel := context.WithCancel(d.t.Context())
	followed := make(chan error, 1)
	go func() {
		_, err := d.s.Feed().Read(ctx, "a", 1, 10)
		followed <- err
	}()
	d.c.settle()
	if err := d.s.Feed().Drop(d.t.Context(), "a", "c", "unknown"); err != nil {
		d.t.Fatal(err)
	}
	d.wantEntries("dropped while it was followed", d.last("a", 10), 1)
	d.wantEntries("dropped", d.last("c", 10), 1)
	cancel()
	wantErr(d.t, "Read of a topic that is gone", <-followed, context.Canceled)
	d.wantEntries("left", d.last("b", 10), 1, entry("b", 2))
}

func testFeedSharing(d *desk) {
	e := entry("t", 1)
	d.append(e)
	e.Data[2] = 'x'
	d.read("t", 0, 1)[0].Data[2] = 'y'
	d.last("t", 1)[0].Data[2] = 'z'
	d.wantEntries("after its holders changed their copies", d.last("t", 1), 1, entry("t", 1))
}

// testFeedRace lets eight append to one topic while three follow it: each must see every entry
// in its place, although the transactions of the writers overlap.
func testFeedRace(d *desk) {
	const writers, each = 8, 60
	var done sync.WaitGroup
	for w := range writers {
		done.Go(func() {
			for i := range each {
				if err := d.s.Feed().Append(d.t.Context(), entry("other", i), entry("t", w*1000+i)); err != nil {
					d.t.Errorf("Append: %v", err)
				}
			}
		})
	}
	seen := make([][]string, 3)
	for r := range seen {
		done.Go(func() {
			for after := int64(0); after < writers*each; {
				ctx, cancel := context.WithTimeout(d.t.Context(), time.Minute)
				page, err := d.s.Feed().Read(ctx, "t", after, 7)
				cancel()
				if err != nil {
					d.t.Errorf("Read after %d: %v", after, err)
					return
				}
				for _, e := range page {
					if after++; e.Seq != after {
						d.t.Errorf("entry %d where %d must be", e.Seq, after)
						return
					}
					seen[r] = append(seen[r], string(e.Data))
				}
			}
		})
	}
	done.Wait()
	var kept []string
	for _, e := range d.last("t", writers*each) {
		kept = append(kept, string(e.Data))
	}
	for r := range seen {
		same(d.t, fmt.Sprintf("what reader %d saw", r), seen[r], kept)
	}
	d.wantOwnOrder(kept, writers, each)
}

// wantOwnOrder checks that each writer's entries are all there, in its order.
func (d *desk) wantOwnOrder(kept []string, writers, each int) {
	d.t.Helper()
	next := make([]int, writers)
	for _, data := range kept {
		var n int
		if _, err := fmt.Sscanf(data, `{"n":%d}`, &n); err != nil || n%1000 != next[n/1000] {
			d.t.Fatalf("entry %s out of its writer's order, %v", data, err)
		}
		next[n/1000]++
	}
	for w, n := range next {
		if n != each {
			d.t.Errorf("%d entries of writer %d, want %d", n, w, each)
		}
	}
}

// testFeedBatches appends batches that name topics in different orders, which must not lock
// each other out.
func testFeedBatches(d *desk) {
	var done sync.WaitGroup
	for w := range 8 {
		done.Go(func() {
			a, b := "a", "b"
			if w%2 == 0 {
				a, b = b, a
			}
			for i := range 20 {
				err := d.s.Feed().Append(d.t.Context(), entry(a, w*1000+i), entry(b, w*1000+i))
				if err != nil {
					d.t.Errorf("Append: %v", err)
				}
			}
		})
	}
	done.Wait()
	for _, topic := range []string{"a", "b"} {
		var kept []string
		for i, e := range d.last(topic, 1000) {
			if e.Seq != int64(i+1) {
				d.t.Fatalf("entry %d of %s where %d must be", e.Seq, topic, i+1)
			}
			kept = append(kept, string(e.Data))
		}
		d.wantOwnOrder(kept, 8, 20)
	}
}
