-- psql -v host=web1 -f postgresql-copy.sql <FILE: the lines of a host's file, those that are there already too.
-- The marks are two bytes that JSON Lines never contain, so that a line is one column as it is.
begin;
create temporary table lines (record jsonb) on commit drop;
\copy lines from pstdin (format csv, delimiter e'\x02', quote e'\x01');
insert into events (host, record) select :'host', record from lines on conflict do nothing;
commit;
