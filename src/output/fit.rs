//! Rows that fit a line of a terminal. Where something is missing, there is a `…`: at the end of the
//! last cell, in the middle of others. Numbers are never cut, and what the escaper wrote for a byte or
//! a character stays whole or goes.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Stands for what is missing; one that came from outside is escaped.
const MISSING: char = '\u{2026}';
const ESCAPED: &str = "\\u{2026}";

/// A column is not made narrower than this for the last one.
const LEAST: usize = 8;
/// What the last one should have, if it has no width of its own.
const LAST: usize = 16;

/// The cell of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    pub(super) text: &'a str,
    /// It may be cut.
    pub(super) is_text: bool,
}

/// How wide columns are on a line of so many cells: the widest gives, until there is room for the last.
pub(super) fn columns(mut widths: Vec<usize>, line: usize) -> Vec<usize> {
    let Some((last, others)) = widths.split_last_mut() else { return widths };
    let last = if *last == 0 { LAST } else { *last };
    while others.iter().map(|width| width + 1).sum::<usize>() + last > line {
        match others.iter_mut().max() {
            Some(widest) if *widest > LEAST => *widest -= 1,
            _ => break,
        }
    }
    widths
}

/// The cells as they fit the line, in columns of these widths. Where all fit whole, they are whole; else
/// the last one is cut; where that does not leave enough of it, those that are wider than their column;
/// and what there is no room for at all is left out.
pub(super) fn cells<'a>(cells: &[Piece<'a>], widths: &[usize], line: usize) -> Vec<Cow<'a, str>> {
    let mut fitted = cells.iter().map(own).collect::<Vec<_>>();
    let Some((last, others)) = fitted.split_last_mut() else { return fitted };
    let taken = |others: &[Cow<'_, str>]| {
        others.iter().zip(widths).map(|(text, width)| 1 + text.width().max(*width)).sum::<usize>()
    };
    if taken(others) + last.width().min(LAST) > line {
        for ((text, cell), width) in others.iter_mut().zip(cells).zip(widths) {
            if cell.is_text {
                *text = cut_middle(text, (*width).max(LEAST)).into();
            }
        }
    }
    end(&mut fitted, cells, widths, line);
    fitted
}

/// A text that fits.
pub(crate) fn text(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() > width { cut_end(text, width).into() } else { text.into() }
}

/// Nothing comes after the end of the line.
fn end(fitted: &mut Vec<Cow<'_, str>>, cells: &[Piece<'_>], widths: &[usize], mut room: usize) {
    let mut kept = 0;
    for ((text, cell), width) in fitted.iter_mut().zip(cells).zip(widths) {
        if room == 0 || text.width() > room && !cell.is_text {
            break;
        }
        if text.width() > room {
            *text = cut_end(&own(cell), room).into();
        }
        kept += 1;
        room = room.saturating_sub(text.width().max(*width) + 1);
    }
    fitted.truncate(kept);
}

/// Nothing in it can be taken for [`MISSING`].
fn own<'a>(cell: &Piece<'a>) -> Cow<'a, str> {
    if cell.text.contains(MISSING) {
        cell.text.replace(MISSING, ESCAPED).into()
    } else {
        cell.text.into()
    }
}

/// What belongs together: a character, or what the escaper wrote for one, with what has no width after
/// it.
fn units(text: &str) -> Vec<&str> {
    let mut units = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut len = unit(rest);
        let wide = |c: &char| c.width().unwrap_or(0) > 0;
        len += rest[len..].chars().take_while(|c| !wide(c)).map(char::len_utf8).sum::<usize>();
        let (unit, after) = rest.split_at(len);
        units.push(unit);
        rest = after;
    }
    units
}

/// The bytes of the first one.
fn unit(text: &str) -> usize {
    let after = |n| text.char_indices().nth(n).map_or(text.len(), |(at, _)| at);
    match text.as_bytes() {
        [b'\\', b'x', ..] => after(4),
        [b'\\', b'u', b'{', ..] => text.find('}').map_or(text.len(), |end| end + 1),
        [b'\\', ..] => after(2),
        _ => after(1),
    }
}

/// As many of these as fit.
fn fitting<'a>(units: impl Iterator<Item = &'a str>, room: usize) -> usize {
    let mut used = 0;
    let fits = |unit: &&str| {
        used += unit.width();
        used <= room
    };
    units.take_while(fits).count()
}

