//! What a profile is called, in the files that it is written to.

use std::ffi::OsStr;

use crate::escape;
use crate::filter::tasks::FilterOptions;
use crate::run::options::CommonOptions;

/// The most characters.
const TEXT_MAX: usize = 80;

/// Whose stacks were sampled: the command's, or those that the filters let through.
pub(super) fn whose(options: &CommonOptions) -> String {
    let FilterOptions { pid, tid, user, name, follow, cgroup, container } = &options.filter;
    let below = if *follow { " and below" } else { "" };
    let mut parts = Vec::new();
    if !options.run.command.is_empty() {
        let words = options.run.command.iter().map(|text| word(text));
        parts.push(words.collect::<Vec<_>>().join(" "));
    }
    parts.extend(pid.iter().map(|pid| format!("pid {pid}{below}")));
    parts.extend(tid.iter().map(|tid| format!("thread {tid}")));
    parts.extend(name.iter().map(|name| format!("name {}", word(name))));
    parts.extend(user.iter().map(|user| format!("user {user}")));
    parts.extend(cgroup.iter().map(|path| format!("cgroup {}", word(path.as_os_str()))));
    parts.extend(container.iter().map(|id| format!("container {}", word(OsStr::new(id)))));
    if parts.is_empty() { "system".into() } else { cut(parts.join(", ")) }
}

/// As a shell would read it.
fn word(text: &OsStr) -> String {
    escape::shell_word(text.as_encoded_bytes())
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(TEXT_MAX) {
        text.replace_range(end.., "...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::options::IntervalOptions;
    use clap::{Args as _, Command, FromArgMatches as _};

    fn title(args: &[&str]) -> String {
        let command = IntervalOptions::augment_args(Command::new("x").no_binary_name(true));
        let matches = command.get_matches_from(args);
        whose(&IntervalOptions::from_arg_matches(&matches).unwrap().common)
    }

    #[test]
    fn says_whose_it_is() {
        assert_eq!(title(&[]), "system");
        assert_eq!(title(&["-p", "12,34", "-u", "0"]), "pid 12, pid 34, user 0");
        assert_eq!(title(&["-p", "12", "--follow", "-n", "a b"]), "pid 12 and below, name 'a b'");
        assert_eq!(title(&["--cgroup", "/x", "--container", "ab"]), "cgroup /x, container ab");
        assert_eq!(title(&["--", "make", "-j2", "a;b"]), "make -j2 'a;b'");
        assert_eq!(title(&["--", "a\n\u{202e}"]), "$'a\\n\\xe2\\x80\\xae'");
        assert_eq!(title(&["--", &"é".repeat(81)]), format!("'{}...", "é".repeat(79)));
    }
}
