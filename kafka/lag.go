package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// watch asks every Reading.Idle where the partitions end, until Close.
func (s *session) watch() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tick := time.NewTicker(s.r.Idle)
	defer tick.Stop()
	go func() {
		<-s.stopped
		cancel()
	}()
	for {
		select {
		case <-s.stopped:
			return
		case <-tick.C:
		}
		s.look(ctx)
	}
}

// look learns where our partitions end. A message that is sent after it began may lie before that
// end, but none that was sent before lies behind it: the time to remember is that of the start.
func (s *session) look(ctx context.Context) {
	topics := s.held()
	if len(topics) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.c.Timeout)
	defer cancel()
	began := time.Now()
	all, err := s.adm.ListCommittedOffsets(ctx, topics...)
	if err != nil {
		s.c.Log.Debug("kafka does not say where partitions end", "err", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	news := false
	for at, p := range s.partitions {
		o, ok := all.Lookup(at.topic, at.n)
		if !ok || o.Err != nil {
			continue
		}
		p.sees(o.Offset, began)
		news = news || p.news()
		s.c.Meter.Lag(p.own.Topic, at.n, max(o.Offset-p.reached, 0), p.age(began))
	}
	if news {
		s.rouse()
	}
}

func (s *session) held() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[string]bool{}
	var topics []string
	for at := range s.partitions {
		if !seen[at.topic] {
			seen[at.topic] = true
			topics = append(topics, at.topic)
		}
	}
	return topics
}

// commit keeps positions in Kafka itself.
func (s *session) commit(ctx context.Context, all map[string]map[int32]kgo.EpochOffset) error {
	var err error
	s.cl.CommitOffsetsSync(ctx, all, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, failed error) {
		if err = failed; failed != nil {
			return
		}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				if bad := kerr.ErrorForCode(p.ErrorCode); bad != nil {
					err = fmt.Errorf("partition %d of %s: %w", p.Partition, t.Topic, bad)
				}
			}
		}
	})
	return err
}
