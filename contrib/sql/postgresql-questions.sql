-- The same questions to PostgreSQL: psql -v host=... -v time=... -v path=... -f postgresql-questions.sql

-- name: before
-- What ran on this host before that?
select record->>'time', record->'pid', record->'ppid', record->>'parent_comm', record->'args' from events
where host = :'host' and record->>'time' < :'time' and record->>'tool' = 'execsnoop'
order by record->>'time' desc limit 20;

-- name: deleted
-- Who deleted it, on any host?
select host, record->>'time', record->>'comm', record->'pid', record->>'parent_comm', record->'uid', record->>'path' from events
where record->>'path' like :'path' and record->>'tool' = 'unlinksnoop' and not record ? 'errno'
order by record->>'time' desc limit 20;

-- name: failed
-- What failed most, and where?
select record->>'tool', record->>'comm', record->>'errno', record->>'path', count(*) as times, count(distinct host) as hosts from events
where record ? 'errno'
group by 1, 2, 3, 4 order by times desc, 4 limit 20;
