//! What tcpsnoop shows of an event.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

use crate::bpf::tcpsnoop::types::{self, event, kind, outcome, retransmit, side};
use crate::output::{Column, Kind, Value};
use crate::record::{self, Record};
use crate::system::{kernel_types, protocols, sys};

type Col = Column<event>;
type Row<'a> = Record<'a, event>;

/// As `enum kind` of tcpsnoop.bpf.c numbers them.
pub(super) const KINDS: &[&str] =
    &["connect", "accept", "close", "listen", "retransmit", "reset", "state"];

/// As the kernel numbers them, from 1.
const STATES: &[&str] = &[
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
    "NEW_SYN_RECV",
];

/// Of the owner, whom nobody may know.
pub(super) const TASK: &[Col] = &[
    Col::TIME_IF_ASKED,
    Col { value: |r| owner(r, (Col::UID.value)(r)), ..Col::UID_IF_ASKED },
    Col {
        value: |r| owner(r, (Col::PID.value)(r)),
        about: "the process whose connection it is",
        ..Col::PID
    },
    Col {
        value: |r| owner(r, (Col::COMM.value)(r)),
        about: "the name of the thread that asked for it or accepted it",
        ..Col::COMM
    },
    Col { value: |r| owner(r, (Col::TID.value)(r)), about: "that thread", ..Col::TID },
    Col { value: |r| owner(r, (Col::CGROUP.value)(r)), ..Col::CGROUP },
    Col::CONTAINER,
    Col::NAMESPACE,
    Col::POD,
    Col::CONTAINER_NAME,
];

