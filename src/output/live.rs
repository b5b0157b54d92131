//! Rows on a screen that is drawn again when they change, `--live`: which of them, in which order, how
//! wide. It has no rows of events or intervals, but cells: their text. Knows no terminal.

use std::collections::VecDeque;
use std::iter;

use anstyle::Style;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::cell::Cell;
use super::keys::Keys;
use super::order::{self, Place};
use super::screen::HEADER;
use super::table::{self, Layout};
use super::{Clock, Name, Screen, Value, fit};
use crate::escape;

/// So many of the last events are kept.
const EVENTS_MAX: usize = 1000;
/// So much of a filter is seen while it is written.
const FILTER_SHOWN: usize = 30;

/// What somebody does at the keyboard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pressed {
    Nothing,
    /// It is to be drawn again.
    Changed,
    /// That is all.
    End,
}

/// What a row has in a column.
#[derive(Clone, Debug)]
struct Shown {
    /// As a terminal shows it, and whole.
    short: String,
    whole: String,
    is_none: bool,
    is_text: bool,
    style: Style,
    place: Place,
}

impl Shown {
    fn of(value: Value<'_>, clock: &Clock) -> Self {
        let text = |screen| {
            let mut text = Vec::new();
            value.text(&mut Cell { text: &mut text, clock, screen });
            String::from_utf8(text).unwrap_or_default()
        };
        Self {
            short: text(Screen { width: Some(0), has_colours: false }),
            whole: text(Screen::default()),
            is_none: value.is_none(),
            is_text: value.is_text(),
            style: table::style(value),
            place: value.place(clock),
        }
    }
}

/// A row, and what stands below it.
#[derive(Clone, Debug)]
struct Row {
    cells: Vec<Shown>,
    below: Vec<String>,
}

impl Row {
    fn place(&self, column: usize) -> &Place {
        self.cells.get(column).map_or(&Place::Nowhere, |cell| &cell.place)
    }

    fn contains(&self, filter: &str) -> bool {
        let has = |cell: &Shown| !cell.is_none && cell.whole.to_ascii_lowercase().contains(filter);
        filter.is_empty() || self.cells.iter().any(has)
    }
}

/// What is shown, and how.
#[derive(Debug, Default)]
pub(crate) struct Live {
    names: Vec<Name>,
    /// The least ones; 0 has no end.
    widths: Vec<usize>,
    rows: VecDeque<Row>,
    /// Rows that came before those that are kept.
    gone: u64,
    /// They are reports, one instead of the other; else events, one after the other.
    are_reports: bool,
    sort: Option<usize>,
    filter: String,
    /// Somebody is writing it.
    is_typing: bool,
    is_wide: bool,
    keys: Keys,
    /// It is drawn no more, and no whole report comes.
    is_over: bool,
    /// The report that comes is not whole, and does not stand for the one before.
    is_left_out: bool,
}

impl Live {
    pub(crate) fn new(is_wide: bool) -> Self {
        Self { is_wide, ..Self::default() }
    }

    pub(crate) fn has_rows(&self) -> bool {
        !self.rows.is_empty()
    }

    /// These columns from now on, sorted by the one with that number.
    pub(super) fn set_columns(&mut self, names: &[Name], widths: &[usize], sort: Option<usize>) {
        (self.names, self.widths, self.sort) = (names.to_vec(), widths.to_vec(), sort);
    }

    /// The rows that come now are a report, and stand for those before.
    pub(crate) fn begin(&mut self) {
        self.is_left_out = self.is_over && self.are_reports && self.has_rows();
        if !self.is_left_out {
            self.rows.clear();
        }
        self.are_reports = true;
    }

    /// It is drawn no more: no whole report comes.
    pub(crate) fn end(&mut self) {
        self.is_over = true;
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// A row with so many columns.
    pub(super) fn take<'v>(
        &mut self,
        columns: usize,
        clock: &Clock,
        value: &mut dyn FnMut(usize) -> Value<'v>,
    ) {
        if self.is_left_out {
            return;
        }
        if !self.are_reports && self.rows.len() == EVENTS_MAX {
            self.rows.pop_front();
            self.gone += 1;
        }
        let cells = (0..columns).map(|number| Shown::of(value(number), clock)).collect();
        self.rows.push_back(Row { cells, below: Vec::new() });
    }

