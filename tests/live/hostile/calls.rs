//! Attacks on what is measured: functions that the kernel knows and its types do not, callers that
//! block, values that a histogram would get wrong.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::behaviours::{Behaviour, check, text};
use crate::case::{Need, has_function, is_before};
use crate::run::{Running, calls, ebtools};
use crate::watched::Watched as _;

pub(crate) const CASES: &[(&str, Behaviour)] = &[
    ("calls_of_a_function_without_a_type", function_without_a_type),
    ("calls_percentiles_are_within_5_percent", percentiles_are_within_5_percent),
    ("calls_of_many_threads", calls_of_many_threads),
    ("calls_go_on_at_the_end", calls_go_on_at_the_end),
    ("calls_that_block_by_fexit", || calls_that_block("fexit", Need::Fexit)),
    ("calls_that_block_by_kprobe_multi", || calls_that_block("kprobe-multi", Need::KprobeMulti)),
    ("calls_that_block_by_kprobe", || calls_that_block("kprobe", Need::Kprobes)),
    ("calls_within_others_by_fexit", || calls_within_others("fexit", Need::Fexit)),
    ("calls_within_others_by_kprobe_multi", || {
        calls_within_others("kprobe-multi", Need::KprobeMulti)
    }),
    ("calls_within_others_by_kprobe", || calls_within_others("kprobe", Need::Kprobes)),
];

fn needs(needs: &[Need]) -> Result<(), String> {
    let missing = needs.iter().find_map(|need| need.missing());
    missing.map_or(Ok(()), |why| Err(format!("skipped: {why}")))
}

/// The kernel has the function, and can trace it, but its types have none of that name: the next
/// way is taken.
fn function_without_a_type() -> Result<(), String> {
    needs(&[Need::Kprobes, Need::Fexit, Need::Tracefs])?;
    check(is_before(6, 14), || "skipped: fexit is not the first way here".into())?;
    let list = "/sys/kernel/tracing/available_filter_functions";
    let list = std::fs::read_to_string(list).map_err(|why| format!("skipped: {list}: {why}"))?;
    let is_part = |name: &&str| name.ends_with(".isra.0") || name.ends_with(".constprop.0");
    let function = list.lines().find(is_part).ok_or("skipped: this kernel has no such function")?;
    let output = Command::new(ebtools())
        .args(["funclatency", function, "-v", "--", "true"])
        .stdin(Stdio::null())
        .watched()
        .map_err(text)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let good = output.status.code() == Some(0)
        && said.contains("hook refused: fentry and fexit: f")
        && said.contains(&format!(" {function}: No such process"))
        && said.contains("hook in use: k");
    check(good, || format!("{}: {said}", output.status))
}

/// What is measured is what a function returns, so that each percentile is known: one that lies just
/// before, just after and within a heap of values, and at both ends of a slot.
fn percentiles_are_within_5_percent() -> Result<(), String> {
    // Values with how often each is returned, in order; P50, P90 and P99.
    for (values, expected) in [
        ("100000 3959 20500000 41", [100_000, 100_000, 20_500_000]),
        ("100000 3960 20500000 40", [100_000, 100_000, 100_000]),
        ("20500000 99 33554431 1", [20_500_000, 20_500_000, 20_500_000]),
        ("1 50 2 40 3 9 4 1", [1, 2, 3]),
        ("4294967296 1 4294967297 1 9223372036854775807 8", [i64::MAX as u64; 3]),
        ("0 3", [0; 3]),
    ] {
        let spec = format!("{}:echo", calls());
        let output = Command::new(ebtools())
            .args(["funclatency", &spec, "--ret", "--json", "--", calls(), "echo"])
            .args(values.split(' '))
            .stdin(Stdio::null())
            .watched()
            .map_err(text)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = said.lines().nth(1).and_then(|line| serde_json::from_str(line).ok());
        let line: serde_json::Value = line.ok_or(format!("{output:?}"))?;
        for (key, truth) in ["p50", "p90", "p99"].iter().zip(expected) {
            let found = line[key].as_u64().ok_or(format!("no {key}: {said}"))?;
            check(found.abs_diff(truth) <= truth / 20, || {
                format!("{values}: {key} is {truth}, not {found}")
            })?;
        }
    }
    Ok(())
}

/// The accounts in the last line.
fn accounts(stdout: &str) -> Result<(u64, u64, Value), String> {
    let line = stdout.lines().last().unwrap_or_default();
    let summary = serde_json::from_str::<Value>(line).map_err(|why| format!("{why}: {stdout}"))?;
    let number = |key: &str| summary[key].as_u64().ok_or(format!("no {key}: {stdout}"));
    let (produced, delivered) = (number("produced")?, number("delivered")?);
    let lost = summary["lost"].as_object().ok_or("no lost")?;
    let sum = lost.values().filter_map(Value::as_u64).sum::<u64>();
    check(produced == delivered + sum, || format!("{produced} is not the sum: {stdout}"))?;
    Ok((produced, delivered, summary["lost"].clone()))
}

/// Kernels that preempt programs skip them meanwhile: others than kprobe.multi's.
fn skipped(lost: &Value) -> u64 {
    lost["recursion"].as_u64().unwrap_or(0)
}

/// Others' calls are among what is skipped.
fn is_exactly(calls: u64, produced: u64, lost: &Value) -> bool {
    (produced - skipped(lost)..=produced).contains(&calls)
}

/// fexit misses nothing, where the kernel does not preempt it.
fn are_all(hook: &str, delivered: u64, calls: u64) -> bool {
    hook != "fexit" || !is_before(6, 14) || delivered == calls
}

