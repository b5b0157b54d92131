//! doctor: what works on this machine, and why the rest does not.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use caps::CapSet;
use nix::sys::utsname::{UtsName, uname};

use super::TOOLS;
use super::prelude::*;
use super::probes::Probes;
use crate::error::{Context as _, Error};
use crate::escape;
use crate::filter::cgroups;
use crate::output::sink::Stream;
use crate::record::{Header, Record, Row};
use crate::run::listing;
use crate::run::options::OutputOptions;
use crate::system::lock::locked;
use crate::system::stop::Stop;
use crate::system::{kernel, kernel_types};
use crate::tool::Entry;

/// Try what works on this machine: the kernel, each kind of attachment, each tool
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    #[command(flatten)]
    output: OutputOptions,
}

/// Something that was looked at.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    kind: &'static str,
    name: &'static str,
    /// `None`: that is no question.
    works: Option<bool>,
    /// How, or why not.
    detail: String,
    hint: String,
}

impl Finding {
    fn new(works: bool, detail: String) -> Self {
        Self { kind: "", name: "", works: Some(works), detail, hint: String::new() }
    }
}

impl Row for Finding {
    fn of_any(bytes: &[u8], show: &mut dyn FnMut(&Record<'_, Self>)) {
        let detail = String::from_utf8_lossy(bytes).into_owned();
        let works = bytes.first().map(|byte| byte % 2 == 0);
        let finding = Self { kind: TOOL, name: "", works, hint: detail.clone(), detail };
        show(&Record::of(&Header::default(), &finding));
    }
}

type Col = Column<Finding>;

/// A kind of attachment, and a tool with options that uses no other.
const ATTACHMENTS: &[(&str, &[&str])] = &[
    ("tracepoint", &["clonesnoop"]),
    ("fexit", &["opensnoop", "--hook", "fexit"]),
    ("kprobe", &["unlinksnoop", "--hook", "kprobe"]),
    ("kprobe.multi", &["opensnoop", "--hook", "kprobe-multi"]),
    ("uprobe", &["funclatency", "c:getaddrinfo"]),
    ("samples", &["profile"]),
    ("XDP", &["xdpfilter", "lo"]),
    ("LSM", &["guard", "--deny", "open:/etc/passwd", "-u", "65534"]),
    ("cgroup", &["guard", "--deny", "connect:::1", "-u", "65534"]),
];

/// What tools are tried with that need more than their name.
const ARGUMENTS: &[(&str, &[&str])] = &[
    ("funclatency", &["vfs_read"]),
    ("guard", &["--deny", "connect:::1", "-u", "65534"]),
    ("tcfilter", &["lo"]),
    ("xdpfilter", &["lo"]),
];

const SYSTEM: &str = "system";
const ATTACHMENT: &str = "attachment";
const TOOL: &str = "tool";

/// Attached for so many seconds.
const SECONDS: &str = "0.01";

impl Tool for Doctor {
    type Row = Finding;
    const ROWS: Rows = Rows::Listing("check");
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("", "what works here, and what to do about the rest"),
        ("--json", "the same for a program"),
    ];
    const COLUMNS: &'static [Col] = &[
        Col::word("KIND", "kind", 10, "system, attachment or tool", |r| Value::Word(r.event.kind)),
        Col::word("NAME", "name", 19, "what was looked at", |r| Value::Word(r.event.name)),
        Col::boolean("WORKS", "works", 5, "whether it works", |r| {
            r.event.works.map_or(Value::None, Value::Bool)
        }),
        Col::text("DETAIL", "detail", 0, "how it works, or why it does not", |r| {
            text(&r.event.detail)
        }),
        Col::text("HINT", "hint", 0, "what to do about it", |r| text(&r.event.hint)).json_only(),
    ];

    fn run(self, host: &Host, columns: &[&Col]) -> Result<()> {
        let mut patients = Patients { host, known: HashMap::new() };
        let mut findings = system();
        for (name, args) in ATTACHMENTS {
            findings.push(Finding { kind: ATTACHMENT, name, ..patients.finding(args)? });
        }
        for tool in TOOLS.iter().filter(|tool| tool.name != Self::NAME) {
            let finding = patients.finding(&arguments(tool))?;
            findings.push(Finding { kind: TOOL, name: tool.name, ..finding });
        }
        let works = |finding: &Finding| finding.kind != TOOL || finding.works == Some(true);
        host.set_exit_code((!findings.iter().all(works)).into());
        listing::print(host, "check", columns, &self.output, &findings)?;
        for (hint, names) in hints(&findings) {
            host.messages.say(format_args!(
                "{}: {}",
                names.join(", "),
                escape::text(hint.as_bytes())
            ));
        }
        Ok(())
    }
}

/// What to do, and for what of it.
fn hints(findings: &[Finding]) -> BTreeMap<&str, Vec<&str>> {
    let mut hints = BTreeMap::<_, Vec<_>>::new();
    for finding in findings.iter().filter(|finding| !finding.hint.is_empty()) {
        hints.entry(&finding.hint[..]).or_default().push(finding.name);
    }
    hints
}

