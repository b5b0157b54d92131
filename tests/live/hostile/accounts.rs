//! Attacks by everything that could make a number leave the accounts, and outputs that fail.

use serde_json::Value;

use crate::behaviours::{Behaviour, check};
use crate::run::{Run, scratch_dir};

pub(crate) const CASES: &[(&str, Behaviour)] = &[
    ("counts_of_many_names_are_all_shown", counts_of_many_names_are_all_shown),
    ("names_beyond_the_table_are_counted", names_beyond_the_table_are_counted),
    ("packets_of_many_sources_are_all_shown", packets_of_many_sources_are_all_shown),
    ("packets_beyond_the_table_are_counted", packets_beyond_the_table_are_counted),
];

/// The most keys that a table has.
const KEYS_MAX: u64 = 16384;

/// More than the 4096 keys of a batch.
const KEYS: u64 = 5000;

/// More than the table holds.
const TOO_MANY: u64 = KEYS_MAX + 600;

/// More than a batch of keys, in one interval and in several.
fn counts_of_many_names_are_all_shown() -> Result<(), String> {
    for interval in ["90", "0.02"] {
        let args = ["opensnoop", "--count=comm", "-i", interval, "--json"];
        let run = run(&[], &args, &["$CALLS", "names", &KEYS.to_string()]);
        let rows = counts(&run, |row| is_text(row, "comm", "name"))?;
        let good = rows.len() as u64 == KEYS && rows.iter().all(|count| *count == 1);
        check(good && lost(&run)?.is_empty(), || wrong(&rows, &run))?;
    }
    Ok(())
}

fn names_beyond_the_table_are_counted() -> Result<(), String> {
    let args = ["opensnoop", "--count=comm", "-i", "90", "--json"];
    let run = run(&[], &args, &["$CALLS", "names", &TOO_MANY.to_string()]);
    let names = counts(&run, |row| is_text(row, "comm", "name"))?;
    let all = counts(&run, |_| true)?;
    let beyond = TOO_MANY - names.len() as u64;
    let good = all.len() as u64 == KEYS_MAX && lost(&run)? == [("map_full".into(), beyond)];
    check(good, || wrong(&names, &run))
}

fn packets_of_many_sources_are_all_shown() -> Result<(), String> {
    let args = ["xdpfilter", "lo", "--by", "src", "-i", "90", "--json"];
    let run = run(IN_NETWORK, &args, &["$CALLS", "sources", "lo", &KEYS.to_string()]);
    let rows = counts(&run, |row| row["protocol"] == "udp")?;
    let good = rows.len() as u64 == KEYS && rows.iter().all(|count| *count == 1);
    check(good && lost(&run)?.is_empty(), || wrong(&rows, &run))
}

fn packets_beyond_the_table_are_counted() -> Result<(), String> {
    let args = ["xdpfilter", "lo", "--by", "src", "-i", "90", "--json"];
    let run = run(IN_NETWORK, &args, &["$CALLS", "sources", "lo", &TOO_MANY.to_string()]);
    let rows = counts(&run, |_| true)?;
    let beyond = TOO_MANY - KEYS_MAX;
    let good = rows.len() as u64 == KEYS_MAX && lost(&run)? == [("map_full".into(), beyond)];
    check(good, || wrong(&rows, &run))
}

const IN_NETWORK: &[&str] = &["$SELF", "helper", "in-network"];

fn run(within: &[&str], args: &[&str], command: &[&str]) -> Run {
    let dir = scratch_dir("accounts");
    let run = Run::of(Vec::new(), within, args, command, "", &dir);
    let _ = std::fs::remove_dir_all(dir);
    run
}

fn is_text(row: &Value, key: &str, start: &str) -> bool {
    row[key].as_str().is_some_and(|text| text.starts_with(start))
}

/// The counts of rows.
fn counts(run: &Run, wanted: impl Fn(&Value) -> bool) -> Result<Vec<u64>, String> {
    let lines = run.json()?;
    let rows = lines.iter().filter(|line| line["type"] == "interval" && wanted(line));
    Ok(rows.filter_map(|row| row["count"].as_u64()).collect())
}

/// What was lost, by reason.
fn lost(run: &Run) -> Result<Vec<(String, u64)>, String> {
    let lines = run.json()?;
    let lost = lines.last().and_then(|summary| summary["lost"].as_object());
    let lost = lost.into_iter().flatten();
    Ok(lost.map(|(reason, count)| (reason.clone(), count.as_u64().unwrap_or(0))).collect())
}

fn wrong(rows: &[u64], run: &Run) -> String {
    let summary = run.stdout.lines().last().unwrap_or_default();
    let sum = rows.iter().sum::<u64>();
    format!("{} rows, {sum} events: {summary}\n{}", rows.len(), run.stderr)
}
