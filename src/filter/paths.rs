//! Which paths are wanted: `--path` and `--not-path`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser as _};
use glob::{Pattern, PatternError};

use crate::bpf::shared::types::collect;
use crate::output::values::Place;

/// The options of tools that show paths.
#[derive(Args, Debug)]
pub(crate) struct PathFilter {
    /// Only paths that match, like '/var/log/*', and unknown ones; * matches slashes too; may be
    /// repeated
    #[arg(long, value_name = "GLOB", conflicts_with = "count", value_parser = patterns())]
    path: Vec<Pattern>,

    /// No paths that match; may be repeated
    #[arg(long, value_name = "GLOB", conflicts_with = "count", value_parser = patterns())]
    not_path: Vec<Pattern>,
}

impl PathFilter {
    /// What the kernel side has to collect for them: bits of `enum collect`.
    pub(crate) fn collect(&self) -> u32 {
        if self.has_patterns() { collect::COLLECT_BASE.0 | collect::COLLECT_ROOT.0 } else { 0 }
    }

    /// Is the path of an event wanted? It is put together only if that matters. One that is not
    /// known is: it may be any.
    pub(crate) fn let_through<'a>(&self, place: impl FnOnce() -> Place<'a>) -> bool {
        if !self.has_patterns() {
            return true;
        }
        let Some(path) = place().normal() else { return true };
        let path = characters(&path);
        let matches = |pattern: &Pattern| pattern.matches(&path);
        (self.path.is_empty() || self.path.iter().any(matches))
            && !self.not_path.iter().any(matches)
    }

    fn has_patterns(&self) -> bool {
        !(self.path.is_empty() && self.not_path.is_empty())
    }

    /// What every wanted path begins with, as far as there is such a thing: one --path up to its
    /// first wildcard.
    pub(crate) fn prefix(&self) -> Vec<u8> {
        match &self.path[..] {
            [one] => bytes(one.as_str().split(['*', '?', '[']).next().unwrap_or_default()),
            _ => Vec::new(),
        }
    }
}

/// A path has any bytes, and a pattern characters: those that are no text are these.
const BYTES: u32 = 0x10_ff00;

/// Each byte that is no text as a character, and what looks like one of these byte by byte: no two
/// paths are the same then.
fn characters(path: &[u8]) -> String {
    let of = |byte: &u8| char::from_u32(BYTES + u32::from(*byte)).unwrap_or_default();
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for c in chunk.valid().chars() {
            if u32::from(c) < BYTES {
                text.push(c);
            } else {
                text.extend(c.encode_utf8(&mut [0; 4]).as_bytes().iter().map(of));
            }
        }
        text.extend(chunk.invalid().iter().map(of));
    }
    text
}

/// The path that these are the characters of.
fn bytes(text: &str) -> Vec<u8> {
    let mut path = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u32::from(c).checked_sub(BYTES) {
            Some(byte) => path.push(byte as u8),
            None => path.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    path
}

fn pattern(text: OsString) -> Result<Pattern, PatternError> {
    Pattern::new(&characters(text.as_bytes()))
}

fn patterns() -> impl clap::builder::TypedValueParser<Value = Pattern> {
    OsStringValueParser::new().try_map(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(path: &[&str], not_path: &[&str]) -> PathFilter {
        let patterns =
            |words: &[&str]| words.iter().map(|word| Pattern::new(word).unwrap()).collect();
        PathFilter { path: patterns(path), not_path: patterns(not_path) }
    }

    fn lets_through(filter: &PathFilter, path: &str) -> bool {
        filter.let_through(|| Place::new(b"", 0, path.as_bytes()))
    }

    #[test]
    fn chooses_by_pattern() {
        let none = filter(&[], &[]);
        assert!(lets_through(&none, "/a"));
        let some = filter(&["/var/*", "/etc/*"], &["*.log"]);
        for (path, wanted) in
            [("/var/x/y", true), ("/etc/a", true), ("/usr/a", false), ("/var/a.log", false)]
        {
            assert_eq!(lets_through(&some, path), wanted, "{path}");
        }
        for (path, wanted) in
            [("/usr/../var//x", true), ("/var/./../usr/x", false), ("of where?", true)]
        {
            assert_eq!(lets_through(&some, path), wanted, "{path}");
        }
    }

    #[test]
    fn knows_bytes_that_are_no_text() {
        let filter = |path: &[u8]| {
            let path = vec![pattern(std::ffi::OsStr::from_bytes(path).into()).unwrap()];
            PathFilter { path, not_path: Vec::new() }
        };
        let one = filter(b"/a\xff/*.x");
        assert_eq!(one.prefix(), b"/a\xff/");
        let paths: [(&[u8], bool); 5] = [
            (b"/a\xff/b.x", true),
            (b"/a\xff/\xfe.x", true),
            (b"/a\xfe/b.x", false),
            ("/a\u{fffd}/b.x".as_bytes(), false),
            ("/a\u{10ffff}/b.x".as_bytes(), false),
        ];
        for (path, wanted) in paths {
            assert_eq!(one.let_through(|| Place::new(b"", 0, path)), wanted, "{path:?}");
        }
        // A byte is one character, also for a wildcard.
        assert!(filter(b"/a?").let_through(|| Place::new(b"", 0, b"/a\xff")));
        assert_eq!(
            bytes(&characters("/\u{10ffff}\u{fe}".as_bytes())),
            "/\u{10ffff}\u{fe}".as_bytes()
        );
    }

    #[test]
    fn finds_the_prefix() {
        assert_eq!(filter(&["/var/lib/*.x"], &["*"]).prefix(), b"/var/lib/");
        assert_eq!(filter(&["/etc/passwd"], &[]).prefix(), b"/etc/passwd");
        assert_eq!(filter(&["/a", "/b"], &[]).prefix(), b"");
    }
}