    /// Lines that stand below the last row.
    pub(crate) fn below(&mut self, text: &[u8]) {
        let is_wanted = !self.is_left_out;
        let row = self.rows.back_mut().filter(|_| is_wanted);
        if let (Some(row), Ok(text)) = (row, std::str::from_utf8(text)) {
            row.below.extend(text.lines().map(String::from));
        }
    }

    /// These bytes came from the keyboard.
    pub(crate) fn press(&mut self, bytes: &[u8]) -> Pressed {
        let letters = self.keys.add(bytes);
        let pressed = letters.into_iter().map(|key| self.key(key)).collect::<Vec<_>>();
        let of = |one| pressed.contains(&one).then_some(one);
        of(Pressed::End).or_else(|| of(Pressed::Changed)).unwrap_or(Pressed::Nothing)
    }

    fn key(&mut self, key: char) -> Pressed {
        match (self.is_typing, key) {
            (true, '\n' | '\r') => self.is_typing = false,
            (true, '\x7f' | '\x08') => drop(self.filter.pop()),
            (true, '\x15') => self.filter.clear(),
            (_, '\x1b') => (self.is_typing, self.filter) = (false, String::new()),
            (true, key) if !escape::is_hostile(key) => self.filter.push(key),
            (false, 'q') => return Pressed::End,
            (false, '/') => (self.is_typing, self.filter) = (true, String::new()),
            (false, 'w') => self.is_wide = !self.is_wide,
            (false, 's') => {
                let next = self.sort.map_or(0, |column| column + 1);
                self.sort = self.filled(&self.wanted()).into_iter().find(|column| *column >= next);
            }
            _ => return Pressed::Nothing,
        }
        Pressed::Changed
    }

    /// The rows that are wanted, in order.
    fn wanted(&self) -> Vec<&Row> {
        let filter = self.filter.to_ascii_lowercase();
        let mut rows = self.rows.iter().filter(|row| row.contains(&filter)).collect::<Vec<_>>();
        if let Some(column) = self.sort {
            let place = |number: usize| rows[number].place(column);
            let order = order::sorted(rows.len(), &|one, other| place(one).cmp(place(other)));
            rows = order.into_iter().map(|number| rows[number]).collect();
        }
        rows
    }

    /// Header and rows, in at most so many lines that are no wider than the screen; how many rows.
    pub(crate) fn lines(&self, screen: Screen, most: usize) -> (Vec<Vec<u8>>, usize) {
        let rows = self.wanted();
        let columns = self.filled(&rows);
        let widths = self.widths(&rows, &columns, screen);
        let (layout, line) =
            (Layout { widths: &widths, screen }, screen.width.unwrap_or(usize::MAX));
        let mut header = Vec::new();
        table::line(&mut header, layout, &mut |out, at| {
            let column = columns[at];
            out.extend_from_slice(self.names[column].title.as_bytes());
            let is_sorted = self.sort == Some(column);
            (true, if is_sorted { HEADER.underline() } else { HEADER })
        });
        // Of events the last ones, of what is in an order the first.
        let are_last = !self.are_reports && self.sort.is_none();
        let of_row = |row: &Row| {
            let mut lines = match self.is_wide {
                true => wrapped(&whole(row, &columns, &widths), line),
                false => vec![cut(row, &columns, layout)],
            };
            lines.extend(row.below.iter().map(|text| fit::text(text, line).as_bytes().to_vec()));
            lines
        };
        let mut rows = rows.iter();
        let mut shown = VecDeque::new();
        let mut room = most.saturating_sub(1);
        while let Some(row) = if are_last { rows.next_back() } else { rows.next() } {
            let mut row = of_row(row);
            if room == 0 || row.len() > room && !shown.is_empty() {
                break;
            }
            row.truncate(room);
            room -= row.len();
            if are_last { shown.push_front(row) } else { shown.push_back(row) }
        }
        let count = shown.len();
        (iter::once(header).chain(shown.into_iter().flatten()).take(most).collect(), count)
    }