fn cut_end(text: &str, width: usize) -> String {
    if width == 0 {
        return String::new();
    }
    let units = units(text);
    let kept = fitting(units.iter().copied(), width - 1);
    units[..kept].concat() + "\u{2026}"
}

fn cut_middle(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.into();
    }
    let units = units(text);
    let head = fitting(units.iter().copied(), (width - 1) / 2);
    let tail = fitting(units[head..].iter().rev().copied(), width - 1 - (width - 1) / 2);
    let tail = &units[units.len() - tail..];
    units[..head].concat() + "\u{2026}" + &tail.concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::escape;
    use proptest::prelude::*;

    fn shown(texts: &[&str], widths: &[usize], line: usize) -> String {
        let pieces =
            texts.iter().map(|&text| Piece { text, is_text: text.parse::<u64>().is_err() });
        cells(&pieces.collect::<Vec<_>>(), widths, line).join("|")
    }

    #[test]
    fn the_widest_column_gives() {
        assert_eq!(columns(vec![16, 7, 3, 0], 80), [16, 7, 3, 0]);
        assert_eq!(columns(vec![16, 7, 3, 0], 40), [11, 7, 3, 0]);
        assert_eq!(columns(vec![40, 16, 0], 50), [16, 16, 0]);
        assert_eq!(columns(vec![16, 7, 3, 0], 10), [8, 7, 3, 0]);
        assert_eq!(columns(vec![], 10), [0; 0]);
    }

    #[test]
    fn what_is_too_wide_is_cut() {
        assert_eq!(shown(&["ab", "cdef"], &[4, 0], 9), "ab|cdef");
        assert_eq!(
            shown(&["ab", "cdefghijklmnopqrstuvw"], &[4, 0], 22),
            "ab|cdefghijklmnopqr\u{2026}"
        );
        let long = "/usr/lib/x86_64-linux-gnu/libLLVM.so";
        assert_eq!(shown(&[long, "abcdefgh"], &[12, 0], 24), "/usr/\u{2026}LVM.so|abcdefgh");
        // It may go over its column where there is room.
        assert_eq!(shown(&["abcdefgh", "x"], &[4, 0], 10), "abcdefgh|x");
        // A number is a number.
        assert_eq!(shown(&["123456789012", "abc"], &[8, 0], 15), "123456789012|a\u{2026}");
        assert_eq!(shown(&["abc", "123456789012", "d"], &[8, 8, 0], 15), "abc");
    }

    #[test]
    fn escapes_stay_whole() {
        assert_eq!(cut_end(r"ab\x1bcd", 6), "ab\u{2026}");
        assert_eq!(cut_end(r"ab\x1bcd", 7), "ab\\x1b\u{2026}");
        assert_eq!(cut_middle(r"a\u{202e}bcdefgh\n", 12), "a\u{2026}efgh\\n");
        assert_eq!(cut_middle("\u{4e16}\u{4e16}\u{4e16}\u{4e16}", 6), "\u{4e16}\u{2026}\u{4e16}");
        assert_eq!(cut_end("", 0), "");
        assert_eq!(shown(&["a\u{2026}b"], &[0], 20), "a\\u{2026}b");
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_screen(
            texts: Vec<Vec<u8>>,
            widths in proptest::collection::vec(0..50usize, 0..12),
            line_width in 1..130usize,
        ) {
            let texts = texts.iter().map(|bytes| escape::text(bytes)).collect::<Vec<_>>();
            let pieces = texts.iter().map(|text| Piece { text, is_text: true }).collect::<Vec<_>>();
            let n = pieces.len().min(widths.len());
            let widths = columns(widths[..n].to_vec(), line_width);
            let fitted = cells(&pieces[..n], &widths, line_width);
            for (cell, text) in fitted.iter().zip(&texts) {
                // What is left of it is its beginning and its end, as it was.
                let (head, tail) = cell.split_once(MISSING).unwrap_or((cell, ""));
                let text = text.replace(MISSING, ESCAPED);
                prop_assert!(text.starts_with(head) && text.ends_with(tail), "{text:?} {cell:?}");
                let units = units(&text).concat();
                prop_assert_eq!(units, text);
            }
            let padded = fitted.iter().zip(&widths).map(|(text, width)| text.width().max(*width) + 1);
            let start = padded.rev().skip(1).sum::<usize>();
            prop_assert!(start + fitted.last().map_or(0, |last| last.width()) <= line_width);
        }
    }
}
