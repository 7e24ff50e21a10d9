package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/retry"
)

// Processes wake each other by notifications of one channel a schema: what was rung, in JSON. The
// first goes out at once, and what is rung within the pace after it with the next, so that a
// process sends one a pace and none is left out. One that is lost all the same, with its
// connection or its sender, costs those who wait a poll.
const (
	pace    = 5 * time.Millisecond
	maxNote = 7000 // bytes; the server takes 7999
	forAll  = math.MaxInt32

	// A transaction that does nothing but notify need not wait for the disk.
	noWait = "select set_config('synchronous_commit', 'off', true)"

	sendNotes = "select pg_notify($1, note) from unnest($2::text[]) as note"
)

// poll is how long those who wait do so at most, give or take a quarter, before they look again.
const poll = time.Second

// A ring says what came about.
type ring struct {
	Bell bell `json:"b"`
	N    int  `json:"n"` // how many to wake
	// First is the first of the jobs that came, as far as its pusher knows.
	Priority int64 `json:"p"`
	RunAt    int64 `json:"t"` // in microseconds as the server counts
}

// merge adds what came under the same bell.
func (r ring) merge(o ring) ring {
	r.N = min(r.N+o.N, forAll)
	if o.Priority < r.Priority || o.Priority == r.Priority && o.RunAt < r.RunAt {
		r.Priority, r.RunAt = o.Priority, o.RunAt
	}
	return r
}

// A note is a notification.
type note struct {
	From  string `json:"f"` // which store; "" is a transaction of somebody else's
	Rings []ring `json:"r"`
}

// A herald carries rings to the waiters of this process and to other processes.
type herald struct {
	s    *Store
	id   string
	once sync.Once // listens

	mu      sync.Mutex
	pending map[bell]ring
	sent    time.Time
	due     bool // a send is on its way
	closed  bool
	running sync.WaitGroup
}

// ring wakes who waits, here and elsewhere.
func (h *herald) ring(rings ...ring) {
	h.ringHere(rings)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(rings) == 0 {
		return
	}
	for _, r := range rings {
		if old, known := h.pending[r.Bell]; known {
			r = old.merge(r)
		}
		h.pending[r.Bell] = r
	}
	if h.due {
		return
	}
	h.due = true
	wait := pace - time.Since(h.sent)
	h.running.Go(func() {
		time.Sleep(wait)
		h.send()
	})
}

func (h *herald) ringHere(rings []ring) {
	for _, r := range rings {
		if r.Bell[0] == 'q' {
			h.s.spots.lower(r)
		}
		h.s.bells.ring(r.Bell, r.N)
	}
}

// send notifies others of what is pending.
func (h *herald) send() {
	h.mu.Lock()
	pending := h.pending
	h.pending, h.due, h.sent = map[bell]ring{}, false, time.Now()
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := h.s.use(ctx, func(c *pgx.Conn) error {
		_, err := pipe(ctx, c, step{doing: "notify", sql: noWait}, h.s.noteStep(h.id, pending))
		return err
	}); err != nil {
		h.s.log.Warn("cannot wake other processes", "err", err)
	}
}

// noteStep returns the step that sends rings to all processes but the one from.
func (s *Store) noteStep(from string, rings map[bell]ring) step {
	var notes []string
	one, size := note{From: from}, 0
	flush := func() {
		if text, err := json.Marshal(one); err == nil && len(text) < 8000 && len(one.Rings) > 0 {
			notes = append(notes, string(text))
		}
		one.Rings, size = nil, 0
	}
	for _, r := range rings {
		if size += 2*len(r.Bell) + 80; size > maxNote {
			flush()
		}
		one.Rings = append(one.Rings, r)
	}
	flush()
	oids := []uint32{oidText, oidTexts}
	return with("notify", sendNotes, oids, row{}.text(s.channel()).texts(notes))
}

// channel is where stores of one schema hear each other. Its name is a hash, since names are cut
// at 63 bytes.
func (s *Store) channel() string {
	return fmt.Sprintf("vedette_%016x", vedette.ScraperID(s.schema).Hash())
}

// hear begins to listen, when somebody waits for the first time.
func (h *herald) hear() {
	h.once.Do(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if !h.closed {
			h.running.Go(h.listen)
		}
	})
}

// listen hears other processes until the store is closed.
func (h *herald) listen() {
	wait := retry.Backoff{Min: 50 * time.Millisecond, Max: 5 * time.Second}
	for h.s.life.Err() == nil {
		err := once(h.s.life, h.s.pool.Config().ConnConfig, func(ctx context.Context, c *pgx.Conn) error {
			if _, err := c.Exec(ctx, "listen "+pgx.Identifier{h.s.channel()}.Sanitize()); err != nil {
				return err
			}
			wait.Reset()
			return h.follow(ctx, c)
		})
		if h.s.life.Err() == nil {
			h.s.log.Warn("cannot hear other processes, and looks each second", "err", err)
		}
		_ = wait.Wait(h.s.life)
	}
}

// follow rings for what c hears, first for all that was missed.
func (h *herald) follow(ctx context.Context, c *pgx.Conn) error {
	h.s.spots.forget()
	h.s.bells.ringAll()
	for {
		heard, err := c.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		var n note
		if err := json.Unmarshal([]byte(heard.Payload), &n); err == nil && n.From != h.id {
			h.ringHere(n.Rings)
		}
	}
}

// close sends what is pending, and ends.
func (h *herald) close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.s.stop()
	h.running.Wait()
}
