package spool

// A Meter counts what a Spool does. Its methods must be quick, safe for concurrent use, and
// must not call the Spool.
type Meter interface {
	// Waiting is told how many results are on disk and not yet sent, and how much disk they
	// take.
	Waiting(results, bytes int64)
	// Spooled is told of n results that went to disk.
	Spooled(n int)
	// Replayed is told of n results that went on from disk.
	Replayed(n int)
	// Dropped is told of n results that were kept and will never be sent, with the reason:
	//
	//	full         they were the oldest when the spool was full
	//	refused      the next sink will never take them
	//	damaged      they cannot be read from disk
	//	undecodable  they were read, and are no results
	Dropped(reason string, n int)
	// Refused is told of n results that were not taken, since the spool is full or its disk
	// fails. Their sender has them still.
	Refused(n int)
}

type noMeter struct{}

func (noMeter) Waiting(int64, int64) {}
func (noMeter) Spooled(int)          {}
func (noMeter) Replayed(int)         {}
func (noMeter) Dropped(string, int)  {}
func (noMeter) Refused(int)          {}
