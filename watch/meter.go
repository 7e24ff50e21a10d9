package watch

import (
	"time"

	"github.com/vedettehq/vedette"
)

// A Meter counts what a Watch does. Its methods are on the hot path: they must be quick, safe
// for concurrent use, and must not call the Watch.
type Meter interface {
	// Lag is told how much later than due a look began, for looks on their beat.
	Lag(d time.Duration)
	// Missed is told of n looks that were due and not made, or not kept, with the reason:
	//
	//	overlap   the one before was still in flight
	//	capacity  no slot was free for a whole interval
	//	sink      too many results wait to be delivered
	//	lease     the shard's lease had lapsed
	//	late      this process did not run when they were due
	//	stop      the look was cut off by the stop
	//	refused   the sink will never take the result
	Missed(reason string, n int)
	// InFlight is told how many looks are being made.
	InFlight(n int)
	// Looked is told of every result.
	Looked(r vedette.Result)
	// Queued is told how many results wait to be delivered.
	Queued(n int)
	// Held is told how many shards are held.
	Held(shards int)
}

type noMeter struct{}

func (noMeter) Lag(time.Duration)     {}
func (noMeter) Missed(string, int)    {}
func (noMeter) InFlight(int)          {}
func (noMeter) Looked(vedette.Result) {}
func (noMeter) Queued(int)            {}
func (noMeter) Held(int)              {}
