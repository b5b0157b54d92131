//! The text table: a header line, and one line an event whatever bytes came in.

use unicode_width::UnicodeWidthStr as _;

use super::cell::Cell;
use super::{Clock, Column};
use crate::decode::Record;

/// Appends the header line.
pub fn header<E>(out: &mut Vec<u8>, columns: &[&Column<E>]) {
    if !columns.is_empty() {
        line(out, columns, |out, column| out.extend_from_slice(column.title.as_bytes()));
    }
}

/// Appends the line of one row.
pub fn row<E>(out: &mut Vec<u8>, columns: &[&Column<E>], clock: &Clock, record: &Record<'_, E>) {
    line(out, columns, |text, column| {
        (column.value)(record).text(&mut Cell { text, clock });
    });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Header;
    use crate::output::values::{Args, Value};
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

    proptest! {
        #[test]
        fn a_row_is_one_line(comm: [u8; 16], tail: Vec<u8>) {
            let line = line(&comm, &tail);
            let rest = line.strip_suffix('\n');
            prop_assert!(rest.is_some_and(|rest| !rest.contains(char::is_control)));
        }
    }
}
