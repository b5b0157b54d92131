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
        name: "queries_by_the_probes_of_mysql",
        shows: &[r#"{"comm": "calls", "user": "bob", "command": "query", "query": "select 'a stand-in'"}"#],
        events: Some(1),
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
];
