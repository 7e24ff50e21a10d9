package kafka

import "time"

// A Meter counts what a contract cannot show. It is safe for concurrent use.
type Meter interface {
	// Produced counts one Publish to one topic: its records, their bytes of key, body and header,
	// how long it took, and whether all of it was confirmed.
	Produced(topic string, records, bytes int, took time.Duration, ok bool)
	// Consumed counts records that were delivered, those delivered again included.
	Consumed(topic string, records int)
	// Lag says how far the reading of a partition is behind, in offsets and by the age of what
	// is not read yet. Offsets below 0 say that the partition is no longer ours.
	Lag(topic string, partition int32, offsets int64, age time.Duration)
	// Assigned says by how much the partitions that we hold have changed, once for each
	// rebalance that changed them.
	Assigned(change int)
	// Ended counts a session by why it is over: closed, group, claim, fetch, commit or revoked.
	Ended(cause string)
}

type noMeter struct{}

func (noMeter) Produced(string, int, int, time.Duration, bool) {}
func (noMeter) Consumed(string, int)                           {}
func (noMeter) Lag(string, int32, int64, time.Duration)        {}
func (noMeter) Assigned(int)                                   {}
func (noMeter) Ended(string)                                   {}
