//! Cases of tcpsnoop with nginx and curl, which say themselves what went by their connections.

use std::collections::BTreeMap;

use serde_json::Value;

use super::tcpsnoop::{IN_NETWORK, IN_TWO_NETWORKS, JSON, check, events, number};
use crate::case::{CASE, Case, Need};
use crate::run::Run;

#[rustfmt::skip]
const WITH_NGINX: Case = Case {
    within: IN_NETWORK,
    args: JSON,
    command: &[
        "$SELF", "helper", "with-server", "nginx", "$NGINX_DATA",
        "curl", "-s", "-o", "/dev/null", "-w", CURL_SAYS, "127.0.0.1:8080/file",
    ],
    needs: &[Need::Nginx],
    ..CASE
};

/// A line for each request: its port, and the bytes that it has sent and received.
const CURL_SAYS: &str =
    "%{stderr}curl %{local_port} %{size_request} %{size_header} %{size_download}\n";

/// The first connect gets the leave to send something with the second one, and the kernel counts that.
const FAST_OPEN: &str = r#"
    echo 3 >/proc/sys/net/ipv4/tcp_fastopen
    for i in 1 2; do curl -s -o /dev/null -w "$0" --tcp-fastopen 127.0.0.1:8080/file; done
    busybox awk '/^TcpExt/ {
        if (is_second++) exit $at != 1
        for (i = 1; i <= NF; i++) if ($i == "TCPFastOpenActive") at = i
    }' /proc/net/netstat"#;

/// The numbers in lines that begin with a word.
fn numbers(text: &str, word: &str) -> Vec<Vec<u64>> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
    lines.map(|line| line.split(' ').filter_map(|one| one.parse().ok()).collect()).collect()
}

/// By the client's port.
type Bytes = BTreeMap<u64, (u64, u64)>;

pub(super) fn sent_and_received(close: &Value) -> (u64, u64) {
    (number(close, "bytes_sent"), number(close, "bytes_received"))
}

fn bytes<'a>(closes: impl Iterator<Item = &'a Value>, port: &str) -> Bytes {
    closes.map(|close| (number(close, port), sent_and_received(close))).collect()
}

/// Each connection has two ends, of which one has sent what the other one has received, and whose times are
/// known.
pub(super) fn ends_agree(run: &Run) -> Result<(), String> {
    let closes = events(run, "close")?;
    check(!closes.is_empty(), || "nothing was closed".into())?;
    for close in &closes {
        let (sent, received) = sent_and_received(close);
        let is_other = |other: &&Value| {
            other["lport"] == close["rport"]
                && other["rport"] == close["lport"]
                && sent_and_received(other) == (received, sent)
        };
        let others = closes.iter().filter(is_other).count();
        check(others == 1, || format!("{others} other ends: {close}"))?;
        let begin = if close["handshake_ns"].is_null() { "accept_wait_ns" } else { "handshake_ns" };
        for key in [begin, "rtt_ns", "duration_ns"] {
            check(number(close, key) > 0, || format!("no {key}: {close}"))?;
        }
    }
    for kind in ["connect", "accept"] {
        let begun = events(run, kind)?.iter().filter(|one| one["result"] == "OK").count();
        check(begun * 2 == closes.len(), || format!("{begun} of {kind}, {} closes", closes.len()))?;
    }
    Ok(())
}

/// What curl and nginx say of each of their connections.
fn programs_agree(run: &Run) -> Result<(), String> {
    let closes = events(run, "close")?;
    let mut curl = Bytes::new();
    for line in numbers(&run.stderr, "curl") {
        let [port, sent, head, body] = line[..] else { return Err(format!("{line:?}")) };
        let sum = curl.entry(port).or_default();
        *sum = (sum.0 + sent, sum.1 + head + body);
    }
    let curls = bytes(closes.iter().filter(|close| close["comm"] == "curl"), "lport");
    check(!curl.is_empty() && curl == curls, || format!("{curl:?} {curls:?}"))?;

    let log = std::fs::read_to_string(run.word("$NGINX_DATA/access"))
        .map_err(|error| error.to_string())?;
    let served = closes.iter().filter(|close| !close["accept_wait_ns"].is_null());
    let mut nginx = Bytes::new();
    for line in numbers(&log, "nginx") {
        let [worker, port, received, sent] = line[..] else { return Err(format!("{line:?}")) };
        let sum = nginx.entry(port).or_default();
        *sum = (sum.0 + sent, sum.1 + received);
        let is_it = |one: &&Value| number(one, "pid") == worker && number(one, "rport") == port;
        check(served.clone().any(|one| is_it(&one)), || format!("{port} is not {worker}'s"))?;
    }
    let served = bytes(served, "rport");
    check(nginx == served, || format!("{nginx:?} {served:?}"))
}

fn all_agree(run: &Run) -> Result<(), String> {
    ends_agree(run)?;
    programs_agree(run)
}

