//! probes: what can be traced.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use glob::Pattern;

use crate::decode::{Header, Record};
use crate::elf;
use crate::error::{Context as _, Error, Result};
use crate::kernel;
use crate::messages::say;
use crate::options::{Format, OutputOptions};
use crate::output::Output;
use crate::procfs;
use crate::render::fields::Wish;
use crate::render::{Clock, Column, Lines, Value};
use crate::tool::Tool;

/// List what can be traced: functions, tracepoints, USDT probes
#[derive(Args, Debug)]
pub(crate) struct Probes {
    /// A file, a library like c, a program like bash, or the number of a process: what it has;
    /// without one, what the kernel has
    #[arg(value_name = "FILE|PID")]
    of: Option<String>,

    /// Only names that match, like 'vfs_*'
    pattern: Option<String>,

    #[command(flatten)]
    output: OutputOptions,
}

/// Something that can be traced.
#[derive(Clone, Debug)]
struct Found {
    kind: &'static str,
    address: u64,
    /// What patterns are matched with.
    name: String,
    /// What a tool takes for it.
    spec: String,
}

type Col = Column<Found>;

const COLUMNS: &[Col] = &[
    Col::new("KIND", "kind", 10, "kernel function, tracepoint, function or usdt", |r| {
        Value::Word(r.event.kind)
    }),
    Col::new("ADDRESS", "address", 18, "where it is; a file's own address", |r| {
        match r.event.address {
            0 => Value::None,
            address => Value::Hex(address),
        }
    }),
    Col::new("NAME", "name", 32, "its name", |r| Value::Text(r.event.name.as_bytes()))
        .user()
        .json_only(),
    Col::new("SPEC", "spec", 0, "how it is named to a tool that traces it", |r| {
        Value::Text(r.event.spec.as_bytes())
    })
    .user(),
];

impl Tool for Probes {
    const NAME: &'static str = "probes";
    const ABOUT: &'static str = "List what can be traced: functions, tracepoints, USDT probes";
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("'vfs_*'", "functions and tracepoints of the kernel"),
        ("/bin/bash 'readline*'", "functions of a program"),
        ("c 'getaddr*'", "functions of a library"),
        ("1234 'libc:*'", "USDT probes in what a process has mapped"),
    ];

    fn run(self) -> Result<()> {
        let Some(columns) = self.output.columns(COLUMNS, Wish::default())? else { return Ok(()) };
        let (found, pattern) = self.find()?;
        let matcher = Pattern::new(pattern)
            .map_err(|error| Error::usage(format!("the pattern {pattern}"), error))?;
        let matching =
            found.iter().filter(|found| matcher.matches(&found.name)).collect::<Vec<_>>();
        if matching.is_empty() {
            let names = found.iter().map(|found| found.name.as_str());
            let error = kernel::unknown(Self::NAME, pattern, names);
            return Err(match pattern.split_once(':') {
                Some((file, rest)) if self.pattern.is_none() && !pattern.contains('/') => {
                    error.hint(format!("functions of a file: ebtools probes {file} '{rest}'"))
                }
                _ => error,
            });
        }
        print(&matching, &columns, self.output.format())
    }
}

impl Probes {
    /// Everything there is, and the pattern that is wanted of it.
    fn find(&self) -> Result<(Vec<Found>, &str)> {
        let of = self.of.as_deref().unwrap_or("*");
        let (of, pattern) = match (&self.pattern, of.rsplit_once(':')) {
            (Some(pattern), _) => (of, Some(pattern.as_str())),
            // As tools that trace it take it: /bin/bash:readline.
            (None, Some((file, pattern))) if of.contains('/') && !Path::new(of).exists() => {
                (file, Some(pattern))
            }
            (None, _) => (of, None),
        };
        let all = pattern.unwrap_or("*");
        if let Ok(pid) = of.parse::<u32>() {
            return Ok((of_process(pid)?, all));
        }
        if of.contains('/') || pattern.is_some() {
            let path = elf::named(of)?;
            return Ok((of_file(&path, &path.to_string_lossy())?, all));
        }
        Ok((of_kernel()?, of))
    }
}

fn of_kernel() -> Result<Vec<Found>> {
    let functions = kernel::functions()?.into_iter().map(|function| Found {
        kind: "kernel",
        address: function.address,
        spec: function.name.clone(),
        name: function.name,
    });
    let mut found = functions.collect::<Vec<_>>();
    match kernel::tracepoints() {
        Ok(names) => found.extend(names.into_iter().map(|name| Found {
            kind: "tracepoint",
            address: 0,
            spec: format!("tracepoint:{name}"),
            name,
        })),
        // Functions alone are better than nothing.
        Err(error) => say(format_args!("probes: {error}")),
    }
    Ok(found)
}

/// `shown`: the file's path as the user knows it.
fn of_file(path: &Path, shown: &str) -> Result<Vec<Found>> {
    let places = elf::places_of(path)?;
    let found = places.into_iter().map(|place| Found {
        kind: if place.is_usdt { "usdt" } else { "function" },
        address: place.address,
        spec: format!("{shown}:{}", place.name),
        name: place.name,
    });
    Ok(found.collect())
}

/// All files that a process has mapped to run them. In another mount namespace than ours, they have
/// the path that leads there from here.
fn of_process(pid: u32) -> Result<Vec<Found>> {
    let maps = fs::read(format!("/proc/{pid}/maps")).doing(format!("reading process {pid}"))?;
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    let is_elsewhere = namespace(&pid.to_string()) != namespace("self");
    let mut found = Vec::new();
    for file in procfs::mapped_files(&maps) {
        let there = PathBuf::from(format!("/proc/{pid}/root{file}"));
        let shown = if is_elsewhere { there.to_string_lossy().into_owned() } else { file.into() };
        match of_file(&there, &shown) {
            Ok(places) => found.extend(places),
            Err(error) => say(format_args!("probes: {}", error.line())),
        }
    }
    Ok(found)
}

fn print(found: &[&Found], columns: &[&Col], format: Format) -> Result<()> {
    let lines = match format {
        Format::Json => Lines::json("probe", Probes::NAME, columns),
        Format::Table => Lines::table(columns),
    };
    let mut output = Output::new();
    output.lines(0, |out| lines.header(out));
    let (header, clock) = (Header::default(), Clock::new(0));
    for found in found {
        let record = Record::made(&header, *found);
        output.lines(1, |out| lines.row(out, &clock, &record));
    }
    output.flush();
    match output.failure() {
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::new("writing to standard output", error))
        }
        _ => Ok(()),
    }
}
