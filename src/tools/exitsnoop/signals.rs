//! `--signals`: signals as they are sent.

use std::sync::LazyLock;

use nix::sys::signal::Signal;

use super::{Col, types, word_of};
use crate::output::Value;
use crate::record::{self, Record};

const MAX: u32 = 64;

pub(super) const COLUMNS: &[Col] = &[
    Col::word("SIGNAL", "signal", 11, "the signal; SIG0 sends none", |r| {
        Value::Word(name_of(r.event.status))
    }),
    Col::int("NUMBER", "signal_number", 6, "its number, as the call has it", |r| {
        Value::Int(signed(r.event.status))
    })
    .json_only(),
    Col::word(
        "HOW",
        "how",
        9,
        "the call: kill, tkill, tgkill, sigqueue, tgsigqueue, pidfd; effect: of another thing that the \
         process does; message: of a queue; child: it ended, stopped or went on; fault, seccomp, timer, \
         namespace, kernel",
        how,
    ),
    Col::int("CODE", "code", 6, "si_code, as who gets the signal may see it", |r| {
        if has_failed(r) { Value::None } else { Value::Int(r.event.origin.code.into()) }
    })
    .json_only(),
    Col::int(
        "TPID",
        "target_pid",
        7,
        "the process it is for; of a call that sends none, what the call says, which may be a thread or, \
         from 0 down, a group",
        |r| match types::signal_call(r.event.origin.call) {
            types::signal_call::CALL_PIDFD if is_of_call(r) => Value::None,
            _ => Value::Int(signed(r.event.peer.pid)),
        },
    ),
    Col::int("TTID", "target_tid", 7, "the thread, where it is for one", |r| {
        match r.event.target_tid {
            0 => Value::None,
            tid => Value::Int(signed(tid)),
        }
    })
    .json_only(),
    Col::text("TCOMM", "target_comm", 16, "the name of the process it is for", |r| {
        if is_of_call(r) { Value::None } else { Value::Text(record::c_str(&r.event.peer.comm)) }
    }),
    Col::uint("TUID", "target_uid", 6, "its user, by number", |r| {
        if is_of_call(r) { Value::None } else { Value::Uint(r.event.peer.uid.into()) }
    })
    .json_only(),
    super::ADDRESS,
    Col::word(
        "RESULT",
        "result",
        7,
        "sent; ignored by the process; pending: one is already waiting; no_info: sent without what goes \
         with it; no_room: lost; exists, for SIG0; or the error of the call",
        result,
    ),
    Col::errno("ERRNO", "errno", 7, "the error of the call", |r| Value::Errno(r.event.ret.into()))
        .json_only(),
];

/// What is an `int` in the kernel.
fn signed(number: u32) -> i64 {
    i32::from_ne_bytes(number.to_ne_bytes()).into()
}

fn has_failed(record: &Record<'_, types::event>) -> bool {
    record.event.ret < 0
}

/// Of a call that has sent none.
fn is_of_call(record: &Record<'_, types::event>) -> bool {
    has_failed(record) || record.event.status == 0
}

fn how<'a>(record: &Record<'a, types::event>) -> Value<'a> {
    use types::signal_call as call;
    const SI_MESGQ: i32 = -3;
    let origin = &record.event.origin;
    Value::Word(match call(origin.call) {
        call::CALL_KILL => "kill",
        call::CALL_TKILL => "tkill",
        call::CALL_TGKILL => "tgkill",
        call::CALL_SIGQUEUE => "sigqueue",
        call::CALL_TGSIGQUEUE => "tgsigqueue",
        call::CALL_PIDFD => "pidfd",
        _ => match word_of(origin.by) {
            Some("itself" | "process") if origin.code == SI_MESGQ => "message",
            Some("itself" | "process") | None => "effect",
            Some(word) => word,
        },
    })
}

fn result<'a>(record: &Record<'a, types::event>) -> Value<'a> {
    let ret = record.event.ret;
    Value::Word(match types::sent(record.event.sent) {
        _ if ret < 0 => record::errno_name(ret.into()).unwrap_or("FAILED"),
        _ if record.event.status == 0 => "exists",
        types::sent::SENT_IGNORED => "ignored",
        types::sent::SENT_PENDING => "pending",
        types::sent::SENT_NO_ROOM => "no_room",
        types::sent::SENT_WITHOUT_INFO => "no_info",
        _ => "sent",
    })
}

/// As shells have it. Those from 32 on have no names of their own, and the C library keeps two.
pub(super) fn name_of(signal: u32) -> &'static str {
    const REAL_TIME: u32 = 34;
    static OTHERS: LazyLock<Vec<String>> = LazyLock::new(|| {
        let name = |number| match number {
            ..REAL_TIME => format!("SIG{number}"),
            REAL_TIME => "SIGRTMIN".into(),
            _ => format!("SIGRTMIN+{}", number - REAL_TIME),
        };
        (0..=MAX).map(name).collect()
    });
    match i32::try_from(signal).map(Signal::try_from) {
        Ok(Ok(signal)) => signal.as_str(),
        _ => OTHERS.get(signal as usize).map_or("?", String::as_str),
    }
}

/// What the user gives: a number, or a name with or without SIG. In bits, from 1 on.
pub(super) fn bit(text: &str) -> std::result::Result<u64, String> {
    let upper = text.to_uppercase();
    let short = |name: &'static str| name.strip_prefix("SIG").unwrap_or(name);
    let is_it = |number: &u32| {
        let name = name_of(*number);
        upper == name || upper == short(name) || text == number.to_string()
    };
    let number = (1..=MAX).find(is_it);
    number.map(|number| 1 << (number - 1)).ok_or("no such signal, like TERM, 9 or RTMIN+1".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_read_as_they_are_shown() {
        for number in 1..=MAX {
            assert_eq!(bit(name_of(number)), Ok(1 << (number - 1)), "{}", name_of(number));
            assert_eq!(bit(&number.to_string()), Ok(1 << (number - 1)));
        }
        assert_eq!(bit("term"), Ok(1 << 14));
        assert_eq!(bit("rtmin+30"), Ok(1 << 63));
        for wrong in ["", "0", "65", "-1", "SIG", "SIGSIGTERM", "RTMIN+31", "TER", "09"] {
            assert!(bit(wrong).is_err(), "{wrong}");
        }
        assert_eq!((name_of(0), name_of(65)), ("SIG0", "?"));
    }
}
