//! The configuration: what is traced, and where what is seen goes. Everything in it is checked before
//! anything is traced.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ArgMatches;
use clap::parser::ValueSource;
use nix::fcntl::OFlag;
use serde::{Deserialize, Deserializer, de};

use crate::error::{Context as _, Error, Result};
use crate::run::options;
use crate::tool::Entry;
use crate::tools::TOOLS;
use crate::tools::aliases::Alias;

/// No configuration has more bytes.
const BYTES_MAX: u64 = 1 << 20;

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// After SIGHUP tools may be started, too: the rights for that are kept.
    #[serde(default)]
    pub(super) reload_tools: bool,
    #[serde(default)]
    pub(super) metrics: Metrics,
    pub(super) tools: Vec<Tool>,
}

/// Where metrics are to be had.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct Metrics {
    /// Written anew each interval, for a collector that reads files.
    pub(super) file: Option<PathBuf>,
    /// For a collector that asks, on this machine.
    pub(super) listen: Option<SocketAddr>,
    #[serde(default, deserialize_with = "interval")]
    pub(super) interval: Option<Duration>,
}

/// A tool that runs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tool {
    pub(super) tool: String,
    /// In metrics and messages, where a tool runs more than once.
    name: Option<String>,
    #[serde(default)]
    pub(super) options: Vec<String>,
    /// Where records go; `-` is standard output.
    pub(super) file: Option<PathBuf>,
    /// The file gets another name when it has so many bytes.
    #[serde(default, deserialize_with = "bytes")]
    pub(super) rotate_at: Option<u64>,
    /// How many files with other names are kept.
    rotated_files: Option<u32>,
    /// A directory for a profile of each interval, and how many are kept there.
    pub(super) profiles: Option<PathBuf>,
    kept_profiles: Option<u32>,
    /// More than so many in a second are counted, and not shown.
    pub(super) max_events_per_second: Option<u32>,
}

impl Config {
    /// Reads and checks it.
    ///
    /// # Errors
    ///
    /// What is wrong with it, with the line where that is known.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let doing = || format!("reading {}", path.display());
        let mut text = String::new();
        // A pipe that nobody writes to would be waited for.
        let mut options = File::options();
        let file = options.read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path);
        let file = file.doing(doing())?;
        if !file.metadata().doing(doing())?.is_file() {
            return Err(Error::new(doing(), "it is not a regular file"));
        }
        file.take(BYTES_MAX + 1).read_to_string(&mut text).doing(doing())?;
        if text.len() as u64 > BYTES_MAX {
            return Err(Error::new(doing(), "it has more than 1 MiB"));
        }
        Self::parse(&text).map_err(|cause| Error::new(path.display(), cause))
    }

    fn parse(text: &str) -> std::result::Result<Self, String> {
        let config = toml::from_str::<Self>(text).map_err(|error| located(&error, text))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> std::result::Result<(), String> {
        if let Some(file) = self.metrics.file.as_deref().filter(|file| !file.is_absolute()) {
            return Err(format!("metrics.file = \"{}\": {ABSOLUTE}", file.display()));
        }
        if self.tools.is_empty() {
            return Err("no tool is named: [[tools]]".into());
        }
        if let Some(address) = self.metrics.listen.filter(|address| !address.ip().is_loopback()) {
            return Err(format!(
                "metrics.listen = \"{address}\": only this machine may ask: 127.0.0.1 or [::1]"
            ));
        }
        for (number, tool) in self.tools.iter().enumerate() {
            let name = tool.name();
            let of_tool = |cause| format!("tool {name}: {cause}");
            tool.matches().map_err(of_tool)?;
            tool.check().map_err(of_tool)?;
            let others = &self.tools[..number];
            if others.iter().any(|other| other.name() == name) {
                return Err(format!(
                    "two tools are called {name}: give one another name = \"...\""
                ));
            }
        }
        self.check_files()
    }

    /// Nothing is written to one file by two.
    fn check_files(&self) -> std::result::Result<(), String> {
        let metrics = self.metrics.file.iter().flat_map(|file| {
            [file.clone(), with_suffix(file, ".new")].map(|file| ("metrics.file", file))
        });
        let of_tools = self.tools.iter().flat_map(|tool| {
            let files = tool.files().into_iter();
            files.map(|file| (tool.name(), file))
        });
        let mut all = BTreeMap::new();
        for (name, file) in metrics.chain(of_tools) {
            if let Some(other) = all.insert(file, name) {
                return Err(format!("{other} and {name} have the same file"));
            }
        }
        Ok(())
    }
}

const ABSOLUTE: &str = "a path from / on is needed";

/// The same name with something behind it.
pub(super) fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.to_owned().into_os_string();
    name.push(suffix);
    name.into()
}

