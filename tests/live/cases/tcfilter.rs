//! Cases of tcfilter.

use crate::case::{CASE, Case, Need};
use crate::run::Run;

const IN_NETWORK: &[&str] = &["$SELF", "helper", "in-network"];

const IN_TWO_NETWORKS: &[&str] = &["$SELF", "helper", "in-two-networks"];

/// Sends 100 datagrams of 1,200 bytes to somebody else's network.
const DATAGRAMS: &[&str] = &[
    "sh",
    "-c",
    // Few packets wait until the address of the other is known.
    "busybox ping -c 1 -W 1 10.9.8.2 >/dev/null; busybox nsenter -n -t $OTHER $0 receive 10.9.8.2 9000 100 |
        { read ready; $0 send 10.9.8.2 9000 100 1200; busybox cat; }",
    "$CALLS",
];

/// The same to this host, of IPv6.
const DATAGRAMS_6: &[&str] = &[
    "sh",
    "-c",
    "$0 receive ::1 9000 100 | { read ready; $0 send ::1 9000 100 1200; busybox cat; }",
    "$CALLS",
];

/// How many packets of UDP an action was taken with.
fn packets(run: &Run, action: &str) -> Result<u64, String> {
    let lines = run.json()?;
    let those = lines.iter().filter(|line| line["protocol"] == "udp" && line["action"] == action);
    Ok(those.filter_map(|line| line["count"].as_u64()).sum())
}

/// What the receiver says: how many came, in how many milliseconds.
pub(super) fn received(run: &Run) -> Result<(u64, u64), String> {
    let line = run.stderr.lines().find_map(|line| line.strip_prefix("received "));
    let (packets, rest) = line.and_then(|line| line.split_once(" in ")).ok_or("no receiver")?;
    let milliseconds = rest.trim_end_matches(" ms");
    let number = |text: &str| text.parse().map_err(|error| format!("{text}: {error}"));
    Ok((number(packets)?, number(milliseconds)?))
}

fn all_have_come(run: &Run) -> Result<(), String> {
    match received(run)? {
        (100, _) => Ok(()),
        (came, _) => Err(format!("{came} came")),
    }
}

/// All of 100 that were not lost have come.
fn some_are_lost(run: &Run) -> Result<(), String> {
    let (passed, lost, came) = (packets(run, "pass")?, packets(run, "lose")?, received(run)?.0);
    // Were half of them lost by chance, fewer than 20 or more than 80 would be in 1 run of 10^9.
    // The sender is not told.
    let is_silent = run.stderr.lines().any(|line| line == "told of 0");
    let good = passed + lost == 100 && came == passed && (20..=80).contains(&lost) && is_silent;
    if good { Ok(()) } else { Err(format!("{passed} passed, {lost} lost, {came} came")) }
}

/// 99 packets of 1,242 bytes come after the first, at a million bits a second: in 984 ms, if nobody is
/// late.
fn some_are_slow(run: &Run) -> Result<(), String> {
    let (late, (came, milliseconds)) = (packets(run, "delay")?, received(run)?);
    let good = late >= 90 && came == 100 && milliseconds >= 900;
    if good { Ok(()) } else { Err(format!("{late} were late, {came} in {milliseconds} ms")) }
}

