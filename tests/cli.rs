//! The command line, without root and without BPF.

#![allow(clippy::expect_used)] // A test that cannot go on ends.

use std::process::{Command, Output};

fn ebtools(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ebtools")).args(args).output().expect("ebtools can be run")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// As wrong usage, and with these words.
fn is_refused(args: &[&str], with: &str) {
    let output = ebtools(args);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
    assert!(said.contains(with), "{args:?}: {said}");
}

const TOOLS: &[&str] = &[
    "clonesnoop",
    "doctor",
    "dropsnoop",
    "execsnoop",
    "exitsnoop",
    "funclatency",
    "gethostlatency",
    "guard",
    "opensnoop",
    "probes",
    "profile",
    "querysnoop",
    "readline",
    "syscount",
    "tcfilter",
    "tcpsnoop",
    "unlinksnoop",
    "xdpfilter",
    // The example is no help to those who look for a tool.
    "hello",
];

#[test]
fn list_names_the_tools() {
    let output = ebtools(&["--list"]);
    let said = stdout(&output);
    let (aliases, tools) = said.lines().partition::<Vec<_>, _>(|line| line.contains(" = "));
    assert_eq!(tools, TOOLS);
    assert_eq!(aliases.first(), Some(&"bashreadline = readline -T"));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn help_has_a_line_for_each_tool() {
    let help = stdout(&ebtools(&["--help"]));
    for tool in TOOLS {
        let line = help.lines().find(|line| line.trim_start().starts_with(&format!("{tool} ")));
        assert!(line.is_some_and(|line| line.split_whitespace().count() > 2), "{help}");
    }
}

#[test]
fn help_is_a_word_too() {
    let help = ebtools(&["--help"]);
    for args in [&["help"][..], &["help", "help"], &["help", "--help"]] {
        assert_eq!(ebtools(args), help, "{args:?}");
    }
    for tool in TOOLS {
        assert_eq!(ebtools(&["help", tool]), ebtools(&[tool, "--help"]));
    }
    let output = ebtools(&["help", "execsnop"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("'execsnoop'"), "{}", stderr(&output));
}

#[test]
fn help_of_a_tool_has_examples() {
    for tool in TOOLS {
        let output = ebtools(&[tool, "--help"]);
        let examples = format!("  ebtools {tool} ");
        let count = stdout(&output).matches(&examples).count();
        assert!((2..=4).contains(&count), "{}", stdout(&output));
        assert_eq!(output.status.code(), Some(0));
    }
}

#[test]
fn schema_is_of_all_tools_or_one() {
    let all = stdout(&ebtools(&["schema"]));
    for tool in TOOLS {
        let output = ebtools(&["schema", tool]);
        let one = serde_json::from_str::<serde_json::Value>(&stdout(&output)).expect("it is JSON");
        let names = one["$defs"].as_object().expect("there are tools").keys().collect::<Vec<_>>();
        assert_eq!(names, [tool]);
        assert!(all.contains(&format!("#/$defs/{tool}\"")), "{tool}");
        assert_eq!(output.status.code(), Some(0));
    }
    let help = stdout(&ebtools(&["--help"]));
    assert!(help.contains("\nOther commands:\n  serve "), "{help}");
    assert_eq!(ebtools(&["help", "schema"]), ebtools(&["schema", "--help"]));
}

#[test]
fn fields_of_each_tool_are_explained() {
    for tool in TOOLS {
        let output = ebtools(&[tool, "--fields=help"]);
        assert_eq!(output.stdout, ebtools(&[tool, "--fields", "help"]).stdout);
        let said = stdout(&output);
        assert!(said.starts_with("FIELD "), "{tool}: {said}{}", stderr(&output));
        let explained = said.lines().filter(|line| line.split_whitespace().count() > 3);
        assert!(explained.count() > 2, "{tool}: {said}");
        assert_eq!(output.status.code(), Some(0));
    }
}

#[test]
fn times_have_units() {
    for time in ["10", "1.5", "10s", "500ms", "2m", "1h"] {
        for args in [
            &["execsnoop", "-d", time][..],
            &["syscount", "-i", time],
            &["xdpfilter", "lo", "-i", time],
            &["querysnoop", "--slower", time],
            &["gethostlatency", "--slower", time],
        ] {
            let output = ebtools(&[args, &["--fields=help"]].concat());
            assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
        }
    }
}

/// docs/names.md has them all.
#[test]
fn options_of_others_are_taken() {
    for line in [
        "execsnoop --time --fails --quote --uid root --line x",
        "execsnoop -q -l x",
        "opensnoop --time -t 1 --tid 2 --uid 0",
        "opensnoop --extended_fields --flag_filter O_WRONLY",
        "syscount -t 1 -m -L --failures --syscall openat --uid 0",
        "syscount --milliseconds -L --syscall 0",
        "gethostlatency -l /lib/libc.so --uid 0",
        "funclatency -m -T vfs_read",
        "funclatency --milliseconds --timestamp -p 1 :main",
        "funclatency -F vfs_*",
        "funclatency -mTF vfs_*",
        "profile 10",
        "profile -adf 10",
        "profile -df -F 99 500ms",
        "profile -L 1,2 -C 0,1 -K",
        "tplist -l c",
        "tplist -p 1 x",
        "dbslower postgres -m 5 -p 1,2",
        "dbslower mysql --exe /bin/mysqld --threshold 5",
        "mysqld_qslower 1 0.5",
        "threadsnoop -T",
        "funccount -p 1 -i 1 -d 5 -T c:malloc",
        "vfscount 5",
        "tcpdrop -4",
        "tcpdrop -6",
        "bashreadline -s /bin/bash",
    ] {
        let output = ebtools(&line.split(' ').chain(["--fields=help"]).collect::<Vec<_>>());
        assert_eq!(output.status.code(), Some(0), "{line}: {}", stderr(&output));
        assert!(stdout(&output).starts_with("FIELD "), "{line}");
    }
    for line in
        ["tcprtt -i 1 -d 10 -T", "tcprtt -m -e -b -B -4", "tcprtt -bBe -6", "tcprtt -a ::1 -A ::/8"]
    {
        let output = ebtools(&line.split(' ').chain(["--help"]).collect::<Vec<_>>());
        assert_eq!(output.status.code(), Some(0), "{line}: {}", stderr(&output));
    }
    let list = stdout(&ebtools(&["syscount", "--list"]));
    assert_eq!(list, stdout(&ebtools(&["syscount", "-l"])));
    assert!(list.contains("\nopenat\n") && list.lines().is_sorted(), "{list}");
}

/// Those that mean something else here, or that there are not.
#[test]
fn options_of_others_are_answered() {
    for (line, tip) in [
        ("profile -d -f 10", "-d is for how long; --delimited sets programs and kernel apart"),
        ("profile -d f", "-d is for how long"),
        ("profile -c 1000", "samples are taken by time: -F HERTZ"),
        ("profile --stack-storage-size 9", "the kernel keeps no stacks"),
        ("funclatency -u vfs_read", "-u is for a user; times are shown with their unit"),
        ("funclatency --microseconds vfs_read", "times are shown with their unit"),
        ("funclatency -r ^vfs_.*", "patterns are like 'vfs_*'"),
        ("funclatency -l 2 vfs_read", "calls within calls are each measured"),
        ("funclatency -k vfs_read", "--hook kprobe"),
        ("funclatency -c /x vfs_read", "--cgroup PATH"),
        ("execsnoop -t", "-T shows the time of day"),
        ("execsnoop -xt", "-T shows the time of day"),
        ("execsnoop -P 1", "-p PID --follow"),
        ("execsnoop --print-pcomm", "--fields comm,pid,parent_comm"),
        ("execsnoop --max-args=3", "all arguments are shown; --max-args-bytes SIZE"),
        ("execsnoop --cgroupmap x", "--cgroup PATH takes a cgroup itself"),
        ("execsnoop --mntnsmap x", "--container ID takes a container itself"),
        ("opensnoop --exec ls", "to trace a command, put it behind --"),
        ("opensnoop -b 64", "--buffer SIZE, like 8M"),
        ("opensnoop -V", "ebtools --version"),
        ("syscount -c 1", "-p PID --follow: a process and its descendants; --cgroup PATH"),
        ("tplist -v", "has the arguments of a tracepoint"),
        ("dbslower mysql -x /bin/mysqld", "--server PATH names the server's program"),
    ] {
        let output = ebtools(&line.split(' ').collect::<Vec<_>>());
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{line}: {said}");
        assert!(said.contains("tip: ") && said.contains(tip), "{line}: {said}");
        assert!(!said.contains("a similar argument"), "{line}: {said}");
    }
}

/// And what is said of it.
const WRONG_USAGE: &[(&[&str], &str)] = &[
    (&[], "Usage: ebtools"),
    (&["no-such-tool"], "unrecognized subcommand 'no-such-tool'"),
    (&["execsnoop", "--no-such-option"], "unexpected argument '--no-such-option'"),
    (&["execsnoop", "-p", "0"], "invalid value '0'"),
    (&["execsnoop", "-p", "x"], "invalid value 'x'"),
    (&["execsnoop", "-u", "no-such-user"], "there is no such user"),
    (&["execsnoop", "-n", "a-name-of-more-than-15"], "15 bytes"),
    (&["execsnoop", "-d", "-1"], "-1"),
    (&["execsnoop", "-d", "0"], "at least 0.001"),
    (&["execsnoop", "--buffer", "2G"], "from 1 byte to 1G"),
    (&["execsnoop", "--count=weather"], "there is no field 'weather'"),
    (&["execsnoop", "--count=comm,weather"], "there is no field 'weather'"),
    (&["opensnoop", "--count=path,path"], "'path' is named twice"),
    (&["opensnoop", "--count=pid,comm,pid"], "'pid' is named twice"),
    (&["gethostlatency", "--count=latency_ns"], "is another one for each event"),
    (&["gethostlatency", "--top=weather"], "--top: there is no field 'weather'"),
    (&["syscount", "--by", "comm,comm"], "'comm' is named twice"),
    (&["funclatency", "c:malloc", "--by", "pid,weather"], "possible values: function, pid"),
    (&["execsnoop", "-i", "1"], "--count"),
    (&["execsnoop", "-o", "xml"], "possible values: table, json"),
    (&["execsnoop", "--json", "-o", "table"], "cannot be used with"),
    (&["execsnoop", "--json=xml"], "possible values: ebtools, otel, ecs"),
    (&["execsnoop", "--json=ecs", "-o", "json"], "cannot be used with"),
    (&["execsnoop", "--fields", "pid,nonsense"], "there is no field 'nonsense'"),
    (&["execsnoop", "--count", "--fields", "pid"], "cannot be used with"),
    (&["funclatency", "--fields", "pid"], "required arguments were not provided"),
    (&["funclatency", "vfs_["], "the pattern vfs_["),
    (&["xdpfilter", "--fields", "src"], "required arguments were not provided"),
    (&["xdpfilter", "lo", "--drop", "1.1.1"], "neither an address, a network"),
    (&["xdpfilter", "lo", "--drop", "port:0"], "from 1 to 65535"),
    (&["tcfilter", "lo", "--lose", "1%"], "--for <SECONDS>"),
    (&["tcfilter", "lo", "--lose", "0", "--for", "9"], "more than 0 and at most 100"),
    (&["tcfilter", "lo", "--delay", "10s", "--for", "9"], "at most 8 seconds"),
    (&["tcfilter", "lo", "--rate", "1T", "--for", "9"], "bits a second are needed"),
    (&["tcfilter", "lo", "--lose", "1%", "--for", "9"], "whose packets"),
    (&["tcpsnoop", "-P", "0"], "0 is not in 1..=65535"),
    (&["tcpsnoop", "--raddr", "10.0.0.0/33"], "an address is needed, or a network"),
    (&["tcpsnoop", "--slower", "1", "--events", "close"], "only connects, accepts and states"),
    (&["tcplife", "-b"], "only --rtt sums up"),
    (&["tcpsnoop", "-x", "--by", "raddr"], "only --rtt sums up"),
    (&["tcpsnoop", "-e"], "--rtt"),
    (&["tcpsnoop", "--raddr", "::1", "-4"], "--ipv4: ::1 is of the other version"),
    (&["tcpsnoop", "-x", "--events", "state"], "have a result"),
    (&["tcpsnoop", "--by", "raddr"], "not provided:\n  --rtt"),
    (&["tcpsnoop", "--rtt", "--events", "close"], "cannot be used with '--events <EVENT>'"),
    (&["tcpsnoop", "--rtt", "-x"], "cannot be used with '--failed'"),
    (&["tcpsnoop", "--rtt", "--count"], "cannot be used with '--count[=<FIELD>]'"),
    (&["tcprtt", "--by", "raddr", "-bB"], "--by: 'raddr' is named twice"),
    (&["tcprtt", "--by", "state"], "invalid value 'state' for '--by <FIELD>'"),
    (&["tcfilter", "lo", "--for", "9"], "add --lose, --delay or --rate"),
    (&["profile", "-f", "--tree"], "cannot be used with"),
    (&["profile", "-f", "--top", "3"], "cannot be used with"),
    (&["profile", "--annotations"], "--folded"),
    (&["profile", "-F", "0"], "invalid value '0'"),
    (&["querysnoop", "--slower", "soon"], "a time is needed"),
    (&["profile", "5", "-d", "5"], "cannot be used with"),
    (&["execsnoop", "--tid", "0"], "0 is not in 1.."),
    (&["execsnoop", "--tid", "1", "--", "true"], "cannot be used with"),
    (&["execsnoop", "-p", "1", "--", "true"], "cannot be used with"),
    (&["runqlat"], "runqlat: planned, but not there yet"),
    (&["dropsnoop", "-4", "--only", "arp"], "--only: no packet of IPv4 matches that"),
    (&["dropsnoop", "-6", "--only", "10.0.0.0/8"], "--only: no packet of IPv6 matches that"),
    (&["biosnoop-bpfcc", "5"], "biosnoop: planned, but not there yet"),
    (&["help", "runqlat.bt"], "runqlat: planned, but not there yet"),
    (&["bpflist.bt"], "bpflist: nothing here answers that: bpftool lists"),
    (&["argdist"], "argdist: nothing here answers that: it summarises"),
    (&["syscount", "--syscall", "opennat"], "there is no such system call; --list"),
    (&["syscount", "-l", "-L"], "cannot be used with"),
    (&["guard", "--enforce", "--deny", "connect:::1", "--tid", "1"], "another thread of"),
    (&["funclatency", ":main"], "whose function is that?"),
    (&["profile", "-C", "4000", "-d", "1"], "there is no CPU 4000"),
    (&["profile", "-i", "1", "--svg", "x"], "cannot be used with"),
    (&["profile", "-i", "1", "--pprof", "x"], "cannot be used with"),
    (&["profile", "-i", "1", "--speedscope", "x"], "cannot be used with"),
    (&["guard", "--", "true"], "no rule says what is forbidden"),
    (&["guard", "--deny", "open:etc/passwd", "--", "true"], "a path from the root is needed"),
    (&["guard", "--deny", "open:/etc/*.conf", "--", "true"], "there are no other wildcards"),
    (&["guard", "--deny", "connect:host", "--", "true"], "neither an address nor a network"),
    (&["guard", "--deny", "connect:::1"], "The whole system is not guarded"),
    (&["guard", "--deny", "connect:::1", "-u", "root"], "all that root does is not guarded"),
    (
        &["guard", "--enforce", "--deny", "connect:::1", "-n", "x", "--", "true"],
        "can take another one",
    ),
    (
        &["guard", "--deny", "connect:::1", "--allow", "open:/x", "--", "true"],
        "no rule denies open",
    ),
    (&["xdpfilter", "lo", "-p", "1"], "unexpected argument '-p'"),
    (&["unlinksnoop", "--hook", "magic"], "possible values: fexit, kprobe-multi, kprobe, sys-exit"),
];

#[test]
fn wrong_usage_is_exit_code_2() {
    WRONG_USAGE.iter().for_each(|(args, said)| is_refused(args, said));
}

/// What is wrong, and what helps; nothing between them and the usage.
const USUAL_MISTAKES: &[(&[&str], &str)] = &[
    (
        &["opensnoop", "ls", "/"],
        "error: unexpected argument 'ls' found\n\n  \
         tip: to trace a command: ebtools opensnoop -- ls /\n\nUsage: ",
    ),
    (
        &["opensnoop", "-n", "ls", "-x", "ls", "-l", "a b"],
        "error: unexpected argument 'ls' found\n\n  \
         tip: to trace a command: ebtools opensnoop -n ls -x -- ls -l 'a b'\n\nUsage: ",
    ),
    (&["syscount", "/bin/ls"], "tip: to trace a command: ebtools syscount -- /bin/ls\n\nUsage: "),
    (
        &["funclatency", "vfs_read", "ls"],
        "tip: to trace a command: ebtools funclatency vfs_read -- ls\n\nUsage: ",
    ),
    (&["xdpfilter", "lo", "ls"], "tip: to run a command: ebtools xdpfilter lo -- ls\n\nUsage: "),
    (
        &["profile", "ls"],
        "a time is needed, like 10, 500ms, 1.5s, 2m, 1h\n\n  \
         tip: to trace a command: ebtools profile -- ls\n\nFor",
    ),
    (
        &["profile", "-n", "ls", "ls", "/"],
        "tip: to trace a command: ebtools profile -n ls -- ls /\n\nUsage: ",
    ),
    (&["killsnoop", "-T", "1234"], "tip: for signals to this process: --to 1234\n"),
    (
        &["tcpconnlat", "-p", "1", "10"],
        "found\n\n  tip: what stands for --slower comes first: tcpconnlat 10 ...\n\nUsage",
    ),
    (&["exitsnoop", "--utc"], "tip: --json has each time in UTC\n\nUsage: "),
    (&["exitsnoop", "--label=x"], "tip: rows have no label\n\nUsage: "),
    (&["exitsnoop", "-t"], "tip: -T shows the time of day\n\nUsage: "),
    (&["opensnoop", "5"], "tip: to stop after that time: -d 5\n\nUsage: "),
    (&["execsnoop", "-p", "12", "34"], "tip: for several processes: -p 12,34\n\nUsage: "),
    (&["syscount", "10s"], "tip: to stop after that time: -d 10s\n\nUsage: "),
    (&["funclatency", "vfs_read", "5"], "tip: to stop after that time: -d 5\n\nUsage: "),
    (&["xdpfilter", "lo", "5"], "tip: to stop after that time: -d 5\n\nUsage: "),
    (
        &["execsnop"],
        "error: unrecognized subcommand 'execsnop'\n\n  \
         tip: some similar subcommands exist: 'execsnoop', 'exitsnoop', 'tcpsnoop', 'querysnoop'\n\nUsage: ",
    ),
    (
        &["bashredline"],
        "error: unrecognized subcommand 'bashredline'\n\n  \
         tip: some similar subcommands exist: 'bashreadline', 'readline'\n\nUsage: ",
    ),
    (
        &["pidpersec", "--fields", "pid"],
        "cannot be used with '--fields <FIELD>'\n\n  \
         tip: pidpersec is ebtools clonesnoop --count\n\nUsage: ",
    ),
    (
        &["bashreadline", "ls"],
        "error: unexpected argument 'ls' found\n\n  \
         tip: to trace a command: ebtools readline -T -- ls\n  \
         tip: bashreadline is ebtools readline -T\n\nUsage: ",
    ),
    (
        &["help", "nonsense"],
        "error: unrecognized subcommand 'nonsense'\n\n  \
         tip: ebtools --list names the tools\n\nUsage: ",
    ),
    (
        &["schema", "execsnop"],
        "error: unrecognized subcommand 'execsnop'\n\n  \
         tip: some similar subcommands exist: 'execsnoop', 'exitsnoop', 'tcpsnoop', 'querysnoop'\n\nUsage: ",
    ),
    (
        &["schema", "nonsense"],
        "error: unrecognized subcommand 'nonsense'\n\n  \
         tip: ebtools --list names the tools\n\nUsage: ",
    ),
    (&["help", "profil"], "tip: some similar subcommands exist: 'profile', 'xdpfilter'\n\nUsage: "),
    (
        &["execsnoop", "--folow"],
        "error: unexpected argument '--folow' found\n\n  \
         tip: a similar argument exists: '--follow'\n\nUsage: ",
    ),
];

#[test]
fn usual_mistakes_are_answered() {
    USUAL_MISTAKES.iter().for_each(|(args, said)| is_refused(args, said));
}

/// By the name that is no number, which processes have: this one.
#[test]
fn a_name_is_no_pid() {
    let own = std::fs::read_to_string("/proc/self/comm").expect("a process has a name");
    let name = own.trim_end();
    let output = ebtools(&["execsnoop", "-p", &format!("1,{name}-with-more-than-it-keeps")]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for expected in [
        "for '--pid <PID>': -p takes a number\n\n  tip: use -n",
        &format!("tip: use -n {name} for the name\n"),
        "tip: processes of that name: ",
        &format!(" {}", std::process::id()),
    ] {
        assert!(said.contains(expected), "{said}");
    }
    let output = ebtools(&["opensnoop", "-p", "no\u{1b}[2J"]);
    let expected = "error: invalid value 'no\\x1b[2J' for '--pid <PID>': -p takes a number\n\n  \
                    tip: use -n $'no\\x1b[2J' for the name\n\nFor more";
    assert!(stderr(&output).contains(expected), "{:?}", stderr(&output));
    // Processes, but none that has a name.
    let output = ebtools(&["opensnoop", "-p", "1 2"]);
    assert!(!stderr(&output).contains("tip"), "{}", stderr(&output));
}

/// It would be run there, or is not what is wrong.
#[test]
fn nothing_else_is_to_be_put_behind_two_dashes() {
    for args in [
        &["execsnoop", "--no-such-option"][..],
        &["--list", "execsnoop", "--no-such-option"],
        &["execsnoop", "--folow", "ls"],
        &["execsnoop", "-z"],
        &["execsnoop", "-xz", "ls"],
        &["execsnoop", "-/bin/ls"],
        &["execsnoop", "--no-such=/bin/ls"],
        &["execsnoop", "-1"],
        &["execsnoop", "no-such-program", "ls"],
        &["execsnoop", "ls", "--", "ls"],
        &["execsnoop", ""],
        // A directory.
        &["funclatency", "ls", "/"],
        &["probes", "c", "getaddr*", "ls"],
        &["probes", "c", "getaddr*", "5"],
    ] {
        let output = ebtools(args);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains("unexpected argument"), "{args:?}: {said}");
        let tips = said.lines().filter(|line| line.contains("tip:"));
        assert!(tips.clone().all(|tip| tip.contains("a similar argument")), "{args:?}: {said}");
    }
}

#[test]
fn escapes_in_wrong_usage_do_not_reach_the_terminal() {
    for args in [
        &["execsnoop", "-u", "a\u{1b}[2Jb"][..],
        &["execsnoop", "a\u{1b}[2Jb"],
        &["execsnoop", "--a\u{1b}[2Jb"],
        &["a\u{1b}[2Jb"],
        &["opensnoop", "ls", "a\u{1b}[2Jb"],
    ] {
        let output = ebtools(args);
        assert_eq!(output.status.code(), Some(2));
        // They are not left out, as they would be for a pipe.
        assert!(stderr(&output).contains("a\\x1b[2Jb"), "{args:?}: {:?}", stderr(&output));
        assert!(!stderr(&output).contains('\u{1b}'), "{args:?}: {:?}", stderr(&output));
    }
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let mut command = Command::new("sh");
    command.args(["-c", "\"$0\" --help | true; \"$0\" --list | true"]);
    let output = command.arg(env!("CARGO_BIN_EXE_ebtools")).output().expect("sh can be run");
    assert_eq!(stderr(&output), "");
}

/// The rows of docs/names.md: a name, the collections that have it, and what it is here.
fn names_of_others() -> Vec<(&'static str, &'static str, &'static str)> {
    let page = include_str!("../docs/names.md");
    let (_, rows) = page.split_once("|---|---|---|\n").expect("there is a table");
    let rows = rows.lines().take_while(|line| line.starts_with('|'));
    let row = |line: &'static str| {
        let cells = line.trim_matches('|').split(" | ").map(str::trim).collect::<Vec<_>>();
        assert_eq!(cells.len(), 3, "{line}");
        (cells[0].trim_matches('`'), cells[1], cells[2])
    };
    rows.map(row).collect()
}

/// As many names as the packages have files: bpfcc-tools and libbpf-tools 0.37, bpftrace 0.27.
#[test]
fn every_name_of_others_is_answered() {
    let rows = names_of_others();
    assert!(rows.is_sorted_by(|a, b| a.0 < b.0), "the names are not in order, or twice there");
    for (collection, many) in [("bcc", 139), ("libbpf-tools", 74), ("bpftrace", 39)] {
        let of = rows.iter().filter(|row| row.1.split(", ").any(|one| one == collection));
        assert_eq!(of.count(), many, "{collection}");
    }
    let list = stdout(&ebtools(&["--list"]));
    let list = list.lines().collect::<Vec<_>>();
    for (name, _, here) in &rows {
        let is_right = match here.split_once(": ") {
            None if *here == "tool" => list.contains(name),
            None => list.contains(&format!("{name} {}", here.trim_matches('`')).as_str()),
            Some(("planned", what)) => {
                let what = what.split('`').nth(1).expect("it is named");
                !list.contains(&what) && !list.contains(name)
            }
            Some((no, why)) => no == "no" && why.len() > 10 && !list.contains(name),
        };
        assert!(is_right, "{name}: {here}");
    }
    for alias in list.iter().filter_map(|line| line.split_once(" = ")) {
        assert!(rows.iter().any(|row| row.0 == alias.0), "{} is not there", alias.0);
        let page = format!("{}/docs/tools/{}.md", env!("CARGO_MANIFEST_DIR"), tool_of(alias.1));
        let page = std::fs::read_to_string(page).expect("a tool has a page");
        assert!(page.contains(&format!("`{}", alias.0)), "{} is not on its page", alias.0);
    }
}

fn tool_of(meaning: &str) -> &str {
    meaning.split(' ').next().unwrap_or_default()
}

/// As the first word, and as the name of a link.
#[test]
fn names_of_others_are_taken() {
    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("names");
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("it can be made");
    let list = stdout(&ebtools(&["--list"]));
    for (name, meaning) in list.lines().filter_map(|line| line.split_once(" = ")) {
        let help = ebtools(&[name, "--help"]);
        let begin = format!("{name} stands for: ebtools {meaning}\n");
        assert!(stdout(&help).starts_with(&begin), "{}", stdout(&help));
        assert_eq!(ebtools(&["help", name]), help);
        assert_eq!(
            ebtools(&["schema", name]).stdout,
            ebtools(&["schema", tool_of(meaning)]).stdout
        );
        for named in ["", "-ebtools", "-bpfcc", "-libbpf", ".bt"].map(|end| format!("{name}{end}"))
        {
            assert_eq!(ebtools(&[&named, "--help"]), help, "{named}");
            assert_eq!(ebtools(&["help", &named]), help, "{named}");
            assert_eq!(by_link(&dir, &named, &["--help"]), help, "{named}");
        }
    }
    assert_eq!(ebtools(&["execsnoop-bpfcc", "--help"]), ebtools(&["execsnoop", "--help"]));
    assert_eq!(ebtools(&["ebtools-execsnoop", "--help"]), ebtools(&["execsnoop", "--help"]));
    let none = by_link(&dir, "runqlat-bpfcc", &["-m", "5"]);
    assert!(stderr(&none).contains("tip: runqlat: planned, but"), "{}", stderr(&none));
    assert_eq!(none.status.code(), Some(2));
}

/// What a link of this name in `dir` says to `args`.
fn by_link(dir: &std::path::Path, name: &str, args: &[&str]) -> Output {
    let link = dir.join(name);
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ebtools"), &link).expect("a new link");
    Command::new(&link).args(args).output().expect("it can be run")
}
