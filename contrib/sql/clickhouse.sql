-- ClickHouse: one table for the events of all tools. Keys that a tool has not are empty and cost next to nothing.

-- name: table
create table if not exists events (
	host LowCardinality(String),
	tool LowCardinality(String),
	time DateTime64(9, 'UTC') codec(Delta, ZSTD),
	comm LowCardinality(String),
	pid UInt32,
	ppid UInt32,
	parent_comm LowCardinality(Nullable(String)),
	uid UInt32,
	container LowCardinality(Nullable(String)),
	ret Nullable(Int64),
	errno LowCardinality(Nullable(String)),
	kind LowCardinality(Nullable(String)),
	path Nullable(String) codec(ZSTD),
	exe LowCardinality(Nullable(String)),
	cwd LowCardinality(Nullable(String)),
	args Array(Nullable(String)) codec(ZSTD),
	fd Nullable(Int64),
	flags Array(LowCardinality(String))
) engine = MergeTree order by (host, tool, time) partition by toDate(time)
ttl toDateTime(time) + interval 400 day;

-- name: load
-- The collector's files; Vector, Fluent Bit and the OpenTelemetry Collector insert by themselves.
insert into events
select splitByChar('/', _path)[-2], tool, parseDateTime64BestEffort(time, 9, 'UTC'), comm, pid, ppid, parent_comm, uid, container, ret,
	errno, kind, path, exe, cwd, args, fd, flags
from file('{store}/*/*.json', JSONEachRow, 'type String, tool String, time String, comm String, pid UInt32, ppid UInt32,
	parent_comm Nullable(String), uid UInt32, container Nullable(String), ret Nullable(Int64), errno Nullable(String),
	kind Nullable(String), path Nullable(String), exe Nullable(String), cwd Nullable(String), args Array(Nullable(String)),
	fd Nullable(Int64), flags Array(String)')
where type = 'event'
settings input_format_skip_unknown_fields = 1;

-- name: before
-- What ran on this host before that?
select time, pid, ppid, parent_comm, args from events
where host = {host:String} and tool = 'execsnoop' and time < {time:DateTime64(9)}
order by time desc limit 20;

-- name: deleted
-- Who deleted it, on any host?
select host, time, comm, pid, parent_comm, uid, path from events
where tool = 'unlinksnoop' and errno is null and path like {path:String}
order by time desc limit 20;

-- name: failed
-- What failed most, and where?
select tool, comm, errno, path, count() as times, uniqExact(host) as hosts from events
where errno is not null
group by all order by times desc, path limit 20;
