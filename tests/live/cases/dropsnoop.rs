//! Cases of dropsnoop: how many packets are lost, is known from those who send and receive them.

use serde_json::Value;

use super::tcfilter::received;
use crate::case::{CASE, Case, Need, is_before, tells_interrupts};
use crate::run::Run;

const IN_NETWORK: &[&str] = &["$SELF", "helper", "in-network"];

fn drops(run: &Run) -> Result<Vec<Value>, String> {
    let lines = run.json()?;
    Ok(lines.into_iter().filter(|line| line["type"] == "event").collect())
}

/// So many are there, each for that reason, or one that begins so; and each place has a name.
fn all_are(run: &Run, many: usize, reason: &str) -> Result<(), String> {
    let drops = drops(run)?;
    let is_it = |drop: &Value| match drop["reason"].as_str() {
        Some(found) => found.starts_with(reason),
        None => is_before(5, 17),
    };
    let has_place = |drop: &Value| drop["location"].as_str().is_some_and(|at| at.contains("+0x"));
    match drops.iter().find(|drop| !is_it(drop) || !has_place(drop)) {
        Some(other) => Err(format!("not {reason}: {other}")),
        None if drops.len() != many => Err(format!("{} drops, not {many}", drops.len())),
        None => Ok(()),
    }
}

/// All that have not come, of 100.
fn all_that_are_missing(run: &Run, reason: &str) -> Result<(), String> {
    let (came, _) = received(run)?;
    let lost = usize::try_from(100 - came).map_err(|error| error.to_string())?;
    if lost < 20 {
        return Err(format!("{came} came, which is no test"));
    }
    all_are(run, lost, reason)
}

/// Some sockets are known on the way in too: since Linux 6.11.
fn have_user(run: &Run) -> Result<(), String> {
    let others = drops(run)?.iter().filter(|drop| drop["uid"] != 0).count();
    if is_before(6, 11) || others == 0 { Ok(()) } else { Err(format!("{others} have no user")) }
}

/// Who sends what is dropped on its way out is known where the kernel says whether it was interrupted.
fn have_sender(run: &Run) -> Result<(), String> {
    let sender = match tells_interrupts() {
        true => Value::from("calls"),
        false => Value::Null,
    };
    let other = |drop: &&Value| drop["comm"] != sender || drop["pid"].is_null() != sender.is_null();
    match drops(run)?.iter().find(other) {
        Some(drop) => Err(format!("not by {sender}: {drop}")),
        None => Ok(()),
    }
}

/// Each to an address with this in it has its stack, which begins with where it is dropped, and has one of
/// these functions.
fn have_stacks(run: &Run, mark: &str, functions: &[&str]) -> Result<(), String> {
    let drops = drops(run)?;
    let is_of = |drop: &&Value| drop["dst"].as_str().is_some_and(|dst| dst.contains(mark));
    let is_good = |drop: &Value| {
        let calls = drop["stack"].as_array().map(Vec::as_slice).unwrap_or_default();
        let names = calls.iter().filter_map(|call| Some(call.as_str()?.split_once("+0x")?.0));
        let names = names.collect::<Vec<_>>();
        let begins = calls.first().is_some_and(|call| *call == drop["location"]);
        begins && names.len() == calls.len() && functions.iter().any(|name| names.contains(name))
    };
    let mut those = drops.iter().filter(is_of).peekable();
    those.peek().ok_or("there are none")?;
    match those.find(|drop| !is_good(drop)) {
        Some(drop) => Err(format!("none of {functions:?}: {drop}")),
        None => Ok(()),
    }
}

/// Where packets go, of which protocol, how many, and why they are dropped.
const KINDS: &[(&str, &str, usize, &str)] = &[
    ("10.2.0.1", "udp", 2, "NOT_SPECIFIED"),
    ("10.3.0.1", "udp", 2, "NOT_SPECIFIED"),
    ("10.5.0.1", "udp", 2, "IP_RPFILTER"),
    ("10.6.0.1", "udp", 2, "IP_INHDR"),
    ("10.7.0.1", "udp", 1, "UDP_CSUM"),
    ("10.7.0.1", "tcp", 1, "TCP_CSUM"),
    ("10.9.8.99", "tcp", 2, "NEIGH_FAILED"),
];

