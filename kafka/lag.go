package kafka

import (
	"context"
	"time"
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
		s.show(ctx)
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
	began := s.r.Now()
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
