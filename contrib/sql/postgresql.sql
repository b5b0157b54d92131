-- PostgreSQL: all records of all hosts, as they are, each once however often it comes.

create table events (
	host text not null,
	record jsonb not null,
	-- A line is its own key: it has its time in nanoseconds and who did it.
	key uuid generated always as (md5(record::text)::uuid) stored,
	primary key (host, key)
);
-- Times are in one form, UTC with nine digits: as texts they are in their order, and keep their nanoseconds.
create index on events (host, (record->>'time'));
create index on events using gin ((record->>'path') gin_trgm_ops);
create index on events ((record->>'errno')) where record ? 'errno';
