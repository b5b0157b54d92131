//! probes: what can be traced.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::num::NonZeroU32;
use std::path::Path;

use clap::ValueEnum;

use super::prelude::*;
use crate::attach::elf;
use crate::attach::libraries;
use crate::error::Context as _;
use crate::record::{Header, Record, Row};
use crate::run::options::OutputOptions;
use crate::run::{capabilities, listing};
use crate::system::foreign::{ForeignFile, identity_at};
use crate::system::kernel::{self, Alike};
use crate::system::names::{self, Wanted};
use crate::system::procfs;

/// List what can be traced: functions, tracepoints, USDT probes
#[derive(Args, Debug)]
pub(crate) struct Probes {
    /// A file, a library like c, a program like bash, or the number of a process: what it has;
    /// without one, what the kernel has
    #[arg(value_name = "FILE|PID")]
    of: Option<String>,

    /// Only names that match, like 'vfs_*'
    pattern: Option<String>,

    /// What this process has mapped has; then the first argument is the pattern
    #[arg(short, long, conflicts_with_all = ["lib", "pattern"])]
    pid: Option<NonZeroU32>,

    /// What this library or program has; then the first argument is the pattern
    #[arg(short, long, value_name = "FILE", conflicts_with = "pattern")]
    lib: Option<String>,

    /// Only probes of this kind; may be repeated
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    kind: Vec<ProbeKind>,

    #[command(flatten)]
    output: OutputOptions,
}

/// What can be traced.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum ProbeKind {
    /// A function of the kernel
    Kernel,
    /// A tracepoint of the kernel
    Tracepoint,
    /// A function of a program or library
    Function,
    /// A USDT probe
    Usdt,
}

impl ProbeKind {
    fn name(self) -> &'static str {
        match self {
            ProbeKind::Kernel => "kernel",
            ProbeKind::Tracepoint => "tracepoint",
            ProbeKind::Function => "function",
            ProbeKind::Usdt => "usdt",
        }
    }
}

/// Something that can be traced.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    kind: ProbeKind,
    address: u64,
    /// What patterns are matched with.
    name: String,
    /// What a tool takes for it.
    spec: String,
}

impl Row for Found {
    fn of_any(bytes: &[u8], show: &mut dyn FnMut(&Record<'_, Self>)) {
        let name = String::from_utf8_lossy(bytes).into_owned();
        let spec = names::shown(&name);
        let found = Self { kind: ProbeKind::Function, address: bytes.len() as u64, name, spec };
        show(&Record::of(&Header::default(), &found));
    }
}

type Col = Column<Found>;

impl Tool for Probes {
    type Row = Found;
    const ROWS: Rows = Rows::Listing("probe");
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("'vfs_*'", "functions and tracepoints of the kernel"),
        ("/bin/bash 'readline*'", "functions of a program"),
        ("c 'getaddr*'", "functions of a library"),
        ("--kind usdt -p 1234", "USDT probes in what a process has mapped"),
    ];
    const COLUMNS: &'static [Col] = &[
        Col::word("KIND", "kind", 10, "kernel function, tracepoint, function or usdt", |r| {
            Value::Word(r.event.kind.name())
        }),
        Col::hex("ADDRESS", "address", 18, "where it is; a file's own address", |r| {
            match r.event.address {
                0 => Value::None,
                address => Value::Hex(address),
            }
        }),
        Col::text("NAME", "name", 32, "its name", |r| Value::Text(r.event.name.as_bytes()))
            .user()
            .json_only(),
        Col::text("SPEC", "spec", 0, "how it is named to a tool that traces it", |r| {
            Value::Text(r.event.spec.as_bytes())
        })
        .user(),
    ];

    fn run(self, host: &Host, columns: &[&Col]) -> Result<()> {
        capabilities::give_up(Self::NAME)?;
        let (of, pattern) = self.asked();
        let wanted = Wanted::new(pattern);
        let (mut found, alike) = match of {
            Of::Kernel => of_kernel(host, &wanted)?,
            Of::Process(pid) => of_process(host, pid, &wanted)?,
            Of::File(name) => {
                let path = libraries::named(name)?;
                of_file(&elf::open(&path)?, &path.to_string_lossy(), &wanted)?
            }
        };
        if !self.kind.is_empty() {
            found.retain(|found| self.kind.contains(&found.kind));
        }
        if found.is_empty() {
            let error = alike.unknown(Self::NAME);
            return Err(match pattern.split_once(':') {
                Some((file, rest)) if self.pattern.is_none() && !pattern.contains('/') => {
                    error.hint(format!("functions of a file: ebtools probes {file} '{rest}'"))
                }
                _ => error,
            });
        }
        listing::print(host, "probe", columns, &self.output, &found)
    }
}

/// What is looked into.
enum Of<'a> {
    Kernel,
    Process(u32),
    File(&'a str),
}

