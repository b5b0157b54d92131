//! gethostlatency: names that are looked up, and how long it takes.

mod resolvers;

use super::prelude::*;
use crate::attach::libraries;
use crate::attach::plan::Role;
use crate::attach::uprobes::{ProbeSet, Uprobe, When};
use crate::bpf::gethostlatency::{GethostlatencySkelBuilder, types};
use crate::bpf::programs::gethostlatency as programs;
use crate::output::values::Addresses;
use crate::record::{self, Record};
use crate::run::groups::Outcome;
use crate::run::options::{TopOptions, milliseconds};
use crate::system::kernel;
use resolvers::Resolvers;

/// Show names that are looked up, and how long it takes
#[derive(Args, Debug)]
pub(crate) struct Gethostlatency {
    /// Show the addresses found
    #[arg(short, long)]
    addresses: bool,

    /// Only look-ups in this C library, by its path or, like c, its name
    #[arg(short, long, value_name = "LIBRARY")]
    libc: Option<String>,

    /// Show only look-ups that failed, or whose thread ended
    #[arg(short = 'x', long)]
    failed: bool,

    /// Only look-ups of at least MS milliseconds, or a time like 2s
    #[arg(long, value_name = "MS", default_value = "0", value_parser = milliseconds)]
    slower: u64,

    #[command(flatten)]
    top: TopOptions,

    #[command(flatten)]
    options: EventOptions,
}

type Col = Column<types::event>;

fn host<'a>(record: &Record<'a, types::event>) -> &'a [u8] {
    let rest = &mut record.tail.get(..).unwrap_or_default();
    Record::<types::event>::piece(rest, record.event.host_len)
}

const THREAD_ENDED: i32 = types::no_result::THREAD_ENDED.0 as i32;
const NOT_FOUND: i32 = types::no_result::NOT_FOUND.0 as i32;

/// `EAI_...` of netdb.h: glibc and musl have the same numbers.
fn result(function: types::function, ret: i32) -> &'static str {
    match (function, ret) {
        (_, 0) => "OK",
        (_, THREAD_ENDED) => "ENDED",
        (_, NOT_FOUND) => "NOT_FOUND",
        (types::function::GETADDRINFO, _) => match ret {
            -1 => "EAI_BADFLAGS",
            -2 => "EAI_NONAME",
            -3 => "EAI_AGAIN",
            -4 => "EAI_FAIL",
            -5 => "EAI_NODATA",
            -6 => "EAI_FAMILY",
            -7 => "EAI_SOCKTYPE",
            -8 => "EAI_SERVICE",
            -9 => "EAI_ADDRFAMILY",
            -10 => "EAI_MEMORY",
            -11 => "EAI_SYSTEM",
            -12 => "EAI_OVERFLOW",
            _ => "FAILED",
        },
        (types::function::GETHOSTBYNAME_R | types::function::GETHOSTBYNAME2_R, _) => {
            record::errno_name(-i64::from(ret)).unwrap_or("FAILED")
        }
        _ => "FAILED",
    }
}

macro_rules! functions {
    ($($name:literal $number:ident $entry:ident $return:ident),*) => {
        const FUNCTIONS: ProbeSet = &[
            // Returns first: a call whose entry is seen must not lose its return.
            $(Uprobe {
                program: programs::$return,
                role: Role::Returns,
                shared: Some((programs::ON_CALL_RETURN, types::function::$number.0 as u64)),
                name: $name,
                when: When::Return,
            },)*
            $(Uprobe {
                program: programs::$entry,
                role: Role::Events,
                shared: Some((programs::ON_CALL, types::function::$number.0 as u64)),
                name: $name,
                when: When::Entry,
            },)*
        ];
    };
}

functions!(
    "getaddrinfo" GETADDRINFO ON_GETADDRINFO ON_GETADDRINFO_RETURN,
    "gethostbyname" GETHOSTBYNAME ON_GETHOSTBYNAME ON_GETHOSTBYNAME_RETURN,
    "gethostbyname2" GETHOSTBYNAME2 ON_GETHOSTBYNAME2 ON_GETHOSTBYNAME2_RETURN,
    "gethostbyname_r" GETHOSTBYNAME_R ON_GETHOSTBYNAME_R ON_GETHOSTBYNAME_R_RETURN,
    "gethostbyname2_r" GETHOSTBYNAME2_R ON_GETHOSTBYNAME2_R ON_GETHOSTBYNAME2_R_RETURN
);

