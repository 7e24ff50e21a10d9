package worker

import (
	"time"

	"github.com/vedettehq/vedette"
)

// A Meter counts what a Worker does and no wrapper of a contract can see. Its methods are on the
// hot path: they must be quick, safe for concurrent use, and must not call the Worker.
type Meter interface {
	// Started is told of a job whose handler begins, and for how long the job was ready.
	Started(j vedette.Job, delay time.Duration)
	// Ended is told what the attempt led to, when the queue has taken it, and how long the
	// handler took.
	Ended(j vedette.Job, state vedette.JobState, took time.Duration)
	// Lost is told of a job whose claim was lost while its handler ran.
	Lost(j vedette.Job)
	// Stale is told of a claim whose end the queue refused, since it is no longer so.
	Stale(ref vedette.Ref)
}

type noMeter struct{}

func (noMeter) Started(vedette.Job, time.Duration)                 {}
func (noMeter) Ended(vedette.Job, vedette.JobState, time.Duration) {}
func (noMeter) Lost(vedette.Job)                                   {}
func (noMeter) Stale(vedette.Ref)                                  {}