impl Tool {
    pub(super) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.tool)
    }

    /// How many files are kept beside the one that is written.
    pub(super) fn rotated_files(&self) -> u32 {
        self.rotated_files.unwrap_or(4)
    }

    /// How many profiles are kept.
    pub(super) fn kept_profiles(&self) -> usize {
        self.kept_profiles.map_or(100, |kept| kept as usize)
    }

    /// The file, if it is not standard output.
    pub(super) fn log(&self) -> Option<&Path> {
        self.file.as_deref().filter(|file| *file != Path::new("-"))
    }

    /// It, and the names that it gets later.
    fn files(&self) -> Vec<PathBuf> {
        let kept = self.rotate_at.map_or(0, |_| self.rotated_files());
        let Some(file) = self.log() else { return Vec::new() };
        let later = (1..=kept).map(|number| with_suffix(file, &format!(".{number}")));
        [file.to_owned()].into_iter().chain(later).collect()
    }

    /// Would it do the same as the other, if both were started now?
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let kinds = |tool: &Self| (tool.log().is_some(), tool.file.is_some());
        let parts = |tool: &Self| (tool.profiles.clone(), tool.kept_profiles(), kinds(tool));
        (self.name(), &self.tool, &self.options, parts(self))
            == (other.name(), &other.tool, &other.options, parts(other))
    }

    /// Its entry, and what its options say.
    pub(super) fn matches(&self) -> std::result::Result<(Entry, ArgMatches), String> {
        let found = TOOLS.iter().find(|tool| tool.name == self.tool);
        let entry = *found.ok_or_else(|| no_such_tool(&self.tool))?;
        let options = self.options.iter().map(String::as_str);
        let is_json = options.clone().any(|one| one == "--json" || one.starts_with("--json="));
        let args = options.chain((!is_json).then_some("--json"));
        let matches = entry.command().no_binary_name(true).try_get_matches_from(args);
        let matches = matches.map_err(|error| in_a_line(&error))?;
        // Those that end by themselves have no such option.
        if matches.try_contains_id("duration").is_err() {
            return Err("it does not trace".into());
        }
        for option in ["duration", "seconds", "command"] {
            if matches.try_get_raw(option).is_ok_and(|given| given.is_some()) {
                return Err(match option {
                    "seconds" => "a time is for a terminal: it runs until it is told to end".into(),
                    "command" => "no command can be traced: -- is for a terminal".into(),
                    _ => format!("--{option} is for a terminal: it runs until it is told to end"),
                });
            }
        }
        let has_interval = matches.value_source("interval") == Some(ValueSource::CommandLine);
        if self.profiles.is_some() && self.tool == "profile" && !has_interval {
            return Err("profiles are of an interval: options = [\"-i\", \"60\"]".into());
        }
        // Written at its end, and larger from day to day.
        for option in ["svg", "pprof", "speedscope"] {
            if matches.try_contains_id(option).is_ok_and(|is_given| is_given) {
                return Err(format!("--{option} is for a run that ends"));
            }
        }
        entry.check(&matches).map_err(|error| error.line())?;
        Ok((entry, matches))
    }

    fn check(&self) -> std::result::Result<(), String> {
        let is_usual = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.name().is_empty() || !self.name().chars().all(is_usual) {
            return Err("a name has letters, digits, -, _ and .".into());
        }
        let is_rotated = self.rotate_at.is_some() || self.rotated_files.is_some();
        if is_rotated && self.log().is_none() {
            return Err("rotate_at and rotated_files are for a file".into());
        }
        if self.rotated_files == Some(0) {
            return Err("rotated_files: at least 1".into());
        }
        if self.profiles.is_some() && self.tool != "profile" {
            return Err("profiles is for the tool profile".into());
        }
        if self.profiles.is_none() && self.kept_profiles.is_some() || self.kept_profiles == Some(0)
        {
            return Err("kept_profiles: at least 1, and profiles = \"DIRECTORY\"".into());
        }
        if self.max_events_per_second == Some(0) {
            return Err("max_events_per_second: at least 1; without it all are shown".into());
        }
        match self.log() {
            Some(file) if !file.is_absolute() => {
                Err(format!("file = \"{}\": {ABSOLUTE}, or - for standard output", file.display()))
            }
            _ => Ok(()),
        }
    }
}

/// An alias is for a command line: in files and metrics a tool has one name.
fn no_such_tool(name: &str) -> String {
    match Alias::named(name) {
        Some(alias) => format!("it stands for {}: name that tool and its options", alias.meaning()),
        None => "there is no such tool: ebtools --list".into(),
    }
}

/// clap's own words, without what is for a terminal.
fn in_a_line(error: &clap::Error) -> String {
    if error.exit_code() == 0 {
        return "its options ask for help".into();
    }
    let text = error.to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
    let line = lines.collect::<Vec<_>>().join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_string()
}

/// `line 3: unknown field ...`
fn located(error: &toml::de::Error, text: &str) -> String {
    let message = error.message().trim().replace('\n', ", ");
    match error.span().and_then(|span| text.get(..span.start)) {
        Some(before) => format!("line {}: {message}", before.matches('\n').count() + 1),
        None => message,
    }
}

