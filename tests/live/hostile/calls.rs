//! Attacks on what is measured: functions that the kernel knows and its types do not, callers that
//! block, values that a histogram would get wrong.

use std::process::{Command, Stdio};

use crate::behaviours::{Behaviour, check, text};
use crate::case::Need;
use crate::run::{calls, ebtools};

pub(crate) const CASES: &[(&str, Behaviour)] = &[
    ("calls_of_a_function_without_a_type", function_without_a_type),
    ("calls_percentiles_are_within_5_percent", percentiles_are_within_5_percent),
];

fn needs(needs: &[Need]) -> Result<(), String> {
    let missing = needs.iter().find_map(|need| need.missing());
    missing.map_or(Ok(()), |why| Err(format!("skipped: {why}")))
}

/// The kernel has the function, and can trace it, but its types have none of that name: the next
/// way is taken.
fn function_without_a_type() -> Result<(), String> {
    needs(&[Need::Kprobes, Need::Fexit, Need::Tracefs])?;
    let list = "/sys/kernel/tracing/available_filter_functions";
    let list = std::fs::read_to_string(list).map_err(|why| format!("skipped: {list}: {why}"))?;
    let is_part = |name: &&str| name.ends_with(".isra.0") || name.ends_with(".constprop.0");
    let function = list.lines().find(is_part).ok_or("skipped: this kernel has no such function")?;
    let output = Command::new(ebtools())
        .args(["funclatency", function, "-v", "--", "true"])
        .stdin(Stdio::null())
        .output()
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
            .output()
            .map_err(text)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = said.lines().next().and_then(|line| serde_json::from_str(line).ok());
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
