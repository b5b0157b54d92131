//! The text table: a header line, and one line an event whatever bytes came in.

use unicode_width::UnicodeWidthStr as _;

use super::{Clock, Column, Shown, Value, escape};
use crate::decode::{self, Record};

/// Columns of the table that `-T` and `-U` ask for besides those that are always there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extra {
    /// `-T`
    pub time: bool,
    /// `-U`
    pub uid: bool,
}

impl Extra {
    fn has(self, shown: Shown) -> bool {
        match shown {
            Shown::Always => true,
            Shown::WithTime => self.time,
            Shown::WithUid => self.uid,
            Shown::JsonOnly => false,
        }
    }
}

/// The header line.
pub fn header<E>(columns: &[Column<E>], extra: Extra) -> String {
    let mut line = Line::default();
    for column in columns.iter().filter(|column| extra.has(column.shown)) {
        line.cell(column.width, |out| out.push_str(column.title));
    }
    line.end()
}

/// The line of one row.
pub fn row<E>(columns: &[Column<E>], extra: Extra, clock: Clock, record: &Record<'_, E>) -> String {
    let mut line = Line::default();
    for column in columns.iter().filter(|column| extra.has(column.shown)) {
        let value = (column.value)(record);
        line.cell(column.width, |out| value_into(out, value, clock));
    }
    line.end()
}

/// Cells with a space between; what is wider than its column pushes the others on, whole.
#[derive(Default)]
struct Line {
    text: String,
    padding: usize,
}

impl Line {
    fn cell(&mut self, width: usize, fill: impl FnOnce(&mut String)) {
        self.text.extend(std::iter::repeat_n(' ', self.padding));
        let start = self.text.len();
        fill(&mut self.text);
        let filled = self.text.get(start..).unwrap_or_default().width();
        self.padding = width.saturating_sub(filled) + 1;
    }

    fn end(mut self) -> String {
        self.text.push('\n');
        self.text
    }
}

fn value_into(out: &mut String, value: Value<'_>, clock: Clock) {
    match value {
        Value::None => out.push('-'),
        Value::Time(time_ns) => out.push_str(&clock.local(time_ns)),
        Value::Uint(number) => out.push_str(&number.to_string()),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::Bool(flag) => out.push_str(if flag { "yes" } else { "no" }),
        Value::Word(word) => out.push_str(word),
        Value::Ret(ret) | Value::Errno(ret) => {
            out.push_str(&decode::errno_name(ret).unwrap_or_else(|| ret.to_string()));
        }
        Value::Text(bytes) => escape::text_into(out, bytes),
        Value::CutText(bytes) => {
            escape::text_into(out, bytes);
            out.push_str("[...]");
        }
        Value::Args(args, more) => args_into(out, args, more),
    }
}

/// As a shell would read them; `[?]` for one that could not be read, `[...]` where some are missing.
fn args_into(out: &mut String, args: decode::Args<'_>, more: bool) {
    let file = args.file;
    if let (Some(file), None) = (file, { args }.next()) {
        escape::shell_word_into(out, file);
    }
    for (i, arg) in args.enumerate() {
        if i > 0 {
            out.push(' ');
        }
        match file.filter(|_| i == 0).or(arg) {
            Some(arg) => escape::shell_word_into(out, arg),
            None => out.push_str("[?]"),
        }
    }
    if more {
        out.push_str("[...]");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Args, Header};
    use proptest::prelude::*;

    const COLUMNS: &[Column<Header>] = &[
        Column::UID.shown(Shown::WithUid),
        Column::COMM,
        Column::PID,
        Column::new("RET", "ret", 6, |_| Value::Ret(-2)),
        Column::TID,
        Column::new("ARGS", "args", 0, |r| Value::Args(Args::new(r.tail, 2), true)),
    ];

    fn line(comm: &[u8], tail: &[u8], extra: Extra) -> String {
        let mut header = Header { pid: 7, ..Header::default() };
        header.comm[..comm.len()].copy_from_slice(comm);
        row(COLUMNS, extra, Clock::new(0), &Record { header: &header, event: &header, tail })
    }

    #[test]
    fn lines_up() {
        let extra = Extra { uid: true, ..Extra::default() };
        assert_eq!(header(COLUMNS, extra), "UID    COMM             PID     RET    ARGS\n");
        assert_eq!(
            line("\u{4e16}\x1b".as_bytes(), b"ls\0\0a b\0", extra),
            "0      \u{4e16}\\x1b           7       ENOENT ls [?] 'a b'[...]\n"
        );
        assert_eq!(header(COLUMNS, Extra::default()), "COMM             PID     RET    ARGS\n");
    }

    proptest! {
        #[test]
        fn a_row_is_one_line(comm: [u8; 16], tail: Vec<u8>) {
            let line = line(&comm, &tail, Extra::default());
            prop_assert!(line.strip_suffix('\n').is_some_and(|rest| !rest.contains(char::is_control)));
        }
    }
}
