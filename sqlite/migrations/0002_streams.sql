create table stream_offsets (
	grp     text not null,
	topic   text not null,
	part    integer not null,
	stream  text not null,
	next    integer not null,
	epoch   integer not null,
	owner   text not null,
	through integer not null,
	primary key (grp, topic, part)
) without rowid;

create table dead_letters (
	id     blob primary key,
	sent   integer not null,
	dead   integer not null,
	reason text not null,
	mark   text not null,
	grp    text not null,
	topic  text not null,
	part   integer not null,
	stream text not null,
	first  integer not null,
	next   integer not null,
	at     integer not null,
	key    blob,
	header text,
	body   blob
);
create index dead_letters_unsent on dead_letters (id) where sent = 0;
create index dead_letters_sent on dead_letters (dead) where sent = 1;

insert into counts values ('stream_offsets', 0), ('dead_letters', 0);
