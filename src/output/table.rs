//! The text table: a header line, and one line an event whatever bytes came in.

use anstyle::Style;
use unicode_width::UnicodeWidthStr as _;

use super::cell::Cell;
use super::fit::{self, Piece};
use super::screen::{FAILURE, HEADER};
use super::values::stack;
use super::{Clock, Column, Name, Screen, Value};
use crate::escape;
use crate::record::Record;

/// What stands below a row begins with this.
const STEPS: &str = "    ";

/// Where cells are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout<'l> {
    /// How wide each column is.
    pub(super) widths: &'l [usize],
    pub(super) screen: Screen,
}

/// Appends what is in the column with that number. Whether it is text, and its style. Its type is
/// forgotten: lines are made by the same code, whatever they are of.
pub(super) type Fill<'f> = &'f mut dyn FnMut(&mut Vec<u8>, usize) -> (bool, Style);

/// Appends the header line.
pub(super) fn header(out: &mut Vec<u8>, names: &[Name], layout: Layout<'_>) {
    if names.is_empty() {
        return;
    }
    line(out, layout, &mut |out, number| {
        out.extend_from_slice(names[number].title.as_bytes());
        (true, HEADER)
    });
    out.push(b'\n');
}

/// Appends the line of one row.
pub(super) fn row<E>(
    out: &mut Vec<u8>,
    columns: &[&Column<E>],
    layout: Layout<'_>,
    clock: &Clock,
    record: &Record<'_, E>,
) {
    if columns.is_empty() {
        return;
    }
    line(out, layout, &mut |text, number| {
        cell((columns[number].value)(record), text, clock, layout.screen)
    });
    out.push(b'\n');
}

/// Appends a value. Whether it is text, and its style.
pub(super) fn cell(
    value: Value<'_>,
    text: &mut Vec<u8>,
    clock: &Clock,
    screen: Screen,
) -> (bool, Style) {
    value.text(&mut Cell { text, clock, screen });
    (value.is_text(), style(value))
}

/// Appends a line for each call of a stack, some steps to the right.
pub(super) fn below(value: Value<'_>, out: &mut Vec<u8>, screen: Screen) {
    let Value::Stack(name, calls) = value else { return };
    for call in stack::names(name, calls) {
        let line = [STEPS, &escape::text(&call)].concat();
        out.extend_from_slice(fit::text(&line, screen.width.unwrap_or(usize::MAX)).as_bytes());
        out.push(b'\n');
    }
}

/// How its text looks.
pub(super) fn style(value: Value<'_>) -> Style {
    if value.is_failure() { FAILURE } else { Style::new() }
}

/// Appends these cells, without the end of their line.
pub(super) fn line(out: &mut Vec<u8>, layout: Layout<'_>, fill: Fill<'_>) {
    match layout.screen == Screen::default() {
        true => whole(out, layout.widths, fill),
        false => on_screen(out, layout, fill),
    }
}

/// Cells with a space between; what is wider than its column pushes the others on, whole.
fn whole(out: &mut Vec<u8>, widths: &[usize], fill: Fill<'_>) {
    let mut padding = 0;
    for (number, cell) in widths.iter().enumerate() {
        out.resize(out.len() + padding, b' ');
        let start = out.len();
        fill(out, number);
        padding = cell.saturating_sub(width(out.get(start..).unwrap_or_default())) + 1;
    }
}

/// The same as it fits the screen, in its colours.
fn on_screen(out: &mut Vec<u8>, Layout { widths, screen }: Layout<'_>, fill: Fill<'_>) {
    let mut filled = Vec::new();
    for number in 0..widths.len() {
        let mut text = Vec::new();
        let (is_text, style) = fill(&mut text, number);
        filled.push((String::from_utf8(text).unwrap_or_default(), is_text, style));
    }
    let pieces = filled.iter().map(|(text, is_text, _)| Piece { text, is_text: *is_text });
    let pieces = pieces.collect::<Vec<_>>();
    let line = screen.width.unwrap_or(usize::MAX);
    let widths = fit::columns(widths.to_vec(), line);
    let fitted = fit::cells(&pieces, &widths, line);
    let mut padding = 0;
    for ((text, (.., style)), width) in fitted.iter().zip(&filled).zip(widths) {
        out.resize(out.len() + padding, b' ');
        screen.styled(out, *style, |out| out.extend_from_slice(text.as_bytes()));
        padding = width.saturating_sub(text.width()) + 1;
    }
}

/// The terminal cells that a text takes.
pub(super) fn width(text: &[u8]) -> usize {
    if text.is_ascii() { text.len() } else { std::str::from_utf8(text).map_or(0, str::width) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Lines;
    use crate::output::values::Args;
    use crate::record::Header;
    use proptest::prelude::*;

    const COLUMNS: &[&Column<Header>] = &[
        &Column::UID,
        &Column::COMM,
        &Column::PID,
        &Column::ret("RET", "ret", 6, "", |_| Value::Ret(-2)),
        &Column::args("ARGS", "args", 0, "", |r| Value::Args(Args::new(r.tail, 2), true)),
    ];

    fn line(comm: &[u8], tail: &[u8], screen: Screen) -> String {
        let mut header = Header { pid: 7, ..Header::default() };
        header.comm[..comm.len()].copy_from_slice(comm);
        let record = Record { tail, ..Record::of(&header, &header) };
        let mut out = Vec::new();
        Lines::table(COLUMNS).row(&mut out, &Clock::new(0), screen, None, &record);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_up() {
        let mut head = Vec::new();
        Lines::table(COLUMNS).header(&mut head, Screen::default());
        assert_eq!(head, b"UID    COMM             PID     RET    ARGS\n");
        assert_eq!(
            line("\u{4e16}\x1b".as_bytes(), b"ls\0\0a b\0", Screen::default()),
            "0      \u{4e16}\\x1b           7       ENOENT ls [?] 'a b'[...]\n"
        );
    }

    #[test]
    fn a_stack_stands_below() {
        let stack = Column::stack("STACK", "stack", 0, "", |r| {
            Value::Stack(|call| format!("call\x1b{}", call[0]).into_bytes(), r.tail)
        });
        let columns = [&stack, &Column::PID];
        let lines = Lines::table(&columns);
        let header = Header { pid: 7, ..Header::default() };
        let record = Record {
            tail: &[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0],
            ..Record::of(&header, &header)
        };
        let shown = |lines: &Lines<'_, _>, width| {
            let mut out = Vec::new();
            let screen = Screen { width, has_colours: false };
            lines.header(&mut out, screen);
            lines.row(&mut out, &Clock::new(0), screen, None, &record);
            String::from_utf8(out).unwrap()
        };
        let whole = "PID\n7\n    call\\x1b1\n    call\\x1b2\n";
        assert_eq!(shown(&lines, None), whole);
        assert_eq!(
            shown(&lines.filled(std::slice::from_ref(&record)), Some(10)),
            "PID\n7\n    call\u{2026}\n    call\u{2026}\n"
        );
    }

    proptest! {
        #[test]
        fn a_row_is_one_line(comm: [u8; 16], tail: Vec<u8>) {
            let line = line(&comm, &tail, Screen::default());
            let rest = line.strip_suffix('\n');
            prop_assert!(rest.is_some_and(|rest| !rest.contains(char::is_control)));
        }
    }
}
