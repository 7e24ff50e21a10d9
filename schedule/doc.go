// Package schedule decides when scrapers run, and what comes of a run that is due: [Compile]
// makes a [Plan] of a scraper, [Plan.Next] tells its due times, and [Plan.Decide] says what the
// leader does with a cursor that is due. All that is pure. A [Leader] does it, while it holds the
// lease, and tidies the queue.
//
// A due time is nominal: the run is for it, under it there is one run, and it is the same for
// whoever reckons it. Due times are whole milliseconds, and those of one scraper lie at least a
// second apart, so that every store keeps them apart. When the run may begin follows from it by
// the schedule's jitter, see [Plan.RunAt].
package schedule
