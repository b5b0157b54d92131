//! opensnoop: who opens which file.

use clap::ValueEnum;
use nix::fcntl::OFlag;

use super::prelude::*;
use crate::bpf::opensnoop::{OpensnoopSkelBuilder, types};
use crate::bpf::programs::opensnoop as programs;
use crate::bpf::shared::types::collect;
use crate::filter::paths::PathFilter;
use crate::output::values::Place;
use crate::record::Record;
use crate::system::kernel;

/// Show who opens which file
#[derive(Args, Debug)]
pub(crate) struct Opensnoop {
    /// Show only failed attempts
    #[arg(short = 'x', long)]
    failed: bool,

    /// Show the flags of the call too
    #[arg(short, long, alias = "extended_fields")]
    extended_fields: bool,

    /// Show only opens with this flag, like O_WRONLY or O_CREAT; may be repeated, then with any of them
    #[arg(short, long, alias = "flag_filter", value_name = "FLAG", value_parser = flag, value_delimiter = ',')]
    flag_filter: Vec<u32>,

    /// Show the path from the root, not the name as given
    #[arg(short = 'F', long)]
    full_path: bool,

    /// Use this hook, not the first that the kernel allows
    #[arg(long, value_name = "HOOK")]
    hook: Option<HookChoice>,

    #[command(flatten)]
    paths: PathFilter,

    #[command(flatten)]
    options: EventOptions,
}

/// How opens are seen.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum HookChoice {
    /// fexit of the kernel's functions
    Fexit,
    /// kretprobe.multi of the same
    KprobeMulti,
    /// The end of every system call
    SysExit,
}

type Col = Column<types::event>;

const FLAGS_ABOUT: &str =
    "the flags of the call that the kernel takes; those of openat2 are read from the process";
const ACCESS_MODES: [&str; 4] = ["O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"];
const ACCESS_MODE: u32 = 3;

macro_rules! flags {
    ($($name:ident)*) => { &[$((stringify!($name), OFlag::$name.bits() as u64)),*] };
}

/// Those that contain others come before them.
const KNOWN_FLAGS: &[(&str, u64)] = flags! {
    O_TMPFILE O_SYNC O_DSYNC O_APPEND O_ASYNC O_CLOEXEC O_CREAT O_DIRECT O_DIRECTORY O_EXCL O_NOATIME
    O_NOCTTY O_NOFOLLOW O_NONBLOCK O_PATH O_TRUNC
};

/// A flag's value; access modes are those of [`ACCESS_MODES`].
fn flag(name: &str) -> std::result::Result<u32, String> {
    let upper = name.to_uppercase();
    if let Some(mode) = ACCESS_MODES[..3].iter().position(|&mode| mode == upper) {
        return u32::try_from(mode).map_err(|error| error.to_string());
    }
    let known = KNOWN_FLAGS.iter().find(|(known, _)| *known == upper);
    known.and_then(|(_, value)| u32::try_from(*value).ok()).ok_or_else(|| {
        let names = KNOWN_FLAGS.iter().map(|(name, _)| *name);
        let names = ACCESS_MODES[..3].iter().copied().chain(names).collect::<Vec<_>>();
        format!("there is no such flag; there are {}", names.join(", "))
    })
}

/// The function that all calls go through: other system calls cost what they did.
const FEXIT: Hook = Hook {
    name: "fexit do_sys_openat2 and openat2: io_uring's opens are not seen",
    probes: &[
        Probe::events(programs::ON_OPENAT2, Point::Fexit(OPENAT2)),
        // Where there are 32-bit callers, on x86.
        Probe::events(programs::ON_OPENAT2_32, Point::Fexit("__ia32_sys_openat2")).optional(),
        Probe::events(programs::ON_OPEN, Point::Fexit("do_sys_openat2")),
    ],
};
/// The call may fail before it comes to the function that all go through.
const OPENAT2: &str =
    if cfg!(target_arch = "x86_64") { "__x64_sys_openat2" } else { "__arm64_sys_openat2" };
/// The same, not preempted.
const KPROBE_MULTI: Hook = Hook {
    name: "kretprobe.multi do_sys_openat2 and openat2: io_uring's opens are not seen",
    probes: &[
        Probe::events(programs::ON_OPENAT2_MULTI, Point::KretprobeMulti(&[OPENAT2])),
        Probe::events(programs::ON_OPENAT2_MULTI, Point::KretprobeMulti(&["__ia32_sys_openat2"]))
            .optional(),
        Probe::events(programs::ON_OPEN_MULTI, Point::KretprobeMulti(&["do_sys_openat2"])),
    ],
};

