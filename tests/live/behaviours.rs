//! What a table cannot say: signals, pipes, missing rights, what is left behind.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libbpf_rs::query::ProgInfoIter;
use nix::sys::signal::{Signal, kill};

use crate::run::{Running, ebtools, scratch_dir, this_program};

pub(crate) type Behaviour = fn() -> Result<(), String>;

pub(crate) const BEHAVIOURS: &[(&str, Behaviour)] = &[
    ("signals_end_it_well", signals_end_it_well),
    ("duration_ends_it", duration_ends_it),
    ("filter_by_pid", filter_by_pid),
    ("closed_pipe_is_a_quiet_end", closed_pipe_is_a_quiet_end),
    ("closed_pipe_is_noticed_without_events", closed_pipe_is_noticed_without_events),
    ("full_disk_is_said", full_disk_is_said),
    ("small_ring_loses_and_says_so", small_ring_loses_and_says_so),
    ("killed_it_leaves_nothing_behind", killed_it_leaves_nothing_behind),
    ("without_rights_it_says_which", without_rights_it_says_which),
    ("without_tracefs_sys_or_btf_it_says_so", without_tracefs_sys_or_btf_it_says_so),
    ("without_kprobes_it_says_what_it_uses", without_kprobes_it_says_what_it_uses),
    ("bad_input_is_one_line", bad_input_is_one_line),
    ("many_names", many_names),
];

fn check(good: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if good { Ok(()) } else { Err(otherwise()) }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn signals_end_it_well() -> Result<(), String> {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let running = Running::start(&["execsnoop", "--json", "-n", "no-such-name"])?;
        kill(running.pid(), signal).map_err(text)?;
        let (code, stdout, stderr) = running.end().map_err(text)?;
        let summary = r#""produced":0,"delivered":0,"lost":{}}"#;
        let good = code == Some(0)
            && stdout.trim_end().ends_with(summary)
            && stderr == "execsnoop: 0 events, 0 lost\n";
        check(good, || format!("{signal}: {code:?} {stdout} {stderr}"))?;
    }
    Ok(())
}

fn duration_ends_it() -> Result<(), String> {
    let (code, _, stderr) =
        Running::start(&["execsnoop", "-d", "0.2", "-n", "no-such-name"])?.end().map_err(text)?;
    check(code == Some(0) && stderr == "execsnoop: 0 events, 0 lost\n", || stderr)
}

