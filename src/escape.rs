//! Makes any bytes safe to show: in a terminal, in one line, and unambiguous, so that the bytes
//! can be told from what is shown.

use std::io::Write as _;

/// `bytes` as text for a table. What could move the cursor, change the order of the text, hide,
/// or be taken for something else is written as `\n`, `\x1b` or `\u{202e}`, a backslash as `\\`.
pub fn text(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len());
    text_into(&mut out, bytes);
    String::from_utf8(out).unwrap_or_default()
}

/// What stands in tables for what is no text.
const MARKS: [&[u8]; 4] = [b"-", EMPTY, UNREADABLE, END_OF_FILE];

/// A text that could not be read.
pub(super) const UNREADABLE: &[u8] = b"[?]";

/// No text, but the end of the input.
pub(super) const END_OF_FILE: &[u8] = b"[end of file]";

/// What an empty text is shown as.
const EMPTY: &[u8] = b"''";

/// What stands behind a text that was cut.
pub(super) const CUT: &[u8] = b"[...]";

/// [`text`] as a value, which no mark can be taken for: one that looks like a mark, or ends like one
/// that was cut, has a backslash before the mark, and an empty one is `''`.
pub(super) fn value_into(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.strip_suffix(CUT) {
        Some(rest) => {
            text_into(out, rest);
            out.push(b'\\');
            out.extend_from_slice(CUT);
        }
        None if bytes.is_empty() => out.extend_from_slice(EMPTY),
        None => {
            if MARKS.contains(&bytes) {
                out.push(b'\\');
            }
            text_into(out, bytes);
        }
    }
}

/// [`text`], appended to `out`: UTF-8.
pub fn text_into(out: &mut Vec<u8>, bytes: &[u8]) {
    // The most of what there is.
    if bytes.iter().all(|&byte| matches!(byte, b' '..=b'~') && byte != b'\\') {
        return out.extend_from_slice(bytes);
    }
    escape_into(out, bytes, Style::Text);
}

/// [`shell_word_into`] as text.
pub fn shell_word(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len());
    shell_word_into(&mut out, bytes);
    String::from_utf8(out).unwrap_or_default()
}

/// `bytes` as one word that a shell reads back as the same bytes: plain where that is enough, in
/// single quotes, or in bash's `$'...'` where something has to be escaped.
pub fn shell_word_into(out: &mut Vec<u8>, bytes: &[u8]) {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"@%+=:,./-_".contains(byte);
    if !bytes.is_empty() && bytes.iter().all(plain) {
        return out.extend_from_slice(bytes);
    }
    let quotable = |text: &str| text.chars().all(|c| !is_hostile(c) && c != '\'');
    match std::str::from_utf8(bytes) {
        Ok(text) if quotable(text) => {
            let _ = write!(out, "'{text}'");
        }
        _ => {
            out.extend_from_slice(b"$'");
            escape_into(out, bytes, Style::Shell);
            out.push(b'\'');
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    Text,
    Shell,
}

fn escape_into(out: &mut Vec<u8>, bytes: &[u8], style: Style) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            let mut utf8 = [0; 4];
            match c {
                '\\' => out.extend_from_slice(b"\\\\"),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\t' => out.extend_from_slice(b"\\t"),
                '\'' if style == Style::Shell => out.extend_from_slice(b"\\'"),
                c if !is_hostile(c) => out.extend_from_slice(c.encode_utf8(&mut utf8).as_bytes()),
                // A shell's \u depends on the locale, bytes do not.
                c if c.is_ascii() || style == Style::Shell => {
                    c.encode_utf8(&mut utf8).bytes().for_each(|byte| byte_into(out, byte));
                }
                c => {
                    let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
                }
            }
        }
        chunk.invalid().iter().for_each(|&byte| byte_into(out, byte));
    }
}

fn byte_into(out: &mut Vec<u8>, byte: u8) {
    let _ = write!(out, "\\x{byte:02x}");
}

