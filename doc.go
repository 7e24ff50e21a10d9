// Package vedette holds the nouns and contracts of Vedette, which watches websites. It imports
// the standard library only, and everything else in the module imports it.
//
// # A guided tour
//
// A [Monitor] is a site to look at every so often. A [Checker] compiles it to a [Check], which
// looks once and says what it saw, a [Result]. Package watch holds the leases of some shards
// ([Leaser]), keeps the checks of their monitors on time and hands the results to a [Sink].
//
// Package record is that sink. It folds each Result into the monitor's [Status] with package
// verdict, which is pure: how many looks in a row confirm a change, what a parent that is down
// hides, when an [Incident] opens and closes. What was found and what follows from it travel
// as one [Batch], one transaction of a [Writer]. A [Reader] answers people's questions, and the
// engine's once, when it takes over. A [Keeper] holds history within its bounds: old results
// become a [Rollup] an hour and a day.
//
// On several machines those who look and those who record are apart. Package codec makes a
// [Message] of a Result, package spool keeps it on disk while others are away, and package kafka
// is a [Publisher] and a [Source]: each [Session] of it owns some partitions. Package record then
// moves their [Position] in the transaction that keeps what they carried, so that each
// message counts once; what can never be taken becomes a [DeadLetter].
//
// A [Scraper] is a named handler with a [Schedule]. Of all processes that run package schedule one
// leads. It makes a [Job] of each due time: [Schedules] moves a [Cursor] and pushes the job in
// one transaction, fenced by the leader's lease. Package worker claims jobs from a [Queue], beats
// while their [Handler] runs, and says how they ended; a claim is named by a [Ref], whose epoch
// grows with each change of owner, so that what a lost worker says counts no more. What a job
// logs and finds is a topic of a [Feed], what its scraper remembers a [Value] of a [KV]. Package
// scrape has the handlers that run programs, requests and checks.
//
// What people edit is kept in a [Registry]; a configuration file is applied to it, and the
// engine reads only the registry. Packages memory, sqlite, postgres and redis implement the contracts,
// and package storetest holds the suites that they must pass. Package app opens the parts that a
// file asks for and runs them ([Run]).
//
// Read on in this order: verdict (the smallest, and the heart), watch, check, record, sqlite,
// app; then codec, kafka and postgres; and for jobs schedule, worker, scrape and redis.
package vedette
