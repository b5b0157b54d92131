//! What a tool is, and its entry in the table of tools.

use std::io;
use std::thread::{self, JoinHandle};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches as _};

use crate::error::{Context as _, Error, Result};
use crate::output::schema::{Key, Records};
use crate::output::{Column, fields, page};
use crate::record::Row;
use crate::run::counts::{self, InKernel};
use crate::run::host::Host;
use crate::run::options::{EventOptions, OutputOptions, TopOptions};
use crate::tools::aliases;

/// What the table of tools knows of a tool.
pub(crate) trait Named {
    /// The subcommand.
    const NAME: &'static str;
    /// `docs/tools/NAME.md`.
    const PAGE: &'static str;
}

/// A tool: its options are its fields, and its own comment is the line that says what it shows.
pub(crate) trait Tool: Named + clap::Args {
    /// What a line is made of.
    type Row: Row + 'static;
    /// Two or three: arguments, and what they are for.
    const EXAMPLES: &'static [(&'static str, &'static str)];
    /// Letters for options of all tools that it has alone: those of bcc's tool of its name.
    const LETTERS: &'static [(&'static str, char)] = &[];
    /// Options of bcc's tool of its name that ask for what it does anyway, and their letters.
    const ANYWAY: &'static [(&'static str, char)] = &[];
    /// Its first columns, where it has those of a task.
    const TASK: &'static [Column<Self::Row>] = &[];
    /// Its own columns.
    const COLUMNS: &'static [Column<Self::Row>];
    /// The columns that an option shows instead.
    const OTHERS: &'static [(&'static str, &'static [Column<Self::Row>])] = &[];

    /// What its rows are.
    const ROWS: Rows = Rows::Events;
    /// Is each event a task's, so that the kernel can count by what it knows of tasks?
    const OF_TASKS: bool = true;
    /// What `--count` tells apart.
    const KINDS: &'static [&'static str] = &[];
    /// What `--top` sums up by without a field, where the tool has that.
    const TOP: &'static [&'static str] = &[];
    /// The option that sums times up, by the fields of `--by`, and the columns of these sums.
    const SUMMED_UP: Option<(&'static str, &'static [&'static Column<Self::Row>])> = None;
    /// What it adds to the summary in JSON: keys, and what they mean.
    const SUMMARY: &'static [(&'static str, &'static str)] = &[];

    /// Does the work, until it is done or told to end: shows these columns.
    fn run(self, host: &Host, columns: &[&Column<Self::Row>]) -> Result<()>;
}

/// What the rows of a tool are, which JSON has as their type.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rows {
    /// Events as they come, or counts of them.
    Events,
    /// What sums events up, each interval.
    Intervals,
    /// Of this type, without a run that traces.
    Listing(&'static str),
}

impl Rows {
    /// Their type, where none are counted.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Rows::Events => "event",
            Rows::Intervals => "interval",
            Rows::Listing(kind) => kind,
        }
    }

    /// Is there a run, whose lines are numbered?
    pub(crate) fn are_of_a_run(self) -> bool {
        !matches!(self, Rows::Listing(_))
    }
}

/// A tool whose type is forgotten: what the table has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    command: fn(Command) -> Command,
    records: fn() -> Vec<Records>,
    check: fn(&ArgMatches) -> Result<()>,
    run: fn(Host, &ArgMatches) -> clap::error::Result<Result<()>>,
}

impl Entry {
    pub(crate) const fn of<T: Tool>() -> Self {
        Self {
            name: T::NAME,
            command: command::<T>,
            records: records::<T>,
            check: check::<T>,
            run: run::<T>,
        }
    }

    /// Its command line.
    pub(crate) fn command(self) -> Command {
        let command = Command::new(self.name).visible_aliases(aliases::of_tool(self.name));
        (self.command)(command)
    }

    /// What it prints as JSON, by type.
    pub(crate) fn records(self) -> Vec<Records> {
        (self.records)()
    }

