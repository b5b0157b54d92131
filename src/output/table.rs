//! The text table: a header line, and one line an event whatever bytes came in.

use std::io::Write as _;

use unicode_width::UnicodeWidthStr as _;

use super::{Clock, Column, Value};
use crate::decode::{self, Ancestors, Known, Record};
use crate::escape;

/// Appends the header line.
pub fn header<E>(out: &mut Vec<u8>, columns: &[&Column<E>]) {
    if !columns.is_empty() {
        line(out, columns, |out, column| out.extend_from_slice(column.title.as_bytes()));
    }
}

/// Appends the line of one row.
pub fn row<E>(out: &mut Vec<u8>, columns: &[&Column<E>], clock: &Clock, record: &Record<'_, E>) {
    line(out, columns, |out, column| value_into(out, (column.value)(record), clock));
}

/// Cells with a space between; what is wider than its column pushes the others on, whole.
fn line<E>(
    out: &mut Vec<u8>,
    columns: &[&Column<E>],
    mut fill: impl FnMut(&mut Vec<u8>, &Column<E>),
) {
    let mut padding = 0;
    for column in columns {
        out.resize(out.len() + padding, b' ');
        let start = out.len();
        fill(out, column);
        padding = column.width.saturating_sub(width(out.get(start..).unwrap_or_default())) + 1;
    }
    out.push(b'\n');
}

/// The terminal cells that a text takes.
fn width(text: &[u8]) -> usize {
    if text.is_ascii() { text.len() } else { std::str::from_utf8(text).map_or(0, str::width) }
}

fn value_into(out: &mut Vec<u8>, value: Value<'_>, clock: &Clock) {
    match value {
        Value::None => out.push(b'-'),
        Value::Unreadable => out.extend_from_slice(escape::UNREADABLE),
        Value::Time(time_ns) => clock.local_into(out, time_ns),
        Value::Uint(number) => number_into(out, number),
        Value::Int(number) => number_into(out, number),
        Value::Hex(number) => {
            let _ = write!(out, "{number:#x}");
        }
        Value::Float(number) => {
            let _ = write!(out, "{number:.1}");
        }
        Value::Duration(ns) => duration_into(out, ns),
        Value::Flags(flags) => {
            for (i, name) in flags.names().enumerate() {
                if i > 0 {
                    out.push(b'|');
                }
                out.extend_from_slice(name.as_bytes());
            }
        }
        Value::Bool(flag) => out.extend_from_slice(if flag { b"yes" } else { b"no" }),
        Value::Word(word) => out.extend_from_slice(word.as_bytes()),
        Value::Ret(ret) | Value::Errno(ret) => match decode::errno_name(ret) {
            Some(name) => out.extend_from_slice(name.as_bytes()),
            None => number_into(out, ret),
        },
        Value::Text(bytes) => escape::value_into(out, bytes),
        Value::Indented(steps, bytes) => {
            out.extend(std::iter::repeat_n(b' ', 2 * steps));
            escape::text_into(out, bytes);
        }
        Value::CutText(bytes) => {
            escape::text_into(out, bytes);
            out.extend_from_slice(escape::CUT);
        }
        Value::EndOfFile => out.extend_from_slice(escape::END_OF_FILE),
        Value::Path(place) => {
            // A whole path begins with a slash, so these cannot be taken for names.
            out.extend_from_slice(match place.known() {
                Known::Whole => b"",
                Known::Relative => b"[?]/",
                Known::Cut => b"[...]/",
                Known::Deleted => b"[deleted]",
            });
            escape::text_into(out, &place.bytes());
        }
        Value::Args(args, more) => args_into(out, args, more),
        Value::Histogram(slots) => {
            number_into(out, slots.iter().filter(|&&count| count > 0).count());
        }
        Value::Addresses(addresses) => {
            for (i, address) in addresses.enumerate() {
                let _ = write!(out, "{}{address}", if i > 0 { "," } else { "" });
            }
        }
        Value::Ancestors(ancestors) => ancestors_into(out, ancestors),
    }
}

fn number_into(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Three digits and a unit: `12.3us`.
pub fn duration_into(out: &mut Vec<u8>, ns: u64) {
    let (number, unit) = match ns {
        0..1_000 => (ns as f64, "ns"),
        1_000..1_000_000 => (ns as f64 / 1e3, "us"),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    let digits = match number {
        _ if unit == "ns" => 0,
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    let _ = write!(out, "{number:.digits$}{unit}");
}

/// `bash(12)<sshd(7)<systemd(1)`
fn ancestors_into(out: &mut Vec<u8>, ancestors: Ancestors<'_>) {
    for (i, (pid, comm)) in ancestors.enumerate() {
        if i > 0 {
            out.push(b'<');
        }
        escape::text_into(out, comm);
        out.push(b'(');
        number_into(out, pid);
        out.push(b')');
    }
}

/// As a shell would read them; `[?]` for one that could not be read, `[...]` where some are
/// missing.
fn args_into(out: &mut Vec<u8>, args: decode::Args<'_>, more: bool) {
    let file = args.file;
    let word_into = |out: &mut Vec<u8>, word: Option<&[u8]>| match word {
        Some(word) => escape::shell_word_into(out, word),
        None => out.extend_from_slice(escape::UNREADABLE),
    };
    if let (Some(file), None) = (file, { args }.next()) {
        word_into(out, file);
    }
    for (i, arg) in args.enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        word_into(out, file.filter(|_| i == 0).unwrap_or(arg));
    }
    if more {
        out.extend_from_slice(b"[...]");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Args, Header};
    use proptest::prelude::*;

    const COLUMNS: &[&Column<Header>] = &[
        &Column::UID,
        &Column::COMM,
        &Column::PID,
        &Column::new("RET", "ret", 6, "", |_| Value::Ret(-2)),
        &Column::new("ARGS", "args", 0, "", |r| Value::Args(Args::new(r.tail, 2), true)),
    ];

    fn line(comm: &[u8], tail: &[u8]) -> String {
        let mut header = Header { pid: 7, ..Header::default() };
        header.comm[..comm.len()].copy_from_slice(comm);
        let record = Record { header: &header, event: &header, tail, container: "" };
        let mut out = Vec::new();
        row(&mut out, COLUMNS, &Clock::new(0), &record);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_up() {
        let mut head = Vec::new();
        header(&mut head, COLUMNS);
        assert_eq!(head, b"UID    COMM             PID     RET    ARGS\n");
        assert_eq!(
            line("\u{4e16}\x1b".as_bytes(), b"ls\0\0a b\0"),
            "0      \u{4e16}\\x1b           7       ENOENT ls [?] 'a b'[...]\n"
        );
    }

    #[test]
    fn durations_have_three_digits_and_a_unit() {
        for (ns, expected) in [
            (0, "0ns"),
            (999, "999ns"),
            (1_000, "1.00us"),
            (12_345, "12.3us"),
            (123_456_789, "123ms"),
            (61_000_000_000, "61.0s"),
        ] {
            let mut out = Vec::new();
            duration_into(&mut out, ns);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }

    proptest! {
        #[test]
        fn a_row_is_one_line(comm: [u8; 16], tail: Vec<u8>) {
            let line = line(&comm, &tail);
            let rest = line.strip_suffix('\n');
            prop_assert!(rest.is_some_and(|rest| !rest.contains(char::is_control)));
        }
    }
}
