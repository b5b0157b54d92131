//! What a tool is, and its entry in the table of tools.

use std::ffi::OsString;

use clap::{ArgMatches, Command};

use crate::error::Result;
use crate::output::page;

/// A tool: its options are its fields, and its own comment is the line that says what it shows.
pub(crate) trait Tool: clap::Args {
    /// The subcommand.
    const NAME: &'static str;
    /// `docs/tools/NAME.md`.
    const PAGE: &'static str;
    /// Two or three: arguments, and what they are for.
    const EXAMPLES: &'static [(&'static str, &'static str)];

    /// Does the work, until it is done or told to end.
    fn run(self) -> Result<()>;
}

/// A tool whose type is forgotten: what the table has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    command: fn(Command) -> Command,
    run: fn(&ArgMatches) -> clap::error::Result<Result<()>>,
}

impl Entry {
    pub(crate) const fn of<T: Tool>() -> Self {
        Self { name: T::NAME, command: command::<T>, run: run::<T> }
    }

    /// Its command line.
    pub(crate) fn command(self) -> Command {
        (self.command)(Command::new(self.name))
    }

    /// Runs it with the arguments that its command line read.
    pub(crate) fn run(self, matches: &ArgMatches) -> clap::error::Result<Result<()>> {
        (self.run)(matches)
    }
}

fn command<T: Tool>(command: Command) -> Command {
    let width = T::EXAMPLES.iter().map(|(args, _)| args.len()).max().unwrap_or(0);
    let examples = T::EXAMPLES
        .iter()
        .map(|(args, what)| format!("  ebtools {} {args:width$}  {what}\n", T::NAME));
    let examples = format!("Examples:\n{}", examples.collect::<String>());
    let page = format!("{examples}\n{}", page::plain(T::PAGE));
    T::augment_args(command.after_help(examples).after_long_help(page))
}

fn run<T: Tool>(matches: &ArgMatches) -> clap::error::Result<Result<()>> {
    Ok(T::from_arg_matches(matches)?.run())
}

/// The tool that a program name stands for: `execsnoop`, `execsnoop-ebtools`, `ebtools-execsnoop`.
pub(crate) fn named_by(program: &str, tools: &[Entry]) -> Option<Entry> {
    let name = program
        .strip_prefix("ebtools-")
        .or_else(|| program.strip_suffix("-ebtools"))
        .unwrap_or(program);
    tools.iter().copied().find(|tool| tool.name == name)
}

/// The last part of `argv[0]`.
pub(crate) fn program_name(argv0: Option<&OsString>) -> String {
    let path = argv0.map(std::path::Path::new);
    path.and_then(|path| path.file_name()).unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::TOOLS;

    #[test]
    fn finds_tools_by_the_program_name() {
        let found = |name| named_by(name, TOOLS).map(|tool| tool.name);
        for name in ["execsnoop", "execsnoop-ebtools", "ebtools-execsnoop"] {
            assert_eq!(found(name), Some("execsnoop"), "{name}");
        }
        for name in [
            "ebtools",
            "",
            "exec",
            "execsnoops",
            "ebtools-",
            "-ebtools",
            "ebtools-ebtools-execsnoop",
        ] {
            assert_eq!(found(name), None, "{name}");
        }
    }

    #[test]
    fn command_lines_are_consistent() {
        for tool in TOOLS {
            tool.command().debug_assert();
        }
    }
}