    /// Are the columns there that these arguments ask for?
    ///
    /// # Errors
    ///
    /// When one is not, or help is asked for.
    pub(crate) fn check(self, matches: &ArgMatches) -> Result<()> {
        (self.check)(matches)
    }

    /// The same in a thread of its own, which ends with what a process would.
    pub(crate) fn run_beside(self, host: Host, matches: ArgMatches) -> io::Result<JoinHandle<u8>> {
        let run = move || match self.run(host.clone(), &matches) {
            Ok(done) => host.exit_code(done),
            Err(_) => 2,
        };
        thread::Builder::new().name(self.name.into()).spawn(run)
    }

    /// Runs it with the arguments that its command line read.
    pub(crate) fn run(self, host: Host, matches: &ArgMatches) -> clap::error::Result<Result<()>> {
        (self.run)(host, matches)
    }
}

fn command<T: Tool>(command: Command) -> Command {
    let width = T::EXAMPLES.iter().map(|(args, _)| args.len()).max().unwrap_or(0);
    let examples = T::EXAMPLES
        .iter()
        .map(|(args, what)| format!("  ebtools {} {args:width$}  {what}\n", T::NAME));
    let examples = format!("Examples:\n{}", examples.collect::<String>());
    let page = format!("{examples}\n{}", page::plain(T::PAGE));
    let command = T::augment_args(command.after_help(examples).after_long_help(page));
    let anyway = T::ANYWAY.iter().map(|(option, letter)| {
        Arg::new(option).long(option).short(*letter).action(ArgAction::SetTrue).hide(true)
    });
    T::LETTERS.iter().fold(command.args(anyway), |command, (option, letter)| {
        command.mut_arg(option, |option| option.short(*letter))
    })
}

fn records<T: Tool>() -> Vec<Records> {
    let tables = T::OTHERS.iter().map(|(_, columns)| *columns);
    let columns = [T::TASK, T::COLUMNS].into_iter().chain(tables).flatten().map(Key::from);
    let columns = columns.collect();
    if let Rows::Listing(kind) = T::ROWS {
        return vec![Records::of_listing(kind, columns)];
    }
    let counts = || {
        let sums = T::SUMMED_UP.map_or(&[][..], |(_, sums)| sums).iter().copied();
        let counted = counts::keys(T::KINDS, T::OF_TASKS, !T::TOP.is_empty())
            .into_iter()
            .chain(sums.map(Key::from))
            .chain(columns.clone());
        Records::of_rows(Rows::Intervals.kind(), counted.collect())
    };
    let counts = matches!(T::ROWS, Rows::Events).then(counts);
    let rows = Records::of_rows(T::ROWS.kind(), columns);
    let ends = [Records::lost(), Records::summary(T::SUMMARY)];
    [Records::start(), rows].into_iter().chain(counts).chain(ends).collect()
}

fn check<T: Tool>(matches: &ArgMatches) -> Result<()> {
    let doing = "reading options";
    let output = OutputOptions::from_arg_matches(matches).doing(doing)?;
    T::from_arg_matches(matches).doing(doing)?;
    if output.asks_for_help() {
        return Err(Error::usage("--fields", "help is for a terminal"));
    }
    chosen::<T>(&output, matches).map(drop)
}

fn run<T: Tool>(host: Host, matches: &ArgMatches) -> clap::error::Result<Result<()>> {
    let tool = T::from_arg_matches(matches)?;
    let output = OutputOptions::from_arg_matches(matches)?;
    Ok(match chosen::<T>(&output, matches) {
        Ok(Some(columns)) => {
            let is_set = |name| matches.try_get_one(name).ok().flatten() == Some(&true);
            tool.run(&host.of_tool(T::NAME, is_set("verbose"), is_set("quiet")), &columns)
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    })
}

/// The columns to show, unless help was asked for and is answered.
fn chosen<T: Tool>(
    output: &OutputOptions,
    matches: &ArgMatches,
) -> Result<Option<Vec<&'static Column<T::Row>>>> {
    let is_given = |option: &str| is_given(matches, option);
    let columns = columns::<T>(is_given);
    check_by(matches)?;
    match grouped_by::<T>(matches) {
        Some((option, by)) => fields::counted(option, &columns, &by, is_given).map(Some),
        None => output.columns(&columns, is_given),
    }
}

