//! Attacks by signals, outputs that block, the end of the command.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::sys::termios::{FlowArg, tcflow};
use nix::unistd::{Pid, mkfifo, pipe};

use crate::behaviours::{Behaviour, check, text};
use crate::run::{Running, calls, ebtools, scratch_dir, this_program};
use crate::watched::Watched as _;

pub(crate) const CASES: &[(&str, Behaviour)] = &[
    ("blocked_output_ends_by_a_signal", blocked_output_ends_by_a_signal),
    ("stopped_terminal_ends_by_a_signal", stopped_terminal_ends_by_a_signal),
    ("second_signal_ends_it_at_once", second_signal_ends_it_at_once),
    ("blocked_messages_end_by_a_signal", blocked_messages_end_by_a_signal),
    ("signal_before_the_begin_ends_a_container", signal_before_the_begin_ends_a_container),
    ("time_zone_that_is_a_fifo", time_zone_that_is_a_fifo),
    ("messages_that_nobody_takes", messages_that_nobody_takes),
    ("exit_code_is_the_commands", exit_code_is_the_commands),
    ("time_ends_and_the_command_goes_on", time_ends_and_the_command_goes_on),
    ("time_ends_and_the_command_is_killed", time_ends_and_the_command_is_killed),
    ("signal_ends_the_command_too", signal_ends_the_command_too),
    ("command_has_no_blocked_signals", command_has_no_blocked_signals),
];

/// Events that nobody reads, and more than a pipe has room for.
const EVENTS: u64 = 3000;