/// Measures `function` by `hook` in a program that makes calls that block, and others, until it
/// ends.
fn measure(hook: &str, function: &str, waiters: &[&str]) -> Result<(u64, u64, Value), String> {
    let output = Command::new(ebtools())
        .args(["funclatency", function, "--hook", hook, "--json", "-d", "100"])
        .args(["--", calls(), "waiters"])
        .args(waiters)
        .stdin(Stdio::null())
        .watched()
        .map_err(text)?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    check(output.status.code() == Some(0), || format!("{output:?}"))?;
    accounts(&said)
}

/// Calls that block use up what the kernel keeps of pending returns: what it does not report then is
/// counted, and what has not returned at the end.
fn calls_that_block(hook: &str, need: Need) -> Result<(), String> {
    const POLL: &str = "__x64_sys_poll";
    needs(&[need])?;
    check(has_function(POLL), || format!("skipped: this kernel has no {POLL}"))?;
    let (produced, delivered, lost) = measure(hook, POLL, &["poll", "40", "1000", "end"])?;
    let exact = is_exactly(1040, produced, &lost) && are_all(hook, delivered, 1040);
    check(exact, || format!("ended: {produced} {delivered} {lost}"))?;

    let running = Running::start(&["funclatency", POLL, "--hook", hook, "--json", "-n", "calls"])?;
    let mut waiters = Command::new(calls())
        .args(["waiters", "poll", "100", "1000", "stay"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(text)?;
    let mut line = String::new();
    let stdout = waiters.stdout.take().ok_or("no standard output")?;
    BufReader::new(stdout).read_line(&mut line).map_err(text)?;
    kill(running.pid(), Signal::SIGINT).map_err(text)?;
    let ended = running.end().map_err(text);
    waiters.kill().and_then(|()| waiters.wait()).map_err(text)?;
    let (produced, delivered, lost) = accounts(&ended?.1)?;
    let unfinished = lost["unfinished"].as_u64().unwrap_or(0);
    let exact = line == "ready\n"
        && is_exactly(1100, produced, &lost)
        && unfinished + skipped(&lost) >= 100
        && are_all(hook, delivered, 1000);
    check(exact, || format!("stayed: {produced} {delivered} {lost}"))
}

/// How many of the functions one call is, seen once without a loss: a kernel that preempts programs
/// may skip one in any call, but not in all of them.
fn calls_of_one(hook: &str, functions: &str) -> Result<u64, String> {
    const TRIES: usize = 10;
    for _ in 0..TRIES {
        let (each, _, lost) = measure(hook, functions, &["poll", "0", "1", "end"])?;
        if skipped(&lost) == 0 {
            check(each >= 2 && lost == serde_json::json!({}), || format!("one: {each} {lost}"))?;
            return Ok(each);
        }
        let may_skip = hook == "fexit" && !is_before(6, 14);
        check(may_skip, || format!("one call: {each} {lost}"))?;
    }
    Err(format!("one call is skipped {TRIES} times"))
}

/// Of a function and the one that it calls, the kernel has no pending returns of the inner one: the
/// outer one's return is not taken for the inner's.
fn calls_within_others(hook: &str, need: Need) -> Result<(), String> {
    const BOTH: &str = "*[o4]_sys_poll";
    needs(&[need])?;
    for function in ["__x64_sys_poll", "do_sys_poll", "__x64_sys_ppoll"] {
        check(has_function(function), || format!("skipped: this kernel has no {function}"))?;
    }
    let each = calls_of_one(hook, BOTH)?;
    let (produced, delivered, lost) = measure(hook, BOTH, &["ppoll", "40", "200", "end"])?;
    let outer = hook == "kprobe-multi" || delivered >= 200;
    let exact =
        is_exactly(200 * each + 40, produced, &lost) && outer && are_all(hook, delivered, produced);
    check(exact, || format!("{each} each: {produced} {delivered} {lost}"))
}

/// More threads than the table has room for: those that are in no call leave it to others.
fn calls_of_many_threads() -> Result<(), String> {
    let cpus = std::thread::available_parallelism().map_err(text)?;
    check(cpus.get() > 1, || "skipped: one CPU takes too long to make them".into())?;
    let output = Command::new(ebtools())
        .args(["funclatency", &format!("{}:echo", calls()), "--json", "-d", "100"])
        .args(["--", calls(), "threads", "8600"])
        .stdin(Stdio::null())
        .watched()
        .map_err(text)?;
    if output.status.code() == Some(77) {
        return Err("skipped: so many threads cannot be made".into());
    }
    let (produced, delivered, lost) = accounts(&String::from_utf8_lossy(&output.stdout))?;
    check(delivered == 8600, || format!("{produced} {delivered} {lost}"))
}

/// Calls that begin while it ends are not taken for lost: there is one thread, so at most one call
/// has not returned.
fn calls_go_on_at_the_end() -> Result<(), String> {
    let mut busy = Command::new(calls())
        .args(["echo", "1", "1000000000000"])
        .stdin(Stdio::null())
        .spawn()
        .map_err(text)?;
    let output = Command::new(ebtools())
        .args(["funclatency", &format!("{}:echo", calls()), "--json", "-d", "0.5"])
        .stdin(Stdio::null())
        .watched();
    busy.kill().and_then(|()| busy.wait()).map_err(text)?;
    let said = String::from_utf8_lossy(&output.map_err(text)?.stdout).into_owned();
    let (produced, delivered, lost) = accounts(&said)?;
    check(delivered > 0 && produced - delivered <= 1, || format!("{produced} {delivered} {lost}"))
}
