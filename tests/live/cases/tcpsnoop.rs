//! Cases of tcpsnoop.

use serde_json::Value;

use crate::case::{CASE, Case, Need};
use crate::run::Run;

pub(super) const IN_NETWORK: &[&str] = &["$SELF", "helper", "in-network"];
pub(super) const IN_TWO_NETWORKS: &[&str] = &["$SELF", "helper", "in-two-networks"];
pub(super) const JSON: &[&str] = &["tcpsnoop", "--json"];
const ALL: &[&str] =
    &["tcpsnoop", "--json", "--events", "connect,accept,close,listen,retransmit,reset,state"];

/// Of this kind.
pub(super) fn events(run: &Run, kind: &str) -> Result<Vec<Value>, String> {
    let lines = run.json()?;
    Ok(lines.into_iter().filter(|line| line["type"] == "event" && line["kind"] == kind).collect())
}

pub(super) fn number(event: &Value, key: &str) -> u64 {
    event[key].as_u64().unwrap_or(0)
}

pub(super) fn check(is_so: bool, what: impl Fn() -> String) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(what()) }
}

/// All that times say of a connection fits together.
fn times_fit(run: &Run) -> Result<(), String> {
    let (connects, accepts) = (events(run, "connect")?, events(run, "accept")?);
    let [connect] = &connects[..] else { return Err(format!("{} connects", connects.len())) };
    let [accept] = &accepts[..] else { return Err(format!("{} accepts", accepts.len())) };
    check(number(connect, "latency_ns") > 0, || format!("no latency: {connect}"))?;
    check(number(accept, "latency_ns") > 0, || format!("no wait: {accept}"))?;
    for close in events(run, "close")? {
        let (begin, wait) = match close["lport"] == accept["lport"] {
            true => (accept, "accept_wait_ns"),
            false => (connect, "handshake_ns"),
        };
        let same = |key: &str| close[key] == begin[key] && begin[key] == begin["latency_ns"];
        check(same(wait), || format!("not its {wait}: {close}"))?;
        let lasts = number(&close, "duration_ns");
        check(lasts > number(&close, "accept_wait_ns"), || format!("no duration: {close}"))?;
        check(number(&close, "rtt_ns") > 0, || format!("no rtt: {close}"))?;
    }
    Ok(())
}

/// The two ends are in different network namespaces.
fn namespaces_differ(run: &Run) -> Result<(), String> {
    let closes = events(run, "close")?;
    let [one, other] = &closes[..] else { return Err(format!("{} closes", closes.len())) };
    let (one, other) = (number(one, "netns"), number(other, "netns"));
    check(one != other && one.min(other) > 0, || format!("{one} and {other}"))
}

/// A connect has taken at least so many milliseconds.
fn connect_takes(run: &Run, least: u64) -> Result<(), String> {
    let connects = events(run, "connect")?;
    let [connect] = &connects[..] else { return Err(format!("{} connects", connects.len())) };
    check(number(connect, "latency_ns") >= least * 1_000_000, || format!("{connect}"))
}

/// The table has these columns.
fn columns_are(run: &Run, titles: &str) -> Result<(), String> {
    let is_head = |line: &&str| line.starts_with("PID");
    let head = run.stdout.lines().find(is_head).ok_or("no table")?;
    let head = head.split_whitespace().collect::<Vec<_>>().join(" ");
    check(head == titles, || format!("columns: {head}"))
}

/// What was lost was sent again, and is no more than what the program sent.
fn retransmits_are_told(run: &Run) -> Result<(), String> {
    let closes = events(run, "close")?;
    let close = closes.iter().find(|close| close["rport"] == 9000).ok_or("no close")?;
    let of_it = events(run, "retransmit")?;
    let of_it = of_it.iter().filter(|one| one["lport"] == close["lport"]);
    let told = of_it.clone().map(|one| number(one, "segments")).sum::<u64>();
    let (segments, again) = (number(close, "retransmits"), number(close, "bytes_retransmitted"));
    let good = told == segments && again > 0;
    check(good, || format!("{told} for {segments} of {again} bytes"))?;
    let known = ["syn", "fast", "rto", "tlp"];
    let is_known = |one: &Value| known.iter().any(|kind| one["retransmit_kind"] == *kind);
    check(of_it.clone().all(is_known), || "of no kind".into())
}

