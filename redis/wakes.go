package redis

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/vedettehq/vedette"
)

const (
	// edge is the least time between two notifications of one queue by one process: the first goes out
	// at once, and one that stands for all that came meanwhile at its end.
	edge = 5 * time.Millisecond
	// poll is how long who waits sleeps at most: the net for notifications that are lost.
	poll = time.Second
)

// nap returns how long to sleep for want of news, so that many do not wake together.
func nap() time.Duration { return poll - poll/5 + rand.N(2*poll/5) }

var errClosed = errors.New("the store is closed")

// wakes let those who wait for a room (a queue, a topic, a registry) know that there is news, whichever
// process made it: the script that made it tells all others, in the same call. Of a queue one waiter
// wakes, who wakes the next if there was something to have.
type wakes struct {
	db     *redis.Client
	prefix string // of channels
	me     string
	log    *slog.Logger
	ctx    context.Context // of all that runs here
	stop   context.CancelFunc
	work   sync.WaitGroup
	change chan struct{} // that the rooms, or what is to be sent, are others than before
	sub    *redis.PubSub // run's own; nil until somebody waits

	mu    sync.Mutex
	rooms map[string][]*waiter
	edges map[string]bool // queues told of lately, and whether there was more since
	out   []string        // to be sent
}

// A waiter waits for news of some rooms.
type waiter struct {
	news  chan struct{}
	rooms []string
	owes  bool // it may know what nobody else here was told; the lock of the wakes guards it
}

func newWakes(db *redis.Client, prefix string, log *slog.Logger) *wakes {
	ctx, stop := context.WithCancel(context.Background())
	w := &wakes{
		db: db, prefix: prefix + ":wake:", me: vedette.NewID(time.Now()).String(), log: log, ctx: ctx, stop: stop,
		change: make(chan struct{}, 1), rooms: map[string][]*waiter{}, edges: map[string]bool{},
	}
	w.work.Go(w.run)
	return w
}

func roomsOf(kind string, names ...string) []string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = kind + ":" + name
	}
	return all
}

// alone says whether one waiter of a room is enough.
func alone(room string) bool { return strings.HasPrefix(room, "queue:") }

// poke makes c ready unless it is already.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// join begins a wait. Who joins looks once more, lest the news came before.
func (w *wakes) join(rooms ...string) *waiter {
	x := &waiter{news: make(chan struct{}, 1), rooms: rooms}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, room := range rooms {
		if _, known := w.rooms[room]; !known {
			poke(w.change)
		}
		w.rooms[room] = append(w.rooms[room], x)
	}
	return x
}

// tell lets x look, which is why others are not told.
func (x *waiter) tell() {
	x.owes = true
	poke(x.news)
}

// pass lets x wait behind all others of its queues, and passes on what it was told of them.
func (w *wakes) pass(x *waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, room := range x.rooms {
		rest := slices.DeleteFunc(w.rooms[room], func(y *waiter) bool { return y == x })
		if len(rest) > 0 && x.owes {
			rest[0].tell()
		}
		w.rooms[room] = append(rest, x)
	}
	x.owes = false
}

// leave ends a wait, and passes on what x was told of queues or knows of their times.
func (w *wakes) leave(x *waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, room := range x.rooms {
		rest := slices.DeleteFunc(w.rooms[room], func(y *waiter) bool { return y == x })
		switch {
		case len(rest) > 0 && alone(room) && x.owes:
			rest[0].tell()
		case len(rest) == 0 && !alone(room):
			delete(w.rooms, room)
			poke(w.change)
			continue
		}
		w.rooms[room] = rest
	}
}

// wait sleeps until there is news, or d has passed.
func (w *wakes) wait(ctx context.Context, x *waiter, d time.Duration) error {
	w.mu.Lock()
	x.owes = true
	w.mu.Unlock()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-x.news:
		return nil
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-w.ctx.Done():
		return errClosed
	}
}

// ring wakes who waits here.
func (w *wakes) ring(room string, all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, x := range w.rooms[room] {
		x.tell()
		if alone(room) && !all {
			return
		}
	}
}

