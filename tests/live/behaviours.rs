//! What a table cannot say: signals, pipes, missing rights, what is left behind.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use libbpf_rs::query::{MapInfoIter, ProgInfoIter};
use libbpf_rs::{MapCore as _, MapFlags, MapHandle, RingBufferBuilder};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, gettid};

use crate::case::{Need, cgroup2, first_way, has_filesystem, load_module};
use crate::run::{Running, calls, ebtools, scratch_dir, this_program};
use crate::watched::{self, Watched as _};

pub(crate) type Behaviour = fn() -> Result<(), String>;

pub(crate) const BEHAVIOURS: &[(&str, Behaviour)] = &[
    ("signals_end_it_well", signals_end_it_well),
    ("hangup_is_ignored_under_nohup", hangup_is_ignored_under_nohup),
    ("duration_ends_it", duration_ends_it),
    ("huge_pages_are_the_commands_alone", huge_pages_are_the_commands_alone),
    ("command_has_the_limits_of_the_user", command_has_the_limits_of_the_user),
    ("filter_by_pid", filter_by_pid),
    ("filter_by_tid", filter_by_tid),
    ("filter_by_tid_of_what_execs", filter_by_tid_of_what_execs),
    ("closed_pipe_is_a_quiet_end", closed_pipe_is_a_quiet_end),
    ("closed_pipe_is_noticed_without_events", closed_pipe_is_noticed_without_events),
    ("full_disk_is_said", full_disk_is_said),
    ("full_disk_has_whole_lines", full_disk_has_whole_lines),
    ("limit_on_files_is_said", limit_on_files_is_said),
    ("paths_that_are_no_text", paths_that_are_no_text),
    ("small_ring_loses_and_says_so", small_ring_loses_and_says_so),
    ("killed_it_leaves_nothing_behind", killed_it_leaves_nothing_behind),
    ("guard_refuses_a_user_until_it_is_killed", guard_refuses_a_user_until_it_is_killed),
    ("without_sys_or_btf_it_says_so", without_sys_or_btf_it_says_so),
    ("without_kprobes_it_says_what_it_uses", without_kprobes_it_says_what_it_uses),
    ("bad_input_is_one_line", bad_input_is_one_line),
    ("probes_lists_what_there_is", probes_lists_what_there_is),
    ("doctor_agrees_with_what_is_found", doctor_agrees_with_what_is_found),
    ("modules_of_the_matrix_load", modules_of_the_matrix_load),
    ("many_names", many_names),
    ("follow_pid", follow_pid),
    ("processes_end_it", processes_end_it),
    ("processes_end_it_with_descendants", processes_end_it_with_descendants),
    ("processes_that_have_ended", processes_that_have_ended),
    ("exit_of_a_process_from_before", exit_of_a_process_from_before),
    ("filter_by_cgroup", filter_by_cgroup),
    ("calls_by_cgroup_have_its_path", calls_by_cgroup_have_its_path),
    ("filter_by_container", filter_by_container),
    ("in_a_pid_namespace", in_a_pid_namespace),
    ("follow_in_a_pid_namespace", follow_in_a_pid_namespace),
    ("two_tools_in_one_process", two_tools_in_one_process),
    ("tcprtt_of_everybody", tcprtt_of_everybody),
    ("readline_finds_shells_that_come", readline_finds_shells_that_come),
    ("no_memory_leaks_through_records", no_memory_leaks_through_records),
];

pub(crate) fn check(good: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if good { Ok(()) } else { Err(otherwise()) }
}

pub(crate) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// While the kernel makes them, it would stand still. The command has what it would have without.
fn huge_pages_are_the_commands_alone() -> Result<(), String> {
    const ALLOWED: &str = "THP_enabled:\t1";
    let own = std::fs::read_to_string("/proc/self/status").map_err(text)?;
    if !own.lines().any(|line| line == ALLOWED) {
        return Err("skipped: there are no huge pages here".into());
    }
    let script = "busybox grep -h THP_enabled /proc/$PPID/status /proc/$$/status";
    let mut traced = Command::new(ebtools());
    let output = traced.args(["opensnoop", "--", "sh", "-c", script]).watched().map_err(text)?;
    let said = String::from_utf8_lossy(&output.stderr);
    let lines = said.lines().filter(|line| line.starts_with("THP_enabled")).collect::<Vec<_>>();
    check(lines == ["THP_enabled:\t0", ALLOWED], || said.to_string())
}

/// Some tools raise their own: of open files, and of priorities.
fn command_has_the_limits_of_the_user() -> Result<(), String> {
    const LIMITS: &str = "/proc/self/limits";
    let own = std::fs::read_to_string(LIMITS).map_err(text)?;
    let mut traced = Command::new(ebtools());
    let output = traced.args(["gethostlatency", "--", "busybox", "cat", LIMITS]).watched();
    let said = String::from_utf8_lossy(&output.map_err(text)?.stderr).into_owned();
    check(said.contains(&own), || format!("{said}\nnot {own}"))
}

