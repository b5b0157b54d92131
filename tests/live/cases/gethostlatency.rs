//! Cases of gethostlatency.

use serde_json::Value;

use crate::case::{CASE, Case, Need};

const LOOKUPS: Case = Case {
    args: &["gethostlatency", "-a", "--json", "-n", "lookups"],
    shows: &[
        r#"{"type": "event", "call": "getaddrinfo", "result": "OK", "host": "127.0.0.9", "addresses": ["127.0.0.9"]}"#,
        r#"{"call": "getaddrinfo", "result": "OK", "host": "::7", "addresses": ["::7"]}"#,
        r#"{"call": "getaddrinfo", "result": "EAI_NONAME", "host": "no name", "addresses": null}"#,
        r#"{"call": "gethostbyname", "result": "OK", "host": "127.0.0.1", "addresses": ["127.0.0.1"]}"#,
        r#"{"call": "gethostbyname2", "result": "OK", "host": "127.0.0.2", "addresses": ["127.0.0.2"]}"#,
        r#"{"call": "gethostbyname_r", "result": "OK", "host": "127.0.0.3", "addresses": ["127.0.0.3"]}"#,
        r#"{"call": "gethostbyname2_r", "result": "OK", "host": "127.0.0.4", "addresses": ["127.0.0.4"]}"#,
    ],
    events: Some(7),
    ..CASE
};

