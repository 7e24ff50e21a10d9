create table queues (
	num    integer primary key,
	name   text not null unique,
	paused integer not null
);

create table jobs (
	id       blob primary key,
	lane     integer not null,
	state    integer not null,
	priority integer not null,
	run_at   integer not null,
	owner    integer not null,
	life     blob not null,
	body     blob not null
) without rowid;
create index jobs_ready on jobs (lane, priority, run_at) where state = 2;
create index jobs_later on jobs (run_at, lane) where state in (1, 4);
create index jobs_started on jobs (owner) where state = 3;

create table live (
	scraper text not null,
	job     blob not null,
	primary key (scraper, job)
) without rowid;

create table cancels (
	job blob primary key,
	at  integer not null
) without rowid;

create table past (
	num      integer primary key,
	id       blob not null unique,
	state    integer not null,
	finished integer not null,
	scraper  text not null,
	life     blob not null,
	body     blob not null
);
create index past_scraper on past (scraper, id) where scraper > '';
create index past_bad on past (state, id) where state > 5;

create table runs (
	scraper text primary key,
	last    blob not null,
	keep    integer not null,
	live    integer not null,
	past    integer not null
) without rowid;
create index runs_over on runs (scraper) where keep > 0 and past > keep;

create table fires (
	scraper text not null,
	at      integer not null,
	primary key (scraper, at)
) without rowid;

create table keys (
	kind integer not null,
	key  text not null,
	job  blob not null,
	primary key (kind, key)
) without rowid;

create table lanes (
	num       integer primary key,
	queue     integer not null,
	limit_key text not null,
	most      integer not null,
	rate_key  text not null,
	every     integer not null,
	burst     integer not null,
	held      integer not null,
	at        integer not null,
	priority  integer,
	run_at    integer,
	job       blob,
	unique (queue, limit_key, most, rate_key, every, burst)
);
create index lanes_open on lanes (queue, priority, run_at, job) where held = 0;
create index lanes_slow on lanes (at) where held = 2;
create index lanes_limit on lanes (limit_key);
create index lanes_rate on lanes (rate_key);

create table limits (
	key     text primary key,
	started integer not null
) without rowid;

create table rates (
	key   text primary key,
	clock integer not null
) without rowid;

create table owners (
	num   integer primary key,
	name  text not null unique,
	ends  integer not null,
	beat  integer not null,
	beats integer not null
);
create index owners_ends on owners (ends);

create table cursors (
	scraper text primary key,
	version integer not null,
	at      integer not null,
	last    integer not null,
	skipped integer not null,
	dropped integer not null,
	since   integer not null,
	failed  blob not null
) without rowid;
create index cursors_at on cursors (at, scraper) where at <> 0;

create table scrapers (
	id      text primary key,
	version integer not null,
	rev     integer not null,
	origin  text not null,
	doc     text
);
create index scrapers_rev on scrapers (rev);

create table entries (
	topic text not null,
	seq   integer not null,
	at    integer not null,
	data  text not null,
	primary key (topic, seq)
) without rowid;

create table kv (
	key     text primary key,
	version integer not null,
	expires integer not null,
	data    blob
) without rowid;
create index kv_expires on kv (expires) where expires > 0;

insert into counts values ('scrapers', 0), ('jobs', 0), ('past', 0), ('entries', 0), ('version', 0);
