//! Cases of `tcpsnoop --rtt`. Times are what netem lets packets wait; segments what the kernel has counted.

use std::ops::Range;

use serde_json::Value;

use crate::case::{CASE, Case, Need};
use crate::run::Run;

const IN_NETWORK: &[&str] = &["$SELF", "helper", "in-network"];
/// Each way takes 200 ms.
const FAR: &[&str] =
    &["$SELF", "helper", "in-network", "sh", "-c", "$0 netem lo 0 200 && exec \"$@\"", "$CALLS"];
/// Where an emulated machine may add what is between.
const FAR_MS: Range<u64> = 400..800;
/// On lo each way takes 50 ms; to the other network, whose address is known then, 500, and back nothing.
const IN_TWO_NETWORKS: &[&str] = &[
    "$SELF",
    "helper",
    "in-two-networks",
    "sh",
    "-c",
    "busybox ip link set lo up && busybox ping -c 1 10.9.8.2 > /dev/null && $0 netem lo 0 50 && \
     $0 netem va 0 500 && exec \"$@\"",
    "$CALLS",
];
const NEAR_MS: Range<u64> = 100..500;
const FURTHER_MS: Range<u64> = 500..1000;
const MS: u64 = 1_000_000;

fn rows(run: &Run) -> Result<Vec<Value>, String> {
    Ok(run.json()?.into_iter().filter(|line| line["type"] == "interval").collect())
}

fn number(row: &Value, key: &str) -> u64 {
    row[key].as_u64().unwrap_or(0)
}

/// What the command has said of its ends: how many segments came to them.
fn told(run: &Run) -> Result<Vec<u64>, String> {
    let line = run.stderr.lines().find_map(|line| line.strip_prefix("segments "));
    Ok(line.ok_or("no segments")?.split(' ').filter_map(|one| one.parse().ok()).collect())
}

/// All its times are what packets wait.
fn waits(row: &Value, ms: &Range<u64>) -> Result<(), String> {
    let (least, below) = (ms.start * MS, ms.end * MS);
    let is_so = |key: &str| (least..below).contains(&number(row, key));
    let keys = ["mean_ns", "p50_ns", "p99_ns", "max_ns"];
    let slots = row["histogram"].as_array().ok_or("no histogram")?;
    let in_slots = slots.iter().map(|slot| number(slot, "count")).sum::<u64>();
    let is_right = keys.iter().all(|key| is_so(key))
        && slots.iter().all(|slot| number(slot, "below") > least && number(slot, "from") < below)
        && in_slots == number(row, "count")
        && number(row, "total_ns") / in_slots == number(row, "mean_ns");
    if is_right { Ok(()) } else { Err(format!("not of {ms:?} ms: {row}")) }
}

/// The rows have as many segments as came, and the times that these take.
fn ends_wait(run: &Run) -> Result<(), String> {
    let (rows, mut told) = (rows(run)?, told(run)?);
    let mut shown = rows.iter().map(|row| number(row, "count")).collect::<Vec<_>>();
    shown.sort_unstable();
    told.sort_unstable();
    if shown != told {
        return Err(format!("{shown:?}, not {told:?} segments"));
    }
    rows.iter().try_for_each(|row| waits(row, &FAR_MS))
}

/// Those that are near, and those that are far.
fn addresses_are_apart(run: &Run) -> Result<(), String> {
    for row in rows(run)? {
        waits(&row, if row["raddr"] == "127.0.0.1" { &NEAR_MS } else { &FURTHER_MS })?;
    }
    Ok(())
}

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    Case {
        // Each end's.
        name: "tcprtt_segments",
        within: FAR,
        args: &["tcprtt", "--json", "--by", "rport"],
        command: &["$CALLS", "tcp-echo", "127.0.0.1", "9000", "4"],
        needs: &[Need::Netem],
        shows: &[r#"{"type": "interval", "tool": "tcpsnoop", "rport": 9000}"#],
        also: ends_wait,
        ..CASE
    },
    Case {
        name: "tcprtt_owner",
        within: FAR,
        args: &["tcpsnoop", "--rtt", "--json", "--by", "comm,uid,pid,laddr,lport,raddr,cgroup", "-n", "calls", "-6", "-P", "9000", "--raddr", "::/8", "-D", "9000"],
        command: &["$CALLS", "tcp-echo", "::1", "9000", "3"],
        needs: &[Need::Netem],
        shows: &[r#"{"comm": "calls", "uid": 0, "laddr": "::1", "raddr": "::1"}"#],
        also: |run| {
            let rows = rows(run)?;
            let [row] = &rows[..] else { return Err(format!("{} rows", rows.len())) };
            let is_its = row["count"] == told(run)?[0] && number(row, "pid") > 0 && number(row, "lport") != 9000;
            if is_its { waits(row, &FAR_MS) } else { Err(format!("{:?}: {row}", told(run))) }
        },
        ..CASE
    },
    Case {
        name: "tcprtt_two_distances",
        within: IN_TWO_NETWORKS,
        args: &["tcprtt", "--json", "-B"],
        command: &["sh", "-c", "$0 tcp-echo 127.0.0.1 9000 3 && $0 tcp-echo 10.9.8.2 9000 3 $OTHER", "$CALLS"],
        needs: &[Need::Netem, Need::Veth],
        shows: &[
            r#"{"raddr": "127.0.0.1"}"#,
            r#"{"raddr": "10.9.8.1"}"#,
            r#"{"raddr": "10.9.8.2"}"#,
        ],
        also: addresses_are_apart,
        ..CASE
    },
    Case {
        name: "tcprtt_slower",
        within: IN_TWO_NETWORKS,
        args: &["tcprtt", "--json", "--slower", "500", "--by", "rport"],
        command: &["sh", "-c", "$0 tcp-echo 127.0.0.1 9001 3 && $0 tcp-echo 10.9.8.2 9000 3 $OTHER", "$CALLS"],
        needs: &[Need::Netem, Need::Veth],
        hides: &[r#"{"rport": 9001}"#],
        shows: &[r#"{"rport": 9000}"#],
        also: |run| rows(run)?.iter().try_for_each(|row| waits(row, &FURTHER_MS)),
        ..CASE
    },
    Case {
        name: "tcprtt_others",
        within: FAR,
        args: &["tcprtt", "--json", "-n", "others"],
        command: &["$CALLS", "tcp-echo", "127.0.0.1", "9000", "1"],
        needs: &[Need::Netem],
        hides: &[r#"{"type": "interval"}"#],
        events: Some(0),
        ..CASE
    },
    Case {
        name: "tcprtt_draws",
        within: IN_NETWORK,
        args: &["tcprtt", "-m", "-e"],
        command: &["$CALLS", "tcp-echo", "127.0.0.1", "9000", "50"],
        also: |run| {
            let bars = run.stdout.lines().filter(|line| line.contains(" up to ")).collect::<Vec<_>>();
            let count = |bar: &&str| bar.split('|').next()?.split_whitespace().last()?.parse::<u64>().ok();
            let sum = bars.iter().filter_map(count).sum::<u64>();
            if told(run)?.iter().sum::<u64>() == sum { Ok(()) } else { Err(format!("{bars:?}")) }
        },
        ..CASE
    },
];
