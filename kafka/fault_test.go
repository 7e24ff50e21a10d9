package kafka_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/vedettehq/vedette"
)

// TestReadsOnceWhateverFails has two readers read what is published while the broker fails
// requests of each kind in turn.
func TestReadsOnceWhateverFails(t *testing.T) {
	for name, fault := range map[string]kfake.Fault{
		"fetch, moved":          {Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.NotLeaderForPartition},
		"fetch, out of range":   {Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.OffsetOutOfRange},
		"fetch, unknown":        {Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.UnknownServerError},
		"fetch, other topic id": {Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.UnknownTopicID},
		"heartbeat, expelled":   {Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.UnknownMemberID},
		"heartbeat, fenced":     {Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.IllegalGeneration},
		"heartbeat, moved":      {Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.NotCoordinator},
		"join":                  {Keys: []kmsg.Key{kmsg.JoinGroup}, Err: kerr.CoordinatorLoadInProgress},
		"sync":                  {Keys: []kmsg.Key{kmsg.SyncGroup}, Err: kerr.UnknownServerError},
		"offsets of the group":  {Keys: []kmsg.Key{kmsg.OffsetFetch}, Err: kerr.GroupAuthorizationFailed},
		"ends":                  {Keys: []kmsg.Key{kmsg.ListOffsets}, Err: kerr.LeaderNotAvailable},
		"ends, unknown":         {Keys: []kmsg.Key{kmsg.ListOffsets}, Err: kerr.UnknownServerError},
		"commit":                {Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.UnknownServerError},
		"metadata":              {Keys: []kmsg.Key{kmsg.Metadata}, Err: kerr.LeaderNotAvailable},
		"produce":               {Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotLeaderForPartition},
	} {
		t.Run(name, func(t *testing.T) {
			virtually(t, 4, func(t *testing.T, w *world) {
				fault.Count = 4
				readThrough(t, w, func() { w.Fault(fault) })
			})
		})
	}
}

// readThrough publishes in ten rounds, each after something was broken, and checks that two
// readers keep each message once.
func readThrough(t *testing.T, w *world, breaks func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	var running sync.WaitGroup
	var mu sync.Mutex
	enough := make(chan struct{})
	for _, owner := range []string{"one", "two"} {
		running.Go(func() { readLoop(ctx, t, w, owner, &mu, enough) })
	}
	p := publisher(t, w.c)
	var sent []string
	for round := range 10 {
		breaks()
		var all []vedette.Message
		for i := range 30 {
			body := strconv.Itoa(round*30 + i)
			all = append(all, vedette.Message{Topic: "results", Key: []byte(body), Body: []byte(body)})
			sent = append(sent, body)
		}
		if err := p.Publish(ctx, all...); err != nil {
			t.Fatalf("Publish: %v", err)
		}
		time.Sleep(time.Second)
	}
	select {
	case <-enough:
	case <-ctx.Done():
	}
	time.Sleep(time.Minute) // whatever would come twice comes now
	cancel()
	running.Wait()
	slices.Sort(sent)
	slices.Sort(w.kept)
	if diff := cmp.Diff(w.kept, sent); diff != "" {
		t.Errorf("kept, each once (-got +want):\n%s", diff)
	}
}

// readLoop opens sessions and keeps what they give, until ctx ends. Enough is closed by whoever
// keeps the last of 300 messages.
func readLoop(ctx context.Context, t *testing.T, w *world, owner string, mu *sync.Mutex, enough chan struct{}) {
	s := source(t, w.c, w.reading(owner))
	for ctx.Err() == nil {
		session, err := s.Open(ctx)
		if err != nil {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		for err == nil && ctx.Err() == nil {
			var all []vedette.Message
			if all, err = session.Receive(ctx, 7); err != nil || len(all) == 0 {
				continue
			}
			mu.Lock()
			before := len(w.kept)
			err = w.write(all)
			if before < 300 && len(w.kept) >= 300 {
				close(enough)
			}
			mu.Unlock()
			if err == nil {
				err = session.Settle(ctx, last(all))
			}
		}
		if err != nil && !errors.Is(err, vedette.ErrLeaseLost) {
			t.Errorf("the session ended with %v, want ErrLeaseLost", err)
		}
		_ = session.Close()
	}
}
