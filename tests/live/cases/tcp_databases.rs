//! Cases of tcpsnoop with Redis and PostgreSQL, which say themselves what went by their connections.

use super::tcp_web::{ends_agree, sent_and_received};
use super::tcpsnoop::{IN_NETWORK, JSON, check, events, number};
use crate::case::{CASE, Case, Need};
use crate::run::Run;

/// What Redis has counted until it was asked by a socket of its own.
fn redis_says(run: &Run, key: &str) -> Result<u64, String> {
    let value = run.stderr.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    value.and_then(|value| value.trim().parse().ok()).ok_or_else(|| format!("no {key}"))
}

/// Without the one that asks, and the one that has waited for Redis.
fn redis_has_accepted(run: &Run) -> Result<u64, String> {
    Ok(redis_says(run, "total_connections_received")?.saturating_sub(2))
}

fn redis_agrees(run: &Run) -> Result<(), String> {
    ends_agree(run)?;
    let closes = events(run, "close")?;
    let closes =
        closes.iter().filter(|close| close["comm"] == "redis-server").map(sent_and_received);
    let (sent, received) = closes.clone().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let asking = "*2\r\n$4\r\ninfo\r\n$5\r\nstats\r\n".len() as u64;
    let shown = [closes.count() as u64, received + asking, sent];
    let said = [
        redis_has_accepted(run)?,
        redis_says(run, "total_net_input_bytes")?,
        redis_says(run, "total_net_output_bytes")?,
    ];
    check(said == shown, || format!("{said:?}, not {shown:?}"))
}

/// A connect, an accept and two closes for each connection, of which some may be lost.
fn redis_agrees_with_the_accounts(run: &Run) -> Result<(), String> {
    let lines = run.json()?;
    let end = lines.last().ok_or("nothing")?;
    let (accepted, produced) = (redis_has_accepted(run)?, number(end, "produced"));
    // A program that the kernel skips might have shown any of them, or none.
    let skipped = number(&end["lost"], "recursion");
    let good = accepted >= 2000 && produced.abs_diff(accepted * 4) <= skipped * 4;
    check(good, || format!("{accepted} connections: {end}"))
}

/// Of two answers, one is 1000 bytes longer.
fn answers_differ(run: &Run) -> Result<(), String> {
    ends_agree(run)?;
    let closes = events(run, "close")?;
    let of_psql = closes.iter().filter(|close| close["comm"] == "psql").map(sent_and_received);
    let of_psql = of_psql.collect::<Vec<_>>();
    let [(asked, short), (asked_again, long)] = of_psql[..] else {
        return Err(format!("{of_psql:?}"));
    };
    let good = asked == asked_again && short > 1_000_000 && long == short + 1000;
    check(good, || format!("{of_psql:?}"))
}

/// A subscriber is there, the server is traced, and somebody publishes. `$0` is a directory.
const WAS_THERE: &str = r#"
    cd "$0"
    redis-cli subscribe news >said &
    subscriber=$!
    until busybox grep -q 1 said; do kill -0 $subscriber || exit 97; done
    "$@" -p $SERVER -v 2>log &
    until busybox grep -q ': attached' log; do kill -0 $! || exit 98; done
    redis-cli publish news hello >published
    until busybox grep -q hello said; do kill -0 $subscriber || exit 97; done
    kill $subscriber
    wait $subscriber
    # The trace ends with the server.
    kill $SERVER
    wait $!"#;

/// Whose answers are long, and who asks often. `$0` is a directory.
const ASKED: &str = r#"
    echo pid $SERVER >&2
    for len in 1000000 1001000; do
        psql -h 127.0.0.1 -U alice -X -q -o /dev/null -c "select repeat('x', $len)" postgres
    done
    cd "$0"
    echo 'select 1;' >script
    pgbench -h 127.0.0.1 -U alice -n -f script -C -c 4 -j 2 -t 10 postgres >&2"#;

