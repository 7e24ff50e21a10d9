package kafka

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/vedettehq/vedette"
)

type offsets = map[string]map[int32]kgo.Offset

// claim is called with the partitions that were added to our share, and says where to begin in
// each. The client lets a rebalance go on when ctx ends. A claim may wait for what a former reader has
// begun, but not for ever: whom it asks may have gone without a word.
func (s *session) claim(ctx context.Context, added offsets) (offsets, error) {
	if len(added) == 0 {
		return added, nil
	}
	within, cancel := context.WithTimeout(ctx, s.c.Rebalance+s.c.Timeout)
	defer cancel()
	from, err := s.begin(within, added)
	if err != nil {
		// A rebalance that overtakes the claim is no failure: what was claimed is claimed again.
		if ctx.Err() == nil {
			s.end("claim", err)
		}
		return nil, err
	}
	return from, nil
}

func (s *session) begin(ctx context.Context, added offsets) (offsets, error) {
	<-s.ready
	// The client joins again by itself after the group gave it up. Its caller has to know first.
	if err := s.ended(); err != nil {
		return nil, err
	}
	want, err := s.wanted(ctx, added)
	if err != nil {
		return nil, err
	}
	kept, err := s.kept(ctx, want, added)
	if err != nil {
		return nil, err
	}
	// The ends are asked for after the claim: what the former owner has kept by then, the log
	// has too.
	starts, ends, err := s.bounds(ctx, added)
	if err != nil {
		return nil, err
	}
	claimed := make([]*partition, len(want))
	from := offsets{}
	for i, w := range want {
		at := place{s.c.Prefix + w.Topic, w.Partition}
		first, last := starts[at], ends[at]
		p := s.resume(w, kept[i], first, last)
		claimed[i] = p
		if from[at.topic] == nil {
			from[at.topic] = map[int32]kgo.Offset{}
		}
		from[at.topic][at.n] = kgo.NewOffset().At(p.reached)
	}
	s.hold(claimed)
	return from, nil
}

// wanted returns positions to claim, in the order that keeps two claimers from waiting for each
// other.
func (s *session) wanted(ctx context.Context, added offsets) ([]vedette.Position, error) {
	req := kmsg.NewPtrMetadataRequest()
	for topic := range added {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = new(topic)
		req.Topics = append(req.Topics, t)
	}
	meta, err := req.RequestWith(ctx, s.cl)
	if err != nil {
		return nil, fmt.Errorf("ask for topics: %w", err)
	}
	var want []vedette.Position
	for _, t := range meta.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return nil, fmt.Errorf("ask for topics: %w", err)
		}
		name := *t.Topic
		for n := range added[name] {
			want = append(want, vedette.Position{
				Group: s.r.Group, Topic: strings.TrimPrefix(name, s.c.Prefix), Partition: n,
				Stream: stream(t.TopicID),
			})
		}
	}
	slices.SortFunc(want, func(a, b vedette.Position) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return want, nil
}

// stream is a topic's id as Kafka prints it, and "" where the brokers are too old for ids.
func stream(id [16]byte) string {
	if id == [16]byte{} {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// kept returns the positions as they are kept, by Claim or by Kafka.
func (s *session) kept(ctx context.Context, want []vedette.Position, added offsets) ([]vedette.Position, error) {
	if s.r.Claim == nil {
		kept := slices.Clone(want)
		for i, w := range want {
			kept[i].Next = max(added[s.c.Prefix+w.Topic][w.Partition].EpochOffset().Offset, -1)
		}
		return kept, nil
	}
	kept, err := s.r.Claim(ctx, want...)
	if err != nil {
		return nil, fmt.Errorf("claim %d partitions: %w", len(want), err)
	}
	for i, w := range want {
		if len(kept) != len(want) || kept[i].Topic != w.Topic || kept[i].Partition != w.Partition {
			return nil, errors.New("claim partitions: the answer names others")
		}
	}
	return kept, nil
}

// bounds returns where partitions start and end now.
func (s *session) bounds(ctx context.Context, added offsets) (starts, ends map[place]int64, err error) {
	topics := make([]string, 0, len(added))
	for t := range added {
		topics = append(topics, t)
	}
	if starts, err = listed(added)(s.adm.ListStartOffsets(ctx, topics...)); err != nil {
		return nil, nil, fmt.Errorf("ask where partitions start: %w", err)
	}
	if ends, err = listed(added)(s.adm.ListEndOffsets(ctx, topics...)); err != nil {
		return nil, nil, fmt.Errorf("ask where partitions end: %w", err)
	}
	return starts, ends, nil
}

// listed picks the offsets of the partitions in added, all of which must be there.
func listed(added offsets) func(kadm.ListedOffsets, error) (map[place]int64, error) {
	return func(all kadm.ListedOffsets, err error) (map[place]int64, error) {
		if err != nil {
			return nil, err
		}
		found := map[place]int64{}
		for topic, partitions := range added {
			for n := range partitions {
				o, ok := all.Lookup(topic, n)
				switch {
				case !ok:
					return nil, fmt.Errorf("partition %d of %s: %w", n, topic, kerr.UnknownTopicOrPartition)
				case o.Err != nil:
					return nil, fmt.Errorf("partition %d of %s: %w", n, topic, o.Err)
				}
				found[place{topic, n}] = o.Offset
			}
		}
		return found, nil
	}
}

// resume decides where to go on in a partition that lies in [first, last), and what to say is
// lost.
func (s *session) resume(want, kept vedette.Position, first, last int64) *partition {
	own := want
	own.Next, own.Epoch = kept.Next, kept.Epoch
	own.Stream = cmp.Or(want.Stream, kept.Stream)
	p := &partition{own: own, reached: kept.Next, settled: -1, through: kept.Through, told: kept.Through}
	var why string
	switch {
	case kept.Next < 0 && s.r.Newest:
		p.reached = last
	case kept.Next < 0:
		p.reached = first
	case kept.Stream != "" && want.Stream != "" && kept.Stream != want.Stream:
		p.reached = first
		why = fmt.Sprintf("the topic was deleted and made anew: it was read up to offset %d, "+
			"and what came after that is gone", kept.Next)
	case kept.Next < first:
		p.reached = first
		why = fmt.Sprintf("offsets %d to %d were deleted before they were read", kept.Next, first-1)
	case kept.Next > last:
		p.reached = last
		why = fmt.Sprintf("the log ends at offset %d, before offset %d, up to which it was read: "+
			"Kafka has lost messages, and those sent since then may be unread", last, kept.Next)
	}
	if why != "" {
		p.lost = &vedette.Message{Topic: own.Topic, Body: []byte(why), Mark: vedette.MarkLost}
	}
	return p
}