// lately names the queues of which others were told so lately that they are not told again, each
// between zeros.
func (w *wakes) lately() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.edges) == 0 {
		return ""
	}
	var b strings.Builder
	for queue := range w.edges {
		b.WriteString("\x00" + queue + "\x00")
	}
	return b.String()
}

// woken wakes who waits here for queues, as a script names them, and sees to it that others are told of
// those with a minus, too.
func (w *wakes) woken(queues []string) {
	for _, queue := range queues {
		w.ring("queue:"+queue[1:], false)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, queue := range queues {
		_, lately := w.edges[queue[1:]]
		switch told := queue[0] == '+'; {
		case !lately:
			w.begin(queue[1:], !told)
		case !told:
			w.edges[queue[1:]] = true
		}
	}
}

// begin lets the next notification of a queue wait for its time, and sends one if it is owed. It is
// called under w.mu.
func (w *wakes) begin(queue string, owed bool) {
	if owed {
		w.out = append(w.out, "queue:"+queue)
		poke(w.change)
	}
	w.edges[queue] = false
	time.AfterFunc(edge, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		again := w.edges[queue]
		delete(w.edges, queue)
		if again && w.ctx.Err() == nil {
			w.begin(queue, true)
		}
	})
}

// run sends notifications, and keeps the subscription to the rooms in which somebody waits.
func (w *wakes) run() {
	defer w.unsubscribe()
	told := map[string]bool{}
	for {
		select {
		case <-w.change:
		case <-w.ctx.Done():
			return
		}
		w.mu.Lock()
		out, want := w.out, make(map[string]bool, len(w.rooms))
		w.out = nil
		for room := range w.rooms {
			want[room] = true
		}
		w.mu.Unlock()
		w.publish(out)
		w.subscribe(told, want)
	}
}

func (w *wakes) publish(rooms []string) {
	if len(rooms) == 0 {
		return
	}
	_, err := w.db.Pipelined(w.ctx, func(p redis.Pipeliner) error {
		for _, room := range rooms {
			p.Publish(w.ctx, w.prefix+room, w.me)
		}
		return nil
	})
	if err != nil && w.ctx.Err() == nil {
		w.log.Warn("others are not told of news, and will look for it themselves", "err", err)
	}
}

// subscribe makes what is subscribed to what is wanted. What fails is repeated by the client when it has
// connected again.
func (w *wakes) subscribe(told, want map[string]bool) {
	for room := range want {
		if told[room] {
			continue
		}
		told[room] = true
		if err := w.subscription().Subscribe(w.ctx, w.prefix+room); err != nil && w.ctx.Err() == nil {
			w.log.Warn("news is not heard, and will be looked for", "err", err)
		}
	}
	for room := range told {
		if !want[room] {
			delete(told, room)
			// What fails here leaves notifications that nobody waits for.
			_ = w.subscription().Unsubscribe(w.ctx, w.prefix+room)
		}
	}
}

// subscription returns the one there is, on a connection of its own.
func (w *wakes) subscription() *redis.PubSub {
	if w.sub == nil {
		w.sub = w.db.Subscribe(w.ctx)
		heard := w.sub.ChannelWithSubscriptions()
		w.work.Go(func() { w.hear(heard) })
	}
	return w.sub
}

// unsubscribe ends the subscription, if there is one, and with it what hears.
func (w *wakes) unsubscribe() {
	if w.sub != nil {
		_ = w.sub.Close() // its connection is of no more use
	}
}

// hear wakes who waits for what is told by others. A subscription that begins, or begins again, may
// have missed something.
func (w *wakes) hear(heard <-chan any) {
	for message := range heard {
		switch m := message.(type) {
		case *redis.Message:
			if m.Payload != w.me {
				w.ring(strings.TrimPrefix(m.Channel, w.prefix), false)
			}
		case *redis.Subscription:
			w.ring(strings.TrimPrefix(m.Channel, w.prefix), true)
		}
	}
}

func (w *wakes) close() {
	w.stop()
	w.work.Wait()
}