const THREAD_END: &[Probe<'_>] = &[Probe::clears_up(programs::ON_THREAD_END)];

impl Tool for Gethostlatency {
    type Row = types::event;
    const TOP: &'static [&'static str] = &["host"];
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("-a -- curl -s example.org", "what a command looks up and finds"),
        ("--slower 1s", "look-ups that take a second or more"),
        ("--top -i 10", "which names cost most time, every 10 seconds"),
        ("-x --count=comm", "how many fail, by the name of the thread"),
    ];
    const TASK: &'static [Col] = &Task { time: Col::TIME, ..Task::PID_FIRST }.columns();
    const COLUMNS: &'static [Col] = &[
        Col::word("CALL", "call", 16, "the function of the C library", |r| {
            Value::Word(match types::function(r.event.function) {
                types::function::GETADDRINFO => "getaddrinfo",
                types::function::GETHOSTBYNAME => "gethostbyname",
                types::function::GETHOSTBYNAME2 => "gethostbyname2",
                types::function::GETHOSTBYNAME_R => "gethostbyname_r",
                _ => "gethostbyname2_r",
            })
        })
        .json_only(),
        Col::duration("LATENCY", "latency_ns", 8, "how long the call took", |r| {
            Value::Duration(r.event.latency_ns)
        }),
        Col::word(
            "RESULT",
            "result",
            12,
            "OK, the name of the error, FAILED where it has none, or ENDED with the thread",
            |r| Value::Word(result(types::function(r.event.function), r.event.ret)),
        )
        .user(),
        Col::errno("ERRNO", "errno", 7, "of the _r functions: the name of the error", |r| {
            match types::function(r.event.function) {
                types::function::GETHOSTBYNAME_R | types::function::GETHOSTBYNAME2_R => {
                    Value::Errno(-i64::from(r.event.ret))
                }
                _ => Value::None,
            }
        })
        .json_only(),
        Col::cut_text(
            "HOST",
            "host",
            24,
            "the name, up to 1023 bytes; nothing when only a service was asked for",
            |r| match host(r) {
                _ if r.event.has_host == 0 => Value::None,
                host if r.event.cut != 0 => Value::CutText(host),
                host => Value::Text(host),
            },
        )
        .user(),
        Col::addresses("ADDRESSES", "addresses", 0, "the addresses, 32 at the most", |r| {
            let bytes = r.tail.get(host(r).len()..).unwrap_or_default();
            let addresses = Addresses::new(bytes);
            if { addresses }.next().is_none() { Value::None } else { Value::Addresses(addresses) }
        })
        .user()
        .hidden()
        .added_by("--addresses"),
    ];

    fn run(self, host: &Host, columns: &[&Col]) -> Result<()> {
        let with_addresses = columns.iter().any(|column| column.key == "addresses");
        let session = Session::start(host, &self.options)?.summing_up(&self.options, &self.top);
        let libc = self.libc.as_deref().map(libraries::named).transpose()?;
        let resolvers = Resolvers::new(libc, &[FUNCTIONS], &host.messages)?;
        let mut storage = Storage::new();
        // With uprobe.multi a file has two links and not ten.
        let multi = kernel::has_uprobe_multi();
        let name = if multi { "uprobe.multi" } else { "uprobes and uretprobes" };
        let (skel, attached) = session.attach::<GethostlatencySkelBuilder>(
            &mut storage,
            columns,
            Plan::new(&[&Hook { name, probes: THREAD_END }]).and(resolvers),
            |open| {
                if let Some(constants) = &mut open.maps.rodata_data {
                    constants.with_addresses = with_addresses.into();
                    constants.only_failed = self.failed.into();
                    constants.slower_ns = self.slower;
                }
            },
        )?;
        session.run_outcomes(skel.object(), attached, columns, |record| Outcome {
            latency_ns: record.event.latency_ns,
            has_failed: record.event.ret != 0,
        })
    }
}