/// Characters that a terminal obeys, that are not seen, or that change how others are seen:
/// Unicode's control and default-ignorable characters, spaces but the plain one, separators, the
/// marks of direction, and what is no character at all.
pub(super) fn is_hostile(c: char) -> bool {
    if matches!(c, ' '..='~') {
        return false;
    }
    c.is_control()
        || c.is_whitespace()
        || matches!(u32::from(c),
            0xad | 0x34f | 0x61c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f
            | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f | 0x2800 | 0x3164
            | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xfff0..=0xfffb
            | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff
            | 0xfdd0..=0xfdef)
        || u32::from(c) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_escapes_what_is_not_plainly_visible() {
        let cases: [(&[u8], &str); 10] = [
            (b"plain text", "plain text"),
            ("caf\u{e9} \u{4e16}\u{1f600}".as_bytes(), "caf\u{e9} \u{4e16}\u{1f600}"),
            (b"a\nb\r\t", "a\\nb\\r\\t"),
            (b"\x1b[31m\x7f", "\\x1b[31m\\x7f"),
            (b"back\\slash", "back\\\\slash"),
            ("\u{9b}2J".as_bytes(), "\\u{9b}2J"),
            ("\u{202e}gpj".as_bytes(), "\\u{202e}gpj"),
            ("\u{2028}\u{200b}\u{a0}".as_bytes(), "\\u{2028}\\u{200b}\\u{a0}"),
            (b"\xff\xfe ok \xe2\x82", "\\xff\\xfe ok \\xe2\\x82"),
            ("\u{e0041}\u{ffff}".as_bytes(), "\\u{e0041}\\u{ffff}"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(text(bytes), expected);
        }
    }

    #[test]
    fn values_are_told_from_marks() {
        for (bytes, expected) in [
            (&b""[..], "''"),
            (b"''", "\\''"),
            (b"-", "\\-"),
            (b"--", "--"),
            (b"[?]", "\\[?]"),
            (b"[end of file]", "\\[end of file]"),
            (b"[...]", "\\[...]"),
            (b"a\n[...]", "a\\n\\[...]"),
            (b"[...]a", "[...]a"),
            (b"\\-", "\\\\-"),
        ] {
            let mut out = Vec::new();
            value_into(&mut out, bytes);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn words_can_be_pasted_into_a_shell() {
        let cases: [(&[u8], &str); 8] = [
            (b"/bin/ls", "/bin/ls"),
            (b"", "''"),
            (b"a b", "'a b'"),
            (b"$HOME", "'$HOME'"),
            (b"it's", "$'it\\'s'"),
            (b"a\nb", "$'a\\nb'"),
            (b"\xff", "$'\\xff'"),
            ("\u{202e}\u{e0041}".as_bytes(), "$'\\xe2\\x80\\xae\\xf3\\xa0\\x81\\x81'"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(shell_word(bytes), expected);
        }
    }

    /// What [`text`] wrote, read back.
    fn unescape(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            if c != '\\' {
                out.extend(c.to_string().bytes());
                continue;
            }
            let (kind, after) = rest.split_at(1);
            rest = after;
            match kind {
                "n" => out.push(b'\n'),
                "r" => out.push(b'\r'),
                "t" => out.push(b'\t'),
                "\\" => out.push(b'\\'),
                "x" => {
                    out.push(u8::from_str_radix(&rest[..2], 16).unwrap());
                    rest = &rest[2..];
                }
                "u" => {
                    let (hex, after) = rest[1..].split_once('}').unwrap();
                    let c = char::from_u32(u32::from_str_radix(hex, 16).unwrap()).unwrap();
                    out.extend(c.to_string().bytes());
                    rest = after;
                }
                other => panic!("unknown escape {other}"),
            }
        }
        out
    }

    proptest! {
        #[test]
        fn any_bytes_become_harmless_and_come_back(bytes: Vec<u8>) {
            let shown = text(&bytes);
            prop_assert!(!shown.chars().any(is_hostile), "{shown:?}");
            prop_assert_eq!(unescape(&shown), bytes);
        }

        #[test]
        fn any_characters_become_harmless_and_come_back(characters: String) {
            let shown = text(characters.as_bytes());
            prop_assert!(!shown.chars().any(is_hostile), "{shown:?}");
            prop_assert_eq!(unescape(&shown), characters.as_bytes());
        }

        #[test]
        fn any_bytes_become_a_harmless_word(bytes: Vec<u8>) {
            let shown = shell_word(&bytes);
            prop_assert!(!shown.is_empty());
            prop_assert!(!shown.chars().any(is_hostile), "{shown:?}");
        }
    }
}