/// TLS adds something to what curl says.
fn bytes_are_encrypted(run: &Run) -> Result<(), String> {
    let [line] = &numbers(&run.stderr, "curl")[..] else { return Err("curl says nothing".into()) };
    let [port, sent, head, body] = line[..] else { return Err(format!("{line:?}")) };
    let closes = events(run, "close")?;
    for (end, port_at, sent, received) in
        [("curl", "lport", sent, head + body), ("nginx", "rport", head + body, sent)]
    {
        let is_it = |close: &&Value| close["comm"] == end && number(close, port_at) == port;
        let close = closes.iter().find(is_it).ok_or("not closed")?;
        let shown = sent_and_received(close);
        let is_more = |shown: u64, said: u64| (said + 100..said + 10_000).contains(&shown);
        check(is_more(shown.0, sent) && is_more(shown.1, received), || {
            format!("{sent} {received}: {close}")
        })?;
    }
    Ok(())
}

#[rustfmt::skip]
pub(super) const CASES: &[Case] = &[
    Case {
        // Two requests by one connection.
        name: "tcpsnoop_nginx",
        command: &[
            "$SELF", "helper", "with-server", "nginx", "$NGINX_DATA",
            "curl", "-s", "-w", CURL_SAYS, "-o", "/dev/null", "127.0.0.1:8080/file", "-o", "/dev/null", "127.0.0.1:8080/nginx.conf",
        ],
        shows: &[
            r#"{"kind": "connect", "comm": "curl", "raddr": "127.0.0.1", "rport": 8080, "result": "OK", "before_start": false}"#,
            r#"{"kind": "accept", "comm": "nginx", "laddr": "127.0.0.1", "lport": 8080, "result": "OK", "before_start": false}"#,
            r#"{"kind": "close", "comm": "curl", "rport": 8080, "result": "OK", "reset_by": null, "retransmits": 0}"#,
            r#"{"kind": "close", "comm": "nginx", "lport": 8080, "result": "OK"}"#,
        ],
        events: Some(4),
        also: all_agree,
        ..WITH_NGINX
    },
    Case {
        name: "tcpsnoop_nginx_with_many",
        command: &[
            "$SELF", "helper", "with-server", "nginx", "$NGINX_DATA", "sh", "-c",
            "cd $DIR; for i in 1 2 3 4 5 6 7 8 9; do curl -s -o /dev/null -w \"$0\" \"127.0.0.1:8080/file?[1-5]\" 2>$i & done; wait; cat [1-9] >&2",
            CURL_SAYS,
        ],
        events: Some(36),
        also: all_agree,
        ..WITH_NGINX
    },
    Case {
        name: "tcpsnoop_nginx_resets",
        command: &[
            "$SELF", "helper", "with-server", "nginx", "$NGINX_DATA",
            "sh", "-c", "curl -s -w \"$0\" 127.0.0.1:8080/reset/; [ $? = 56 ]", CURL_SAYS,
        ],
        shows: &[
            r#"{"kind": "close", "comm": "nginx", "lport": 8080, "result": "RESET", "errno": null, "reset_by": "local", "bytes_sent": 0}"#,
            r#"{"kind": "close", "comm": "curl", "rport": 8080, "result": "ECONNRESET", "reset_by": "remote", "bytes_received": 0}"#,
        ],
        events: Some(4),
        also: all_agree,
        ..WITH_NGINX
    },
    Case {
        // To itself, and to where nobody is.
        name: "tcpsnoop_nginx_as_client",
        command: &[
            "$SELF", "helper", "with-server", "nginx", "$NGINX_DATA",
            "curl", "-s", "-w", CURL_SAYS, "-o", "/dev/null", "127.0.0.1:8080/behind/file", "-o", "/dev/null", "127.0.0.1:8080/nobody/",
        ],
        shows: &[
            r#"{"kind": "connect", "comm": "nginx", "rport": 8081, "result": "OK"}"#,
            r#"{"kind": "connect", "comm": "nginx", "rport": 8082, "result": "ECONNREFUSED"}"#,
            r#"{"kind": "accept", "comm": "nginx", "lport": 8081}"#,
        ],
        events: Some(9),
        also: all_agree,
        ..WITH_NGINX
    },
    Case {
        name: "tcpsnoop_nginx_to_nobody",
        args: &["tcpsnoop", "--json", "-x"],
        command: &["$SELF", "helper", "with-server", "nginx", "$NGINX_DATA", "curl", "-s", "-o", "/dev/null", "127.0.0.1:8080/nobody/"],
        shows: &[r#"{"kind": "connect", "comm": "nginx", "rport": 8082, "result": "ECONNREFUSED"}"#],
        events: Some(1),
        ..WITH_NGINX
    },
    Case {
        name: "tcpsnoop_nginx_with_tls",
        command: &[
            "$SELF", "helper", "with-server", "nginx", "$NGINX_DATA",
            "curl", "-s", "-k", "-o", "/dev/null", "-w", CURL_SAYS, "https://127.0.0.1:8443/file",
        ],
        shows: &[r#"{"kind": "connect", "comm": "curl", "rport": 8443, "result": "OK"}"#],
        // Which end is the last to say that it has no more to send is not known.
        events: Some(4),
        also: bytes_are_encrypted,
        ..WITH_NGINX
    },
    Case {
        name: "tcpsnoop_curl_has_two_addresses",
        command: &[
            "$SELF", "helper", "with-server", "nginx", "$NGINX_DATA",
            "curl", "-s", "-o", "/dev/null", "-w", CURL_SAYS, "--resolve", "two:8080:[::1],127.0.0.1", "two:8080/file",
        ],
        shows: &[
            r#"{"kind": "connect", "comm": "curl", "raddr": "::1", "rport": 8080, "result": "ECONNREFUSED", "handshake_ns": null}"#,
            r#"{"kind": "connect", "comm": "curl", "raddr": "127.0.0.1", "rport": 8080, "result": "OK"}"#,
        ],
        events: Some(5),
        also: all_agree,
        ..WITH_NGINX
    },
    Case {
        // It does not wait for the first one longer than the second one takes.
        name: "tcpsnoop_curl_has_an_address_without_an_answer",
        command: &[
            "$SELF", "helper", "with-server", "nginx", "$NGINX_DATA",
            "sh", "-c", "busybox ip -6 route add 2001:db8::1 dev lo && curl -s -o /dev/null -w \"$0\" --resolve two:8080:[2001:db8::1],127.0.0.1 two:8080/file", CURL_SAYS,
        ],
        shows: &[
            r#"{"kind": "connect", "comm": "curl", "raddr": "2001:db8::1", "rport": 8080, "result": "CLOSED"}"#,
            r#"{"kind": "connect", "comm": "curl", "raddr": "127.0.0.1", "rport": 8080, "result": "OK"}"#,
        ],
        events: Some(5),
        also: all_agree,
        ..WITH_NGINX
    },
    Case {
        name: "tcpsnoop_curl_sends_with_the_connect",
        command: &[
            "$SELF", "helper", "with-server", "nginx", "$NGINX_DATA",
            "sh", "-c", FAST_OPEN, CURL_SAYS,
        ],
        events: Some(8),
        also: all_agree,
        ..WITH_NGINX
    },
    Case {
        name: "tcpsnoop_curl_gives_up",
        within: IN_TWO_NETWORKS,
        args: JSON,
        command: &["sh", "-c", "curl -s --connect-timeout 0.1 10.9.8.99:9000; [ $? = 28 ]"],
        needs: &[Need::Veth, Need::Program("/usr/bin/curl")],
        shows: &[r#"{"kind": "connect", "comm": "curl", "raddr": "10.9.8.99", "rport": 9000, "result": "CLOSED"}"#],
        events: Some(1),
        ..CASE
    },
    Case {
        name: "tcpsnoop_nginx_by_port_and_network",
        args: &["tcpsnoop", "--json", "-L", "8080,8082", "--laddr", "127.0.0.0/8", "--raddr", "127.0.0.1"],
        shows: &[r#"{"kind": "accept", "comm": "nginx", "lport": 8080}"#, r#"{"kind": "close", "comm": "nginx", "lport": 8080}"#],
        events: Some(2),
        ..WITH_NGINX
    },
    Case {
        name: "alias_tcpconnect",
        args: &["tcpconnect", "--json"],
        shows: &[r#"{"tool": "tcpsnoop", "kind": "connect", "comm": "curl", "rport": 8080, "result": "OK"}"#],
        events: Some(1),
        ..WITH_NGINX
    },
    Case {
        name: "alias_tcpaccept",
        args: &["tcpaccept", "--json"],
        shows: &[r#"{"tool": "tcpsnoop", "kind": "accept", "comm": "nginx", "lport": 8080, "result": "OK"}"#],
        events: Some(1),
        ..WITH_NGINX
    },
    Case {
        name: "alias_tcplife",
        args: &["tcplife", "--json", "-P", "8080"],
        shows: &[
            r#"{"tool": "tcpsnoop", "kind": "close", "comm": "curl", "rport": 8080, "result": "OK"}"#,
            r#"{"tool": "tcpsnoop", "kind": "close", "comm": "nginx", "lport": 8080, "result": "OK"}"#,
        ],
        events: Some(2),
        also: programs_agree,
        ..WITH_NGINX
    },
    Case {
        // By the process that starts the one that accepts, and twice for each port.
        name: "alias_solisten",
        args: &["solisten", "--json"],
        command: &["$SELF", "helper", "with-server", "nginx", "$NGINX_DATA", "sh", "-c", "echo pid $SERVER >&2"],
        shows: &[
            r#"{"tool": "tcpsnoop", "kind": "listen", "comm": "nginx", "pid": $PID, "lport": 8080, "backlog": 511, "result": "OK"}"#,
            r#"{"kind": "listen", "pid": $PID, "lport": 8443}"#,
            r#"{"kind": "listen", "pid": $PID, "lport": 8081}"#,
        ],
        events: Some(6),
        ..WITH_NGINX
    },
];
