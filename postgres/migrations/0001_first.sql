create table results (
	id             uuid not null,
	monitor_id     text collate "C" not null,
	region         text not null,
	state          text not null,
	checked_at     timestamptz not null,
	due_at         timestamptz,
	cert_not_after timestamptz,
	token          bigint not null,
	revision       bigint not null,
	seq            bigint not null,
	code           integer not null,
	dns            integer not null,
	connect        integer not null,
	tls            integer not null,
	request        integer not null,
	ttfb           integer not null,
	transfer       integer not null,
	maintenance    boolean not null,
	kind           text,
	phase          text,
	message        text,
	evidence       jsonb,
	hops           jsonb,
	unique (monitor_id, checked_at, id)
) partition by range (checked_at);
create index on results using brin (checked_at);

comment on table results is 'One row a look, a partition a UTC day.';
comment on column results.checked_at is 'When the look began: the time of id.';
comment on column results.due_at is 'When the look should have begun.';
comment on column results.token is 'That of the shard''s lease, which orders watchers.';
comment on column results.revision is 'The version of the monitor that was looked at.';
comment on column results.seq is 'Counts the results that advanced the status of the monitor; 0 came late.';
comment on column results.dns is 'Microseconds, as the five phases that follow; they add up to the whole look.';
comment on column results.kind is 'The class of the failure, null if there is none; so are phase and message.';
comment on column results.hops is 'The requests of a look that was redirected; their phases are in nanoseconds.';

create table statuses (
	monitor_id  text collate "C" primary key,
	state       text not null,
	settled     text not null,
	since       timestamptz,
	checked_at  timestamptz,
	incident_id uuid,
	seq         bigint not null,
	version     bigint not null,
	body        bytea not null
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

comment on table statuses is 'The verdict on each monitor.';
comment on column statuses.settled is 'The last confirmed one of up, degraded and down.';
comment on column statuses.checked_at is 'That of the newest result.';
comment on column statuses.incident_id is 'The open one, or null.';
comment on column statuses.body is 'The rest, in Vedette''s own form.';

create table incidents (
	id         uuid primary key,
	monitor_id text collate "C" not null,
	opened_at  timestamptz not null,
	closed_at  timestamptz,
	reason     text not null,
	seq        bigint not null,
	kind       text not null,
	phase      text not null,
	message    text not null,
	evidence   jsonb
);
create index on incidents (monitor_id, id);
create index on incidents (closed_at) where closed_at is not null;

comment on column incidents.closed_at is 'Null while it is open.';
comment on column incidents.reason is 'Why it closed.';
comment on column incidents.kind is 'The class of the failure that confirmed it.';

create table rollups (
	monitor_id  text collate "C" not null,
	period      integer not null,
	at          timestamptz not null,
	checks      bigint not null,
	failed      bigint not null,
	up          bigint not null,
	degraded    bigint not null,
	down        bigint not null,
	unknown     bigint not null,
	maintenance bigint not null,
	latency     bytea,
	primary key (monitor_id, period, at)
);
create index on rollups (period, at);

comment on column rollups.period is 'Seconds: 3600 or 86400.';
comment on column rollups.up is 'Nanoseconds in this state, as the four that follow.';
comment on column rollups.latency is 'A mergeable sketch of the looks that were up or degraded, in Vedette''s own form.';

create table slots (
	hour       timestamptz not null,
	monitor_id text collate "C" not null,
	mark       bigint not null,
	primary key (hour, monitor_id)
) with (autovacuum_vacuum_scale_factor = 0.05);
create sequence marks as bigint owned by slots.mark;

comment on table slots is 'The hours of monitors that hold results which their rollups do not count.';

create table monitors (
	id      text collate "C" primary key,
	version bigint not null,
	rev     bigint not null,
	origin  text not null,
	doc     json
);
create index on monitors (rev);

comment on column monitors.doc is 'Null once deleted.';

create table settings (
	rev    bigint not null,
	shards integer
);
insert into settings values (0, null);

comment on table settings is 'One row: the revision of the monitors, and the shard count.';

create table leases (
	name       text collate "C" primary key,
	owner      text not null,
	token      bigint not null,
	expires_at timestamptz not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

comment on table leases is 'A lease that has ended stays for its token.';

create table stream_offsets (
	grp         text collate "C" not null,
	topic       text collate "C" not null,
	part        integer not null,
	stream      text not null,
	next_offset bigint not null,
	epoch       bigint not null,
	owner       text not null,
	through     timestamptz,
	updated_at  timestamptz not null default now(),
	primary key (grp, topic, part)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

comment on table stream_offsets is 'How far groups of readers have come.';
comment on column stream_offsets.next_offset is 'Where to go on; -1 if nothing was read yet.';
comment on column stream_offsets.through is 'All that was sent by then lies before next_offset.';

create table dead_letters (
	id        uuid primary key,
	grp       text not null,
	topic     text not null,
	part      integer not null,
	stream    text not null,
	koff_from bigint not null,
	koff_next bigint not null,
	key       bytea,
	payload   bytea,
	header    json,
	reason    text not null,
	mark      text not null,
	at        timestamptz,
	dead_at   timestamptz not null,
	sent_at   timestamptz
);
create index on dead_letters (id) where sent_at is null;
create index on dead_letters (dead_at) where sent_at is not null;

comment on table dead_letters is 'Messages that will never be taken, and the places of those that were lost.';
comment on column dead_letters.koff_from is 'The offset of the first message of its stretch; koff_next is that behind the last.';
comment on column dead_letters.header is 'A value that is no text is {"base64": "..."}.';
comment on column dead_letters.reason is 'Begins with its class: undecodable, invalid, out_of_range, refused, lost.';
comment on column dead_letters.at is 'When it was sent to us.';
comment on column dead_letters.sent_at is 'When it was sent on to where people look; null before.';