/// The states of a socket from its connection to its close take as long as that has lasted.
fn states_add_up(run: &Run) -> Result<(), String> {
    let (closes, states) = (events(run, "close")?, events(run, "state")?);
    check(closes.len() == 2, || format!("{} closes", closes.len()))?;
    for close in closes {
        let is_of_it = |one: &&Value| {
            one["socket"] == close["socket"]
                && one["old_state"] != "CLOSE"
                && one["old_state"] != "SYN_SENT"
                && one["old_state"] != "SYN_RECV"
                && one["old_state"] != "LISTEN"
        };
        let of_it = states.iter().filter(is_of_it).collect::<Vec<_>>();
        let is_timed =
            |one: &&&Value| number(one, "latency_ns") > 0 && one["old_state"] != one["state"];
        let timed = of_it.iter().filter(is_timed).count();
        check(timed >= 2 && timed == of_it.len(), || format!("states without times: {of_it:?}"))?;
        let all = of_it.iter().map(|one| number(one, "latency_ns")).sum::<u64>();
        let lasts = number(&close, "duration_ns");
        check(all / 2 < lasts && lasts / 2 < all, || format!("{all} ns in states of {close}"))?;
    }
    Ok(())
}

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    Case {
        name: "tcpsnoop_bytes_both_ways",
        within: IN_NETWORK,
        args: JSON,
        command: &["$CALLS", "tcp-transfer", "127.0.0.1", "9000", "300001", "7"],
        shows: &[
            r#"{"type": "event", "tool": "tcpsnoop", "comm": "calls", "uid": 0, "kind": "connect", "laddr": "127.0.0.1", "raddr": "127.0.0.1", "rport": 9000, "result": "OK", "errno": null, "bytes_sent": null, "before_start": false}"#,
            r#"{"kind": "accept", "laddr": "127.0.0.1", "lport": 9000, "raddr": "127.0.0.1", "result": "OK", "handshake_ns": null}"#,
            r#"{"kind": "close", "rport": 9000, "result": "OK", "bytes_sent": 300001, "bytes_received": 7, "reset_by": null, "before_start": false}"#,
            r#"{"kind": "close", "lport": 9000, "result": "OK", "bytes_sent": 7, "bytes_received": 300001}"#,
        ],
        events: Some(4),
        also: times_fit,
        ..CASE
    },
    Case {
        name: "tcpsnoop_ipv6",
        within: IN_NETWORK,
        args: &["tcpsnoop", "--json", "-6"],
        command: &["$CALLS", "tcp-transfer", "::1", "9000", "1", "100000"],
        shows: &[
            r#"{"kind": "close", "laddr": "::1", "raddr": "::1", "rport": 9000, "bytes_sent": 1, "bytes_received": 100000}"#,
            r#"{"kind": "close", "laddr": "::1", "lport": 9000, "bytes_sent": 100000, "bytes_received": 1}"#,
        ],
        events: Some(4),
        also: times_fit,
        ..CASE
    },
    Case {
        // Addresses of IPv4 within those of IPv6.
        name: "tcpsnoop_mapped_addresses",
        within: IN_NETWORK,
        args: &["tcpsnoop", "--json", "-4"],
        command: &["$CALLS", "tcp-transfer", "::ffff:127.0.0.1", "9000", "0", "1"],
        shows: &[
            r#"{"kind": "connect", "laddr": "127.0.0.1", "raddr": "127.0.0.1", "rport": 9000}"#,
            r#"{"kind": "close", "raddr": "127.0.0.1", "rport": 9000, "bytes_sent": 0, "bytes_received": 1}"#,
            r#"{"kind": "close", "laddr": "127.0.0.1", "lport": 9000, "bytes_sent": 1, "bytes_received": 0}"#,
        ],
        events: Some(4),
        ..CASE
    },
    Case {
        name: "tcpsnoop_network_namespaces",
        within: IN_TWO_NETWORKS,
        args: JSON,
        command: &["sh", "-c", "$0 tcp-transfer 10.9.8.2 9000 50000 60000 $OTHER", "$CALLS"],
        needs: &[Need::Veth],
        shows: &[
            r#"{"kind": "close", "laddr": "10.9.8.1", "raddr": "10.9.8.2", "rport": 9000, "bytes_sent": 50000, "bytes_received": 60000}"#,
            r#"{"kind": "close", "laddr": "10.9.8.2", "lport": 9000, "raddr": "10.9.8.1", "bytes_sent": 60000, "bytes_received": 50000}"#,
        ],
        events: Some(4),
        also: namespaces_differ,
        ..CASE
    },
    Case {
        name: "tcpsnoop_refused",
        within: IN_NETWORK,
        args: JSON,
        command: &["sh", "-c", "$0 tcp-connect 127.0.0.1 9000; $0 tcp-connect ::1 9000; $0 tcp-connect ::ffff:127.0.0.1 9001", "$CALLS"],
        shows: &[
            r#"{"kind": "connect", "comm": "calls", "raddr": "127.0.0.1", "rport": 9000, "result": "ECONNREFUSED", "errno": "ECONNREFUSED", "handshake_ns": null}"#,
            r#"{"kind": "connect", "raddr": "::1", "rport": 9000, "result": "ECONNREFUSED"}"#,
            r#"{"kind": "connect", "raddr": "127.0.0.1", "rport": 9001, "result": "ECONNREFUSED"}"#,
        ],
        events: Some(3),
        ..CASE
    },
    Case {
        // There is no way to these, which the call itself says.
        name: "tcpsnoop_connects_that_fail_at_once",
        within: IN_NETWORK,
        args: &["tcpsnoop", "--json", "-x"],
        command: &["sh", "-c", "$0 tcp-connect 10.1.1.1 9000; $0 tcp-connect 2001:db8::1 9000; $0 tcp-transfer 127.0.0.1 9001 1 1", "$CALLS"],
        shows: &[
            r#"{"kind": "connect", "comm": "calls", "laddr": null, "lport": null, "raddr": "10.1.1.1", "rport": 9000, "result": "ENETUNREACH", "errno": "ENETUNREACH"}"#,
            r#"{"kind": "connect", "raddr": "2001:db8::1", "rport": 9000, "result": "ENETUNREACH"}"#,
        ],
        events: Some(2),
        ..CASE
    },
    Case {
        // No port is left, which is found out when the state is another one already.
        name: "tcpsnoop_connects_without_a_port",
        within: IN_NETWORK,
        args: &["tcpsnoop", "--json", "--events", "connect"],
        command: &["sh", "-c", "echo 9000 9000 >/proc/sys/net/ipv4/ip_local_port_range; $0 tcp-no-port 127.0.0.1 9001", "$CALLS"],
        shows: &[
            r#"{"kind": "connect", "lport": 9000, "rport": 9001, "result": "OK"}"#,
            r#"{"kind": "connect", "raddr": "127.0.0.1", "rport": 9001, "result": "EADDRNOTAVAIL"}"#,
        ],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "tcpsnoop_blackholed",
        within: IN_TWO_NETWORKS,
        args: &["tcpsnoop", "--json", "--events", "connect,retransmit"],
        command: &["sh", "-c", "busybox arp -i va -s 10.9.8.99 02:00:00:00:00:01; $0 tcp-connect 10.9.8.99 9000", "$CALLS"],
        needs: &[Need::Veth],
        shows: &[
            r#"{"kind": "retransmit", "comm": "calls", "raddr": "10.9.8.99", "rport": 9000, "retransmit_kind": "syn"}"#,
            r#"{"kind": "connect", "comm": "calls", "raddr": "10.9.8.99", "rport": 9000, "result": "ETIMEDOUT"}"#,
        ],
        also: |run| connect_takes(run, 900),
        ..CASE
    },
    Case {
        name: "tcpsnoop_states_that_last",
        within: IN_TWO_NETWORKS,
        args: &["tcpstates", "--json", "--slower", "900"],
        command: &["sh", "-c", "busybox arp -i va -s 10.9.8.99 02:00:00:00:00:01; $0 tcp-connect 10.9.8.99 9000", "$CALLS"],
        needs: &[Need::Veth],
        shows: &[r#"{"kind": "state", "comm": "calls", "raddr": "10.9.8.99", "rport": 9000, "old_state": "SYN_SENT", "state": "CLOSE"}"#],
        events: Some(1),
        also: |run| {
            let states = events(run, "state")?;
            let is_known = |one: &Value| one["socket"].as_str().is_some_and(|at| at.starts_with("0x"));
            check(states.iter().all(is_known), || format!("no socket: {states:?}"))
        },
        ..CASE
    },
    Case {
        // Each begins where the one before it has ended.
        name: "tcpsnoop_states_have_times",
        within: IN_NETWORK,
        args: &["tcpsnoop", "--json", "--events", "close,state"],
        command: &["$CALLS", "tcp-shutdown", "127.0.0.1", "9000"],
        also: states_add_up,
        ..CASE
    },
    Case {
        name: "tcpsnoop_unreachable",
        within: IN_TWO_NETWORKS,
        args: &["tcpsnoop", "--json", "--slower", "500ms"],
        command: &["sh", "-c", "busybox ip link set lo up; $0 tcp-connect 10.9.8.99 9000 4; $0 tcp-transfer 10.9.8.1 9001 1 1", "$CALLS"],
        needs: &[Need::Veth],
        shows: &[r#"{"kind": "connect", "raddr": "10.9.8.99", "result": "EHOSTUNREACH"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        // Who does not wait has closed it.
        name: "tcpsnoop_given_up",
        within: IN_TWO_NETWORKS,
        args: JSON,
        command: &["$CALLS", "tcp-give-up", "10.9.8.99", "9000"],
        needs: &[Need::Veth],
        shows: &[r#"{"kind": "connect", "raddr": "10.9.8.99", "rport": 9000, "result": "CLOSED", "errno": null}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        // By connect() of AF_UNSPEC, of the same socket; what fails behind that is shown too.
        name: "tcpsnoop_taken_back",
        within: IN_TWO_NETWORKS,
        args: &["tcpsnoop", "--json", "-P", "9000"],
        command: &["$CALLS", "tcp-take-back", "10.9.8.99", "9000", "5"],
        needs: &[Need::Veth],
        shows: &[
            r#"{"kind": "connect", "raddr": "10.9.8.99", "rport": 9000, "result": "CLOSED", "errno": null}"#,
            r#"{"kind": "connect", "raddr": "192.0.2.1", "rport": 9000, "result": "ENETUNREACH"}"#,
            r#"{"type": "summary", "produced": 6, "delivered": 6}"#,
        ],
        events: Some(6),
        ..CASE
    },
    Case {
        // What is behind what the program gave is no address.
        name: "tcpsnoop_short_address",
        within: IN_NETWORK,
        args: JSON,
        command: &["$CALLS", "tcp-short-address", "127.0.0.1", "9000"],
        events: Some(0),
        ..CASE
    },
    Case {
        // Columns that what is shown cannot fill are left out.
        name: "tcpsnoop_columns_of_listen",
        within: IN_NETWORK,
        args: &["tcpsnoop", "--events", "listen"],
        command: &["$CALLS", "tcp-transfer", "127.0.0.1", "9000", "1", "1"],
        also: |run| columns_are(run, "PID COMM EVENT LADDR LPORT RADDR RPORT RESULT BACKLOG"),
        ..CASE
    },
    Case {
        name: "tcpsnoop_columns_of_states",
        within: IN_NETWORK,
        args: &["tcpstates"],
        command: &["$CALLS", "tcp-transfer", "127.0.0.1", "9000", "1", "1"],
        also: |run| columns_are(run, "PID COMM EVENT LADDR LPORT RADDR RPORT LATENCY FROM STATE"),
        ..CASE
    },
    Case {
        name: "tcpsnoop_columns",
        within: IN_NETWORK,
        args: &["tcpsnoop"],
        command: &["$CALLS", "tcp-transfer", "127.0.0.1", "9000", "1", "1"],
        also: |run| columns_are(run, "PID COMM EVENT LADDR LPORT RADDR RPORT RESULT LATENCY SENT RECEIVED RETRANS RTT DURATION"),
        ..CASE
    },
    Case {
        name: "tcpsnoop_unfinished",
        within: IN_TWO_NETWORKS,
        args: JSON,
        command: &["sh", "-c", "busybox arp -i va -s 10.9.8.99 02:00:00:00:00:01; $0 tcp-connect 10.9.8.99 9000 & busybox usleep 300000", "$CALLS"],
        needs: &[Need::Veth],
        shows: &[r#"{"type": "summary", "produced": 1, "delivered": 0, "lost": {"unfinished": 1}}"#],
        events: Some(0),
        ..CASE
    },
    Case {
        name: "tcpsnoop_reset",
        within: IN_NETWORK,
        args: ALL,
        command: &["$CALLS", "tcp-reset", "127.0.0.1", "9000"],
        shows: &[
            r#"{"kind": "close", "rport": 9000, "result": "RESET", "errno": null, "reset_by": "local"}"#,
            r#"{"kind": "close", "lport": 9000, "result": "ECONNRESET", "errno": "ECONNRESET", "reset_by": "remote"}"#,
            r#"{"kind": "reset", "rport": 9000, "reset_by": "local", "result": null}"#,
            r#"{"kind": "reset", "lport": 9000, "reset_by": "remote"}"#,
            r#"{"kind": "listen", "lport": 9000, "raddr": null, "result": "OK", "backlog": 7}"#,
            r#"{"kind": "state", "rport": 9000, "old_state": "CLOSE", "state": "SYN_SENT"}"#,
            r#"{"kind": "state", "rport": 9000, "old_state": "ESTABLISHED", "state": "CLOSE"}"#,
            r#"{"kind": "state", "lport": 9000, "old_state": "LISTEN", "state": "CLOSE"}"#,
        ],
        ..CASE
    },
    Case {
        // Its end is shown when somebody has accepted it; and nobody has accepted the other one.
        name: "tcpsnoop_reset_before_accepted",
        within: IN_NETWORK,
        args: JSON,
        command: &["$CALLS", "tcp-unaccepted", "127.0.0.1", "9000"],
        shows: &[
            r#"{"kind": "accept", "lport": 9000, "comm": "calls"}"#,
            r#"{"kind": "close", "lport": 9000, "comm": "calls", "result": "ECONNRESET", "reset_by": "remote"}"#,
        ],
        // Of the listener two ends of connections, and of one that was accepted both.
        events: Some(6),
        ..CASE
    },
    Case {
        name: "tcpsnoop_half_open",
        within: IN_TWO_NETWORKS,
        args: &["tcpsnoop", "--json", "--events", "close"],
        command: &["sh", "-c", "$0 tcp-half-open 10.9.8.2 9000 $OTHER va", "$CALLS"],
        needs: &[Need::Veth],
        shows: &[r#"{"kind": "close", "rport": 9000, "result": "ETIMEDOUT", "bytes_sent": 0, "bytes_received": 0, "reset_by": null}"#],
        ..CASE
    },
    Case {
        name: "tcpsnoop_loss",
        within: &["$SELF", "helper", "in-network", "sh", "-c", "$0 netem lo 20 && exec \"$@\"", "$CALLS"],
        args: &["tcpsnoop", "--json", "--events", "close,retransmit"],
        command: &["$CALLS", "tcp-transfer", "127.0.0.1", "9000", "1000000", "10"],
        needs: &[Need::Netem],
        shows: &[
            // The other end may still wait for a word when the command ends.
            r#"{"kind": "close", "rport": 9000, "result": "OK", "bytes_sent": 1000000, "bytes_received": 10}"#,
        ],
        also: retransmits_are_told,
        ..CASE
    },
    Case {
        name: "tcpsnoop_ports",
        within: IN_NETWORK,
        args: &["tcpsnoop", "--json", "-L", "9001,9002", "-P", "9000,9002"],
        command: &["sh", "-c", "for port in 9000 9001 9002; do $0 tcp-transfer 127.0.0.1 $port 1 1; done", "$CALLS"],
        shows: &[r#"{"kind": "accept", "lport": 9002}"#, r#"{"kind": "close", "lport": 9002}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "tcpsnoop_networks",
        within: IN_NETWORK,
        args: &["tcpsnoop", "--json", "--raddr", "127.0.0.2/31,::1", "--laddr", "127.0.0.0/8", "-D", "9000"],
        command: &["sh", "-c", "for address in 127.0.0.1 127.0.0.3 ::1; do $0 tcp-transfer $address 9000 1 1; done", "$CALLS"],
        shows: &[r#"{"kind": "connect", "raddr": "127.0.0.3"}"#, r#"{"kind": "close", "raddr": "127.0.0.3"}"#],
        events: Some(2),
        ..CASE
    },
    Case {
        name: "tcpsnoop_many_are_accounted_for",
        within: IN_NETWORK,
        args: JSON,
        command: &["$CALLS", "tcp-many", "127.0.0.1", "9000", "250"],
        also: |run| {
            let lines = run.json()?;
            let end = lines.last().ok_or("nothing")?;
            let number = |of: &Value| of.as_u64().unwrap_or(0);
            let lost = end["lost"].as_object().map_or(0, |lost| lost.values().map(number).sum::<u64>());
            let (produced, delivered) = (number(&end["produced"]), number(&end["delivered"]));
            // A program that the kernel skips might have shown any of them, or none.
            let skipped = number(&end["lost"]["recursion"]);
            let shown = ["connect", "accept", "close"].map(|kind| events(run, kind).map_or(0, |all| all.len() as u64));
            let good = produced.abs_diff(1000) <= 4 * skipped && delivered + lost == produced
                && shown.iter().sum::<u64>() == delivered;
            check(good && (lost > 0 || shown == [250, 250, 500]), || format!("{shown:?}: {end}"))
        },
        ..CASE
    },
    Case {
        name: "tcpsnoop_counts",
        within: IN_NETWORK,
        args: &["tcpsnoop", "--json", "--count=comm"],
        command: &["$CALLS", "tcp-many", "127.0.0.1", "9000", "100"],
        shows: &[r#"{"type": "interval", "comm": "calls", "kind": "connect"}"#, r#"{"type": "interval", "comm": "calls", "kind": "close"}"#],
        events: Some(400),
        ..CASE
    },
];
