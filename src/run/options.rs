//! The options that all event tools have.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::time::Duration;

use clap::{Args, ColorChoice, ValueEnum};

use crate::error::Result;
use crate::filter::tasks::FilterOptions;
use crate::output::{Column, Lines, Names, fields};

/// Whose events, for how long, and how they are shown: the options of every tool that traces what
/// processes do.
#[derive(Args, Debug)]
pub(crate) struct CommonOptions {
    #[command(flatten)]
    pub(crate) filter: FilterOptions,

    #[command(flatten)]
    pub(crate) run: RunOptions,
}

/// How rows are shown.
#[derive(Args, Clone, Debug)]
pub(crate) struct OutputOptions {
    /// Print a table or JSON Lines
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Format,

    /// The same as -o json; with the names that OpenTelemetry or ECS has for what keys mean
    #[arg(long, value_name = "NAMES", num_args = 0..=1, require_equals = true, default_missing_value = "ebtools", conflicts_with = "output")]
    json: Option<Names>,

    /// Show these fields in this order; `help` lists them
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    fields: Vec<String>,

    /// On a terminal too, show rows whole, however long they are
    #[arg(long)]
    pub(crate) wide: bool,

    /// When to use colours: on a terminal, unless NO_COLOR is set, always or never
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorChoice,
}

/// For how long, and how events are shown: the options of every tool that traces.
#[derive(Args, Debug)]
#[command(next_help_heading = "Options of all tools")]
pub(crate) struct RunOptions {
    /// Stop after so many seconds, or a time like 500ms, 2m, 1h; the command goes on, unless --kill is
    /// given
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) duration: Option<Duration>,

    /// With -d and a command: send it SIGTERM when time is up
    #[arg(long, requires_all = ["duration", "command"])]
    pub(crate) kill: bool,

    #[command(flatten)]
    pub(crate) output: OutputOptions,

    #[command(flatten)]
    pub(crate) view: ViewOptions,

    /// Say what is being done: hooks in use and refused, libbpf's messages
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// On a terminal, don't say what is being done while nothing is shown
    #[arg(long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Run this command, trace only it and its descendants, and exit when it does, with its exit
    /// code. Its standard output goes to standard error
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// How somebody looks at rows.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ViewOptions {
    /// Show reports, or the last events, on the whole terminal, and draw it again as they change: q
    /// ends it, s sorts, / filters, w shows rows whole
    #[arg(long, conflicts_with_all = ["json", "command"])]
    pub(crate) live: bool,

    /// Sort reports, or what --live shows, by this field: numbers from the largest
    #[arg(long, value_name = "FIELD")]
    pub(crate) sort: Option<String>,
}

/// The options of tools that show events as they come.
#[derive(Args, Debug)]
#[command(next_help_heading = "Options of all tools")]
pub(crate) struct EventOptions {
    #[command(flatten)]
    pub(crate) common: CommonOptions,

    /// Show the local time of each event
    #[arg(short = 'T', long, alias = "time", overrides_with = "timestamp")]
    pub(crate) timestamp: bool,

    /// Show the user's number
    #[arg(short = 'U', long)]
    pub(crate) print_uid: bool,

    /// Count events instead of showing them: in total, or by fields, like comm or path,errno; any of
    /// `--fields help`. By comm, uid, pid, cgroup and container the kernel counts, which costs least
    #[arg(long, value_name = "FIELD", num_args = 0..=1, require_equals = true, default_missing_value = ALL, value_delimiter = ',', conflicts_with = "fields", group = REPORTS)]
    pub(crate) count: Option<Vec<String>>,

    /// With --count and the like: seconds between reports; 1 if it is not given, but where there is one report
    /// at the end
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds, requires = REPORTS)]
    pub(crate) interval: Option<Duration>,

    /// Size of the buffer for events, like 512K or 64M; rounded up to a power of two
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "4M")]
    pub(crate) buffer: u32,
}

/// The options of tools that sum events up.
#[derive(Args, Debug)]
#[command(next_help_heading = "Options of all tools")]
pub(crate) struct IntervalOptions {
    #[command(flatten)]
    pub(crate) common: CommonOptions,

    /// Seconds between reports
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) interval: Option<Duration>,
}

impl OutputOptions {
    /// Those that nobody gave.
    #[cfg(test)]
    pub(crate) fn of(output: Format) -> Self {
        Self { output, json: None, fields: Vec::new(), wide: false, color: ColorChoice::Never }
    }

    pub(crate) fn format(&self) -> Format {
        if self.json.is_some() { Format::Json } else { self.output }
    }

    /// What keys of JSON are called.
    pub(crate) fn names(&self) -> Names {
        self.json.unwrap_or_default()
    }

    /// What makes the lines of a tool's rows; `kind` is their type in JSON.
    pub(crate) fn lines<'a, E>(
        &self,
        kind: &str,
        tool: &str,
        columns: &[&'a Column<E>],
    ) -> Lines<'a, E> {
        let lines = match self.format() {
            Format::Table => Lines::table(columns),
            Format::Json => Lines::json(kind, tool, self.names(), columns),
        };
        if kind == "interval" { lines.of_reports() } else { lines }
    }

    pub(crate) fn asks_for_help(&self) -> bool {
        self.fields.iter().any(|field| field == "help")
    }

    /// The columns to show; `None` when `--fields help` was asked for and is answered. `is_given`
    /// tells of a tool's own options.
    pub(crate) fn columns<'c, E>(
        &self,
        columns: &[&'c Column<E>],
        is_given: impl Fn(&str) -> bool,
    ) -> Result<Option<Vec<&'c Column<E>>>> {
        if self.asks_for_help() {
            // A reader that has had enough is no failure.
            let _ = io::stdout().write_all(fields::help(columns).as_bytes());
            return Ok(None);
        }
        let is_json = self.format() == Format::Json;
        fields::choose(columns, is_json, &self.fields, is_given).map(Some)
    }
}