fn signals_end_it_well() -> Result<(), String> {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let running =
            Running::start(&["execsnoop", "--json", "--fields", "pid", "-n", "no-such-name"])?;
        // As timeout(1) does: to the command, and to its group.
        kill(running.pid(), signal).map_err(text)?;
        let _ = kill(running.pid(), signal);
        let (code, stdout, stderr) = running.end().map_err(text)?;
        let summary = r#""produced":0,"delivered":0,"lost":{}}"#;
        let good = code == Some(0)
            && stdout.trim_end().ends_with(summary)
            && stderr == "execsnoop: 0 events, 0 lost\n";
        check(good, || format!("{signal}: {code:?} {stdout} {stderr}"))?;
    }
    Ok(())
}

fn hangup_is_ignored_under_nohup() -> Result<(), String> {
    let mut command = Command::new("sh");
    let script = "trap '' HUP; exec \"$0\" execsnoop -v -n no-such-name";
    let running = Running::start_command(command.args(["-c", script, &ebtools()]))?;
    kill(running.pid(), Signal::SIGHUP).map_err(text)?;
    // This is the first signal, then: a second one would have exit code 1.
    kill(running.pid(), Signal::SIGTERM).map_err(text)?;
    let (code, _, stderr) = running.end().map_err(text)?;
    check(code == Some(0), || format!("{code:?} {stderr}"))
}

fn duration_ends_it() -> Result<(), String> {
    let (code, _, stderr) =
        Running::start(&["execsnoop", "-d", "0.2", "-n", "no-such-name"])?.end().map_err(text)?;
    check(code == Some(0) && stderr == "execsnoop: 0 events, 0 lost\n", || stderr)
}

fn filter_by_pid() -> Result<(), String> {
    trace_one_of_two_shells("exec /bin/true $line", &[])
}

/// Nothing but segments is looked at where it does not matter whose they are.
fn tcprtt_of_everybody() -> Result<(), String> {
    let running = Running::start(&["tcprtt", "--json", "-P", "9107", "--by", "lport"])?;
    let args = ["helper", "in-network", calls(), "tcp-echo", "127.0.0.1", "9107", "5"];
    let output = Command::new(this_program()).args(args).output().map_err(text)?;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    kill(running.pid(), Signal::SIGINT).map_err(text)?;
    let (_, stdout, stderr) = running.end().map_err(text)?;
    let count = |line: &str| -> Option<u64> {
        serde_json::from_str::<serde_json::Value>(line).ok()?["count"].as_u64()
    };
    let shown = stdout.lines().filter_map(count).sum::<u64>();
    let came = told.split_whitespace().filter_map(|word| word.parse::<u64>().ok());
    check(came.sum::<u64>() == shown && shown >= 10, || format!("{told}{stdout}{stderr}"))
}