/// Two shells wait; one of them is traced; both go on.
fn filter_by_pid() -> Result<(), String> {
    let waiting = || {
        let script = "read line; exec /bin/true $line";
        let shell = Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn();
        shell.map_err(text)
    };
    let (mut traced, mut other) = (waiting()?, waiting()?);
    let running = Running::start(&["execsnoop", "--json", "-p", &traced.id().to_string()])?;
    for (shell, word) in [(&mut traced, "traced\n"), (&mut other, "other\n")] {
        let mut input = shell.stdin.take().ok_or("no standard input")?;
        std::io::Write::write_all(&mut input, word.as_bytes()).map_err(text)?;
        drop(input);
        shell.wait().map_err(text)?;
    }
    kill(running.pid(), Signal::SIGINT).map_err(text)?;
    let (_, stdout, _) = running.end().map_err(text)?;
    let good = stdout.contains(r#"["/bin/true","traced"]"#) && !stdout.contains("other");
    check(good, || stdout)
}

/// Runs ebtools with a command that goes on for ever, and closes its output after a line.
fn closed_pipe_is_a_quiet_end() -> Result<(), String> {
    let mut child = Command::new(ebtools())
        .args(["execsnoop", "--", "sh", "-c", "while :; do /bin/true; done"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(text)?;
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().ok_or("no standard output")?);
    stdout.read_line(&mut line).map_err(text)?;
    drop(stdout);
    let output = child.wait_with_output().map_err(text)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    check(output.status.code() == Some(0) && said.is_empty(), || {
        format!("{} {said}", output.status)
    })
}

fn closed_pipe_is_noticed_without_events() -> Result<(), String> {
    let mut running = Running::start(&["execsnoop", "-n", "no-such-name"])?;
    drop(running.child.stdout.take());
    let (code, _, stderr) = running.end().map_err(text)?;
    check(code == Some(0) && stderr.is_empty(), || format!("{code:?} {stderr}"))
}

fn full_disk_is_said() -> Result<(), String> {
    let full = OpenOptions::new().write(true).open("/dev/full").map_err(text)?;
    let output = Command::new(ebtools())
        .args(["execsnoop", "--json", "--", "true"])
        .stdin(Stdio::null())
        .stdout(full)
        .output()
        .map_err(text)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let good = output.status.code() == Some(1)
        && said.contains("execsnoop: 0 events, 1 lost (output failed 1)\n")
        && said.contains("ebtools: writing to standard output: No space left on device");
    check(good, || said)
}

/// The reader is stopped while more arguments than a page are on their way.
fn small_ring_loses_and_says_so() -> Result<(), String> {
    let script =
        r#"i=0; a=$(printf %03000d 1); while [ $i -lt 20 ]; do /bin/true $a; i=$((i+1)); done"#;
    let mut shell = Command::new("sh")
        .args(["-c", &format!("read line; {script}")])
        .stdin(Stdio::piped())
        .spawn()
        .map_err(text)?;
    let running = Running::start(&["execsnoop", "--json", "--buffer", "8K", "-n", "true"])?;
    kill(running.pid(), Signal::SIGSTOP).map_err(text)?;
    drop(shell.stdin.take());
    shell.wait().map_err(text)?;
    kill(running.pid(), Signal::SIGCONT).map_err(text)?;
    kill(running.pid(), Signal::SIGINT).map_err(text)?;
    let (code, stdout, stderr) = running.end().map_err(text)?;
    let lines = stdout.lines().map(serde_json::from_str::<serde_json::Value>);
    let lines = lines.collect::<Result<Vec<_>, _>>().map_err(text)?;
    let number = |kind: &str, key: &str| {
        let of_kind = lines.iter().filter(|line| line["type"] == kind);
        of_kind.filter_map(|line| line[key].as_u64()).sum::<u64>()
    };
    let events = lines.iter().filter(|line| line["type"] == "event").count() as u64;
    let good = code == Some(0)
        && number("lost", "count") > 0
        && number("summary", "produced") >= 20
        && number("summary", "delivered") == events
        && number("summary", "produced") == events + number("lost", "count")
        && stderr.contains("ring full");
    check(good, || format!("{code:?} {stdout} {stderr}"))
}

fn killed_it_leaves_nothing_behind() -> Result<(), String> {
    let programs = || {
        let ours = ProgInfoIter::default().filter(|info| info.name == "on_exec");
        ours.map(|info| info.id).collect::<HashSet<_>>()
    };
    let before = programs();
    let mut running = Running::start(&["execsnoop"])?;
    let new = programs().difference(&before).copied().collect::<HashSet<_>>();
    check(!new.is_empty(), || "its program is not in the kernel".into())?;
    running.child.kill().map_err(text)?;
    running.child.wait().map_err(text)?;
    // The kernel frees a program a little after its last descriptor is closed.
    let deadline = Instant::now() + Duration::from_secs(10);
    while !new.is_disjoint(&programs()) {
        check(Instant::now() < deadline, || "its program is still there".into())?;
    }
    Ok(())
}

/// Exit code 1 and these lines on standard error, nothing more.
fn fails_with(mut command: Command, lines: &[&str]) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(text)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let same = said.lines().count() == lines.len()
        && said.lines().zip(lines).all(|(said, line)| said.starts_with(line));
    check(output.status.code() == Some(1) && same, || format!("{}: {said}", output.status))
}

fn without_rights_it_says_which() -> Result<(), String> {
    for (tool, missing) in [
        ("execsnoop", "CAP_BPF and CAP_PERFMON"),
        ("unlinksnoop", "CAP_BPF and CAP_PERFMON and CAP_DAC_READ_SEARCH"),
        ("readline", "CAP_BPF and CAP_PERFMON and CAP_SYS_ADMIN"),
    ] {
        // The binary may be where only root can reach it.
        let copy = scratch_dir("rights").with_extension("binary");
        std::fs::copy(ebtools(), &copy).map_err(text)?;
        let mut command = Command::new(&copy);
        command.arg(tool).uid(65534).gid(65534);
        let result = fails_with(
            command,
            &[
                &format!("ebtools: {tool}: not permitted: needs {missing}"),
                &format!("hint: run it as root: sudo ebtools {tool}"),
            ],
        );
        std::fs::remove_file(copy).map_err(text)?;
        result?;
    }
    Ok(())
}

/// Runs a program that finds nothing in some directories and files.
fn without(hidden: &[&str], program: &str, args: &[&str]) -> Command {
    let this = this_program();
    let mut words = hidden.iter().flat_map(|path| [&this, "helper", "without", path]);
    let mut command = Command::new(words.next().unwrap_or(program));
    command.args(words).arg(program).args(args);
    command
}

fn without_kprobes_it_says_what_it_uses() -> Result<(), String> {
    let kprobes = ["/sys/bus/event_source/devices/kprobe", "/sys/kernel/tracing/kprobe_events"];
    let mut command = without(&kprobes, &ebtools(), &["unlinksnoop", "-v", "--", "true"]);
    let output = command.stdin(Stdio::null()).output().map_err(text)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let good = output.status.code() == Some(0)
        && said.contains("hook refused: kprobes do_unlinkat and do_rmdir: kretprobe do_unlinkat: ")
        && said.contains("hook refused: kprobes filename_unlinkat and filename_rmdir: ")
        && said.contains("hook in use: tracepoints of the system calls");
    check(good, || said)
}

fn without_tracefs_sys_or_btf_it_says_so() -> Result<(), String> {
    let without = |dir: &str, args: &[&str]| without(&[dir], &ebtools(), args);
    let tracepoints = ["unlinksnoop", "--hook", "tracepoint"];
    fails_with(
        without("/sys/kernel/tracing", &tracepoints),
        &[
            "ebtools: attaching: tracepoint syscalls:sys_exit_unlinkat: ",
            "hint: tracefs is not mounted: ",
        ],
    )?;
    fails_with(
        without("/sys", &["execsnoop"]),
        &["ebtools: preparing the BPF program: /sys is not mounted", "hint: "],
    )?;
    fails_with(
        without("/sys/kernel/btf", &["execsnoop"]),
        &["ebtools: loading the BPF program: this kernel has no type information (BTF)", "hint: "],
    )
}

fn bad_input_is_one_line() -> Result<(), String> {
    let run = |args: &[&str]| {
        let mut command = Command::new(ebtools());
        command.args(args);
        command
    };
    fails_with(
        run(&["readline", "-s", "/etc/passwd"]),
        &["ebtools: reading /etc/passwd: it is not an ELF file"],
    )?;
    fails_with(run(&["readline", "-s", "/no/such"]), &["ebtools: reading /no/such: No such file"])?;
    fails_with(
        run(&["readline", "-s", "/bin/true"]),
        &["ebtools: looking for readline in /bin/true: it has no such function"],
    )?;
    fails_with(
        run(&["execsnoop", "-p", "4194305"]),
        &["ebtools: execsnoop: there is no process 4194305"],
    )?;
    fails_with(
        run(&["execsnoop", "--", "/no/such\n/command"]),
        &[r"ebtools: running /no/such\n/command: No such file"],
    )
}

fn many_names() -> Result<(), String> {
    let dir = scratch_dir("names");
    for name in ["execsnoop", "execsnoop-ebtools", "ebtools-execsnoop"] {
        let link = dir.join(name);
        std::os::unix::fs::symlink(ebtools(), &link).map_err(text)?;
        let output = Command::new(&link).args(["--json", "--", "true"]).output().map_err(text)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        check(said.contains(r#""tool":"execsnoop""#), || format!("{name}: {said}"))?;
    }
    std::fs::remove_dir_all(dir).map_err(text)
}