/// What matches, and what is like it where nothing does.
type Answer<'w> = (Vec<Found>, Alike<'w>);

impl Probes {
    /// What is looked into, and the pattern that is wanted of it.
    fn asked(&self) -> (Of<'_>, &str) {
        let pid = self.pid.map(|pid| Of::Process(pid.get()));
        if let Some(of) = pid.or(self.lib.as_deref().map(Of::File)) {
            return (of, self.of.as_deref().unwrap_or("*"));
        }
        let of = self.of.as_deref().unwrap_or("*");
        let is_file = |path: &str| Path::new(path).exists();
        let (of, pattern) = match (&self.pattern, names::split(of, is_file)) {
            (Some(pattern), _) => (of, Some(pattern.as_str())),
            // As tools that trace it take it: /bin/bash:readline.
            (None, Some((file, pattern))) if of.contains('/') && !is_file(of) => {
                (file, Some(pattern))
            }
            (None, _) => (of, None),
        };
        let all = pattern.unwrap_or("*");
        match of.parse() {
            Ok(pid) => (Of::Process(pid), all),
            Err(_) if of.contains('/') || pattern.is_some() => (Of::File(of), all),
            Err(_) => (Of::Kernel, of),
        }
    }
}

fn of_kernel<'w>(host: &Host, wanted: &Wanted<'w>) -> Result<Answer<'w>> {
    let functions = kernel::functions()?.into_iter().map(|function| Found {
        kind: ProbeKind::Kernel,
        address: function.address,
        spec: function.name.clone(),
        name: function.name,
    });
    let mut found = functions.collect::<Vec<_>>();
    match kernel::tracepoints() {
        Ok(names) => found.extend(names.into_iter().map(|name| Found {
            kind: ProbeKind::Tracepoint,
            address: 0,
            spec: format!("tracepoint:{name}"),
            name,
        })),
        // Functions alone are better than nothing.
        Err(error) => host.messages.say(error),
    }
    let mut alike = Alike::new(wanted.text());
    if !found.iter().any(|found| wanted.matches(&found.name)) {
        found.iter().for_each(|found| alike.consider(&found.name));
    }
    found.retain(|found| wanted.matches(&found.name));
    Ok((found, alike))
}

/// `shown`: the file's path as the user knows it.
fn of_file<'w>(file: &ForeignFile, shown: &str, wanted: &Wanted<'w>) -> Result<Answer<'w>> {
    let places = elf::places_of(file, &mut |name| wanted.matches(name))?;
    let mut alike = Alike::new(wanted.text());
    if places.is_empty() {
        elf::consider(file, &mut alike)?;
    }
    let found = places.into_iter().map(|place| Found {
        kind: if place.is_usdt { ProbeKind::Usdt } else { ProbeKind::Function },
        address: place.address,
        spec: format!("{shown}:{}", names::shown(&place.name)),
        name: place.name,
    });
    Ok((found.collect(), alike))
}

/// All files that a process has mapped to run them.
fn of_process<'w>(host: &Host, pid: u32, wanted: &Wanted<'w>) -> Result<Answer<'w>> {
    let doing = || format!("reading process {pid}");
    let maps = BufReader::new(File::open(format!("/proc/{pid}/maps")).doing(doing())?);
    let mut files = BTreeMap::new();
    procfs::mappings(maps, |mapping| {
        if mapping.is_run && files.len() < FILES_MAX {
            let (device, number) = mapping.file;
            let path = || (mapping.addresses.to_string(), mapping.path.to_vec());
            files.entry((device.to_vec(), number.to_vec())).or_insert_with(path);
        }
    })
    .doing(doing())?;
    let mut found = Vec::new();
    let mut alike = Alike::new(wanted.text());
    for (addresses, path) in files.values() {
        // The very file, whatever is at its path by now.
        let answer = elf::open(Path::new(&format!("/proc/{pid}/map_files/{addresses}")))
            .and_then(|file| of_file(&file, &shown(pid, &file, path), wanted));
        match answer {
            Ok((places, others)) => {
                found.extend(places);
                alike.merge(others);
            }
            Err(error) => host.messages.say(error.line()),
        }
    }
    Ok((found, alike))
}

/// Programs have some hundred at the most.
const FILES_MAX: usize = 4096;

/// A name that leads to a mapped file from here: its path, or that in the process's mount
/// namespace, or the link that opened it.
fn shown(pid: u32, file: &ForeignFile, path: &[u8]) -> String {
    let path = String::from_utf8_lossy(&procfs::without_escapes(path)).into_owned();
    let there = format!("/proc/{pid}/root{path}");
    let leads_there =
        |name: &String| identity_at(Path::new(name)).is_ok_and(|found| found == file.identity());
    [path, there].into_iter().find(leads_there).unwrap_or_else(|| file.to_string())
}