    /// Columns that have a value in one of these rows.
    fn filled(&self, rows: &[&Row]) -> Vec<usize> {
        let has_value =
            |row: &&Row, column: usize| row.cells.get(column).is_some_and(|c| !c.is_none);
        let is_filled = |&column: &usize| rows.iter().any(|row| has_value(row, column));
        let all = 0..self.names.len();
        if rows.is_empty() { all.collect() } else { all.filter(is_filled).collect() }
    }

    /// What columns take; where the line has no room for all, what their text takes.
    fn widths(&self, rows: &[&Row], columns: &[usize], screen: Screen) -> Vec<usize> {
        let usual = columns.iter().map(|&column| self.widths[column]).collect::<Vec<_>>();
        let fits = |line| usual.iter().map(|width| width + 1).sum::<usize>() <= line + 1;
        if rows.is_empty() || screen.width.is_none_or(fits) {
            return usual;
        }
        let of_text = |&column: &usize| {
            let (name, width) = (self.names[column], self.widths[column]);
            let text =
                rows.iter().filter_map(|row| row.cells.get(column)).map(|cell| cell.short.width());
            let text = text.max().unwrap_or(0).max(name.title.len());
            text.min(width)
        };
        columns.iter().map(of_text).collect()
    }

    /// The line at the bottom: keys, and what they have done.
    pub(crate) fn footer(&self, shown: usize, has_keys: bool) -> String {
        if self.is_typing {
            let hidden = self.filter.chars().count().saturating_sub(FILTER_SHOWN);
            let filter = self.filter.chars().skip(hidden).collect::<String>();
            return format!("/{filter}_  (Enter ends it, Esc takes it away)");
        }
        let sorted = self.sort.and_then(|column| self.names.get(column)).map(|name| name.title);
        let mut parts = Vec::new();
        if has_keys {
            parts.push("q ends".to_string());
            parts
                .push(format!("s sorts{}", sorted.map_or(String::new(), |by| format!(" by {by}"))));
            let filter =
                if self.filter.is_empty() { String::new() } else { format!(" {}", self.filter) };
            parts.push(format!("/ filters{filter}"));
            parts.push(if self.is_wide { "w narrow" } else { "w wide" }.into());
        } else {
            parts.push("Ctrl-C ends".into());
        }
        let all = self.rows.len() as u64 + self.gone;
        parts
            .push(format!("{shown} of {all} {}", if self.are_reports { "rows" } else { "events" }));
        parts.join("  ")
    }
}

fn cut(row: &Row, columns: &[usize], layout: Layout<'_>) -> Vec<u8> {
    let mut line = Vec::new();
    table::line(&mut line, layout, &mut |out, at| {
        let Some(cell) = row.cells.get(columns[at]) else { return (true, Style::new()) };
        out.extend_from_slice(cell.short.as_bytes());
        (cell.is_text, cell.style)
    });
    line
}

fn whole(row: &Row, columns: &[usize], widths: &[usize]) -> String {
    let mut line = Vec::new();
    table::line(&mut line, Layout { widths, screen: Screen::default() }, &mut |out, at| {
        let cell = row.cells.get(columns[at]);
        out.extend_from_slice(cell.map_or(&[][..], |cell| cell.whole.as_bytes()));
        (true, Style::new())
    });
    String::from_utf8(line).unwrap_or_default()
}

