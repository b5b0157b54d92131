//! Cases of xdpfilter.

use crate::case::{CASE, Case, Need};

const IN_NETWORK: &[&str] = &["$SELF", "helper", "in-network"];

const IN_TWO_NETWORKS: &[&str] = &["$SELF", "helper", "in-two-networks"];

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    Case {
        name: "xdp_all_kinds_of_frames",
        within: IN_NETWORK,
        args: &["xdpfilter", "lo", "--by", "port", "--json"],
        command: &["$CALLS", "frames", "lo"],
        shows: &[
            r#"{"type": "interval", "protocol": "icmp-echo-request", "port": null, "action": "pass", "count": 1, "bytes": 46}"#,
            r#"{"protocol": "udp", "port": 53, "count": 1}"#,
            r#"{"protocol": "udp", "port": null, "count": 2}"#,
            r#"{"protocol": "tcp", "port": 443, "count": 1, "bytes": 90}"#,
            r#"{"protocol": "tcp", "port": 22, "count": 1}"#,
            r#"{"protocol": "tcp", "port": 8080, "count": 1}"#,
            r#"{"protocol": "udp", "port": 54, "count": 1}"#,
            r#"{"protocol": "icmp6-echo-reply", "port": null, "count": 1}"#,
            r#"{"protocol": "ip-cut", "count": 1, "bytes": 16}"#,
            r#"{"protocol": "ethernet-0x1234", "count": 1}"#,
        ],
        events: Some(11),
        ..CASE
    },
    Case {
        name: "xdp_by_src",
        within: IN_NETWORK,
        args: &["xdpfilter", "lo", "--by", "src", "--drop", "10.0.0.0/8", "--json"],
        command: &["$CALLS", "frames", "lo"],
        shows: &[
            r#"{"protocol": "icmp-echo-request", "src": "10.0.0.1", "dst": null, "action": "drop", "count": 1}"#,
            r#"{"protocol": "udp", "src": "10.0.0.1", "action": "drop", "count": 2}"#,
            r#"{"protocol": "tcp", "src": "fe80::1", "action": "pass", "count": 2}"#,
            r#"{"protocol": "ethernet-0x1234", "src": null, "action": "pass"}"#,
        ],
        events: Some(11),
        ..CASE
    },
    Case {
        name: "xdp_by_several_fields",
        within: IN_NETWORK,
        args: &["xdpfilter", "lo", "--by", "src,dst,port", "--json"],
        command: &["$CALLS", "frames", "lo"],
        shows: &[
            r#"{"protocol": "icmp-echo-request", "src": "10.0.0.1", "dst": "10.0.0.2", "port": null, "count": 1}"#,
            r#"{"protocol": "tcp", "src": "fe80::1", "dst": "fe80::2", "count": 1}"#,
        ],
        events: Some(11),
        ..CASE
    },
    Case {
        name: "xdp_drops_by_each_rule",
        within: IN_NETWORK,
        args: &["xdpfilter", "lo", "--by", "dst", "--drop", "port:53", "--drop", "icmp-echo", "--drop", "dst:fe80::2",
                "--drop", "src:10.0.0.2", "--json"],
        command: &["$CALLS", "frames", "lo"],
        shows: &[
            r#"{"protocol": "icmp-echo-request", "dst": "10.0.0.2", "action": "drop", "count": 1}"#,
            r#"{"protocol": "udp", "dst": "10.0.0.2", "action": "drop", "count": 1}"#,
            r#"{"protocol": "udp", "dst": "10.0.0.2", "action": "pass", "count": 1}"#,
            r#"{"protocol": "tcp", "dst": "10.0.0.2", "action": "pass", "count": 1}"#,
            r#"{"protocol": "tcp", "dst": "fe80::2", "action": "drop", "count": 2}"#,
            r#"{"protocol": "udp", "dst": "fe80::2", "action": "drop", "count": 2}"#,
            r#"{"protocol": "icmp6-echo-reply", "dst": "fe80::2", "action": "drop", "count": 1}"#,
        ],
        events: Some(11),
        ..CASE
    },
    Case {
        name: "xdp_drops_by_protocol",
        within: IN_NETWORK,
        args: &["xdpfilter", "lo", "--drop", "tcp", "--drop", "icmp6-echo", "--drop", "icmp", "--json"],
        command: &["$CALLS", "frames", "lo"],
        shows: &[
            r#"{"protocol": "tcp", "action": "drop", "count": 3}"#,
            r#"{"protocol": "icmp6-echo-reply", "action": "drop", "count": 1}"#,
            r#"{"protocol": "icmp-echo-request", "action": "drop", "count": 1}"#,
            r#"{"protocol": "udp", "action": "pass", "count": 4}"#,
        ],
        events: Some(11),
        ..CASE
    },
    Case {
        name: "xdp_ping_between_networks",
        within: IN_TWO_NETWORKS,
        args: &["xdpfilter", "va", "-i", "90", "--json"],
        command: &["sh", "-c", "busybox nsenter -n -t $OTHER busybox ping -i 0.1 -c 3 -W 5 10.9.8.1"],
        needs: &[Need::Veth],
        shows: &[r#"{"protocol": "icmp-echo-request", "action": "pass", "count": 3}"#],
        also: |run| {
            let good = run.stderr.contains("va: native mode") && run.stderr.contains("3 packets received");
            if good { Ok(()) } else { Err("not in native mode, or no answers".into()) }
        },
        ..CASE
    },
    Case {
        name: "xdp_ping_between_networks_is_dropped",
        within: IN_TWO_NETWORKS,
        args: &["xdpfilter", "va", "--drop", "icmp-echo", "-i", "90", "--json"],
        command: &["sh", "-c", "! busybox nsenter -n -t $OTHER busybox ping -i 0.1 -c 3 -W 1 10.9.8.1"],
        needs: &[Need::Veth],
        shows: &[r#"{"protocol": "icmp-echo-request", "action": "drop", "count": 3}"#],
        also: |run| {
            if run.stderr.contains(" 0 packets received") { Ok(()) } else { Err("answers".into()) }
        },
        ..CASE
    },
    Case {
        name: "xdp_table_in_generic_mode",
        within: IN_NETWORK,
        args: &["xdpfilter", "lo", "-i", "90", "--mode", "generic"],
        command: &["busybox", "ping", "-c", "1", "127.0.0.1"],
        also: |run| {
            let lines = run.stdout.lines().collect::<Vec<_>>();
            let header = lines[0].split_whitespace().collect::<Vec<_>>();
            let good = header == ["TIME", "PROTOCOL", "ACTION", "PACKETS", "BYTES"]
                && lines.len() == 3
                && lines[2].contains(" icmp-echo-request  pass   1          98")
                && run.stderr.contains("lo: generic mode");
            if good { Ok(()) } else { Err("not the lines that were expected".into()) }
        },
        ..CASE
    },
];
