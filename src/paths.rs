//! Which paths are wanted: `--path` and `--not-path`.

use clap::Args;
use glob::Pattern;

use crate::bpf::shared::types::collect;
use crate::decode::Place;
use crate::render::Column;
use crate::session::Wants;

/// The options of tools that show paths.
#[derive(Args, Debug)]
pub(crate) struct PathFilter {
    /// Only paths that match, like '/var/log/*', and unknown ones; * matches slashes too; may be
    /// repeated
    #[arg(long, value_name = "GLOB", conflicts_with = "count")]
    path: Vec<Pattern>,

    /// No paths that match; may be repeated
    #[arg(long, value_name = "GLOB", conflicts_with = "count")]
    not_path: Vec<Pattern>,
}

impl PathFilter {
    /// What the columns want of the kernel side, and these options.
    pub(crate) fn wants<E>(&self, columns: &[&Column<E>]) -> Wants {
        let mut wants = Wants { prefix: self.prefix(), ..Wants::of(columns) };
        if self.has_patterns() {
            wants.collect |= collect::COLLECT_BASE.0 | collect::COLLECT_ROOT.0;
        }
        wants
    }

    /// Is the path of an event wanted? It is put together only if that matters. One that is not
    /// known is: it may be any.
    pub(crate) fn let_through<'a>(&self, place: impl FnOnce() -> Place<'a>) -> bool {
        if !self.has_patterns() {
            return true;
        }
        let Some(path) = place().normal() else { return true };
        let path = String::from_utf8_lossy(&path);
        let matches = |pattern: &Pattern| pattern.matches(&path);
        (self.path.is_empty() || self.path.iter().any(matches))
            && !self.not_path.iter().any(matches)
    }

    fn has_patterns(&self) -> bool {
        !(self.path.is_empty() && self.not_path.is_empty())
    }

    /// What every wanted path begins with, as far as there is such a thing: one --path up to its
    /// first wildcard.
    fn prefix(&self) -> Vec<u8> {
        match &self.path[..] {
            [one] => one.as_str().bytes().take_while(|byte| !b"*?[".contains(byte)).collect(),
            _ => Vec::new(),
        }
    }
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
    fn finds_the_prefix() {
        assert_eq!(filter(&["/var/lib/*.x"], &["*"]).prefix(), b"/var/lib/");
        assert_eq!(filter(&["/etc/passwd"], &[]).prefix(), b"/etc/passwd");
        assert_eq!(filter(&["/a", "/b"], &[]).prefix(), b"");
    }
}