fn interval<'d, D: Deserializer<'d>>(from: D) -> std::result::Result<Option<Duration>, D::Error> {
    let text = String::deserialize(from)?;
    options::seconds(&text).map(Some).map_err(de::Error::custom)
}

fn bytes<'d, D: Deserializer<'d>>(from: D) -> std::result::Result<Option<u64>, D::Error> {
    let text = String::deserialize(from)?;
    options::bytes(&text).map(Some).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        Config::parse(text).err().unwrap_or_default()
    }

    #[test]
    fn reads_what_is_right() {
        let config = Config::parse(
            "[metrics]\nlisten = \"127.0.0.1:9435\"\ninterval = \"500ms\"\n\
             [[tools]]\ntool = \"execsnoop\"\noptions = [\"-x\", \"-u\", \"root\"]\n\
             file = \"/var/log/x.json\"\nrotate_at = \"10M\"\n\
             [[tools]]\ntool = \"execsnoop\"\nname = \"counts\"\noptions = [\"--count=comm\", \"--json=otel\"]\n",
        )
        .unwrap();
        assert_eq!(config.metrics.interval, Some(Duration::from_millis(500)));
        assert_eq!(config.tools[0].rotate_at, Some(10 << 20));
        assert_eq!((config.tools[1].name(), config.tools[1].log()), ("counts", None));
    }

    const TOOL: &str = "[[tools]]\ntool = \"execsnoop\"\n";

    fn says(cases: &[(&str, &str)]) {
        for (text, words) in cases {
            assert!(said(text).contains(words), "{text}: {}", said(text));
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_tool() {
        let tool = TOOL;
        says(&[
            ("tools = []", "no tool is named"),
            ("[[tools]]\ntool = \"execsnop\"", "tool execsnop: there is no such tool"),
            ("[[tools]]\ntool = \"doctor\"", "tool doctor: it does not trace"),
            ("[[tools]]\ntool = \"pidpersec\"", "it stands for clonesnoop --count: name that tool"),
            (&format!("{tool}colour = 1"), "line 3: unknown field `colour`"),
            (&format!("{tool}options = [\"--nonsense\"]"), "unexpected argument '--nonsense'"),
            (&format!("{tool}options = [\"-d\", \"1\"]"), "--duration is for a terminal"),
            (&format!("{tool}options = [\"--\", \"true\"]"), "no command can be traced"),
            (&format!("{tool}options = [\"-o\", \"table\"]"), "cannot be used with"),
            (&format!("{tool}options = [\"--fields\", \"nope\"]"), "there is no field"),
            (
                &format!("{tool}options = [\"--fields\", \"help\"]"),
                "--fields: help is for a terminal",
            ),
            (
                "[[tools]]\ntool = \"profile\"\noptions = [\"--pprof\", \"/x\"]",
                "for a run that ends",
            ),
            (&format!("{tool}profiles = \"/tmp\""), "profiles is for the tool profile"),
            ("[[tools]]\ntool = \"profile\"\nkept_profiles = 1", "kept_profiles: at least 1, and"),
            ("[[tools]]\ntool = \"profile\"\nprofiles = \"/tmp\"", "options = [\"-i\", \"60\"]"),
            (&format!("{tool}options = [\"--help\"]"), "its options ask for help"),
            ("[[tools]]\ntool = \"funclatency\"", "arguments were not provided: <FUNCTION>"),
            (&format!("{tool}options = [\"--json=x\"]"), "invalid value 'x'"),
        ]);
    }

    #[test]
    fn says_what_is_wrong() {
        let tool = TOOL;
        says(&[
            (
                &format!("[metrics]\nfile = \"/x.1\"\n{tool}file = \"/x\"\nrotate_at = \"1K\""),
                "metrics.file and execsnoop have the same file",
            ),
            (&format!("[metrics]\nfile = \"x\"\n{tool}"), "metrics.file = \"x\": a path"),
            (&format!("{tool}{tool}"), "two tools are called execsnoop"),
            (&format!("{tool}file = \"x\""), "a path from / on is needed"),
            (&format!("{tool}name = \"a b\""), "a name has letters"),
            (&format!("{tool}rotate_at = \"1M\""), "are for a file"),
            (&format!("{tool}file = \"/x\"\nrotate_at = \"-1\""), "line 4: a size like"),
            (&format!("{tool}max_events_per_second = 0"), "at least 1"),
            (
                &format!("{tool}file = \"/x\"\n{tool}file = \"/x\"\nname = \"b\""),
                "execsnoop and b have the same file",
            ),
            (
                "[metrics]\nlisten = \"0.0.0.0:1\"\n[[tools]]\ntool = \"execsnoop\"",
                "only this machine",
            ),
            ("tools = 1", "line 1: invalid type"),
            ("\"", "line 1: "),
        ]);
    }
}