fn text(text: &str) -> Value<'_> {
    if text.is_empty() { Value::None } else { Value::Text(text.as_bytes()) }
}

fn arguments(tool: &Entry) -> Vec<&'static str> {
    let more = ARGUMENTS.iter().filter(|(name, _)| *name == tool.name);
    [tool.name].into_iter().chain(more.flat_map(|(_, more)| more.iter().copied())).collect()
}

/// What was tried, by its arguments.
struct Patients<'h> {
    host: &'h Host,
    known: HashMap<Vec<&'static str>, Finding>,
}

impl Patients<'_> {
    fn finding(&mut self, args: &[&'static str]) -> Result<Finding> {
        if let Some(known) = self.known.get(args) {
            return Ok(known.clone());
        }
        self.host.messages.doing(format!("trying {}", args.join(" ")));
        let finding = tried(args)?;
        self.known.insert(args.to_vec(), finding.clone());
        Ok(finding)
    }
}

/// Runs a tool for a moment, in a thread of its own: it gives up its rights. What it shows is seen by
/// nobody.
fn tried(args: &[&str]) -> Result<Finding> {
    let doing = format!("trying {}", args.join(" "));
    let tool = TOOLS.iter().copied().find(|tool| tool.name == args[0]);
    let tool = tool.ok_or_else(|| Error::new(&doing, "there is no such tool"))?;
    // A listing has no end to wait for.
    let limit: &[_] = if tool.name == Probes::NAME { &["vfs_read"] } else { &["-d", SECONDS] };
    let command = tool.command().no_binary_name(true);
    let matches = command.try_get_matches_from(args[1..].iter().chain(limit)).doing(&doing)?;
    let (hooks, stop) = (Arc::new(Mutex::new(Vec::new())), Stop::default());
    let nowhere = || {
        let file = File::create("/dev/null").doing(&doing)?;
        Ok(Stream::new(file.into(), stop.clone()))
    };
    let host = Host::new(nowhere()?, nowhere()?, stop.clone()).noting(hooks.clone());
    let run = move || tool.run(host, &matches).unwrap_or_else(|error| Err(error).doing("reading"));
    let done = thread::Builder::new().spawn(run).doing(&doing)?.join();
    let done = done.unwrap_or_else(|_| Err(Error::new(&doing, "it ended in the middle")));
    let hooks = locked(&hooks).join("; ");
    Ok(match done {
        Ok(()) => Finding::new(true, hooks),
        Err(error) => {
            let hint = error.what_to_do().unwrap_or_default();
            let hint = hint.replace(&sudo(tool.name), &sudo(Doctor::NAME));
            Finding { hint, ..Finding::new(false, error.line()) }
        }
    })
}

/// How hints say that rights are missing.
fn sudo(tool: &str) -> String {
    format!("sudo ebtools {tool}")
}

/// What everything stands on.
fn system() -> Vec<Finding> {
    let fact = |name, detail| {
        let finding = Finding::new(true, detail);
        Finding { kind: SYSTEM, name, works: None, ..finding }
    };
    let there = |name, path: Option<&Path>, hint: &str| match path {
        Some(path) => Finding { works: Some(true), ..fact(name, path.display().to_string()) },
        None => Finding { works: Some(false), hint: hint.into(), ..fact(name, String::new()) },
    };
    let types = Some(Path::new(kernel_types::TYPES)).filter(|path| path.exists());
    let tracefs = kernel::tracefs();
    let cgroups = cgroups::mount_point();
    vec![
        fact("kernel", kernel_name()),
        there("types (BTF)", types, kernel_types::NEEDED),
        there("tracefs", tracefs.as_deref(), kernel::MOUNT_TRACEFS),
        there("cgroup2", cgroups.as_deref(), "mount -t cgroup2 cgroup2 /sys/fs/cgroup"),
        fact("capabilities", capabilities()),
        fact("lockdown", read("/sys/kernel/security/lockdown")),
        fact("LSMs", read("/sys/kernel/security/lsm")),
        fact("perf_event_paranoid", read("/proc/sys/kernel/perf_event_paranoid")),
    ]
}

fn kernel_name() -> String {
    let words = |name: UtsName| {
        let words = [name.sysname(), name.release(), name.machine()];
        words.map(|word| word.to_string_lossy().into_owned()).join(" ")
    };
    uname().map_or_else(|error| error.to_string(), words)
}

fn capabilities() -> String {
    let own = caps::read(None, CapSet::Effective).unwrap_or_default();
    if own.is_superset(&caps::runtime::thread_all_supported()) {
        return "all".into();
    }
    let names = own.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    if names.is_empty() { "none".into() } else { names.into_iter().collect::<Vec<_>>().join(" ") }
}

fn read(path: &str) -> String {
    let text = fs::read_to_string(path);
    text.map_or_else(|error| format!("{path}: {error}"), |text| text.trim().into())
}
