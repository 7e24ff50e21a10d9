create table names (
	num integer primary key,
	id  text not null unique
);

create table results (
	minute integer not null,
	num    integer not null,
	id     blob not null,
	state  integer not null,
	code   integer not null,
	body   blob not null,
	primary key (minute, num, id)
) without rowid;

create table failures (
	minute   integer not null,
	num      integer not null,
	id       blob not null,
	state    integer not null,
	code     integer not null,
	body     blob not null,
	kind     text not null,
	phase    text not null,
	message  text not null,
	evidence text,
	primary key (minute, num, id)
) without rowid;

create table statuses (
	num     integer primary key,
	version integer not null,
	state   integer not null,
	body    blob not null
);

create table incidents (
	id       blob primary key,
	num      integer not null,
	opened   integer not null,
	closed   integer not null,
	reason   text not null,
	seq      integer not null,
	kind     text not null,
	phase    text not null,
	message  text not null,
	evidence text
) without rowid;
create index incidents_num on incidents (num);
create index incidents_closed on incidents (closed) where closed > 0;

create table rollups (
	period  integer not null,
	at      integer not null,
	num     integer not null,
	checks  integer not null,
	failed  integer not null,
	spent   blob not null,
	latency blob,
	primary key (period, at, num)
) without rowid;

create table slots (
	hour integer not null,
	num  integer not null,
	mark integer not null,
	primary key (hour, num)
) without rowid;
create index slots_dirty on slots (hour, num) where mark > 0;

create table monitors (
	id      text primary key,
	version integer not null,
	rev     integer not null,
	origin  text not null,
	doc     text
);
create index monitors_rev on monitors (rev);

create table leases (
	name    text primary key,
	owner   text not null,
	token   integer not null,
	expires integer not null
) without rowid;

create table counts (
	name text primary key,
	n    integer not null
) without rowid;
insert into counts values
	('results', 0), ('failures', 0), ('statuses', 0), ('incidents', 0),
	('rollups', 0), ('dirty', 0), ('monitors', 0), ('mark', 0);
