//! produced = delivered + lost, exactly, under loads that lose and loads that must not.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::tracer::{Printed, Result, Running, Tracer};
use crate::{ebtools, start_load};

const PRODUCERS: u64 = 2;

/// A load, how ebtools sees it, and what must be true then.
struct Check {
    name: &'static str,
    load: &'static str,
    /// How often each producer does it, and how many events that is.
    count: u64,
    events: u64,
    /// Arguments; by -n only the loads' own events are let through.
    args: &'static [&'static str],
    /// Is the reader stopped for a second while events come?
    stopped: bool,
    /// Must events be lost, or none?
    loses: bool,
}

const CHECKS: &[Check] = &[
    Check {
        // However slow the machine is: the ring has room for all.
        name: "opens flat out lose nothing that there is room for",
        load: "opens",
        count: 300_000,
        events: 1,
        args: &[
            "opensnoop",
            "-n",
            "ebtools-load",
            "--json",
            "--fields",
            "path",
            "--buffer",
            "128M",
        ],
        stopped: false,
        loses: false,
    },
    Check {
        name: "execs flat out lose nothing",
        load: "execs",
        count: 500,
        events: 1,
        args: &["execsnoop", "-n", "true", "--json"],
        stopped: false,
        loses: false,
    },
    Check {
        name: "connections flat out lose nothing that there is room for",
        load: "connections",
        count: 25_000,
        // A connect, an accept, and the ends of both.
        events: 4,
        args: &["tcpsnoop", "-n", "ebtools-load", "--json", "--buffer", "128M"],
        stopped: false,
        loses: false,
    },
    Check {
        name: "connections account for what a small ring loses",
        load: "connections",
        count: 25_000,
        events: 4,
        args: &["tcpsnoop", "-n", "ebtools-load", "--json", "--buffer", "4K"],
        stopped: false,
        loses: true,
    },
    Check {
        name: "packets dropped flat out are all shown",
        load: "drops",
        count: 50_000,
        events: 1,
        args: &["dropsnoop", "--only", "port:59009", "--json", "--buffer", "128M"],
        stopped: false,
        loses: false,
    },
    Check {
        name: "a small ring accounts for what it loses",
        load: "opens",
        count: 300_000,
        events: 1,
        args: &["opensnoop", "-n", "ebtools-load", "--json", "--buffer", "4K"],
        stopped: false,
        loses: true,
    },
    Check {
        name: "a stopped reader accounts for what it loses",
        load: "opens",
        count: 300_000,
        events: 1,
        args: &["opensnoop", "-n", "ebtools-load", "--json", "--buffer", "256K"],
        stopped: true,
        loses: true,
    },
];

pub(crate) fn check(dir: &Path) -> Result<()> {
    let mut failed = 0;
    for check in CHECKS {
        let outcome = run(check, dir);
        match &outcome {
            Ok(said) => println!("{}: ok: {said}", check.name),
            Err(why) => println!("{}: FAILED: {why}", check.name),
        }
        failed += usize::from(outcome.is_err());
    }
    println!("bench: {} passed, {failed} failed, 0 skipped", CHECKS.len() - failed);
    if failed == 0 { Ok(()) } else { Err("accounts are wrong".into()) }
}

fn run(check: &Check, dir: &Path) -> Result<String> {
    let args = [&[ebtools()], check.args].concat();
    let tracer = Tracer::new("ebtools", &args).ok_or("ebtools is not built")?;
    let running = Running::start(&tracer, dir)?;
    running.wait_until_ready()?;
    let count = check.count.to_string();
    let loads = (0..PRODUCERS).map(|_| start_load(check.load, &count, dir));
    let loads = loads.collect::<Result<Vec<_>>>()?;
    if check.stopped {
        running.signal(Signal::SIGSTOP)?;
        sleep(Duration::from_secs(1));
        running.signal(Signal::SIGCONT)?;
    }
    for load in loads {
        load.wait_with_output()?;
    }
    running.wait_until_quiet();
    judge(check, &running.end()?)
}

fn judge(check: &Check, printed: &Printed) -> Result<String> {
    let accounts = printed.accounts()?;
    let summary = accounts.last().ok_or("there is no summary")?;
    let number = |key: &str| summary[key].as_u64().unwrap_or(0);
    let lost_for = &summary["lost"];
    let lost = lost_for.as_object().ok_or("there is no lost")?;
    let lost = lost.values().filter_map(serde_json::Value::as_u64).sum::<u64>();
    let told = accounts.iter().filter(|line| line["type"] == "lost");
    let told = told.filter_map(|line| line["count"].as_u64()).sum::<u64>();
    let (produced, delivered) = (number("produced"), number("delivered"));
    let done = check.count * check.events * PRODUCERS;
    let said = format!("{done} done, {produced} produced, {delivered} delivered, {lost} lost");
    // A program that the kernel skips might have shown any of the events of what was done, or none.
    let skipped = lost_for["recursion"].as_u64().unwrap_or(0);
    let exact = produced.abs_diff(done) <= skipped * check.events
        && delivered + lost == produced
        && told == lost;
    let shown = printed.events(check.load)?;
    if exact && (lost > skipped) == check.loses && shown == delivered {
        Ok(said)
    } else {
        Err(format!("{said}: {lost_for}, {told} told of, {shown} shown").into())
    }
}