/// The same in lines of that width.
fn wrapped(text: &str, line: usize) -> Vec<Vec<u8>> {
    let (mut lines, mut used) = (vec![Vec::new()], 0);
    for c in text.chars() {
        let width = c.width().unwrap_or(0);
        if used + width > line && used > 0 {
            lines.push(Vec::new());
            used = 0;
        }
        used += width;
        if let Some(last) = lines.last_mut() {
            last.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn live(rows: &[(&[u8], u64)]) -> Live {
        let mut live = Live::default();
        let names = ["NONE", "COUNT", "NAME"].map(|title| Name { key: title, title });
        live.set_columns(&names, &[9, 6, 0], None);
        add(&mut live, rows);
        live
    }

    fn add(live: &mut Live, rows: &[(&[u8], u64)]) {
        for (name, count) in rows {
            let values = [Value::None, Value::Uint(*count), Value::Text(name)];
            live.take(values.len(), &Clock::new(0), &mut |number| values[number]);
        }
    }

    fn shown(live: &Live, width: usize, most: usize) -> String {
        let screen = Screen { width: Some(width), has_colours: false };
        let lines = live.lines(screen, most).0;
        String::from_utf8(lines.join(&b"\n"[..])).unwrap()
    }

    const ROWS: &[(&[u8], u64)] = &[(b"b", 2), (b"a", 10), (b"longer than that", 3)];

    #[test]
    fn the_last_events_are_shown() {
        let mut live = live(ROWS);
        assert_eq!(shown(&live, 20, 3), "COUNT  NAME\n10     a\n3      longer than \u{2026}");
        assert_eq!(live.footer(2, true), "q ends  s sorts  / filters  w wide  2 of 3 events");
        // A report stands for the one before, and begins with its first row.
        live.begin();
        assert_eq!(shown(&live, 20, 3), "NONE     COUNT  NAME");
    }

    #[test]
    fn the_last_whole_report_stays() {
        let whole = "COUNT  NAME\n2      b\n10     a";
        let mut live = live(&[]);
        // There is none: what there is of one is better than nothing.
        live.begin();
        live.end();
        live.begin();
        add(&mut live, &ROWS[..2]);
        assert_eq!(shown(&live, 40, 9), whole);
        live.begin();
        add(&mut live, &ROWS[2..]);
        live.below(b"below");
        assert_eq!(shown(&live, 40, 9), whole);
    }

    #[test]
    fn keys_change_what_is_shown() {
        let mut live = live(ROWS);
        // The first column has nothing.
        assert_eq!(live.press(b"s"), Pressed::Changed);
        assert_eq!(shown(&live, 40, 9), "COUNT  NAME\n10     a\n3      longer than that\n2      b");
        assert_eq!(live.press(b"s"), Pressed::Changed);
        assert!(shown(&live, 40, 2).ends_with(" a"));
        assert_eq!(live.press(b"\x1b[B"), Pressed::Nothing);
        assert_eq!(live.press(b"\x1b[1;5C/LON\x1bOAGq"), Pressed::Changed);
        assert!(live.footer(0, true).starts_with("/LONGq_"));
        assert_eq!(live.press(b"\x7f\n"), Pressed::Changed);
        assert_eq!(shown(&live, 40, 9), "COUNT  NAME\n3      longer than that");
        assert_eq!(live.press(b"w"), Pressed::Changed);
        assert_eq!(shown(&live, 12, 9), "COUNT  NAME\n3      longe\nr than that");
        assert_eq!([live.press(b"\x1b"), live.press(b"")], [Pressed::Nothing, Pressed::Changed]);
        assert!(shown(&live, 40, 9).contains("10     a"));
        assert_eq!(live.press(b"x"), Pressed::Nothing);
        assert_eq!(live.press(b"q"), Pressed::End);
    }

    proptest! {
        #[test]
        fn it_fits_the_screen(
            names: Vec<Vec<u8>>,
            keys: Vec<u8>,
            width in 1..90usize,
            most in 0..9usize,
        ) {
            let names = names.iter().map(|name| (&name[..], 7)).collect::<Vec<_>>();
            let mut live = live(&names);
            live.press(&keys);
            let screen = Screen { width: Some(width), has_colours: false };
            let (lines, rows) = live.lines(screen, most);
            prop_assert!(lines.len() <= most && rows <= names.len());
            for line in lines {
                let line = String::from_utf8(line).unwrap();
                prop_assert!(!line.contains(char::is_control));
                prop_assert!(line.width() <= width.max(2), "{line:?}");
            }
            prop_assert!(!live.footer(rows, true).contains(char::is_control));
        }
    }
}
