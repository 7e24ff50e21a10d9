package kafka

import (
	"context"
	"encoding/base64"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// marked takes the marks since it was called last.
func (s *session) marked() map[place]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.marks
	s.marks = map[place]int64{}
	return all
}

// commit keeps positions in Kafka itself.
func (s *session) commit(ctx context.Context) error {
	all := map[string]map[int32]kgo.EpochOffset{}
	for at, offset := range s.marked() {
		if all[at.topic] == nil {
			all[at.topic] = map[int32]kgo.EpochOffset{}
		}
		all[at.topic][at.n] = kgo.EpochOffset{Epoch: -1, Offset: offset}
	}
	if len(all) == 0 {
		return nil
	}
	var err error
	s.cl.CommitOffsetsSync(ctx, all, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, failed error) {
		if err = failed; failed == nil {
			err = refused(resp)
		}
	})
	return err
}

// show writes Kafka's own offsets for the tools that read them, where the positions are kept
// elsewhere. Nothing depends on it. It asks the broker itself, since the client's commits wait
// for rebalances and remember what was committed.
func (s *session) show(ctx context.Context) {
	member, generation := s.cl.GroupMetadata()
	if s.r.Claim == nil || member == "" {
		return
	}
	topics := s.topics()
	if len(topics) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.c.Timeout)
	defer cancel()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.Generation = s.c.Prefix+s.r.Group, member, generation
	req.Topics = topics
	resp, err := req.RequestWith(ctx, s.cl)
	if err == nil {
		err = refused(resp)
	}
	if err != nil {
		s.c.Log.Debug("kafka offsets lag behind the positions", "err", err)
	}
}

// topics takes the marks as a request wants them.
func (s *session) topics() []kmsg.OffsetCommitRequestTopic {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := map[string]int{}
	var all []kmsg.OffsetCommitRequestTopic
	for place, offset := range s.marks {
		i, ok := at[place.topic]
		if !ok {
			i = len(all)
			at[place.topic] = i
			t := kmsg.NewOffsetCommitRequestTopic()
			t.Topic = place.topic
			id, _ := base64.RawURLEncoding.DecodeString(s.partitions[place].own.Stream)
			copy(t.TopicID[:], id)
			all = append(all, t)
		}
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset = place.n, offset
		all[i].Partitions = append(all[i].Partitions, p)
	}
	clear(s.marks)
	return all
}

func refused(resp *kmsg.OffsetCommitResponse) error {
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("partition %d of %s: %w", p.Partition, t.Topic, err)
			}
		}
	}
	return nil
}
