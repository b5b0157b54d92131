-- DuckDB over the collector's files: nothing is loaded before. `duckdb -init duckdb.sql`, after
-- `set variable store = '/var/log/fleet';`. Keys that are not named here are left out: `ebtools help TOOL`
-- and --fields help tell what there is.

create or replace view lines as
select regexp_extract(filename, '([^/]+)/[^/]+$', 1) as host, * exclude (filename)
from read_json(getvariable('store') || '/*/*.json', format = 'newline_delimited', filename = true,
	maximum_object_size = 4194304, columns = {
		type: 'VARCHAR', tool: 'VARCHAR', time: 'VARCHAR', uid: 'UINTEGER', comm: 'VARCHAR', pid: 'UINTEGER', ppid: 'UINTEGER',
		parent_comm: 'VARCHAR', container: 'VARCHAR', ret: 'BIGINT', errno: 'VARCHAR', kind: 'VARCHAR', path: 'VARCHAR', exe: 'VARCHAR',
		cwd: 'VARCHAR', args: 'VARCHAR[]', fd: 'BIGINT', flags: 'VARCHAR[]', delivered: 'UBIGINT', lost: 'JSON'
	});
create or replace view events as
select * replace (time::timestamp_ns as time) from lines where type = 'event';

-- For questions that are asked often: once a day to Parquet, a twentieth of the size.
-- name: parquet
copy (select * from events order by host, tool, time)
to (getvariable('parquet')) (format parquet, compression zstd, row_group_size 100000);

-- name: before
-- What ran on this host before that?
select time, pid, ppid, parent_comm, args from events
where host = getvariable('host') and tool = 'execsnoop' and time < getvariable('time')::timestamp_ns
order by time desc limit 20;

-- name: deleted
-- Who deleted it, on any host?
select host, time, comm, pid, parent_comm, uid, path from events
where tool = 'unlinksnoop' and errno is null and path like getvariable('path')
order by time desc limit 20;

-- name: failed
-- What failed most, and where?
select tool, comm, errno, path, count(*) as times, count(distinct host) as hosts from events
where errno is not null
group by all order by times desc, path limit 20;