/// The end of every system call.
const SYS_EXIT: Hook = Hook {
    name: "tracepoint sys_exit: io_uring's opens are not seen",
    probes: &[Probe::events(programs::ON_CALL_EXIT, Point::Declared)],
};

impl Tool for Opensnoop {
    type Row = types::event;
    const LETTERS: &'static [(&'static str, char)] = &[("tid", 't')];
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("-x -n nginx", "what one program fails to open"),
        ("-f O_WRONLY -f O_RDWR --path '/etc/*'", "who opens files in /etc for writing"),
        ("-F -p 1234 --follow", "full paths, of a process and what it starts"),
        ("--json -- ./configure", "what a command opens, as JSON Lines"),
    ];
    const TASK: &'static [Col] = &Task::PID_FIRST.columns();
    const COLUMNS: &'static [Col] = &[
        Col::int("FD", "fd", 4, "the file descriptor; -1 for a failed attempt", |r| {
            Value::Int(r.event.ret.max(-1).into())
        }),
        Col::ret("RET", "ret", 6, "the file descriptor, or for a failed attempt -errno", |r| {
            Value::Ret(r.event.ret.into())
        })
        .json_only(),
        Col::errno("ERR", "errno", 7, "the name of the error", |r| {
            Value::Errno(r.event.ret.min(0).into())
        }),
        Col::flags("FLAGS", "flags", 20, FLAGS_ABOUT, |r| match r.event.flags_unreadable {
            0 => Value::Flags(Flags {
                first: ACCESS_MODES[(r.event.flags & ACCESS_MODE) as usize],
                bits: (r.event.flags & !ACCESS_MODE).into(),
                known: KNOWN_FLAGS,
            }),
            _ => Value::Unreadable,
        })
        .or(Kind::Unreadable)
        .json_only()
        .added_by("--extended-fields"),
        Col::text("PATH", "path", 0, "the file, as the caller named it", |r| {
            Value::readable(place(r).name())
        })
        .or(Kind::Unreadable)
        .user()
        .replaced_by("--full-path", "full_path"),
        Col::path(
            "PATH",
            "full_path",
            0,
            "the file, from the root of its mount namespace; [?]/ where it starts from is not \
     known",
            |r| Value::path(place(r)),
        )
        .or(Kind::Unreadable)
        .user()
        .hidden()
        .collect(collect::COLLECT_BASE),
    ];

    fn run(self, host: &Host, columns: &[&Col]) -> Result<()> {
        let hooks: &[&Hook<'_>] = match self.hook {
            Some(HookChoice::Fexit) => &[&FEXIT],
            Some(HookChoice::KprobeMulti) => &[&KPROBE_MULTI],
            Some(HookChoice::SysExit) => &[&SYS_EXIT],
            None if kernel::prefers_kprobe_multi() => &[&KPROBE_MULTI, &FEXIT, &SYS_EXIT],
            None => &[&FEXIT, &SYS_EXIT],
        };
        let session = Session::start(host, &self.options)?;
        let options = LoadOptions::from(columns).and(&self.paths);
        let mut storage = Storage::new();
        let (skel, attached) = session.attach::<OpensnoopSkelBuilder>(
            &mut storage,
            options,
            Plan::new(hooks),
            |open| {
                if let Some(constants) = &mut open.maps.rodata_data {
                    constants.only_failed = self.failed.into();
                    for &flag in &self.flag_filter {
                        match flag {
                            0..ACCESS_MODE => constants.modes_wanted |= 1 << flag,
                            flag => constants.flags_wanted |= flag,
                        }
                    }
                }
            },
        )?;
        session.run(skel.object(), attached, columns, |record| {
            self.paths.let_through(|| place(record))
        })
    }
}

fn place<'a>(record: &Record<'a, types::event>) -> Place<'a> {
    let name = &record.event.path;
    let rest = &mut record.tail.get(..).unwrap_or_default();
    Place::next(rest, name.len, name.base_len, name.base_state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_flags() {
        assert_eq!(flag("O_RDONLY"), Ok(0));
        assert_eq!(flag("o_rdwr"), Ok(2));
        assert_eq!(flag("O_CREAT"), Ok(0o100));
        assert!(flag("O_NONSENSE").unwrap_err().contains("O_CREAT"));
    }
}
