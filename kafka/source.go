package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/vedettehq/vedette"
)

// fetchWait is how long a broker may wait for messages before it answers that there are none. A
// partition that is added meanwhile waits as long for its first fetch.
const fetchWait = 500 * time.Millisecond

// A Claim makes this reader the owner of positions and returns them, in the same order, as they
// are kept: [vedette.Positions.Claim] with an owner.
type Claim func(ctx context.Context, p ...vedette.Position) ([]vedette.Position, error)

// Reading says what to read. Group and Topics are required.
type Reading struct {
	Group  string
	Topics []string
	// Claim is where positions are kept; nil keeps them in Kafka, which has no epochs to tell a
	// former reader's settling from ours: a message may then be read twice.
	Claim Claim
	// Newest begins at the end where a partition was never read; else it is at the start.
	Newest bool
	// Idle is how often to ask where the partitions end, which tells the lag and how far time
	// has come; 0 means 1s.
	Idle time.Duration
	// Now is the clock of [vedette.Position.Through]; nil means time.Now.
	Now func() time.Time
}

var _ vedette.Source = (*Source)(nil)

// A Source opens sessions, each of them a member of a group of readers. It is safe for concurrent
// use: sessions that are open at the same time share the partitions.
type Source struct {
	c    Config
	r    Reading
	opts []kgo.Opt
}

// NewSource checks its arguments and connects to nothing.
func NewSource(c Config, r Reading) (*Source, error) {
	opts, err := c.options()
	if r.Group == "" {
		err = errors.Join(err, errors.New("no group of readers is named"))
	}
	if len(r.Topics) == 0 {
		err = errors.Join(err, errors.New("no topic to read is named"))
	}
	if err != nil {
		return nil, err
	}
	if r.Idle == 0 {
		r.Idle = time.Second
	}
	if r.Now == nil {
		r.Now = time.Now
	}
	return &Source{c: c.withDefaults(), r: r, opts: opts}, nil
}

// Open joins the group. It reports what keeps it from reaching a broker, or a broker from
// letting it in.
func (s *Source) Open(ctx context.Context) (vedette.Session, error) {
	n := &session{
		c: s.c, r: s.r, ready: make(chan struct{}), stopped: make(chan struct{}),
		partitions: map[place]*partition{}, marks: map[place]int64{},
	}
	cl, err := kgo.NewClient(s.options(n)...)
	if err != nil {
		return nil, fmt.Errorf("open kafka session: %w", err)
	}
	n.cl, n.adm = cl, kadm.NewClient(cl)
	close(n.ready)
	ctx, cancel := context.WithTimeout(ctx, s.c.Timeout)
	defer cancel()
	if err := cl.Ping(ctx); err != nil {
		_ = n.Close()
		return nil, fmt.Errorf("open kafka session: %w", err)
	}
	n.watching.Go(n.watch)
	return n, nil
}

func (s *Source) options(n *session) []kgo.Opt {
	topics := make([]string, len(s.r.Topics))
	for i, t := range s.r.Topics {
		topics[i] = s.c.Prefix + t
	}
	start := kgo.NewOffset().AtStart()
	return append([]kgo.Opt{
		kgo.ConsumerGroup(s.c.Prefix + s.r.Group),
		kgo.ConsumeTopics(topics...),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(s.c.Session),
		kgo.HeartbeatInterval(s.c.Heartbeat),
		kgo.RebalanceTimeout(s.c.Rebalance),
		kgo.MetadataMinAge(minAge),
		kgo.FetchMaxWait(fetchWait),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsCallbackBlocked(n.blocked),
		kgo.OnPartitionsRevoked(n.revoked),
		kgo.OnPartitionsLost(n.revoked),
		kgo.AdjustFetchOffsetsFn(n.claim),
		kgo.WithHooks(n),
		// Nothing but claim decides where to go on: a position that the log does not have
		// ends the session, so that the next one tells what is lost.
		kgo.ConsumeStartOffset(start),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		// The markers of transactions tell that a partition is read to its end.
		kgo.KeepControlRecords(),
	}, s.opts...)
}
