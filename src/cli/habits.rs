//! What users of bcc and libbpf-tools give to a tool of the same name, and what to give here instead.

use std::ffi::OsString;

/// An option that the others' tool has.
struct Habit {
    /// The tools; none are all.
    tools: &'static [&'static str],
    options: &'static [&'static str],
    tip: &'static str,
}

const fn of(
    tools: &'static [&'static str],
    options: &'static [&'static str],
    tip: &'static str,
) -> Habit {
    Habit { tools, options, tip }
}

/// Options that are not known here.
const UNKNOWN: &[Habit] = &[
    of(
        &["syscount"],
        &["-c", "--ppid"],
        "-p PID --follow: a process and its descendants; --cgroup PATH",
    ),
    of(&["profile"], &["-c", "--count"], "samples are taken by time: -F HERTZ"),
    of(&["execsnoop", "funclatency"], &["-c"], "--cgroup PATH"),
    of(&[], &["--cgroupmap"], "--cgroup PATH takes a cgroup itself, no BPF map"),
    of(&[], &["--mntnsmap"], "--container ID takes a container itself, no BPF map"),
    of(&[], &["--exec"], "to trace a command, put it behind --"),
    of(&[], &["-V"], "ebtools --version"),
    of(&["execsnoop", "exitsnoop"], &["-t"], "-T shows the time of day"),
    of(&["exitsnoop"], &["--utc"], "--json has each time in UTC"),
    of(&["exitsnoop"], &["--label"], "rows have no label"),
    of(&["execsnoop"], &["-P", "--ppid"], "-p PID --follow: a process and its descendants"),
    of(
        &["execsnoop"],
        &["-M", "--print-pcomm"],
        "the parent's name is a field: --fields comm,pid,parent_comm,ppid,ret,args",
    ),
    of(
        &["execsnoop"],
        &["--max-args"],
        "all arguments are shown; --max-args-bytes SIZE is their limit in bytes",
    ),
    of(&["opensnoop"], &["-b", "--buffer-pages"], "--buffer SIZE, like 8M"),
    of(&["funclatency"], &["-l", "--level"], "calls within calls are each measured, too"),
    of(&["funclatency"], &["-r", "--regexp"], "patterns are like 'vfs_*'"),
    of(&["funclatency"], &["-k", "--kprobes"], "--hook kprobe"),
    of(&["funclatency"], &["--microseconds"], "times are shown with their unit"),
    of(
        &["profile"],
        &["--stack-storage-size", "--hash-storage-size"],
        "not needed: the kernel keeps no stacks; --buffer SIZE is for samples that wait",
    ),
    of(
        &["probes"],
        &["-v"],
        "/sys/kernel/tracing/events/*/NAME/format has the arguments of a tracepoint",
    ),
    of(&["querysnoop"], &["-x"], "--server PATH names the server's program"),
];

/// Options that have a letter of the others for something else.
const OTHER_MEANING: &[Habit] = &[
    of(
        &["profile"],
        &["--duration"],
        "-d is for how long; --delimited sets programs and kernel apart",
    ),
    of(&["funclatency"], &["--user"], "-u is for a user; times are shown with their unit"),
];

/// What may be meant by an option that the tool does not know.
pub(super) fn tip(tool: &str, option: &str) -> Option<&'static str> {
    find(UNKNOWN, tool, option.split('=').next().unwrap_or_default())
}

/// What may be meant by an option that cannot be read: `--duration <SECONDS>`.
pub(super) fn tip_for_value(tool: &str, option: &str) -> Option<&'static str> {
    find(OTHER_MEANING, tool, option.split(' ').next().unwrap_or_default())
}

fn find(habits: &[Habit], tool: &str, option: &str) -> Option<&'static str> {
    let is_it = |habit: &&Habit| {
        (habit.tools.is_empty() || habit.tools.contains(&tool)) && habit.options.contains(&option)
    };
    habits.iter().find(is_it).map(|habit| habit.tip)
}

/// A letter of bcc's tool that takes no value, in a word of such letters.
struct Letter {
    tool: &'static str,
    letter: char,
    /// The letters that may be beside it.
    flags: &'static str,
    /// May it be the last one?
    may_be_last: bool,
    /// What it stands for.
    options: &'static [&'static str],
}

const LETTERS: &[Letter] = &[
    // `profile -adf`: -d takes a value here, and no time begins with such a letter.
    Letter {
        tool: "profile",
        letter: 'd',
        flags: "afIKU",
        may_be_last: false,
        options: &["--delimited"],
    },
    Letter {
        tool: "funclatency",
        letter: 'F',
        flags: "mTv",
        may_be_last: true,
        options: &["--by", "function"],
    },
    // `tcprtt -bB`
    Letter {
        tool: "tcpsnoop",
        letter: 'b',
        flags: "46BemT",
        may_be_last: true,
        options: &["--by", "laddr"],
    },
    Letter {
        tool: "tcpsnoop",
        letter: 'B',
        flags: "46emT",
        may_be_last: true,
        options: &["--by", "raddr"],
    },
];

impl Letter {
    fn is_in(&self, arg: &OsString) -> bool {
        let letters = arg.to_str().and_then(|arg| arg.strip_prefix('-')).unwrap_or_default();
        letters.contains(self.letter)
            && letters.chars().all(|c| c == self.letter || self.flags.contains(c))
            && (self.may_be_last || !letters.ends_with(self.letter))
    }
}

/// Words of letters as they are typed with bcc.
pub(super) fn spell_out(args: &mut Vec<OsString>) {
    for letter in LETTERS {
        let end = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
        let is_here = args.get(1).is_some_and(|tool| tool == letter.tool);
        let Some(at) = args[..end].iter().position(|arg| is_here && letter.is_in(arg)) else {
            continue;
        };
        let others = args[at].to_string_lossy().replace(letter.letter, "");
        let others = Some(OsString::from(others)).filter(|others| others != "-");
        let options = letter.options.iter().map(OsString::from);
        args.splice(at..=at, others.into_iter().chain(options));
    }
}