/// ping's own least time.
fn answers_are_late(run: &Run) -> Result<(), String> {
    // The first is of those that are not traced.
    let mut lines = run.stderr.lines().rev();
    let line = lines.find_map(|line| line.strip_prefix("round-trip min/avg/max = "));
    let least = line.and_then(|line| line.split(['/', '.']).next()).unwrap_or_default();
    let is_late = least.parse::<u32>().is_ok_and(|milliseconds| milliseconds >= 50);
    if is_late { Ok(()) } else { Err(format!("the least time is {least} ms")) }
}

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    Case {
        name: "tcfilter_by_pid",
        within: IN_TWO_NETWORKS,
        args: &["tcfilter", "va", "--by", "pid", "--json", "-i", "90"],
        command: DATAGRAMS,
        needs: &[Need::Veth],
        shows: &[r#"{"protocol": "udp", "comm": "calls", "action": "pass", "count": 100, "port": null}"#],
        also: all_have_come,
        ..CASE
    },
    Case {
        name: "tcfilter_by_several_fields",
        within: IN_TWO_NETWORKS,
        args: &["tcfilter", "va", "--by", "dst,port,comm,uid,cgroup", "--json", "-i", "90"],
        command: DATAGRAMS,
        needs: &[Need::Veth],
        shows: &[r#"{"protocol": "udp", "comm": "calls", "uid": 0, "dst": "10.9.8.2", "port": 9000, "pid": null, "count": 100}"#],
        also: all_have_come,
        ..CASE
    },
    Case {
        name: "tcfilter_drops_by_rule",
        within: IN_TWO_NETWORKS,
        args: &["tcfilter", "va", "--by", "dst", "--drop", "dst:10.9.0.0/16", "--only", "udp", "--json", "-i", "90"],
        command: DATAGRAMS,
        needs: &[Need::Veth],
        shows: &[r#"{"protocol": "udp", "dst": "10.9.8.2", "action": "drop", "count": 100}"#],
        events: Some(100),
        also: |run| match received(run)? {
            (0, _) if !run.stderr.lines().any(|line| line == "told of 0") => Ok(()),
            (came, _) => Err(format!("{came} came, or the sender was not told")),
        },
        ..CASE
    },
    Case {
        name: "tcfilter_only_what_matches",
        within: IN_NETWORK,
        args: &["tcfilter", "lo", "--by", "port", "--only", "port:9000", "--only", "icmp", "--drop", "port:9001", "--json", "-i", "90"],
        command: &["sh", "-c", "$0 send 127.0.0.1 9000 3 60; $0 send 127.0.0.1 9001 5 60; $0 send 127.0.0.1 9002 5 60", "$CALLS"],
        shows: &[r#"{"protocol": "udp", "port": 9000, "action": "pass", "count": 3}"#],
        // Nobody listens: the kernel says so, by no socket.
        hides: &[r#"{"port": 9001}"#, r#"{"port": 9002}"#],
        events: Some(3),
        ..CASE
    },
    Case {
        name: "tcfilter_ipv6",
        within: IN_NETWORK,
        args: &["tcfilter", "lo", "--by", "src", "--drop", "::2/127", "--only", "dst:::/0", "--json", "-i", "90"],
        command: DATAGRAMS_6,
        shows: &[r#"{"protocol": "udp", "src": "::1", "action": "pass", "count": 100}"#],
        also: all_have_come,
        ..CASE
    },
    Case {
        name: "tcfilter_loses",
        within: IN_TWO_NETWORKS,
        args: &["tcfilter", "va", "--lose", "50%", "--for", "900", "--json", "-i", "90"],
        command: DATAGRAMS,
        needs: &[Need::Veth, Need::Tcx],
        also: some_are_lost,
        ..CASE
    },
    Case {
        name: "tcfilter_loses_ipv6",
        within: IN_NETWORK,
        args: &["tcfilter", "lo", "--lose", "50", "--for", "900", "--only", "port:9000", "--json", "-i", "90"],
        command: DATAGRAMS_6,
        needs: &[Need::Tcx],
        also: some_are_lost,
        ..CASE
    },
    Case {
        name: "tcfilter_loses_no_longer_than_it_is_told",
        within: IN_NETWORK,
        args: &["tcfilter", "lo", "--lose", "100", "--for", "1ms", "--json", "-i", "90"],
        command: &["sh", "-c", "busybox usleep 100000; $0 receive ::1 9000 100 | { read ready; $0 send ::1 9000 100 1200; busybox cat; }", "$CALLS"],
        needs: &[Need::Tcx],
        shows: &[r#"{"protocol": "udp", "action": "pass", "count": 100}"#],
        ..CASE
    },
    Case {
        name: "tcfilter_delays",
        within: &["$SELF", "helper", "in-two-networks", "sh", "-c", "$0 fq va && exec \"$@\"", "$CALLS"],
        args: &["tcfilter", "va", "--delay", "50ms", "--for", "900", "--json", "-i", "90"],
        command: &["sh", "-c", "busybox nsenter -n -t $OTHER busybox ping -c 1 10.9.8.1; busybox ping -i 0.1 -c 3 -W 5 10.9.8.2"],
        needs: &[Need::Veth, Need::Tcx, Need::Fq],
        shows: &[r#"{"protocol": "icmp-echo-request", "action": "delay", "count": 3}"#],
        also: answers_are_late,
        ..CASE
    },
    Case {
        name: "tcfilter_slows_down",
        within: &["$SELF", "helper", "in-two-networks", "sh", "-c", "$0 fq va && exec \"$@\"", "$CALLS"],
        args: &["tcfilter", "va", "--rate", "1M", "--for", "900", "--json", "-i", "90"],
        command: DATAGRAMS,
        needs: &[Need::Veth, Need::Tcx, Need::Fq],
        also: some_are_slow,
        ..CASE
    },
    Case {
        name: "tcfilter_slows_down_ipv6",
        within: &["$SELF", "helper", "in-network", "sh", "-c", "$0 fq lo && exec \"$@\"", "$CALLS"],
        args: &["tcfilter", "lo", "--rate", "1000K", "--for", "900", "--json", "-i", "90", "--only", "udp"],
        command: DATAGRAMS_6,
        needs: &[Need::Tcx, Need::Fq],
        also: some_are_slow,
        ..CASE
    },
];
