//! Attacks on what is measured: functions that the kernel knows and its types do not, callers that
//! block, values that a histogram would get wrong.

use std::process::{Command, Stdio};

use crate::behaviours::{Behaviour, check, text};
use crate::case::Need;
use crate::run::ebtools;

pub(crate) const CASES: &[(&str, Behaviour)] =
    &[("calls_of_a_function_without_a_type", function_without_a_type)];

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