/// The fields of `--count`, `--top` or `--by` that are the tool's to know, and which of them it is.
fn grouped_by<T: Tool>(matches: &ArgMatches) -> Option<(&'static str, Vec<String>)> {
    matches.try_contains_id("count").ok()?;
    if T::SUMMED_UP.is_some_and(|(option, _)| matches.get_flag(option)) {
        return Some(("--by", by(matches)));
    }
    if let Some(by) = EventOptions::from_arg_matches(matches).ok()?.counted_by() {
        let is_here = InKernel::by(&by).is_none() || !T::OF_TASKS && !by.is_empty();
        return is_here.then_some(("--count", by));
    }
    matches.try_contains_id("top").ok()?;
    Some(("--top", TopOptions::from_arg_matches(matches).ok()?.fields(T::TOP)?))
}

/// Is nothing named twice in `--by`, where there may be several?
fn check_by(matches: &ArgMatches) -> Result<()> {
    fields::check_distinct("--by", &by(matches))
}

/// What `--by` names.
fn by(matches: &ArgMatches) -> Vec<String> {
    let by = matches.try_get_raw("by").ok().flatten().into_iter().flatten();
    by.map(|one| one.to_string_lossy().into_owned()).collect()
}

/// All columns that a tool has with these options.
pub(crate) fn columns<T: Tool>(is_given: impl Fn(&str) -> bool) -> Vec<&'static Column<T::Row>> {
    let other = T::OTHERS.iter().find(|(option, _)| is_given(option));
    let own = other.map_or(T::COLUMNS, |(_, columns)| columns);
    T::TASK.iter().chain(own).collect()
}

/// Is this option given: `--by` with any value, `--by=src` with this one?
fn is_given(matches: &ArgMatches, option: &str) -> bool {
    let (name, value) = parts(option);
    match value {
        None => matches.value_source(&name) == Some(ValueSource::CommandLine),
        Some(value) => matches.get_raw(&name).is_some_and(|mut all| all.any(|one| one == value)),
    }
}

/// An option's id for clap, and its value.
fn parts(option: &str) -> (String, Option<&str>) {
    let (name, value) = match option.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (option, None),
    };
    (name.trim_start_matches('-').replace('-', "_"), value)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::output::Asked;
    use crate::tools::TOOLS;

    #[test]
    fn command_lines_are_consistent() {
        for tool in TOOLS {
            tool.command().debug_assert();
        }
    }

    /// Keys are told apart, and what a column says of options is so.
    pub(crate) fn check_columns<T: Tool>() {
        let command = command::<T>(Command::new(T::NAME));
        let arg = |option: &str| {
            let (name, value) = parts(option);
            let arg = command.get_arguments().find(|arg| arg.get_id() == name.as_str());
            let arg = arg.unwrap_or_else(|| panic!("{}: there is no {option}", T::NAME));
            let values = arg.get_possible_values();
            let has = |value: &str| values.iter().any(|one| one.matches(value, false));
            assert!(value.is_none_or(has), "{}: there is no {option}", T::NAME);
        };
        let others = T::OTHERS.iter().map(|(option, _)| *option);
        for other in others.clone() {
            arg(other);
        }
        for table in [""].into_iter().chain(others) {
            let columns = columns::<T>(|option| option == table);
            let keys = columns.iter().map(|column| column.key).collect::<BTreeSet<_>>();
            assert_eq!(keys.len(), columns.len(), "{} {table}", T::NAME);
            for column in columns {
                match column.option {
                    Asked::Not => {}
                    Asked::With(options) => options.iter().for_each(|option| arg(option)),
                    Asked::Added(option) => arg(option),
                    Asked::Replaced(option, key) => {
                        arg(option);
                        assert!(keys.contains(key), "{}: {key}", T::NAME);
                    }
                }
            }
        }
    }
}