/// A thread of this process opens a file while others do.
fn filter_by_tid() -> Result<(), String> {
    let (tell_tid, tid) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let _ = tell_tid.send(gettid());
        may_go.recv().is_ok() && File::open("/proc/self/stat").is_ok()
    });
    let tid = tid.recv().map_err(text)?.to_string();
    let running = Running::start(&["opensnoop", "-t", &tid, "--json", "--fields", "tid,path"])?;
    File::open("/proc/self/status").map_err(text)?;
    go.send(()).map_err(text)?;
    check(thread.join().is_ok_and(|has_opened| has_opened), || "it opened no file".into())?;
    kill(running.pid(), Signal::SIGTERM).map_err(text)?;
    let (code, stdout, stderr) = running.end().map_err(text)?;
    let event = format!(r#""tid":{tid},"path":"/proc/self/stat"}}"#);
    let events = stdout.lines().filter(|line| line.starts_with(r#"{"type":"event""#));
    let events = events.collect::<Vec<_>>();
    let is_alone = matches!(events[..], [only] if only.ends_with(&event));
    check(code == Some(0) && is_alone, || format!("{code:?} {stdout} {stderr}"))
}

/// A thread that is not the first one of its process becomes another program, and gets that one's number.
fn filter_by_tid_of_what_execs() -> Result<(), String> {
    let mut command = Command::new(calls());
    command.args(["waiting-thread", "/bin/true"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(text)?;
    let mut tid = String::new();
    let stdout = child.stdout.take().ok_or("no output")?;
    BufReader::new(stdout).read_line(&mut tid).map_err(text)?;
    let running = Running::start(&["exitsnoop", "--tid", tid.trim(), "--json"])?;
    drop(child.stdin.take());
    check(child.wait().is_ok_and(|status| status.success()), || "it did not end well".into())?;
    let shown = ended_with_processes(running)?;
    let (end, pid) = (r#""comm":"true""#, format!(r#""tid":{}"#, child.id()));
    check(shown.lines().any(|line| line.contains(end) && line.contains(&pid)), || shown.clone())
}

/// A shell waits, then starts another that starts a program; one that is not traced does the same.
fn follow_pid() -> Result<(), String> {
    let script = "sh -c \"sh -c '/bin/true $line; :'; :\"; :";
    trace_one_of_two_shells(script, &["--follow"])
}

/// A shell that reads a line before it goes on.
fn waiting(script: &str) -> Result<Child, String> {
    let script = format!("read line; {script}");
    Command::new("sh").args(["-c", &script]).stdin(Stdio::piped()).spawn().map_err(text)
}

/// It ended by itself, and nothing was lost.
fn ended_with_processes(running: Running) -> Result<String, String> {
    let (code, stdout, stderr) = running.end().map_err(text)?;
    let good = code == Some(0) && stderr.contains(": the processes have ended\n");
    let summary = stdout.lines().next_back().unwrap_or_default();
    check(good && summary.ends_with(r#""lost":{}}"#), || format!("{code:?} {stdout} {stderr}"))?;
    Ok(stdout)
}

/// The second goes on for longer than the end of the first is not noticed; nobody has waited for either
/// when it ends.
fn processes_end_it() -> Result<(), String> {
    let forks = "i=0; while [ $i -lt 1000 ]; do (:); i=$((i+1)); done";
    let (mut first, mut second) = (waiting("(:)")?, waiting(forks)?);
    let pids = format!("{},{}", first.id(), second.id());
    let running = Running::start(&["clonesnoop", "--json", "-p", &pids])?;
    drop(first.stdin.take());
    let first_pid = Pid::from_raw(i32::try_from(first.id()).map_err(text)?);
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    waitid(Id::Pid(first_pid), flags).map_err(text)?;
    drop(second.stdin.take());
    let stdout = ended_with_processes(running)?;
    let (first, second) = (first.wait().map_err(text)?, second.wait().map_err(text)?);
    let events = stdout.lines().filter(|line| line.contains(r#""type":"event""#)).count();
    check(events == 1001, || format!("{events} events, {first}, {second}"))
}

/// What it was started with is known, though nobody saw that.
fn exit_of_a_process_from_before() -> Result<(), String> {
    let mut shell = waiting("exit 3")?;
    let running = Running::start(&["exitsnoop", "--json", "-p", &shell.id().to_string()])?;
    drop(shell.stdin.take());
    let stdout = ended_with_processes(running)?;
    shell.wait().map_err(text)?;
    let shown = r#""exit_code":3,"args":["sh","-c","read line; exit 3"],"#;
    check(stdout.contains(shown), || stdout.clone())
}

/// Of some of them the end is not seen, as they begin and end while it attaches; another outlives the
/// process that started it.
fn processes_end_it_with_descendants() -> Result<(), String> {
    let dir = scratch_dir("descendants");
    let script = r#"
        forks() { while [ ! -e "$0/go" ]; do (:); done; }
        forks & forks & forks & forks
        wait
        (i=0; while [ $i -lt 1000 ]; do (:); i=$((i+1)); done; /bin/true late) &
        "#;
    let mut shell = Command::new("sh").args(["-c", script]).arg(&dir).spawn().map_err(text)?;
    let pid = shell.id().to_string();
    let running = Running::start(&["execsnoop", "--json", "-p", &pid, "--follow"]);
    std::fs::write(dir.join("go"), "").map_err(text)?;
    let shown = running.and_then(ended_with_processes);
    shell.wait().map_err(text)?;
    std::fs::remove_dir_all(dir).map_err(text)?;
    let shown = shown?;
    check(shown.contains(r#""args":["/bin/true","late"]"#), || shown)
}

/// They cannot be traced, though their numbers are still there.
fn processes_that_have_ended() -> Result<(), String> {
    let mut ended = Command::new("true").spawn().map_err(text)?;
    let pid = Pid::from_raw(i32::try_from(ended.id()).map_err(text)?);
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    waitid(Id::Pid(pid), flags).map_err(text)?;
    let mut command = Command::new(ebtools());
    command.args(["execsnoop", "-p", &pid.to_string()]);
    let line = format!("ebtools: execsnoop: process {pid} has ended");
    let done = fails_with(command, &[&line, "hint: "]);
    ended.wait().map_err(text)?;
    done
}

/// Two shells wait; one of them is traced by its pid, with more `options`; both go on, and the
/// traced one's program alone is seen.
fn trace_one_of_two_shells(script: &str, options: &[&str]) -> Result<(), String> {
    let (mut traced, mut other) = (waiting(script)?, waiting(script)?);
    let pid = traced.id().to_string();
    let args = ["execsnoop", "--json", "--fields", "args", "-p", &pid];
    let running = Running::start(&[&args, options].concat())?;
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

/// What was written is told of exactly, and there is no half a line at the end.
fn full_disk_has_whole_lines() -> Result<(), String> {
    let dir = scratch_dir("small-disk");
    let opens = "i=0; while [ $i -lt 3000 ]; do : </dev/null; i=$((i+1)); done";
    let output = Command::new(this_program())
        .args(["helper", "on-small-disk"])
        .arg(&dir)
        .args([&ebtools(), "opensnoop", "--json", "--", "sh", "-c", opens])
        .stdin(Stdio::null())
        .watched()
        .map_err(text)?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines = printed.lines().map(serde_json::from_str::<serde_json::Value>);
    let lines = lines.collect::<Result<Vec<_>, _>>().map_err(text)?;
    let good = output.status.code() == Some(1)
        && printed.ends_with('\n')
        && said.contains(&format!("opensnoop: {} events, ", lines.len() - 1))
        && said.contains("(output failed ");
    std::fs::remove_dir_all(dir).map_err(text)?;
    check(good, || said)
}

/// A limit on the size of files is an error, not the end by SIGXFSZ: of the output, and of the files
/// of a profile.
fn limit_on_files_is_said() -> Result<(), String> {
    let dir = scratch_dir("limit");
    let [svg, pprof, speedscope] = ["flames.svg", "pprof.gz", "speedscope.json"]
        .map(|name| dir.join(name).to_string_lossy().into_owned());
    let opens = ["opensnoop", "--json", "-d", "100", "--", "busybox", "cat"];
    let opens = [&opens[..], &["/dev/null"; 9]].concat();
    let profile =
        |option, file| ["profile", option, file, "-d", "100", "--", calls(), "busy", "300"];
    for (args, failed) in [
        (&opens[..], "(output failed "),
        (&profile("--svg", svg.as_str()), "flames.svg"),
        (&profile("--pprof", &pprof), "pprof.gz"),
        (&profile("--speedscope", &speedscope), "speedscope.json"),
    ] {
        // So many blocks: room for what JSON begins with, less than a flame graph, and nothing of the
        // others.
        let (blocks, out) = match args[1] {
            "--svg" => ("1", Stdio::null()),
            "--pprof" | "--speedscope" => ("0", Stdio::null()),
            _ => ("2", File::create(dir.join("out")).map_err(text)?.into()),
        };
        let mut limited = Command::new("sh");
        limited.args(["-c", "ulimit -f \"$1\"; shift; exec \"$@\"", "sh"]);
        limited.args([blocks, &ebtools()]).args(args);
        let output = limited.stdin(Stdio::null()).stdout(out).watched().map_err(text)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let good = output.status.code() == Some(1)
            && said.contains("File too large")
            && said.contains(failed);
        check(good, || format!("{args:?}: {} {said}", output.status))?;
    }
    std::fs::remove_dir_all(dir).map_err(text)
}

/// Of two files whose names differ in a byte, the one that is asked for.
fn paths_that_are_no_text() -> Result<(), String> {
    let dir = scratch_dir("bytes");
    let glob = [dir.as_os_str().as_bytes(), b"/\xff*"].concat();
    let opens = r#"cd "$0"; : >"$(printf '\377a')"; : >"$(printf '\376a')""#;
    let mut traced = Command::new(ebtools());
    traced.args(["opensnoop", "--json", "--path"]).arg(OsStr::from_bytes(&glob));
    traced.args(["-n", "sh", "--", "sh", "-c", opens]).arg(&dir);
    let output = traced.stdin(Stdio::null()).watched().map_err(text)?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let good = printed.contains(r#""path_base64":"#)
        && printed.lines().filter(|line| line.contains(r#""type":"event""#)).count() == 1;
    std::fs::remove_dir_all(dir).map_err(text)?;
    check(good, || format!("{printed} {}", String::from_utf8_lossy(&output.stderr)))
}

fn full_disk_is_said() -> Result<(), String> {
    let full = OpenOptions::new().write(true).open("/dev/full").map_err(text)?;
    let output = Command::new(ebtools())
        .args(["execsnoop", "--json", "--", "true"])
        .stdin(Stdio::null())
        .stdout(full)
        .watched()
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
    let running = Running::start(&[
        "execsnoop",
        "--json",
        "--fields",
        "args",
        "--buffer",
        "8K",
        "-n",
        "true",
    ])?;
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
    let output = command.stdin(Stdio::null()).watched().map_err(text)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let same = said.lines().count() == lines.len()
        && said.lines().zip(lines).all(|(said, line)| said.starts_with(line));
    check(output.status.code() == Some(1) && same, || format!("{}: {said}", output.status))
}

/// Answers to pings are there again.
/// In the middle of it: what was refused works at once, and nothing is left in the kernel.
fn guard_refuses_a_user_until_it_is_killed() -> Result<(), String> {
    if let Some(why) = Need::Lsm.missing() {
        return Err(format!("skipped: {why}"));
    }
    let programs = || ProgInfoIter::default().map(|info| info.id).collect::<HashSet<_>>();
    let dir = scratch_dir("guarded");
    let refusals = |uid: &str| {
        let script = "busybox cat f; touch d/g; rm -f d/g; \"$0\" try-connect 127.0.0.1 9";
        let mut command = Command::new(this_program());
        let words = ["helper", "as", uid, "sh", "-c", script, calls()];
        let output = command.args(words).current_dir(&dir).watched().map_err(text)?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        let refused = said.lines().filter(|line| line.contains("not permitted")).count();
        let connects = said.lines().filter(|line| line.ends_with(": EPERM")).count();
        let is_open = said.lines().any(|line| line == "secret");
        Ok::<_, String>((refused, connects > 5, is_open))
    };
    let script = "mkdir -m 777 d; echo secret >f; chmod 644 f";
    Command::new("sh").args(["-c", script]).current_dir(&dir).status().map_err(text)?;
    let [open, delete] = ["open", "delete"].map(|act| format!("{act}:{}", dir.display()));
    let (open, delete) = (open + "/f", delete + "/d/*");
    let before = programs();
    let args = ["guard", "--enforce", "-u", "65534", "--deny", &open, "--deny", &delete];
    let mut running = Running::start(&[&args[..], &["--deny", "connect:127.0.0.1"]].concat())?;
    let (his, ours) = (refusals("65534")?, refusals("0")?);
    check(his == (2, true, false), || format!("of its target: {his:?}"))?;
    check(ours == (0, false, true), || format!("of root: {ours:?}"))?;
    let new = programs().difference(&before).copied().collect::<HashSet<_>>();
    running.child.kill().map_err(text)?;
    running.child.wait().map_err(text)?;
    let after = refusals("65534")?;
    check(after == (0, false, true), || format!("when it was killed: {after:?}"))?;
    // The kernel frees a program a little after its last descriptor is closed.
    let deadline = Instant::now() + Duration::from_secs(10);
    while !new.is_disjoint(&programs()) {
        check(Instant::now() < deadline, || "its programs are still there".into())?;
    }
    std::fs::remove_dir_all(dir).map_err(text)
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
    let output = command.stdin(Stdio::null()).watched().map_err(text)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let expected = [
        "hook refused: fentry and fexit filename_unlinkat and filename_rmdir: ",
        "hook refused: kprobes do_unlinkat and do_rmdir: kretprobe do_unlinkat: ",
        "hook in use: tracepoint sys_exit: io_uring's deletes are not seen",
    ];
    // Links of kprobe.multi need nothing of these.
    let good = match Need::Fexit.missing() {
        None => first_way(&said),
        Some(_) => expected.iter().all(|line| said.contains(line)),
    };
    check(output.status.code() == Some(0) && good, || said)
}

fn without_sys_or_btf_it_says_so() -> Result<(), String> {
    let without = |dir: &str, args: &[&str]| without(&[dir], &ebtools(), args);
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
        run(&["funclatency", &format!("{}:recursiv", calls())]),
        &[
            &format!("ebtools: looking in {}: nothing matches 'recursiv'", calls()),
            "hint: there are recursive",
        ],
    )?;
    fails_with(
        run(&["funclatency", &format!("{}:_start", calls())]),
        &[
            &format!("ebtools: looking in {}: _start is there, but its return", calls()),
            "hint: functions can that are called",
        ],
    )?;
    fails_with(
        run(&["funclatency", "vfs_raed"]),
        &["ebtools: funclatency: nothing matches", "hint: there are vfs_read"],
    )?;
    fails_with(
        run(&["xdpfilter", "no-such"]),
        &["ebtools: xdpfilter: there is no interface no-such", "hint: there are lo"],
    )?;
    fails_with(
        run(&["execsnoop", "-p", "4194305"]),
        &["ebtools: execsnoop: there is no process 4194305"],
    )?;
    fails_with(
        run(&["execsnoop", "--tid", "4194305"]),
        &["ebtools: execsnoop: there is no thread 4194305"],
    )?;
    Ok(())
}

fn probes_lists_what_there_is() -> Result<(), String> {
    let run = |tool: &str, args: &[&str]| {
        let output = Command::new(ebtools()).arg(tool).args(args).watched().map_err(text)?;
        let said = [output.stdout, output.stderr].concat();
        Ok::<_, String>(String::from_utf8_lossy(&said).into_owned())
    };
    for (args, expected) in [
        (&["vfs_read", "--json"][..], r#""kind":"kernel","address":"0xffff"#),
        (&["sched:sched_process_exec"], "tracepoint:sched:sched_process_exec"),
        (&[calls(), "main"], "calls:main"),
        (&[calls(), "ebtools:*", "--json"], r#""kind":"usdt","address":"0x"#),
        (&["-l", calls(), "ebtools:*", "--kind", "usdt"], ":ebtools:"),
        (&["-l", calls(), "main", "--kind", "usdt,tracepoint"], "nothing matches 'main'"),
        (&["-p", &std::process::id().to_string(), "no_such"], "nothing matches 'no_such'"),
        (&["/proc/self/exe", "--fields", "spec", "no_such"], "nothing matches 'no_such'"),
        (&["vfs_raed"], "hint: there are vfs_read, "),
        (&[&std::process::id().to_string(), "no_such"], "nothing matches 'no_such'"),
        (&["4194305"], "reading process 4194305: No such file or directory"),
        (&["/etc/passwd"], "reading /etc/passwd: it is not an ELF file"),
        (&[&format!("{}:mai*", calls())], "calls:main"),
        (&["c", "getaddr*"], ":getaddrinfo"),
        (&["bash:x"], "hint: functions of a file: ebtools probes bash 'x'"),
        (&["vfs_read", "x"], "there is no library libvfs_read.so and no program of that name"),
    ] {
        let said = run("probes", args)?;
        check(said.contains(expected), || format!("{args:?}: {said}"))?;
    }
    let said = run("tplist", &["-l", calls()])?;
    let is_usdt = said.lines().skip(1).all(|line| line.starts_with("usdt "));
    check(is_usdt && said.contains(":ebtools:"), || format!("tplist: {said}"))?;
    let said = run("tplist", &["sched:sched_process_ex*"])?;
    let tracepoints = said.lines().filter(|line| line.starts_with("tracepoint ")).count();
    check(tracepoints == 2, || format!("tplist: {said}"))
}

/// What the cases need that tests/kernels/fetch has fetched for this kernel.
fn modules_of_the_matrix_load() -> Result<(), String> {
    let release = nix::sys::utsname::uname().map_err(text)?;
    let list = Path::new("/lib/modules").join(release.release()).join("wanted");
    let Ok(list) = std::fs::read_to_string(list) else {
        return Err("skipped: no modules were fetched for this kernel".into());
    };
    for name in list.split_whitespace() {
        check(load_module(name), || format!("{name} cannot be loaded"))?;
    }
    check(!load_module("no_such_module"), || "what is not there was loaded".into())?;
    for name in ["overlay", "xfs", "btrfs", "nfs4", "nfsd"] {
        check(has_filesystem(name), || format!("no file system {name}"))?;
    }
    for path in ["/dev/nullb0", "/dev/ram0"] {
        let device = OpenOptions::new().write(true).open(path).map_err(text)?;
        device.write_all_at(&[1; 4096], 0).and_then(|()| device.sync_all()).map_err(text)?;
    }
    for path in ["/dev/loop-control", "/dev/mapper/control"] {
        check(Path::new(path).exists(), || format!("no {path}"))?;
    }
    Ok(())
}

/// With what the other cases take for granted: that each tool works, if there is what it needs.
fn doctor_agrees_with_what_is_found() -> Result<(), String> {
    let output = Command::new(ebtools()).args(["doctor", "--json"]).watched().map_err(text)?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let findings = said.lines().map(serde_json::from_str::<serde_json::Value>);
    let findings = findings.collect::<Result<Vec<_>, _>>().map_err(text)?;
    let works = |kind: &str, name: &str| {
        let finding = findings.iter().find(|one| one["kind"] == kind && one["name"] == name);
        finding.and_then(|one| one["works"].as_bool()).ok_or(format!("no {kind} {name}: {said}"))
    };
    for (attachment, need) in [
        ("fexit", Need::Fexit),
        ("kprobe", Need::Kprobes),
        ("kprobe.multi", Need::KprobeMulti),
        ("LSM", Need::Lsm),
    ] {
        let missing = need.missing();
        check(works("attachment", attachment)? == missing.is_none(), || {
            format!("{attachment}: {missing:?}: {said}")
        })?;
    }
    let has_functions = [Need::Fexit, Need::Kprobes, Need::KprobeMulti];
    let has_functions = has_functions.iter().any(|need| need.missing().is_none());
    for tool in findings.iter().filter(|finding| finding["kind"] == "tool") {
        let is_there = tool["name"] != "funclatency" || has_functions;
        check(tool["works"] == is_there, || format!("{tool}: {said}"))?;
    }
    check(output.status.code() == Some((!has_functions).into()), || format!("{output:?}"))
}

fn many_names() -> Result<(), String> {
    let dir = scratch_dir("names");
    for name in ["execsnoop", "execsnoop-ebtools", "ebtools-execsnoop"] {
        let link = dir.join(name);
        std::os::unix::fs::symlink(ebtools(), &link).map_err(text)?;
        let output = Command::new(&link)
            .args(["--json", "--fields", "pid", "--", "true"])
            .watched()
            .map_err(text)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        check(said.contains(r#""tool":"execsnoop""#), || format!("{name}: {said}"))?;
    }
    std::fs::remove_dir_all(dir).map_err(text)
}

/// Makes a cgroup, runs a program inside and one outside, and returns what ebtools shows.
fn trace_cgroup(name: &str, args: &[&str]) -> Result<String, String> {
    let root = cgroup2().ok_or("cgroup v2 is not mounted")?;
    let dir = format!("{root}/{name}");
    std::fs::create_dir_all(format!("{dir}/inner")).map_err(text)?;
    let running = Running::start(args)?;
    for (word, cgroup) in [("inside", format!("{dir}/inner")), ("outside", root)] {
        let mut command = Command::new(this_program());
        command.args(["helper", "in-cgroup", &cgroup, "/bin/true", word]);
        command.status().map_err(text)?;
    }
    kill(running.pid(), Signal::SIGINT).map_err(text)?;
    let (_, stdout, _) = running.end().map_err(text)?;
    // The kernel lets go of a cgroup a little after its last process.
    let deadline = Instant::now() + Duration::from_secs(10);
    for dir in [format!("{dir}/inner"), dir] {
        while std::fs::remove_dir(&dir).is_err() && Instant::now() < deadline {}
    }
    Ok(stdout)
}

fn filter_by_cgroup() -> Result<(), String> {
    let stdout =
        trace_cgroup("ebtools-test", &["execsnoop", "--json", "--cgroup", "/ebtools-test"])?;
    let good = stdout.contains(r#"["/bin/true","inside"]"#) && !stdout.contains("outside");
    check(good, || stdout)
}

fn calls_by_cgroup_have_its_path() -> Result<(), String> {
    let args = ["syscount", "--by", "cgroup", "--json", "--cgroup", "/ebtools-paths", "-i", "60"];
    let stdout = trace_cgroup("ebtools-paths", &args)?;
    let wanted = |line: &serde_json::Value| {
        line["cgroup_path"] == "/ebtools-paths/inner" && line["cgroup"].is_u64()
    };
    let mut lines = stdout.lines().filter_map(|line| serde_json::from_str(line).ok());
    check(lines.any(|line| wanted(&line)), || stdout.clone())
}

fn filter_by_container() -> Result<(), String> {
    let id = "0123456789abcdef".repeat(4);
    let name = format!("docker-{id}.scope");
    // It must be there before it can be wanted.
    let root = cgroup2().ok_or("cgroup v2 is not mounted")?;
    std::fs::create_dir_all(format!("{root}/{name}")).map_err(text)?;
    let stdout = trace_cgroup(&name, &["execsnoop", "--json", "--container", &id[..12]])?;
    let container = format!(r#""container":"{id}""#);
    let good = stdout.contains(r#"["/bin/true","inside"]"#)
        && stdout.contains(&container)
        && !stdout.contains("outside");
    check(good, || stdout)
}

/// ebtools itself in a PID namespace: it does not know its number on the host.
fn in_a_pid_namespace() -> Result<(), String> {
    let mut command = Command::new(this_program());
    command.args(["helper", "in-pid-namespace", &ebtools(), "execsnoop", "--json"]);
    let output = command.args(["--", "sh", "-c", "/bin/true"]).watched().map_err(text)?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = stdout.lines().filter_map(|line| serde_json::from_str(line).ok());
    let lines = lines.collect::<Vec<serde_json::Value>>();
    let ns_pid = |line: &&serde_json::Value| {
        line["args"][0] == "/bin/true"
            && line["ns_pid"].as_u64().is_some_and(|pid| pid < 20)
            && line["pid"] != line["ns_pid"]
    };
    check(lines.iter().any(|line| ns_pid(&line)), || {
        format!("{stdout}{}", String::from_utf8_lossy(&output.stderr))
    })
}

/// Each shows its own events, and all of them.
fn two_tools_in_one_process() -> Result<(), String> {
    let dir = scratch_dir("two");
    let mut command = Command::new(this_program());
    let output = command.args(["helper", "between-two-tools"]).arg(&dir).watched().map_err(text)?;
    let said = String::from_utf8_lossy(&output.stderr);
    check(output.status.success(), || said.to_string())?;
    let lines = |tool: &str| {
        let shown = std::fs::read_to_string(dir.join(tool)).map_err(text)?;
        watched::look(&shown);
        let lines = shown.lines().map(serde_json::from_str).collect::<Result<Vec<_>, _>>();
        lines.map_err(text)
    };
    let (execs, opens) = (lines("execsnoop")?, lines("opensnoop")?);
    let count = |lines: &[serde_json::Value], wanted: fn(&serde_json::Value) -> bool| {
        lines.iter().filter(|line| wanted(line)).count()
    };
    let echoes = count(&execs, |line| line["args"][0] == "/bin/echo");
    let libraries = count(&opens, |line| {
        line["comm"] == "echo"
            && line["path"].as_str().is_some_and(|path| path.ends_with("/libc.so.6"))
            && line["fd"] != -1
    });
    let whole = |lines: &[serde_json::Value], tool: &str| {
        let all_its_own = lines.iter().all(|line| line["tool"] == tool);
        let summary = lines.last().ok_or("nothing is shown")?;
        check(all_its_own && summary["lost"] == serde_json::json!({}), || format!("{summary}"))
    };
    whole(&execs, "execsnoop")?;
    whole(&opens, "opensnoop")?;
    check(echoes == 50 && libraries == 50, || format!("{echoes} execs, {libraries} opens"))
}

/// What descends from a process already, and what that starts, where processes have other numbers.
fn follow_in_a_pid_namespace() -> Result<(), String> {
    let dir = scratch_dir("follow");
    let script = r#"
        busybox mkfifo "$1/ready" "$1/go"
        sh -c 'sh -c "echo >\"$0/ready\"; read x <\"$0/go\"; /bin/true followed; :"; :' "$1" &
        read x <"$1/ready"
        "$0" execsnoop --json --fields args -v -d 100 -p $! --follow 2>"$1/said" &
        until [[ $(<"$1/said") == *": attached"* ]]; do :; done
        echo >"$1/go"
        wait
        [[ $(<"$1/said") == *": the processes have ended"* ]] || echo "it did not end by itself"
    "#;
    let mut command = Command::new(this_program());
    command.args(["helper", "in-pid-namespace", &this_program(), "helper", "with-own-proc"]);
    let command = command.args(["bash", "-mc", script, &ebtools()]).arg(&dir);
    let output = command.stdin(Stdio::null()).watched().map_err(text)?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let good =
        stdout.contains(r#""args":["/bin/true","followed"]"#) && !stdout.contains("it did not");
    check(good, || format!("{stdout}{}", String::from_utf8_lossy(&output.stderr)))
}

/// A bash in another mount namespace, with an inode of its own, and one that replaces another
/// while it is traced.
fn readline_finds_shells_that_come() -> Result<(), String> {
    let dir = scratch_dir("shells");
    let bash = dir.join("bash");
    let copy = || std::fs::copy("/bin/bash", dir.join("new")).map_err(text);
    let replace = || std::fs::rename(dir.join("new"), &bash).map_err(text);
    copy()?;
    replace()?;
    let mut tracer = Command::new(ebtools());
    let path = format!("{}:{}", dir.display(), std::env::var("PATH").unwrap_or_default());
    tracer.args(["readline", "--json", "-v"]).env("PATH", path);
    let mut running = Running::start_command(&mut tracer)?;

    // An upgrade.
    copy()?;
    replace()?;
    running.wait_for("in use: uretprobe ")?;
    let run = |program: &str, args: &[&str], line: &str| {
        let mut shell = Command::new(program);
        shell.args(args).args(["--norc", "-i"]).stdin(Stdio::piped()).stderr(Stdio::null());
        let mut shell = shell.spawn().map_err(text)?;
        let mut input = shell.stdin.take().ok_or("no standard input")?;
        std::io::Write::write_all(&mut input, line.as_bytes()).map_err(text)?;
        Ok::<_, String>((shell, input))
    };
    let (mut shell, input) = run(&bash.to_string_lossy(), &[], ": upgraded\n")?;
    drop(input);
    shell.wait().map_err(text)?;

    // In its own mount namespace, under a name that is nowhere else.
    let hidden = dir.join("hidden");
    std::fs::create_dir(&hidden).map_err(text)?;
    let script = "cp /bin/bash $0/bash; exec $0/bash --norc -i";
    let args = ["helper", "without", &hidden.to_string_lossy(), "sh", "-c", script];
    let mut command = Command::new(this_program());
    command.args(args).arg(&hidden).stdin(Stdio::piped()).stderr(Stdio::null());
    let mut shell = command.spawn().map_err(text)?;
    running.wait_for("in use: uretprobe /proc/")?;
    // The line that it waits for meanwhile is missed: the probe is on the function's return, and
    // has to be there when it is entered.
    let mut input = shell.stdin.take().ok_or("no standard input")?;
    std::io::Write::write_all(&mut input, b": missed\n: hidden\n").map_err(text)?;
    drop(input);
    shell.wait().map_err(text)?;

    kill(running.pid(), Signal::SIGINT).map_err(text)?;
    let (_, stdout, _) = running.end().map_err(text)?;
    std::fs::remove_dir_all(&dir).map_err(text)?;
    check(stdout.contains(": upgraded") && stdout.contains(": hidden"), || stdout)
}

/// Scratch memory is filled with a pattern, as if it were left over from something secret; while
/// the reader is stopped, the records are read here, byte by byte: no byte of the pattern is in
/// them.
fn no_memory_leaks_through_records() -> Result<(), String> {
    const PATTERN: u8 = 0xa5;
    let running = Running::start(&["execsnoop", "-x", "--json", "--ancestry"])?;
    kill(running.pid(), Signal::SIGSTOP).map_err(text)?;
    let newest = |name: &str| {
        let ids = MapInfoIter::default().filter(|map| map.name.to_string_lossy() == name);
        let id = ids.map(|map| map.id).max().ok_or(format!("no map {name}"))?;
        MapHandle::from_map_id(id).map_err(text)
    };
    let (scratch, ring) = (newest("records")?, newest("events")?);
    let head = 8; // `users`, which says whose the slot is
    let mut value = vec![PATTERN; scratch.value_size() as usize];
    value[..head].fill(0);
    for slot in 0..scratch.max_entries() {
        scratch.update(&slot.to_ne_bytes(), &value, MapFlags::ANY).map_err(text)?;
    }
    for program in ["/bin/true", "/no/such"] {
        let _ = Command::new(program).args(["a", "bc", "def"]).status();
    }
    let (mut records, mut leaks) = (0, 0);
    let mut builder = RingBufferBuilder::new();
    let count = |bytes: &[u8]| {
        records += 1;
        leaks += bytes.iter().filter(|&&byte| byte == PATTERN).count();
        0
    };
    builder.add(&ring, count).map_err(text)?;
    builder.build().and_then(|ring| ring.consume()).map_err(text)?;
    drop(running);
    // The time and the cgroup's number may have that byte by chance, once or twice.
    check(records >= 2 && leaks <= 2 * records, || format!("{leaks} bytes in {records} records"))
}