pub(super) const COLUMNS: &[Col] = &[
    Col::word(
        "EVENT",
        "kind",
        10,
        "connect, accept, close, listen, retransmit, reset, state",
        |r| Value::Word(KINDS.get(usize::from(r.event.kind)).copied().unwrap_or("?")),
    ),
    Col::made("LADDR", "laddr", 15, "the address here", |r| address(&r.event.local)),
    Col::uint("LPORT", "lport", 5, "the port here", |r| port(&r.event.local)),
    // Of a connect that fails in the call they are what the program gave.
    Col::made("RADDR", "raddr", 15, "the address of the other end", |r| address(&r.event.remote))
        .user(),
    Col::uint("RPORT", "rport", 5, "the port of the other end", |r| port(&r.event.remote)).user(),
    Col::word(
        "RESULT",
        "result",
        13,
        "OK, the name of the error, CLOSED by the program before, RESET by this host, FAILED",
        result,
    )
    .json_only()
    .with(&["--events=connect", "--events=accept", "--events=close", "--events=listen"]),
    Col::errno("ERRNO", "errno", 7, "the name of the error", |r| match r.event.result {
        errno if errno < outcome::OUTCOME_NONE.0 => Value::Errno(-i64::from(errno)),
        _ => Value::None,
    })
    .json_only(),
    Col::duration(
        "LATENCY",
        "latency_ns",
        8,
        "how long a connect took, a connection has waited to be accepted, or a socket was in the state \
         before",
        |r| time(r.event.latency_ns),
    )
    .json_only()
    .with(&["--events=connect", "--events=accept", "--events=state"]),
    Col::uint(
        "SENT",
        "bytes_sent",
        8,
        "bytes that the program sent and the other end has acknowledged",
        |r| at_close(r, r.event.bytes_sent),
    )
    .json_only()
    .with(&["--events=close"])
    .sum(),
    Col::uint("RECEIVED", "bytes_received", 8, "bytes that came, in order", |r| {
        at_close(r, r.event.bytes_received)
    })
    .json_only()
    .with(&["--events=close"])
    .sum(),
    Col::uint("RETRANS", "retransmits", 7, "segments that were sent again", |r| {
        at_close(r, r.event.retransmits.into())
    })
    .json_only()
    .with(&["--events=close"])
    .sum(),
    Col::uint(
        "RETRANS_BYTES",
        "bytes_retransmitted",
        8,
        "bytes that were sent again, so often",
        |r| at_close(r, r.event.bytes_retransmitted),
    )
    .json_only()
    .sum(),
    Col::duration("RTT", "rtt_ns", 6, "the smoothed round-trip time", |r| {
        time(u64::from(r.event.rtt_us) * 1000)
    })
    .json_only()
    .with(&["--events=connect", "--events=accept", "--events=close", "--events=retransmit"]),
    Col::duration("DURATION", "duration_ns", 8, "how long the connection was there", |r| {
        time(r.event.duration_ns)
    })
    .json_only()
    .with(&["--events=close"]),
    Col::duration("HANDSHAKE", "handshake_ns", 9, "how long its connect took", |r| {
        time(r.event.handshake_ns)
    })
    .json_only(),
    Col::duration("WAIT", "accept_wait_ns", 8, "how long it has waited to be accepted", |r| {
        time(r.event.accept_wait_ns)
    })
    .json_only(),
    Col::uint("BACKLOG", "backlog", 7, "how many connections may wait to be accepted", |r| {
        match kind(r.event.kind.into()) {
            kind::KIND_LISTEN => Value::Uint(r.event.backlog.into()),
            _ => Value::None,
        }
    })
    .json_only()
    .with(&["--events=listen"]),
    Col::word(
        "HOW",
        "retransmit_kind",
        6,
        "syn, synack, fast: what came later is there; rto: after a timeout; tlp: a probe before it",
        |r| match retransmit(r.event.retransmit.into()) {
            retransmit::RETRANSMIT_SYN => Value::Word("syn"),
            retransmit::RETRANSMIT_SYNACK => Value::Word("synack"),
            retransmit::RETRANSMIT_FAST => Value::Word("fast"),
            retransmit::RETRANSMIT_RTO => Value::Word("rto"),
            retransmit::RETRANSMIT_TLP => Value::Word("tlp"),
            _ => Value::None,
        },
    )
    .json_only()
    .with(&["--events=retransmit"]),
    Col::uint(
        "SEGMENTS",
        "segments",
        8,
        "how many segments are sent again at once",
        |r| match kind(r.event.kind.into()) {
            kind::KIND_RETRANSMIT => Value::Uint(r.event.retransmits.into()),
            _ => Value::None,
        },
    )
    .json_only()
    .with(&["--events=retransmit"])
    .sum(),
    Col::word("RESET_BY", "reset_by", 8, "who has reset it: local, remote", |r| {
        match side(r.event.reset_by.into()) {
            side::SIDE_LOCAL => Value::Word("local"),
            side::SIDE_REMOTE => Value::Word("remote"),
            _ => Value::None,
        }
    })
    .json_only()
    .with(&["--events=reset"]),
    Col::text("REASON", "reset_reason", 20, "why this host has sent it: Linux 6.10", |r| {
        match r.event.reset_reason {
            0 => Value::None,
            number => RESET_REASONS
                .iter()
                .find(|(_, known)| *known == number)
                .map_or(Value::Unreadable, |(name, _)| Value::Text(name.as_bytes())),
        }
    })
    .or(Kind::Unreadable)
    .json_only()
    .with(&["--events=reset"]),
    Col::word("FROM", "old_state", 11, "the state before", |r| state(r.event.state_before))
        .json_only()
        .with(&["--events=state"]),
    Col::word("STATE", "state", 12, "the state of the socket", |r| {
        match kind(r.event.kind.into()) {
            kind::KIND_STATE | kind::KIND_RETRANSMIT | kind::KIND_RESET => state(r.event.state),
            _ => Value::None,
        }
    })
    .json_only()
    .with(&["--events=state", "--events=retransmit"]),
    Col::hex(
        "SOCKET",
        "socket",
        18,
        "tells sockets apart that are there at the same time, by other numbers in each run",
        |r| match r.event.socket {
            0 => Value::None,
            address => Value::Hex(SOCKETS.hash_one(address)),
        },
    )
    .json_only(),
    Col::uint("NETNS", "netns", 10, "the number of the network namespace", |r| {
        match r.event.netns {
            0 => Value::None,
            number => Value::Uint(number.into()),
        }
    })
    .json_only(),
    Col::boolean(
        "BEFORE",
        "before_start",
        6,
        "whether the connection is older than the trace",
        |r| Value::Bool(r.event.before_start != 0),
    )
    .json_only(),
];

/// Where the kernel has things is nobody's business.
static SOCKETS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// As the running kernel numbers and names them, but what all names begin with.
pub(super) static RESET_REASONS: LazyLock<Vec<(String, u32)>> = LazyLock::new(|| {
    let all = kernel_types::enumerators("sk_rst_reason").into_iter();
    all.map(|(name, number)| (name.replace("SK_RST_REASON_", ""), number)).collect()
});