/// A name server that answers late, once, and knows no name.
const LATE: Case = Case {
    within: &["$SELF", "helper", "in-network", "$SELF", "helper", "without", "/etc/resolv.conf"],
    command: &["$LOOKUPS", "late"],
    ..CASE
};

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    Case {
        name: "lookups_with_glibc",
        command: &["$LOOKUPS"],
        ..LOOKUPS
    },
    Case {
        name: "lookups_with_musl",
        command: &["$MUSL_LOOKUPS"],
        needs: &[Need::Musl],
        ..LOOKUPS
    },
    Case {
        // musl's functions use each other.
        name: "lookups_counted",
        args: &["gethostlatency", "--count", "--json", "-n", "lookups"],
        command: &["$MUSL_LOOKUPS"],
        needs: &[Need::Musl],
        events: Some(7),
        ..CASE
    },
    Case {
        name: "lookups_summed_up_by_host",
        args: &["gethostlatency", "--top", "-i", "90", "--json", "-n", "lookups"],
        command: &["sh", "-c", "$LOOKUPS; $LOOKUPS"],
        shows: &[
            r#"{"type": "interval", "host": "127.0.0.9", "count": 2, "errors": 0, "call": null}"#,
            r#"{"type": "interval", "host": "no name", "count": 2, "errors": 2}"#,
        ],
        events: Some(14),
        also: |run| {
            let lines = run.json()?;
            let rows = lines.iter().filter(|line| line["type"] == "interval");
            let number = |row: &Value, key: &str| row[key].as_u64().unwrap_or(0);
            let is_good = |row: &Value| {
                let (p50, p99, max) = (number(row, "p50_ns"), number(row, "p99_ns"), number(row, "max_ns"));
                0 < p50 && p50 <= p99 && p99 <= max && max <= number(row, "total_ns")
                    && number(row, "mean_ns") == number(row, "total_ns") / number(row, "count")
            };
            match rows.clone().find(|row| !is_good(row)) {
                Some(row) => Err(row.to_string()),
                None => Ok(()),
            }
        },
        ..CASE
    },
    Case {
        name: "lookups_that_end_with_the_process",
        args: &["gethostlatency", "-x", "--json", "-n", "lookups"],
        command: &["$LOOKUPS", "end"],
        shows: &[
            r#"{"call": "getaddrinfo", "result": "ENDED", "host": "127.0.0.9"}"#,
            r#"{"type": "summary", "produced": 1, "delivered": 1, "lost": {}}"#,
        ],
        ..CASE
    },
    Case {
        // A name server that does not answer: more wait than there used to be room for.
        name: "lookups_while_many_wait",
        args: &["gethostlatency", "--json", "-n", "lookups"],
        within: &["$SELF", "helper", "in-network", "$SELF", "helper", "without", "/etc/resolv.conf"],
        command: &["$LOOKUPS", "wait", "540"],
        shows: &[
            r#"{"call": "getaddrinfo", "result": "OK", "host": "127.0.0.9"}"#,
            r#"{"call": "getaddrinfo", "result": "ENDED", "host": "waits.example"}"#,
            r#"{"type": "summary", "produced": 541, "delivered": 541, "lost": {}}"#,
        ],
        ..CASE
    },
    Case {
        name: "lookups_that_are_slow",
        args: &["gethostlatency", "--json", "-n", "lookups", "--slower", "300"],
        shows: &[r#"{"result": "EAI_NONAME", "host": "late.example.", "errno": null}"#],
        events: Some(1),
        ..LATE
    },
    Case {
        name: "lookups_that_are_not_slow",
        args: &["gethostlatency", "--json", "-n", "lookups", "--slower", "1000s"],
        shows: &[r#"{"type": "summary", "produced": 0, "delivered": 0, "lost": {}}"#],
        ..LATE
    },
    Case {
        // glibc's gethostbyname_r returns 0 too where there is no such name.
        name: "lookups_that_fail",
        args: &["gethostlatency", "--json", "-n", "lookups", "-x"],
        shows: &[
            r#"{"call": "getaddrinfo", "result": "EAI_NONAME", "host": "late.example."}"#,
            r#"{"call": "gethostbyname_r", "result": "NOT_FOUND", "host": "nobody.example.", "errno": null}"#,
            r#"{"call": "gethostbyname2_r", "result": "ERANGE", "host": "127.0.0.4", "errno": "ERANGE"}"#,
            r#"{"call": "gethostbyname", "result": "FAILED", "host": "nothing.example.", "errno": null}"#,
        ],
        events: Some(4),
        ..LATE
    },
    Case {
        name: "lookups_that_fail_counted",
        args: &["gethostlatency", "--json", "-n", "lookups", "-x", "--count=comm", "-i", "90"],
        shows: &[r#"{"type": "interval", "comm": "lookups", "count": 4}"#],
        ..LATE
    },
    Case {
        name: "lookups_of_odd_names",
        args: &["gethostlatency", "--json", "-n", "lookups"],
        command: &["$LOOKUPS", "odd"],
        also: |run| {
            let lines = run.json()?;
            let lens = lines.iter().filter_map(|line| Some(line["host"].as_str()?.len()));
            let lens = lens.collect::<Vec<_>>();
            if lens == [0, 254, 255, 256, 1000, 1023] { Ok(()) } else { Err(format!("{lens:?}")) }
        },
        ..CASE
    },
    Case {
        name: "lookups_table",
        args: &["gethostlatency", "-n", "lookups"],
        command: &["$LOOKUPS"],
        also: |run| {
            let lines = run.stdout.lines().collect::<Vec<_>>();
            let header = lines[0].split_whitespace().collect::<Vec<_>>();
            let good = header == ["TIME", "PID", "COMM", "LATENCY", "RESULT", "HOST"]
                && lines.len() == 8
                && lines[3].contains(" EAI_NONAME   no name");
            if good { Ok(()) } else { Err("not the lines that were expected".into()) }
        },
        ..CASE
    },
    Case {
        name: "lookups_in_one_library",
        args: &["gethostlatency", "-l", "c", "--json", "-n", "lookups"],
        command: &["$LOOKUPS"],
        shows: &[r#"{"type": "event", "comm": "lookups"}"#],
        ..CASE
    },
    Case {
        name: "lookups_in_another_library",
        args: &["gethostlatency", "-l", "c", "--json", "-n", "lookups"],
        command: &["$MUSL_LOOKUPS"],
        needs: &[Need::Musl],
        events: Some(0),
        ..CASE
    },
];
