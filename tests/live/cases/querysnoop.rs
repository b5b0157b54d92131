//! Cases of querysnoop.

use crate::case::{CASE, Case, Need};

const STAND_IN: Case = Case {
    args: &["querysnoop", "--server", "$CALLS", "--json"],
    command: &["$CALLS", "mysql", "select 'a stand-in'"],
    needs: &[Need::Usdt],
    ..CASE
};

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    Case {
        name: "queries_of_postgresql",
        args: &["querysnoop", "--server", "$POSTGRES", "--json"],
        command: &[
            "$SELF", "helper", "serve", "postgresql", "$POSTGRES_DATA",
            "select 1", "select pg_sleep(0.2)", "select nonsense", "extended: select 7 + 8;\n", "select 'LONG'",
        ],
        needs: &[Need::Postgresql],
        shows: &[
            r#"{"type": "event", "tool": "querysnoop", "comm": "postgres", "user": "alice", "command": "query", "query": "select 1"}"#,
            r#"{"user": "alice", "query": "select pg_sleep(0.2)"}"#,
            r#"{"user": "alice", "query": "select nonsense", "query_truncated": null}"#,
            r#"{"user": "alice", "query": "select 7 + 8;"}"#,
            r#"{"user": "alice", "query_truncated": true}"#,
        ],
        also: |run| {
            let lines = run.json()?;
            let with = |text: &str| lines.iter().filter(|line| line["query"] == text).collect::<Vec<_>>();
            let [sleep] = with("select pg_sleep(0.2)")[..] else { return Err("not one sleep".into()) };
            // It is told of when it is parsed, bound and executed.
            let [_] = with("select 7 + 8;")[..] else { return Err("not one extended query".into()) };
            let long = lines.iter().find(|line| line["query_truncated"] == true);
            let len = long.and_then(|line| line["query"].as_str()).map_or(0, str::len);
            let good = sleep["latency_ns"].as_u64() >= Some(200_000_000) && len == 65535;
            if good { Ok(()) } else { Err(format!("not its latency, or {len} bytes")) }
        },
        ..CASE
    },
    Case {
        name: "queries_of_mariadb",
        args: &["querysnoop", "--server", "$MARIADBD", "--json"],
        command: &[
            "$SELF", "helper", "serve", "mariadb", "$MARIADB_DATA",
            "select 1; select sleep(0.2); select nonsense", "select 'LONG'",
        ],
        needs: &[Need::Mariadb],
        shows: &[
            r#"{"type": "event", "comm": "mariadbd", "user": null, "command": "query", "query": "select 1"}"#,
            r#"{"query": "select sleep(0.2)"}"#,
            r#"{"query": "select nonsense", "query_truncated": null}"#,
            r#"{"query_truncated": true}"#,
        ],
        also: |run| {
            let lines = run.json()?;
            let sleep = lines.iter().find(|line| line["query"] == "select sleep(0.2)");
            let latency = sleep.and_then(|line| line["latency_ns"].as_u64());
            if latency >= Some(200_000_000) { Ok(()) } else { Err(format!("{latency:?}")) }
        },
        ..CASE
    },
    Case {
        name: "queries_of_postgresql_that_fail",
        args: &["querysnoop", "--server", "$POSTGRES", "--json", "-x"],
        command: &[
            "$SELF", "helper", "serve", "postgresql", "$POSTGRES_DATA",
            "select 1", "selec 1", "select * from missing", "create table t(i int primary key)",
            "insert into t values(1)", "insert into t values(1)", "extended: insert into t values(1);\n",
            "do $$ begin perform 1/0; exception when others then null; end $$",
            "do $$ begin raise notice 'none'; end $$",
            "do $$ begin perform 1/0; end $$",
            "set statement_timeout = 1; select pg_sleep(60)",
            "select pg_terminate_backend(pg_backend_pid())",
            // Longer than what is kept of a query: what is told of it stands behind the whole.
            "select 'LONG'::int", "drop table t",
        ],
        needs: &[Need::Postgresql],
        shows: &[
            r#"{"type": "event", "user": "alice", "database": "postgres", "error": "42601", "sqlstate": "42601", "error_message": "syntax error at or near \"selec\"", "query": "selec 1"}"#,
            r#"{"error": "42P01", "error_message": "relation \"missing\" does not exist", "query": "select * from missing"}"#,
            r#"{"error": "23505", "query": "insert into t values(1)"}"#,
            r#"{"error": "23505", "query": "insert into t values(1);"}"#,
            r#"{"error": "22012", "error_message": "division by zero", "query": "do $$ begin perform 1/0; end $$"}"#,
            r#"{"error": "57014", "query": "set statement_timeout = 1; select pg_sleep(60)"}"#,
            r#"{"error": "57P01", "query": "select pg_terminate_backend(pg_backend_pid())"}"#,
            r#"{"error": "22P02", "query_truncated": true, "error_message_truncated": true}"#,
        ],
        events: Some(8),
        ..CASE
    },
    Case {
        // It has its own process killed.
        name: "queries_that_end_with_the_server",
        args: &["querysnoop", "--server", "$POSTGRES", "--json", "-x"],
        command: &[
            "$SELF", "helper", "serve", "postgresql", "$POSTGRES_DATA",
            "copy (select 1) to program 'kill -9 $PPID'",
        ],
        needs: &[Need::Postgresql],
        shows: &[r#"{"user": "alice", "database": "postgres", "error": "ENDED", "sqlstate": null, "query": "copy (select 1) to program 'kill -9 $PPID'"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "queries_of_mariadb_that_fail",
        args: &["querysnoop", "--server", "$MARIADBD", "--json", "-x"],
        command: &[
            "$SELF", "helper", "serve", "mariadb", "$MARIADB_DATA",
            "select 1", "selec 1", "select * from missing.t",
            "create database shop; create table shop.t(i int primary key); insert into shop.t values(1)",
            "insert into shop.t values(1)",
            "prepare q from 'insert into shop.t values(?)'; set @i = 1; execute q using @i",
            "delimiter //\nbegin not atomic declare continue handler for sqlexception begin end; select * from shop.missing; end//",
            "set statement max_statement_time = 0.01 for select sleep(60)",
            "select LONG",
            "drop database shop",
        ],
        needs: &[Need::Mariadb],
        shows: &[
            r#"{"type": "event", "error": "1064", "sqlstate": "42000", "query": "selec 1"}"#,
            r#"{"error": "1146", "sqlstate": "42S02", "error_message": "Table 'missing.t' doesn't exist", "query": "select * from missing.t"}"#,
            r#"{"error": "1062", "sqlstate": "23000", "query": "insert into shop.t values(1)"}"#,
            r#"{"error": "1062", "sqlstate": "23000", "query": "execute q using @i"}"#,
            r#"{"error": "1969", "sqlstate": "70100", "query": "set statement max_statement_time = 0.01 for select sleep(60)"}"#,
            r#"{"query_truncated": true, "database": null}"#,
        ],
        events: Some(6),
        ..CASE
    },
    Case {
        name: "queries_by_the_probes_of_mysql",
        shows: &[r#"{"comm": "calls", "user": "bob", "database": "shop", "error": null, "command": "query", "query": "select 'a stand-in'"}"#],
        events: Some(1),
        ..STAND_IN
    },
    Case {
        name: "queries_that_fail_by_the_probes_of_mysql",
        args: &["querysnoop", "--server", "$CALLS", "-x", "--json"],
        command: &["$CALLS", "mysql", "wrong"],
        shows: &[r#"{"user": "bob", "database": "shop", "error": "FAILED", "sqlstate": null, "query": "wrong"}"#],
        events: Some(1),
        ..STAND_IN
    },
    Case {
        name: "queries_without_values",
        args: &["querysnoop", "--server", "$CALLS", "--fields", "normalized_query", "--json"],
        command: &["$CALLS", "mysql", "select \"a\", b from t -- why\nwhere c in (1, 2)"],
        shows: &[r#"{"type": "event", "normalized_query": "select ?, b from t where c in (?+)", "query": null}"#],
        events: Some(1),
        ..STAND_IN
    },
    Case {
        name: "queries_summed_up_without_values",
        args: &["querysnoop", "--server", "$CALLS", "--top", "-i", "90", "--json"],
        command: &["sh", "-c", "for i in 1 2 3; do $CALLS mysql \"select $i\"; done; $CALLS mysql wrong"],
        shows: &[
            r#"{"type": "interval", "normalized_query": "select ?", "count": 3, "errors": 0, "query": null}"#,
            r#"{"type": "interval", "normalized_query": "wrong", "count": 1, "errors": 1}"#,
        ],
        events: Some(4),
        ..STAND_IN
    },
    Case {
        name: "queries_summed_up_by_fields",
        args: &["querysnoop", "--server", "$CALLS", "--top=user,database,error", "-i", "90", "--json"],
        command: &["sh", "-c", "for i in 1 2 3; do $CALLS mysql \"select $i\"; done; $CALLS mysql wrong"],
        shows: &[
            r#"{"type": "interval", "user": "bob", "database": "shop", "error": null, "count": 3}"#,
            r#"{"type": "interval", "user": "bob", "database": "shop", "error": "FAILED", "count": 1}"#,
        ],
        events: Some(4),
        ..STAND_IN
    },
    Case {
        name: "queries_that_do_not_fail",
        args: &["querysnoop", "--server", "$CALLS", "--failed", "--json"],
        shows: &[r#"{"type": "summary", "produced": 0, "delivered": 0, "lost": {}}"#],
        ..STAND_IN
    },
    Case {
        name: "queries_that_cannot_be_read",
        args: &["querysnoop", "--server", "$CALLS"],
        command: &["$CALLS", "mysql", ""],
        also: |run| {
            let good = run.stdout.lines().any(|line| line.contains(" bob ") && line.ends_with(" [?]"));
            if good { Ok(()) } else { Err("no [?]".into()) }
        },
        ..STAND_IN
    },
    Case {
        // More than there used to be room for.
        name: "queries_while_many_wait",
        command: &["$CALLS", "mysql", "select 'a stand-in'", "700"],
        shows: &[r#"{"type": "summary", "produced": 700, "delivered": 700, "lost": {}}"#],
        ..STAND_IN
    },
    Case {
        name: "queries_that_are_slow",
        // It takes 10 milliseconds, or more.
        args: &["querysnoop", "--server", "$CALLS", "--slower", "10", "-n", "calls", "--json"],
        events: Some(1),
        ..STAND_IN
    },
    Case {
        name: "queries_that_are_not_slow",
        args: &["querysnoop", "--server", "$CALLS", "--slower", "10000", "--json"],
        shows: &[r#"{"type": "summary", "produced": 0, "delivered": 0, "lost": {}}"#],
        ..STAND_IN
    },
    Case {
        name: "queries_counted",
        args: &["querysnoop", "--server", "$CALLS", "--count=comm", "-n", "one_c", "-i", "90", "--json"],
        shows: &[r#"{"type": "interval", "comm": "calls", "count": 1}"#],
        ..STAND_IN
    },
    Case {
        name: "alias_dbslower",
        args: &["dbslower", "mysql", "--exe", "$CALLS", "-m", "10", "-n", "calls", "--json"],
        shows: &[r#"{"tool": "querysnoop", "query": "select 'a stand-in'"}"#],
        events: Some(1),
        ..STAND_IN
    },
    Case {
        name: "alias_dbslower_has_a_threshold",
        args: &["dbslower", "--threshold", "10000", "--exe", "$CALLS", "--json"],
        events: Some(0),
        ..STAND_IN
    },
    Case {
        // One that is found while it waits.
        name: "queries_of_servers_of_a_kind",
        args: &["dbslower", "postgres", "--json"],
        command: &[
            "$SELF", "helper", "serve", "postgresql", "$POSTGRES_DATA", "select pg_sleep(4)", "select pg_sleep(0.1)",
        ],
        needs: &[Need::Postgresql],
        shows: &[r#"{"comm": "postgres", "query": "select pg_sleep(0.1)"}"#],
        ..CASE
    },
    Case {
        name: "queries_of_servers_of_another_kind",
        args: &["querysnoop", "mysql", "--json"],
        command: &[
            "$SELF", "helper", "serve", "postgresql", "$POSTGRES_DATA", "select pg_sleep(4)", "select pg_sleep(0.1)",
        ],
        needs: &[Need::Postgresql],
        events: Some(0),
        ..CASE
    },
];
