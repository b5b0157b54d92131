//! The text table: a header line, and one line an event whatever bytes came in.

use unicode_width::UnicodeWidthStr as _;

use super::{Clock, Column, Value, escape};
use crate::decode::{self, Ancestors, Known, Record};

/// The header line.
pub fn header<E>(columns: &[&Column<E>]) -> String {
    let mut line = Line::default();
    for column in columns {
        line.cell(column.width, |out| out.push_str(column.title));
    }
    line.end()
}

/// The line of one row.
pub fn row<E>(columns: &[&Column<E>], clock: Clock, record: &Record<'_, E>) -> String {
    let mut line = Line::default();
    for column in columns {
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
        Value::EndOfFile => out.push_str("[end of file]"),
        Value::Path(place) => {
            // A whole path begins with a slash, so these cannot be taken for names.
            out.push_str(match place.known() {
                Known::Whole => "",
                Known::Relative => "[?]/",
                Known::Cut => "[...]/",
                Known::Deleted => "[deleted]",
            });
            escape::text_into(out, &place.bytes());
        }
        Value::Args(args, more) => args_into(out, args, more),
        Value::Ancestors(ancestors) => ancestors_into(out, ancestors),
    }
}

/// `bash(12)<sshd(7)<systemd(1)`
fn ancestors_into(out: &mut String, ancestors: Ancestors<'_>) {
    for (i, (pid, comm)) in ancestors.enumerate() {
        if i > 0 {
            out.push('<');
        }
        escape::text_into(out, comm);
        out.push('(');
        out.push_str(&pid.to_string());
        out.push(')');
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
        row(COLUMNS, Clock::new(0), &record)
    }

    #[test]
    fn lines_up() {
        assert_eq!(header(COLUMNS), "UID    COMM             PID     RET    ARGS\n");
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