/// The process that serves a client is traced. `$0` is a directory.
const SERVED: &str = r#"
    cd "$0"
    busybox mkfifo go
    psql -h 127.0.0.1 -U alice -X -q -A -t postgres <go >said &
    client=$!
    exec 3>go
    echo "select 'pid', pg_backend_pid();" >&3
    until busybox grep -q pid said; do kill -0 $client || exit 97; done
    busybox tr '|' ' ' <said >&2
    "$@" -p $(busybox sed 's/pid.//' said) -v 2>log 3>&- &
    until busybox grep -q ': attached' log; do kill -0 $! || exit 98; done
    exec 3>&-
    wait $client
    # The trace ends with the process.
    wait $!"#;

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    Case {
        // By its protocol: "*1", "$4", "PING" and "+PONG", each with the end of its line.
        name: "tcpsnoop_redis",
        within: IN_NETWORK,
        args: JSON,
        command: &[
            "$SELF", "helper", "with-server", "redis", "$REDIS_DATA",
            "sh", "-c", "echo pid $SERVER >&2; for i in 1 2 3; do redis-cli -r 5 ping >&2; done",
        ],
        needs: &[Need::Redis],
        shows: &[
            r#"{"kind": "accept", "comm": "redis-server", "pid": $PID, "lport": 6379, "before_start": false}"#,
            r#"{"kind": "close", "comm": "redis-server", "pid": $PID, "lport": 6379, "result": "OK", "bytes_sent": 35, "bytes_received": 70}"#,
            r#"{"kind": "close", "comm": "redis-cli", "rport": 6379, "result": "OK", "bytes_sent": 70, "bytes_received": 35}"#,
        ],
        events: Some(12),
        also: ends_agree,
        ..CASE
    },
    Case {
        name: "tcpsnoop_redis_counts_itself",
        within: IN_NETWORK,
        args: JSON,
        command: &[
            "$SELF", "helper", "with-server", "redis", "$REDIS_DATA",
            "sh", "-c", "redis-benchmark -q -c 20 -n 1000 -t ping,set >&2 && redis-cli -s $REDIS_DATA/socket info stats >&2",
        ],
        needs: &[Need::Redis],
        also: redis_agrees,
        ..CASE
    },
    Case {
        // A connection for each of its requests.
        name: "tcpsnoop_redis_is_accounted_for",
        within: IN_NETWORK,
        args: JSON,
        command: &[
            "$SELF", "helper", "with-server", "redis", "$REDIS_DATA",
            "sh", "-c", "redis-benchmark -q -k 0 -c 50 -n 1000 -t ping >&2 && redis-cli -s $REDIS_DATA/socket info stats >&2",
        ],
        needs: &[Need::Redis],
        also: redis_agrees_with_the_accounts,
        ..CASE
    },
    Case {
        // The server waits, and a connection is there: "*2", "$9", "subscribe", "$4" and "news" have gone by it, with
        // an answer of the same and "*3", ":1" and later "*3", "$7", "message", "$4", "news", "$5" and "hello".
        name: "tcpsnoop_redis_was_there",
        within: &[
            "$SELF", "helper", "in-network", "$SELF", "helper", "with-server", "redis", "$REDIS_DATA",
            "sh", "-c", WAS_THERE, "$DIR",
        ],
        args: JSON,
        needs: &[Need::Redis],
        shows: &[
            r#"{"kind": "accept", "comm": "redis-server", "lport": 6379, "before_start": false}"#,
            r#"{"kind": "close", "comm": "redis-server", "result": "OK", "before_start": false, "bytes_sent": 4, "bytes_received": 38}"#,
            r#"{"kind": "close", "comm": "redis-server", "result": "OK", "before_start": true, "duration_ns": null, "bytes_sent": 71, "bytes_received": 29}"#,
        ],
        events: Some(3),
        ..CASE
    },
    Case {
        // Who accepts a connection has it, though another process serves it. pgbench has one for each of its 40
        // transactions, and one before those.
        name: "tcpsnoop_postgresql",
        within: IN_NETWORK,
        args: JSON,
        command: &["$SELF", "helper", "with-server", "postgresql", "$POSTGRES_DATA", "sh", "-c", ASKED, "$DIR"],
        needs: &[Need::Postgresql],
        shows: &[
            r#"{"kind": "connect", "comm": "psql", "raddr": "127.0.0.1", "rport": 5432, "result": "OK"}"#,
            r#"{"kind": "accept", "comm": "postgres", "pid": $PID, "lport": 5432}"#,
            r#"{"kind": "close", "comm": "postgres", "pid": $PID, "lport": 5432, "result": "OK"}"#,
            r#"{"kind": "close", "comm": "psql", "rport": 5432, "result": "OK"}"#,
        ],
        events: Some(172),
        also: answers_differ,
        ..CASE
    },
    Case {
        // Of one from before the trace it is not known who accepted it.
        name: "tcpsnoop_postgresql_was_there",
        within: &[
            "$SELF", "helper", "in-network", "$SELF", "helper", "with-server", "postgresql", "$POSTGRES_DATA",
            "sh", "-c", SERVED, "$DIR",
        ],
        args: JSON,
        needs: &[Need::Postgresql],
        shows: &[r#"{"kind": "close", "comm": "postgres", "pid": $PID, "lport": 5432, "result": "OK", "before_start": true, "duration_ns": null}"#],
        events: Some(1),
        ..CASE
    },
];
