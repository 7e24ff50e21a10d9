// Package redis keeps scrapers, their jobs and what goes with them in Redis: everything but results.
//
// Each change is one Lua call, whose time is the server's, so that a job, its limits and the cursor of
// its schedule change together, and an append-only file that is cut back loses of all of them the same.
// What it promises to keep, it keeps if the server runs with appendfsync always; with everysec the last
// second or two may be lost when the server's machine fails, and is then made again by what caused it: a
// schedule whose cursor was not moved yet, a caller who asks what became of its job. Epochs and tokens are
// no lower than the server's time in microseconds, so that none is given out twice even then.
//
// All keys begin with a prefix, "vedette" unless the URL says another. Below it stand, for jobs:
//
//	job                 hash    ID: blob, what never changes (see job.go)
//	at                  hash    ID: record, once it was claimed or has ended
//	ids                 zset    all IDs, in their order
//	walk                string  how far a round of Retire has come among them
//	ended:STATE         zset    IDs of history that did not succeed
//	ready:QUEUE         zset    places of jobs that may start, and of the first of each open lane
//	later:QUEUE         zset    places of jobs by the time that they wait for
//	lane:LANE           zset    places of pending jobs that have a limit or a rate (see lanes.lua)
//	lanes:QUEUE         set     its lanes that hold jobs; limited:KEY and rated:KEY by what bounds them
//	placed              hash    LANE: the place that stands for it among the ready
//	slow                zset    lanes by the time from which their rate allows a start
//	limit, rate         hash, zset  how many are started; the virtual clock
//	started             hash    QUEUE: how many are started
//	queues, paused      set     names of queues
//	unique, waiting     hash    KEY: ID
//	fired               hash    scraper and time of what a schedule fired
//	live:, done:SCRAPER zset    IDs of its runs
//	over                set     scrapers of which Retire is to look whether there is too much history
//	own:OWNER           set     its claims: ID, epoch, and the beat behind which it was claimed
//	owner, lives, lost  hash, zset  what is known of owners, and when their time ends
//	told                zset    IDs of started jobs that were told to end, by when
//	stages, stage:NAME  zset, list  large pushes on their way
//
// and beside them
//
//	cursor, cursors, due  of schedules: hash, their order, and when they are due
//	lease, leases         token, end and owner by name, and the order of names
//	feed:TOPIC            list of entries
//	kv, kvkeys, kvends    values, the order of keys, and when they expire
//	scraper, monitor      registries: things by ID; with :ids, :changes and :rev behind
//
// A place is a priority, a time and an ID, 32 bytes that sort as jobs start, with the lane behind where
// there is one. All sorted sets without a time have the one score 0.
package redis
