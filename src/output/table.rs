//! The text table: a header line, and one line an event whatever bytes came in.

use anstyle::Style;
use unicode_width::UnicodeWidthStr as _;

use super::cell::Cell;
use super::fit::{self, Piece};
use super::screen::{FAILURE, HEADER};
use super::{Clock, Column, Screen};
use crate::decode::Record;

/// Where cells are.
#[derive(Debug)]
pub(super) struct Layout<'l, E> {
    pub(super) columns: &'l [&'l Column<E>],
    /// How wide each column is.
    pub(super) widths: &'l [usize],
    pub(super) screen: Screen,
}

/// Appends the header line.
pub(super) fn header<E>(out: &mut Vec<u8>, layout: &Layout<'_, E>) {
    if layout.columns.is_empty() {
        return;
    }
    line(out, layout, |out, column| {
        out.extend_from_slice(column.title.as_bytes());
        (true, HEADER)
    });
}

/// Appends the line of one row.
pub(super) fn row<E>(
    out: &mut Vec<u8>,
    layout: &Layout<'_, E>,
    clock: &Clock,
    record: &Record<'_, E>,
) {
    line(out, layout, |text, column| cell(text, column, clock, layout.screen, record));
}

/// Appends what a row has in a column. Whether it is text, and its style.
pub(super) fn cell<E>(
    text: &mut Vec<u8>,
    column: &Column<E>,
    clock: &Clock,
    screen: Screen,
    record: &Record<'_, E>,
) -> (bool, Style) {
    let value = (column.value)(record);
    value.text(&mut Cell { text, clock, screen });
    (value.is_text(), if value.is_failure() { FAILURE } else { Style::new() })
}

/// Appends a line. `fill` appends what is in a column, and says whether it is text, and its style.
fn line<E>(
    out: &mut Vec<u8>,
    layout: &Layout<'_, E>,
    fill: impl FnMut(&mut Vec<u8>, &Column<E>) -> (bool, Style),
) {
    match layout.screen == Screen::default() {
        true => whole(out, layout, fill),
        false => on_screen(out, layout, fill),
    }
    out.push(b'\n');
}

/// Cells with a space between; what is wider than its column pushes the others on, whole.
fn whole<E>(
    out: &mut Vec<u8>,
    layout: &Layout<'_, E>,
    mut fill: impl FnMut(&mut Vec<u8>, &Column<E>) -> (bool, Style),
) {
    let mut padding = 0;
    for (column, cell) in layout.columns.iter().zip(layout.widths) {
        out.resize(out.len() + padding, b' ');
        let start = out.len();
        fill(out, column);
        padding = cell.saturating_sub(width(out.get(start..).unwrap_or_default())) + 1;
    }
}

/// The same as it fits the screen, in its colours.
fn on_screen<E>(
    out: &mut Vec<u8>,
    layout: &Layout<'_, E>,
    mut fill: impl FnMut(&mut Vec<u8>, &Column<E>) -> (bool, Style),
) {
    let mut filled = Vec::new();
    for column in layout.columns {
        let mut text = Vec::new();
        let (is_text, style) = fill(&mut text, column);
        filled.push((String::from_utf8(text).unwrap_or_default(), is_text, style));
    }
    let pieces = filled.iter().map(|(text, is_text, _)| Piece { text, is_text: *is_text });
    let pieces = pieces.collect::<Vec<_>>();
    let line = layout.screen.width.unwrap_or(usize::MAX);
    let widths = fit::columns(layout.widths.to_vec(), line);
    let fitted = fit::cells(&pieces, &widths, line);
    let mut padding = 0;
    for ((text, (.., style)), width) in fitted.iter().zip(&filled).zip(widths) {
        out.resize(out.len() + padding, b' ');
        layout.screen.styled(out, *style, |out| out.extend_from_slice(text.as_bytes()));
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
    use crate::decode::Header;
    use crate::output::Lines;
    use crate::output::values::{Args, Value};
    use proptest::prelude::*;

    const COLUMNS: &[&Column<Header>] = &[
        &Column::UID,
        &Column::COMM,
        &Column::PID,
        &Column::new("RET", "ret", 6, "", |_| Value::Ret(-2)),
        &Column::new("ARGS", "args", 0, "", |r| Value::Args(Args::new(r.tail, 2), true)),
    ];

    fn line(comm: &[u8], tail: &[u8], screen: Screen) -> String {
        let mut header = Header { pid: 7, ..Header::default() };
        header.comm[..comm.len()].copy_from_slice(comm);
        let record = Record { header: &header, event: &header, tail, container: "" };
        let mut out = Vec::new();
        Lines::table(COLUMNS).row(&mut out, &Clock::new(0), screen, &record);
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

    proptest! {
        #[test]
        fn a_row_is_one_line(comm: [u8; 16], tail: Vec<u8>) {
            let line = line(&comm, &tail, Screen::default());
            let rest = line.strip_suffix('\n');
            prop_assert!(rest.is_some_and(|rest| !rest.contains(char::is_control)));
        }
    }
}