fn are_of_all_kinds(run: &Run) -> Result<(), String> {
    let drops = drops(run)?;
    for (dst, protocol, many, reason) in KINDS {
        let is_it = |drop: &&Value| drop["dst"] == *dst && drop["protocol"] == *protocol;
        let of_kind = drops.iter().filter(is_it).collect::<Vec<_>>();
        let reason = if is_before(5, 17) { Value::Null } else { (*reason).into() };
        let flags = if *protocol == "tcp" { serde_json::json!(["SYN"]) } else { Value::Null };
        let is_good = |drop: &&Value| drop["reason"] == reason && drop["tcp_flags"] == flags;
        if of_kind.len() != *many || !of_kind.iter().all(is_good) {
            return Err(format!("not {many} to {dst}, {reason}: {of_kind:?}"));
        }
    }
    Ok(())
}

/// Routes that lead nowhere, and one to a sender whose packets may not come from there; a neighbour that does
/// not answer is given up soon.
const WITH_ROUTES: &[&str] = &[
    "$SELF",
    "helper",
    "in-two-networks",
    "sh",
    "-ec",
    "for file in ip_forward conf/va/rp_filter neigh/va/mcast_solicit; do echo 1 >/proc/sys/net/ipv4/$file; done
     echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter
     echo 100 >/proc/sys/net/ipv4/neigh/va/retrans_time_ms
     busybox ip link set lo up
     for address in 10.5.0.1 10.7.0.1; do busybox ip addr add $address/32 dev lo; done
     busybox ip route add unreachable 10.2.0.0/16
     busybox ip route add blackhole 10.3.0.0/16
     busybox ip route add 10.6.0.0/16 via 10.9.8.2
     busybox nsenter -n -t $OTHER sh -ec '
         busybox ip addr add 10.66.0.1/32 dev veth0
         busybox ip route add 10.0.0.0/8 via 10.9.8.1
         busybox ip route add 10.5.0.1 via 10.9.8.1 src 10.66.0.1'
     exec \"$@\"",
    "sh",
];

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    Case {
        name: "dropsnoop_closed_ports",
        within: IN_NETWORK,
        args: &["dropsnoop", "--only", "dst:127.0.0.0/8", "--only", "dst:::1", "--only", "port:9001", "--json"],
        // The kernel's answers to datagrams, which nobody reads, have no ports and no reason of this kind.
        command: &["sh", "-c", "$0 send 127.0.0.1 9001 5 60; $0 send ::1 9001 5 60; busybox nc 127.0.0.1 9001 </dev/null; :", "$CALLS"],
        shows: &[
            r#"{"protocol": "udp", "src": "127.0.0.1", "dst": "127.0.0.1", "dst_port": 9001, "bytes": 88, "segments": 1, "dev": "lo", "pid": null, "comm": null}"#,
            r#"{"protocol": "udp", "src": "::1", "dst": "::1", "dst_port": 9001, "bytes": 108, "dev": "lo"}"#,
            r#"{"protocol": "tcp", "dst": "127.0.0.1", "dst_port": 9001, "dev": "lo"}"#,
        ],
        also: |run| {
            let to_port = drops(run)?.iter().filter(|drop| drop["dst_port"] == 9001).count();
            if to_port == 11 { Ok(()) } else { Err(format!("{to_port} to port 9001")) }
        },
        ..CASE
    },
    Case {
        name: "dropsnoop_reason",
        within: IN_NETWORK,
        args: &["dropsnoop", "--reason", "no_sock", "--json"],
        command: &["$CALLS", "send", "127.0.0.1", "9001", "5", "60"],
        needs: &[Need::DropReasons],
        also: |run| all_are(run, 5, "NO_SOCKET"),
        ..CASE
    },
    Case {
        name: "dropsnoop_not_reason",
        within: IN_NETWORK,
        args: &["dropsnoop", "--not-reason", "NO_SOCKET", "--only", "udp", "--json"],
        command: &["$CALLS", "send", "127.0.0.1", "9001", "5", "60"],
        needs: &[Need::DropReasons],
        events: Some(0),
        ..CASE
    },
    Case {
        name: "dropsnoop_unknown_reason",
        args: &["dropsnoop", "--reason", "no_such"],
        code: 2,
        also: |run| {
            let (line, hint) = ("ebtools: dropsnoop: this kernel has no reason 'no_such'", "\nhint: it ");
            let good = run.stderr.starts_with(line) && run.stderr.contains(hint);
            if good { Ok(()) } else { Err("it does not say so".into()) }
        },
        ..CASE
    },
    Case {
        name: "dropsnoop_process",
        // It fails where the kernel does not tell.
        within: &["$SELF", "helper", "in-network", "sh", "-c", "\"$@\" || :", "sh"],
        args: &["dropsnoop", "-n", "calls"],
        command: &["true"],
        also: |run| {
            let says = run.stderr.contains("does not tell which process drops a packet");
            if says == tells_interrupts() { Err("it is not as the kernel has it".into()) } else { Ok(()) }
        },
        ..CASE
    },
    Case {
        name: "dropsnoop_no_such_device",
        within: IN_NETWORK,
        args: &["dropsnoop", "--dev", "nosuch0", "--json"],
        command: &["$CALLS", "send", "127.0.0.1", "9001", "5", "60"],
        events: Some(0),
        also: |run| {
            let text = "dropsnoop: there is no interface nosuch0 in this network namespace now\n";
            if run.stderr.matches(text).count() == 1 { Ok(()) } else { Err("it does not say so".into()) }
        },
        ..CASE
    },
    Case {
        name: "dropsnoop_full_buffer",
        within: IN_NETWORK,
        args: &["dropsnoop", "--only", "dst:127.0.0.1", "--json"],
        command: &["$CALLS", "full", "127.0.0.1", "9000", "100"],
        shows: &[r#"{"protocol": "udp", "dst_port": 9000, "bytes": 1028}"#],
        also: |run| all_that_are_missing(run, "SOCKET_RCVBUFF").and_then(|()| have_user(run)),
        ..CASE
    },
    Case {
        name: "dropsnoop_full_buffer_ipv6_by_location",
        within: IN_NETWORK,
        args: &["dropsnoop", "--only", "port:9000", "--count=location", "--json", "-i", "90"],
        command: &["$CALLS", "full", "::1", "9000", "100"],
        also: |run| {
            let lines = run.json()?;
            let rows = lines.iter().filter(|line| line["type"] == "interval").collect::<Vec<_>>();
            let lost = 100 - received(run)?.0;
            let good = rows.len() == 1 && rows[0]["count"] == lost && lost > 20;
            if good { Ok(()) } else { Err(format!("not {lost}: {rows:?}")) }
        },
        ..CASE
    },
    Case {
        name: "dropsnoop_netem",
        within: &["$SELF", "helper", "in-network", "sh", "-c", "$0 netem lo 50 && exec \"$@\"", "$CALLS"],
        args: &["dropsnoop", "--only", "dst:::1", "--dev", "lo", "--json"],
        command: &["sh", "-c", "$0 receive ::1 9000 100 | { read ready; $0 send ::1 9000 100 1200; busybox cat; }", "$CALLS"],
        needs: &[Need::Netem],
        shows: &[r#"{"protocol": "udp", "dst_port": 9000, "bytes": 1248, "dev": "lo", "uid": 0}"#],
        also: |run| all_that_are_missing(run, "QDISC"),
        ..CASE
    },
    Case {
        name: "dropsnoop_firewall_in",
        within: &["$SELF", "helper", "in-network", "sh", "-c", "$0 firewall 1 && exec \"$@\"", "$CALLS"],
        args: &["dropsnoop", "--stack", "--json"],
        command: &["sh", "-c", "$0 send 127.0.0.1 9001 5 60; $0 send ::1 9001 5 60", "$CALLS"],
        needs: &[Need::Nftables],
        shows: &[
            r#"{"protocol": "udp", "dst": "127.0.0.1", "dst_port": 9001, "dev": "lo", "pid": null}"#,
            r#"{"protocol": "udp", "dst": "::1", "dst_port": 9001, "dev": "lo", "pid": null}"#,
        ],
        also: |run| {
            all_are(run, 10, "NETFILTER_DROP")?;
            have_stacks(run, ".", &["ip_local_deliver"])?;
            have_stacks(run, ":", &["ip6_input"])
        },
        ..CASE
    },
    Case {
        name: "dropsnoop_firewall_out_by_user",
        within: &["$SELF", "helper", "in-network", "sh", "-c", "$0 firewall 3 && exec \"$@\"", "$CALLS"],
        args: &["dropsnoop", "-u", "65534", "--stack", "--json"],
        command: &["sh", "-c", "$0 send ::1 9001 7 60; $1 helper as 65534 $0 send 127.0.0.1 9001 5 60", "$CALLS", "$SELF"],
        needs: &[Need::Nftables],
        shows: &[r#"{"protocol": "udp", "dst": "127.0.0.1", "dst_port": 9001, "uid": 65534}"#],
        hides: &[r#"{"type": "event", "uid": 0}"#],
        also: |run| {
            all_are(run, 5, "NETFILTER_DROP").and_then(|()| have_sender(run))?;
            have_stacks(run, ".", &["__ip_local_out", "ip_local_out"])
        },
        ..CASE
    },
    Case {
        name: "dropsnoop_routes_and_checksums",
        within: WITH_ROUTES,
        // Not the errors that are told by ICMP.
        args: &["dropsnoop", "-4", "--only", "udp", "--only", "tcp", "--json"],
        command: &[
            "sh",
            "-c",
            "busybox nc 10.9.8.99 9000 </dev/null
             busybox nc 10.9.8.99 9000 </dev/null
             busybox nsenter -n -t $OTHER sh -c '
                 for to in 10.2.0.1 10.3.0.1 10.5.0.1; do $0 send $to 9000 1 60; $0 send $to 9000 1 60; done
                 echo 1 >/proc/sys/net/ipv4/ip_default_ttl
                 $0 send 10.6.0.1 9000 1 60; $0 send 10.6.0.1 9000 1 60' $0
             $0 bad-sums lo",
            "$CALLS",
        ],
        needs: &[Need::Veth],
        events: Some(12),
        also: are_of_all_kinds,
        ..CASE
    },
    Case {
        name: "dropsnoop_frames",
        within: IN_NETWORK,
        args: &["dropsnoop", "--all", "--json"],
        command: &["$CALLS", "frames", "lo"],
        // What they are, tcfilter's case says.
        shows: &[
            r#"{"protocol": "icmp-echo-request", "src": "10.0.0.1", "dst": "10.0.0.2", "src_port": null}"#,
            r#"{"protocol": "udp", "src": "10.0.0.1", "src_port": 1, "dst": "10.0.0.2", "dst_port": 53}"#,
            r#"{"protocol": "tcp", "src": "fe80::1", "src_port": 7, "dst": "fe80::2", "dst_port": 443}"#,
            r#"{"protocol": "tcp", "dst": "fe80::2", "dst_port": 8080}"#,
            r#"{"protocol": "ip-cut", "src": null, "dst": null}"#,
            r#"{"protocol": "ethernet-0x1234", "src": null, "bytes": 1}"#,
        ],
        events: Some(11),
        ..CASE
    },
    Case {
        name: "dropsnoop_hides_what_nobody_misses",
        within: IN_NETWORK,
        args: &["dropsnoop", "--json"],
        command: &["$CALLS", "frames", "lo"],
        needs: &[Need::DropReasons],
        // One is for another host.
        shows: &[r#"{"type": "summary", "produced": 10, "delivered": 10, "hidden": 1}"#],
        hides: &[r#"{"reason": "OTHERHOST"}"#],
        events: Some(10),
        ..CASE
    },
];
