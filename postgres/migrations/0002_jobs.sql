create table jobs (
	id             uuid primary key,
	run_at         timestamptz not null default now(),
	created_at     timestamptz not null default now(),
	started_at     timestamptz,
	epoch          bigint not null default 0,
	priority       bigint not null,
	beat           bigint,
	lane           bigint,
	attempt        integer not null default 0,
	max_attempts   integer not null,
	keep           integer not null,
	state          smallint not null default 2,
	queue          text collate "C" not null,
	handler        text collate "C" not null,
	owner          text collate "C",
	holder         text collate "C",
	scraper        text collate "C",
	fire_at        timestamptz,
	unique_key     text collate "C",
	unique_waiting text collate "C",
	cancel_at      timestamptz,
	cancel         text,
	result         text,
	error          text,
	body           bytea not null,
	attempts       jsonb,
	said           bigint[]
) with (fillfactor = 45, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000,
	autovacuum_analyze_scale_factor = 0.2, autovacuum_vacuum_cost_delay = 0);
create index jobs_ready on jobs (queue, priority, run_at, id) where state = 2;
create index jobs_held on jobs (holder) where holder is not null;
create index jobs_due on jobs (run_at) where state in (1, 4);
create index jobs_told on jobs (cancel_at) where cancel_at is not null;
create index jobs_lane on jobs (lane, state, priority, run_at, id) where lane is not null;
create index jobs_scraper on jobs (scraper, id) where scraper is not null;
create unique index jobs_fire on jobs (scraper, fire_at) where fire_at is not null;
create unique index jobs_unique on jobs (unique_key) where unique_key is not null;
create unique index jobs_waiting on jobs (unique_waiting) where unique_waiting is not null;

comment on table jobs is 'Live jobs only. Half of a page is left free for claims of what is on it.';
comment on column jobs.epoch is 'Above 0 while somebody owns the job.';
comment on column jobs.holder is 'The owner, in state 3; no index may contain what a claim that takes jobs changes.';
comment on column jobs.beat is 'How often its owner had beaten when it claimed the job.';
comment on column jobs.lane is 'Null for a job without limits.';
comment on column jobs.state is '0 held by a limit, 1 scheduled, 2 ready or taken, 3 started, 4 retrying; 1 and 4 until somebody sees that run_at has passed.';
comment on column jobs.fire_at is 'Of what a schedule fired only.';
comment on column jobs.unique_waiting is 'Null once the job was claimed.';
comment on column jobs.error is 'Of the last attempt that failed.';
comment on column jobs.body is 'What never changes, in Vedette''s own form.';
comment on column jobs.attempts is 'Those that ended; null if there are none.';
comment on column jobs.said is 'How claims were said to end, as 16 times the epoch and the state.';

create table job_history (
	id          uuid not null,
	finished_at timestamptz not null,
	run_at      timestamptz not null,
	created_at  timestamptz not null,
	started_at  timestamptz,
	beat_at     timestamptz,
	epoch       bigint not null,
	attempt     integer not null,
	keep        integer not null,
	state       smallint not null,
	queue       text collate "C" not null,
	handler     text collate "C" not null,
	owner       text collate "C",
	scraper     text collate "C",
	fire_at     timestamptz,
	cancel      text,
	result      text,
	error       text,
	body        bytea not null,
	attempts    jsonb,
	said        bigint[]
) partition by range (finished_at);
create index on job_history (id);
create index on job_history (scraper, id) where scraper is not null;
create index on job_history (scraper, fire_at) where fire_at is not null;

comment on table job_history is 'Jobs that ended, a partition a UTC day.';
comment on column job_history.state is '5 succeeded, 6 failed, 7 dead, 8 cancelled.';
comment on column job_history.attempts is 'Null if there was one at most: what the row says of owner, times, state and error is then the attempt.';

create table claims (
	owner text collate "C" not null,
	n     bigint not null,
	beat  bigint not null,
	jobs  uuid[] not null
) with (autovacuum_vacuum_threshold = 1000);
alter table claims alter jobs set storage external;
create index on claims (owner);

comment on table claims is 'Claims of many jobs, which are taken until all have ended or those that are left are settled.';