fn owner<'a>(record: &Row<'a>, value: Value<'a>) -> Value<'a> {
    if record.event.has_owner != 0 { value } else { Value::None }
}

/// Without a port, and of any host, it is none yet.
fn address(end: &types::end) -> Value<'_> {
    match end.port == 0 && end.address == [0; 16] {
        true => Value::None,
        false => Value::Made(address_text, sys::bytes_of(end)),
    }
}

/// Of the bytes of `struct end`.
fn address_text(end: &[u8]) -> Vec<u8> {
    let Ok(end) = plain::from_bytes::<types::end>(end) else { return Vec::new() };
    protocols::address(end.address, end.family == 4).to_string().into_bytes()
}

fn port<'a>(end: &types::end) -> Value<'a> {
    match end.port {
        0 => Value::None,
        port => Value::Uint(port.into()),
    }
}

fn result<'a>(record: &Row<'a>) -> Value<'a> {
    Value::Word(match outcome(record.event.result) {
        outcome::OUTCOME_OK => "OK",
        outcome::OUTCOME_NONE => return Value::None,
        outcome::OUTCOME_CLOSED => "CLOSED",
        outcome::OUTCOME_RESET => "RESET",
        outcome(errno) => record::errno_name(-i64::from(errno)).unwrap_or("FAILED"),
    })
}

fn time<'a>(ns: u64) -> Value<'a> {
    if ns == 0 { Value::None } else { Value::Duration(ns) }
}

fn at_close<'a>(record: &Row<'a>, number: u64) -> Value<'a> {
    match kind(record.event.kind.into()) {
        kind::KIND_CLOSE => Value::Uint(number),
        _ => Value::None,
    }
}

fn state<'a>(number: u8) -> Value<'a> {
    match usize::from(number).checked_sub(1) {
        None => Value::None,
        Some(at) => Value::Word(STATES.get(at).copied().unwrap_or("?")),
    }
}

#[cfg(test)]
mod tests {
    use super::types::{self, event, outcome};
    use super::{COLUMNS, Col, Record};
    use crate::output::{Asked, Clock, Lines, Screen, Shown};
    use crate::record::Header;

    fn line(event: &event) -> String {
        let is_usual = |column: &&Col| match column.option {
            Asked::With(options) => {
                options.contains(&"--events=close") || column.key == "latency_ns"
            }
            _ => column.shown == Shown::Always,
        };
        let columns = COLUMNS.iter().filter(is_usual);
        let columns = columns.collect::<Vec<_>>();
        let (header, mut line) = (Header::default(), Vec::new());
        let record = Record::of(&header, event);
        Lines::table(&columns).row(&mut line, &Clock::new(0), Screen::default(), None, &record);
        let line = String::from_utf8(line).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn end(bytes: &[u8], port: u16) -> types::end {
        let mut address = [0; 16];
        address[..bytes.len()].copy_from_slice(bytes);
        types::end { address, port, family: if bytes.len() == 4 { 4 } else { 6 } }
    }

    #[test]
    fn what_is_not_known_is_not_shown() {
        let (local, remote) = (end(&[0; 4], 0), end(&[10, 0, 0, 9], 443));
        let failed = event { result: 101, local, remote, ..event::default() };
        assert_eq!(line(&failed), "connect - - 10.0.0.9 443 ENETUNREACH - - - - - -");
        let local = end(&[0; 16], 80);
        let listen = types::kind::KIND_LISTEN.0 as u8;
        let listen = event { kind: listen, local, ..event::default() };
        assert_eq!(line(&listen), "listen :: 80 - - OK - - - - - -");
    }

    #[test]
    fn an_end_has_a_result() {
        for (result, text) in [
            (0, "OK"),
            (104, "ECONNRESET"),
            (4095, "FAILED"),
            (outcome::OUTCOME_RESET.0, "RESET"),
            (outcome::OUTCOME_CLOSED.0, "CLOSED"),
        ] {
            let (local, remote) = (end(&[1; 16], 1), end(&[1; 16], 2));
            let rtt_us = 7;
            let close = event {
                kind: types::kind::KIND_CLOSE.0 as u8,
                result,
                local,
                remote,
                rtt_us,
                ..event::default()
            };
            let address = "101:101:101:101:101:101:101:101";
            let expected = format!("close {address} 1 {address} 2 {text} - 0 0 0 7.00us -");
            assert_eq!(line(&close), expected);
        }
    }
}