/// Its end, which must come.
fn end_of(child: &mut Child) -> Result<ExitStatus, String> {
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        if let Some(status) = child.try_wait().map_err(text)? {
            return Ok(status);
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Err("it did not end".into());
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn signal(child: &Child, signal: Signal) -> Result<(), String> {
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(text)?);
    kill(pid, signal).map_err(text)
}

/// Traces opens that `make_events` makes.
fn tracer() -> Command {
    let mut command = Command::new(ebtools());
    command.args(["opensnoop", "--json", "-n", "name", "-u", &user(), "-d", "100"]);
    command
}

/// A user of this run alone: others may make the same events.
fn user() -> String {
    (1_000_000 + std::process::id()).to_string()
}

fn make_events(number: u64) -> Result<(), String> {
    let mut command = Command::new(this_program());
    let command = command.args(["helper", "as", &user(), calls(), "names", &number.to_string()]);
    check(command.status().map_err(text)?.success(), || "calls failed".into())
}

/// Delivered and lost, as the summary on standard error has them, and that nothing else was lost
/// than what could not be written.
fn accounts(said: &str) -> Result<(u64, u64), String> {
    let summary =
        said.lines().find_map(|line| line.strip_prefix("opensnoop: ")).unwrap_or_default();
    let numbers = summary.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
    let numbers = numbers.map(str::parse::<u64>).collect::<Result<Vec<_>, _>>().map_err(text)?;
    match numbers[..] {
        [delivered, 0] => Ok((delivered, 0)),
        [delivered, lost, failed] if failed == lost && summary.contains("(output failed ") => {
            Ok((delivered, lost))
        }
        _ => Err(format!("no such summary: {said}")),
    }
}

/// Whole lines are what was delivered, whatever was on its way when it gave up.
fn blocked_output_ends_by_a_signal() -> Result<(), String> {
    for first in [Signal::SIGINT, Signal::SIGTERM] {
        let mut running = Running::start_command(tracer().arg("-v"))?;
        make_events(EVENTS)?;
        signal(&running.child, first)?;
        let status = end_of(&mut running.child)?;
        let (_, stdout, said) = running.end().map_err(text)?;
        let (delivered, lost) = accounts(&said)?;
        // The first says what runs.
        let events = (stdout.matches('\n').count() as u64).saturating_sub(1);
        let good = status.code() == Some(1)
            && (delivered, delivered + lost) == (events, EVENTS)
            && lost > 0
            && said.contains("writing to standard output: nobody reads it");
        check(good, || format!("{status} {events} events: {said}"))?;
    }
    Ok(())
}

fn stopped_terminal_ends_by_a_signal() -> Result<(), String> {
    let terminal = openpty(None, None).map_err(text)?;
    tcflow(&terminal.slave, FlowArg::TCOOFF).map_err(text)?;
    let mut command = tracer();
    command.arg("-v");
    let child = command.stdin(Stdio::null()).stdout(terminal.slave).stderr(Stdio::piped());
    let mut child = child.spawn().map_err(text)?;
    let mut errors = child.stderr.take().ok_or("no standard error")?;
    drop(command);
    let mut said = Vec::new();
    while !said.ends_with(b": attached\n") {
        let mut byte = [0];
        errors.read_exact(&mut byte).map_err(text)?;
        said.push(byte[0]);
    }
    make_events(EVENTS)?;
    signal(&child, Signal::SIGINT)?;
    let status = end_of(&mut child)?;
    let mut said = String::new();
    errors.read_to_string(&mut said).map_err(text)?;
    let (delivered, lost) = accounts(&said)?;
    drop(terminal.master);
    check(status.code() == Some(1) && (delivered, lost) == (0, EVENTS), || {
        format!("{status} {said}")
    })
}

fn second_signal_ends_it_at_once() -> Result<(), String> {
    let mut running = Running::start_command(tracer().arg("-v"))?;
    make_events(EVENTS)?;
    // Whichever comes first, the other one ends it.
    signal(&running.child, Signal::SIGINT)?;
    signal(&running.child, Signal::SIGTERM)?;
    let status = end_of(&mut running.child)?;
    let by = status.signal();
    check([Signal::SIGINT, Signal::SIGTERM].iter().any(|s| by == Some(*s as i32)), || {
        format!("{status}")
    })
}

/// A pipe without room for another byte.
fn full_pipe() -> Result<(OwnedFd, OwnedFd), String> {
    let (reader, writer) = pipe().map_err(text)?;
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(text)?;
    let mut file = File::from(writer);
    for piece in [&[b'x'; 4096][..], b"x"] {
        while file.write(piece).is_ok() {}
    }
    fcntl(&file, FcntlArg::F_SETFL(OFlag::empty())).map_err(text)?;
    Ok((reader, file.into()))
}

/// Nobody reads what it says, not even the summary; events are there all the same.
fn blocked_messages_end_by_a_signal() -> Result<(), String> {
    let (reader, writer) = full_pipe()?;
    let mut command = tracer();
    command.stderr(writer);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(text)?;
    let mut stdout = child.stdout.take().ok_or("no standard output")?;
    let flags = FcntlArg::F_SETFL(OFlag::O_NONBLOCK);
    fcntl(stdout.as_fd(), flags).map_err(text)?;
    let deadline = Instant::now() + Duration::from_secs(15);
    let mut first = [0];
    while stdout.read(&mut first).is_err() {
        check(Instant::now() < deadline, || "no event came".into())?;
        make_events(1)?;
    }
    fcntl(stdout.as_fd(), FcntlArg::F_SETFL(OFlag::empty())).map_err(text)?;
    signal(&child, Signal::SIGTERM)?;
    let status = end_of(&mut child)?;
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).map_err(text)?;
    drop(reader);
    let has_summary = rest.lines().last().is_some_and(|line| line.contains(r#""lost":{}"#));
    check(status.code() == Some(0) && has_summary, || format!("{status} {rest}"))
}

/// The first process of a container is ended by no signal that it does not take, and it hangs
/// while it loads: nobody reads what it says.
fn signal_before_the_begin_ends_a_container() -> Result<(), String> {
    let (reader, writer) = pipe().map_err(text)?;
    fcntl(&reader, FcntlArg::F_SETPIPE_SZ(4096)).map_err(text)?;
    let mut command = Command::new(this_program());
    let args = ["helper", "in-pid-namespace", &ebtools(), "execsnoop", "-v", "-d", "100"];
    let child = command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer);
    let mut child = child.spawn().map_err(text)?;
    drop(command);
    let mut reader = File::from(reader);
    reader.read_exact(&mut [0]).map_err(text)?;
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let inner = fs::read_to_string(children).map_err(text)?;
    let inner = inner.trim().parse::<i32>().map_err(text)?;
    kill(Pid::from_raw(inner), Signal::SIGTERM).map_err(text)?;
    let ended = end_of(&mut child);
    // In its namespace nothing else would be left.
    let _ = kill(Pid::from_raw(inner), Signal::SIGKILL);
    let status = ended?;
    check(status.code() == Some(128 + 15), || format!("{status}"))
}

/// Who sets TZ may be somebody else than who runs it.
fn time_zone_that_is_a_fifo() -> Result<(), String> {
    let dir = scratch_dir("zone");
    let fifo = dir.join("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).map_err(text)?;
    let fifo = fifo.to_string_lossy().into_owned();
    for tz in [fifo.clone(), format!(":{fifo}"), format!("../../..{fifo}")] {
        let mut command = Command::new(ebtools());
        command.args(["execsnoop", "-T", "--", "true"]).env("TZ", &tz);
        let mut child = spawn(&mut command)?;
        let status = end_of(&mut child)?;
        let output = child.wait_with_output().map_err(text)?;
        let said = String::from_utf8_lossy(&output.stderr);
        let good = status.success()
            && said.contains("execsnoop: TZ names no time zone of this system")
            && String::from_utf8_lossy(&output.stdout).contains(" true");
        check(good, || format!("{tz}: {status} {said}"))?;
    }
    fs::remove_dir_all(dir).map_err(text)
}

fn spawn(command: &mut Command) -> Result<Child, String> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().map_err(text)
}

/// Standard error is full, closed, a pipe or a terminal that nobody has any more.
fn messages_that_nobody_takes() -> Result<(), String> {
    let full = OpenOptions::new().write(true).open("/dev/full").map_err(text)?;
    let (_, pipe) = pipe().map_err(text)?;
    let terminal = openpty(None, None).map_err(text)?;
    drop(terminal.master);
    let nowhere = [Some(OwnedFd::from(full)), Some(pipe), Some(terminal.slave), None];
    for nowhere in &nowhere {
        let run = |args: &[&str]| {
            let mut command = Command::new("sh");
            let script = if nowhere.is_some() { "exec \"$@\"" } else { "exec \"$@\" 2>&-" };
            command.args(["-c", script, "sh", &ebtools()]).args(args);
            if let Some(nowhere) = nowhere {
                command.stderr(nowhere.try_clone().map_err(text)?);
            }
            command.stdin(Stdio::null()).stdout(Stdio::piped());
            let mut child = command.spawn().map_err(text)?;
            let status = end_of(&mut child)?;
            let output = child.wait_with_output().map_err(text)?;
            Ok::<_, String>((status, String::from_utf8_lossy(&output.stdout).into_owned()))
        };
        let (status, stdout) = run(&["execsnoop", "-v", "--json", "--", "true"])?;
        let good = stdout.contains(r#""args":["true"]"#) && stdout.contains(r#""lost":{}"#);
        check(status.success() && good, || format!("{nowhere:?}: {status} {stdout}"))?;
        let (status, _) = run(&["execsnoop", "-p", "4194305"])?;
        check(status.code() == Some(1), || format!("{nowhere:?}: {status}"))?;
    }
    Ok(())
}

fn exit_code_is_the_commands() -> Result<(), String> {
    for (command, code) in [
        (&["sh", "-c", "exit 7"][..], 7),
        (&["sh", "-c", "kill -KILL $$"], 137),
        (&["/no/such\n/command"], 127),
        (&["/dev/null"], 126),
    ] {
        let mut tracer = Command::new(ebtools());
        let output = tracer.args(["execsnoop", "--"]).args(command).watched().map_err(text)?;
        let said = String::from_utf8_lossy(&output.stderr);
        let is_one_line = code < 126 || said.lines().count() == 1;
        check(output.status.code() == Some(code) && is_one_line, || {
            format!("{command:?}: {} {said}", output.status)
        })?;
    }
    // What ebtools itself fails in comes first.
    let full = OpenOptions::new().write(true).open("/dev/full").map_err(text)?;
    let mut tracer = Command::new(ebtools());
    tracer.args(["execsnoop", "--", "sh", "-c", "exit 7"]).stdout(full).stderr(Stdio::null());
    let status = tracer.status().map_err(text)?;
    check(status.code() == Some(1), || format!("/dev/full: {status}"))
}

/// A tracer of a shell that waits for a line, and then writes a file.
fn tracer_of_a_shell(args: &[&str], file: &str) -> Result<Child, String> {
    let script = r#"trap 'echo ended >"$0"; exit' TERM; read line; echo "$line" >"$0""#;
    let mut command = Command::new(ebtools());
    command.arg("execsnoop").args(args).args(["--", "sh", "-c", script, file]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map_err(text)
}

/// What a file has, once it has something.
fn text_of(file: &str) -> Result<String, String> {
    let deadline = Instant::now() + Duration::from_secs(15);
    while Instant::now() < deadline {
        match fs::read_to_string(file) {
            Ok(text) if text.ends_with('\n') => return Ok(text),
            _ => thread::sleep(Duration::from_millis(10)),
        }
    }
    Err(format!("{file} was not written"))
}

fn time_ends_and_the_command_goes_on() -> Result<(), String> {
    let dir = scratch_dir("goes-on");
    let file = dir.join("file").to_string_lossy().into_owned();
    let mut child = tracer_of_a_shell(&["-d", "0.3"], &file)?;
    // It would be closed by waiting.
    let mut input = child.stdin.take().ok_or("no standard input")?;
    let status = end_of(&mut child)?;
    input.write_all(b"went on\n").map_err(text)?;
    let wrote = text_of(&file)?;
    fs::remove_dir_all(dir).map_err(text)?;
    check(status.code() == Some(0) && wrote == "went on\n", || format!("{status} {wrote}"))
}

fn time_ends_and_the_command_is_killed() -> Result<(), String> {
    let mut command = Command::new(ebtools());
    command.args(["execsnoop", "-d", "0.3", "--kill", "--", "sh", "-c", "read line"]);
    // The pipe's end is the shell's.
    let (mut reader, writer) = pipe().map(|(r, w)| (File::from(r), w)).map_err(text)?;
    let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(writer).spawn();
    let mut child = child.map_err(text)?;
    drop(command);
    let input = child.stdin.take();
    let status = end_of(&mut child)?;
    reader.read_to_end(&mut Vec::new()).map_err(text)?;
    drop(input);
    check(status.code() == Some(128 + 15), || format!("{status}"))
}

fn signal_ends_the_command_too() -> Result<(), String> {
    let dir = scratch_dir("ends-too");
    let file = dir.join("file").to_string_lossy().into_owned();
    let script = r#"trap 'echo ended >"$0"; exit' TERM; echo ready; while :; do :; done"#;
    let mut command = Command::new(ebtools());
    command.args(["execsnoop", "-d", "100", "--kill", "--", "sh", "-c", script, &file]);
    let mut child = spawn(&mut command)?;
    let mut errors = child.stderr.take().ok_or("no standard error")?;
    let mut said = [0; 6];
    errors.read_exact(&mut said).map_err(text)?;
    signal(&child, Signal::SIGINT)?;
    let status = end_of(&mut child)?;
    let wrote = text_of(&file)?;
    fs::remove_dir_all(dir).map_err(text)?;
    let good = status.code() == Some(128 + 2) && wrote == "ended\n" && said == *b"ready\n";
    check(good, || format!("{status} {wrote}"))
}

/// ebtools takes its signals by a thread and blocks them; the command has nothing of that.
fn command_has_no_blocked_signals() -> Result<(), String> {
    let script = r#"while read -r key mask; do [ "$key" != SigBlk: ] || echo "$mask"; done </proc/self/status"#;
    let mut command = Command::new(ebtools());
    let output = command.args(["execsnoop", "--", "sh", "-c", script]).watched().map_err(text)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    check(said.starts_with("0000000000000000\n"), || said)
}