create table owners (
	name       text collate "C" primary key,
	expires_at timestamptz not null,
	beat_at    timestamptz not null,
	beats      bigint not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

comment on table owners is 'Workers that have beaten. One whose time ran out stays, so that it is not revived.';

create table pauses (
	queue text collate "C" primary key
);

comment on table pauses is 'The queues that nobody may claim from.';

create table lanes (
	id        bigint generated always as identity primary key,
	queue     text collate "C" not null,
	limit_key text collate "C" not null,
	most      bigint not null,
	rate_key  text collate "C" not null,
	every     bigint not null,
	burst     bigint not null,
	wake_at   timestamptz,
	unique (queue, limit_key, most, rate_key, every, burst)
);
create index on lanes (limit_key) where limit_key <> '';
create index on lanes (rate_key) where rate_key <> '';
create index on lanes (wake_at) where wake_at is not null;

comment on table lanes is 'Jobs of one queue that the same limits hold back.';
comment on column lanes.most is 'How many of limit_key may be started at once; 0 is any number.';
comment on column lanes.every is 'Microseconds between two starts of rate_key; 0 is no rate.';
comment on column lanes.wake_at is 'When its rate lets go a job that is held.';

create table limits (
	key     text collate "C" primary key,
	running bigint not null default 0,
	clock   timestamptz not null default '-infinity'
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

comment on column limits.running is 'How many jobs of this limit_key are started.';
comment on column limits.clock is 'Of this rate_key: each start moves it on; ahead of the time by the burst it stops others.';

create table cursors (
	scraper text collate "C" primary key,
	version bigint not null,
	at      timestamptz,
	last    timestamptz,
	skipped bigint not null,
	dropped bigint not null,
	since   timestamptz,
	failed  uuid
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
create index on cursors (at, scraper) where at is not null;

comment on table cursors is 'Where the schedules stand.';
comment on column cursors.at is 'Due next; null is never.';
comment on column cursors.last is 'What it fired for last.';

create table scrapers (
	id      text collate "C" primary key,
	version bigint not null,
	rev     bigint not null,
	origin  text not null,
	doc     json,
	raw     bytea
);
create index on scrapers (rev);
alter table settings add column scrapers_rev bigint not null default 0;

alter table monitors add column raw bytea;

comment on column scrapers.doc is 'Null once deleted.';
comment on column scrapers.raw is 'The parameters of the handler, as they were written.';
comment on column monitors.raw is 'What the kind of check says, as it was written.';
comment on table settings is 'One row: the revisions of the monitors and the scrapers, and the shard count.';

create table topics (
	topic text collate "C" primary key,
	last  bigint not null
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

create table entries (
	topic text collate "C" not null,
	seq   bigint not null,
	at    timestamptz not null,
	data  bytea not null,
	primary key (topic, seq)
);

comment on column topics.last is 'The seq of its last entry.';
comment on column entries.data is 'JSON.';

create table kv (
	key        text collate "C" primary key,
	data       bytea not null,
	version    bigint not null,
	expires_at timestamptz
);
create index on kv (expires_at) where expires_at is not null;
create sequence kv_versions as bigint owned by kv.version;

-- Each function below works behind the locks that limits_lock takes of all keys it may look at, in
-- their order, and each statement of a function sees what was committed before those locks.

-- limits_lock locks the limits of lanes, and returns these lanes with all that share a key.
create function limits_lock(touched bigint[]) returns bigint[] language plpgsql strict set search_path from current as $$
declare
	near bigint[];
begin
	select array_agg(id) into near from (
		select l.id from lanes as t join lanes as l using (limit_key) where t.id = any (touched) and limit_key <> ''
		union
		select l.id from lanes as t join lanes as l using (rate_key) where t.id = any (touched) and rate_key <> '') as both_keys;
	insert into limits (key)
		select distinct key from lanes cross join lateral (values (limit_key), (rate_key)) as k (key)
		where id = any (near) and key <> '' order by key
		on conflict (key) do update set running = limits.running;
	return near;
end $$;

-- limits_promote makes ready, of each lane, as many of the first as may start, up to 1000 of them,
-- and returns the queues of those that it made so. Where another transaction holds one of these, it
-- asks to be looked at again soon.
create function limits_promote(near bigint[]) returns text[] language plpgsql strict set search_path from current as $$
declare
	at timestamptz := clock_timestamp();
	woken text[];
	missed bigint[];
begin
	with free as (
		select l.id, greatest(0, least(1000,
			case when l.most > 0 then l.most - k.running else 1000 end,
			case when l.every > 0 then l.burst - ceil(extract(epoch from greatest(r.clock, at) - at) * 1000000 / l.every) else 1000 end
		))::bigint as n
		from lanes as l left join limits as k on k.key = l.limit_key left join limits as r on r.key = l.rate_key
		where l.id = any (near)
	), first as (
		select f.id as lane, x.id from free as f cross join lateral (
			select * from (
				(select id, state, priority, run_at from jobs where lane = f.id and state = 2 order by priority, run_at, id limit f.n)
				union all
				(select id, state, priority, run_at from jobs where lane = f.id and state = 0 order by priority, run_at, id limit f.n)
			) as waiting order by priority, run_at, id limit f.n) as x
		where x.state = 0
	), locked as materialized (
		select id from jobs where id = any (array(select id from first)) and state = 0 for update skip locked
	), done as (
		update jobs set state = 2 where id = any (array(select id from locked)) returning queue
	)
	select (select array_agg(distinct queue) from done),
			(select array_agg(distinct lane) from first where id not in (select id from locked))
		into woken, missed;
	update lanes as l set wake_at = w.at
		from (
			select l.id, least(
				case when l.id = any (missed) then at + interval '100 milliseconds' end,
				case when l.every > 0 and greatest(r.clock, at) > at and exists (select from jobs where lane = l.id and state = 0)
				then r.clock - greatest(0, l.burst - 1 - greatest(0, l.burst - ceil(extract(epoch from r.clock - at) * 1000000 / l.every)))
					* l.every * interval '1 microsecond' end) as at
			from lanes as l left join limits as r on r.key = l.rate_key
			where l.id = any (near) and (l.every > 0 or l.wake_at is not null or l.id = any (missed))
		) as w
		where l.id = w.id and l.wake_at is distinct from w.at;
	return woken;
end $$;

-- limits_settle looks anew at lanes in which a job has come to wait, or is gone that did.
create function limits_settle(touched bigint[]) returns text[] language sql strict set search_path from current as $$
	select limits_promote(limits_lock(touched));
$$;

-- limits_leave frees a slot for each of the lanes, which are named as often as jobs of them were
-- started and are so no more.
create function limits_leave(touched bigint[]) returns text[] language plpgsql strict set search_path from current as $$
declare
	near bigint[] := limits_lock(touched);
begin
	update limits as k set running = greatest(0, k.running - f.n)
		from (select limit_key, count(*) as n from unnest(touched) as t (id) join lanes using (id) group by limit_key) as f
		where k.key = f.limit_key;
	return limits_promote(near);
end $$;

-- limits_enter starts those of some ready jobs that their limits allow, in the order of jobs, and
-- holds back the others.
create function limits_enter(worker text, wanted uuid[]) returns setof jobs language plpgsql set search_path from current as $$
declare
	touched bigint[];
	near bigint[];
	mine bigint;
	at timestamptz;
	j record;
	seen uuid[];
	taken uuid[] := '{}';
	barred uuid[] := '{}';
begin
	select beats into mine from owners where name = worker and expires_at > clock_timestamp() for key share;
	if not found then
		return;
	end if;
	with l as materialized (select id, lane from jobs where id = any (wanted) and state = 2 for update skip locked)
	select array_agg(id), array_agg(distinct lane) into seen, touched from l;
	if seen is null then
		return;
	end if;
	near := limits_lock(touched);
	at := clock_timestamp();
	for j in
		select x.id, l.limit_key, l.most, l.rate_key, l.every * interval '1 microsecond' as every, l.burst
		from jobs as x join lanes as l on l.id = x.lane where x.id = any (seen)
		order by x.priority, x.run_at, x.id
	loop
		if j.most > 0 and exists (select from limits where key = j.limit_key and running >= j.most)
			or j.every > interval '0' and exists (select from limits where key = j.rate_key and clock - (j.burst - 1) * j.every > at) then
			barred := barred || j.id;
			continue;
		end if;
		update limits set running = running + 1 where j.limit_key <> '' and key = j.limit_key;
		update limits set clock = greatest(clock, at) + j.every where j.every > interval '0' and key = j.rate_key;
		taken := taken || j.id;
	end loop;
	update jobs set state = 0 where id = any (barred);
	return query update jobs set state = 3, epoch = 1 - epoch, attempt = attempt + 1, owner = worker, holder = worker, beat = mine,
			started_at = at, unique_waiting = null
		where id = any (taken) returning *;
	perform limits_promote(near);
end $$;
