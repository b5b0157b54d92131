//! The names that tools go by: their own, those of other collections, and those of links.

use std::ffi::OsString;
use std::path::Path;

use crate::tools::TOOLS;
use crate::tools::aliases::Alias;

/// What names end with: of our links, as Debian calls what bcc and libbpf-tools have, and bpftrace itself.
const SUFFIXES: [&str; 4] = ["-ebtools", "-bpfcc", "-libbpf", ".bt"];

/// Puts what a link to the binary is named after where its own subcommand would be.
pub(super) fn take_from_link(args: &mut Vec<OsString>) {
    let program = args.first().map(Path::new).and_then(Path::file_name);
    if let Some(name) = program.and_then(|name| bare(name.to_str()?)) {
        args.insert(1, name.into());
        args[0] = "ebtools".into();
    }
}

/// The same names as the first argument.
pub(super) fn make_bare(args: &mut [OsString]) {
    if let Some(name) = args.get(1).and_then(|name| bare(name.to_str()?)) {
        args[1] = name.into();
    }
}

/// The name without what may be around it, if there is an answer to it.
fn bare(name: &str) -> Option<String> {
    let without_suffix = || SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix));
    let bare = name.strip_prefix("ebtools-").or_else(without_suffix).unwrap_or(name);
    let is_known = TOOLS.iter().any(|tool| tool.name == bare)
        || Alias::named(bare).is_some()
        || why_not(bare).is_some();
    is_known.then(|| bare.into())
}

/// What docs/names.md says of a name that other collections have, and that nothing here answers.
pub(super) fn why_not(name: &str) -> Option<String> {
    let rows = include_str!("../../docs/names.md").lines();
    let row =
        |line: &'static str| line.strip_prefix("| `")?.strip_prefix(name)?.strip_prefix("` | ");
    let (_, here) = rows.filter_map(row).next()?.split_once(" | ")?;
    let answer = match here.trim_end_matches(" |").split_once(": ")? {
        ("planned", _) => "planned, but not there yet".into(),
        ("no", why) => format!("nothing here answers that: {}", why.replace('`', "")),
        _ => return None,
    };
    Some(format!("{name}: {answer}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_names_in_those_of_links() {
        for name in [
            "execsnoop",
            "execsnoop-ebtools",
            "ebtools-execsnoop",
            "execsnoop-bpfcc",
            "execsnoop-libbpf",
            "execsnoop.bt",
        ] {
            assert_eq!(bare(name).as_deref(), Some("execsnoop"), "{name}");
        }
        assert_eq!(bare("bashreadline.bt").as_deref(), Some("bashreadline"));
        assert_eq!(bare("argdist-bpfcc").as_deref(), Some("argdist"));
        for name in [
            "ebtools",
            "",
            "exec",
            "all",
            "execsnoops",
            "ebtools-",
            "-ebtools",
            "ebtools-ebtools-execsnoop",
            "execsnoop-bpfcc-bpfcc",
            "ebtools-execsnoop.bt",
        ] {
            assert_eq!(bare(name), None, "{name}");
        }
    }
}