/// How events are printed.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// A header, and one line per event
    Table,
    /// One object per line
    Json,
}

/// `--top`, of tools that show how long something took.
#[derive(Args, Debug)]
pub(crate) struct TopOptions {
    /// Sum events up by fields, or by what the tool is about: how many there were, how many failed, how
    /// long they took. What took most time comes first
    #[arg(long, value_name = "FIELD", num_args = 0..=1, require_equals = true, default_missing_value = "", value_delimiter = ',', conflicts_with = "fields", group = REPORTS)]
    pub(crate) top: Option<Vec<String>>,
}

/// What shows reports instead of events.
pub(crate) const REPORTS: &str = "reports";

/// `--count` without a field.
const ALL: &str = "all";

impl EventOptions {
    /// Between two reports of `--count` and the like.
    pub(crate) fn between_reports(&self) -> Duration {
        self.interval.unwrap_or(Duration::from_secs(1))
    }

    /// The fields that `--count` names, if it is given: none for a count of all together.
    pub(crate) fn counted_by(&self) -> Option<Vec<String>> {
        let fields = named(self.count.as_ref()?);
        Some(fields.filter(|field| field != ALL).collect())
    }
}

impl TopOptions {
    /// The fields that `--top` names, if it is given: these without any.
    pub(crate) fn fields(&self, usual: &[&str]) -> Option<Vec<String>> {
        let fields = named(self.top.as_ref()?).filter(|field| !field.is_empty());
        let fields = fields.collect::<Vec<_>>();
        let usual = || usual.iter().map(ToString::to_string).collect();
        Some(if fields.is_empty() { usual() } else { fields })
    }
}

/// Fields by their keys; a short name for one of them is taken too.
fn named(fields: &[String]) -> impl Iterator<Item = String> {
    fields.iter().map(|field| match field.as_str() {
        "parent" => "parent_comm".into(),
        _ => field.clone(),
    })
}

/// What may stand behind a time, in seconds; `ms` ends like the unit after it.
const UNITS: [(&str, f64); 4] = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

/// A time with its unit, like 500ms, or else a number of `usual` seconds: in seconds, of whatever size
/// and sign.
pub(crate) fn time(text: &str, usual: f64) -> std::result::Result<f64, String> {
    let of_unit = |(unit, seconds)| Some((text.strip_suffix(unit)?, seconds));
    let (number, seconds) = UNITS.into_iter().find_map(of_unit).unwrap_or((text, usual));
    let number =
        number.parse::<f64>().map_err(|_| "a time is needed, like 10, 500ms, 1.5s, 2m, 1h")?;
    Ok(number * seconds)
}

pub(crate) fn seconds(text: &str) -> std::result::Result<Duration, String> {
    match Duration::try_from_secs_f64(time(text, 1.0)?) {
        Ok(duration) if duration >= Duration::from_millis(1) => Ok(duration),
        _ => Err("seconds must be at least 0.001, and fit a clock".into()),
    }
}

/// A time from 0 on, as nanoseconds: a number of milliseconds, or with its unit.
pub(crate) fn milliseconds(text: &str) -> std::result::Result<u64, String> {
    let seconds = time(text, 1e-3)?;
    if !(0.0..=1e6).contains(&seconds) {
        return Err("it must be from 0 to 1,000,000 seconds".into());
    }
    Ok((seconds * 1e9).round() as u64)
}

/// Bytes; at least a page, at most the 1 GiB that fits the kernel's limits.
pub(crate) fn size(text: &str) -> std::result::Result<u32, String> {
    let bytes = Some(bytes(text)?).filter(|&bytes| (1..=1 << 30).contains(&bytes));
    let bytes = bytes.ok_or("a size from 1 byte to 1G is needed")?;
    Ok(u32::try_from(bytes.max(4096)).unwrap_or(1 << 30).next_power_of_two())
}

/// Bytes: a number, or one of K, M or G.
pub(crate) fn bytes(text: &str) -> std::result::Result<u64, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let bytes = digits.parse::<u64>().map_err(|_| "a size like 512K or 64M is needed")?;
    bytes.checked_mul(1 << shift).ok_or("a smaller size is needed".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes() {
        for (text, bytes) in [("1", 4096), ("512K", 1 << 19), ("3M", 1 << 22), ("1G", 1 << 30)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "K", "0", "-1", "2G", "1T", "99999999999999999999", "1.5M"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_seconds() {
        for (text, milliseconds) in [
            ("10", 10_000),
            ("1.5", 1500),
            ("10s", 10_000),
            ("500ms", 500),
            ("1ms", 1),
            ("2m", 120_000),
            ("0.5h", 1_800_000),
        ] {
            assert_eq!(seconds(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in [
            "",
            "0",
            "-1",
            "nan",
            "inf",
            "1e99",
            "soon",
            "s",
            "ms",
            "0.9ms",
            "-1s",
            "nanh",
            "infm",
            "5d",
            "1us",
            "10 s",
            "1m30s",
            "\u{0661}s",
        ] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_milliseconds() {
        assert_eq!(milliseconds("1.5"), Ok(1_500_000));
        assert_eq!(milliseconds("0"), Ok(0));
        assert_eq!(milliseconds("2s"), Ok(2_000_000_000));
        assert_eq!(milliseconds("0.1ms"), Ok(100_000));
        for text in ["", "-1", "nan", "inf", "1e10", "soon", "300h"] {
            assert!(milliseconds(text).is_err(), "{text}");
        }
    }
}
