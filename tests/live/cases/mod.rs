//! The table of all cases: a file for each tool, and one for what all share.

use crate::case::{Case, Need};
use crate::run::Run;

mod all_tools;
mod clonesnoop;
mod dropsnoop;
mod execsnoop;
mod exitsnoop;
mod funclatency;
mod gethostlatency;
mod guard;
mod hello;
mod opensnoop;
mod profile;
mod querysnoop;
mod readline;
mod syscount;
mod tcfilter;
mod tcp_databases;
mod tcp_web;
mod tcprtt;
mod tcpsnoop;
mod unlinksnoop;
mod xdpfilter;

/// A new tool adds a line here, and one above.
pub(crate) const ALL: &[&[Case]] = &[
    execsnoop::CASES,
    all_tools::CASES,
    unlinksnoop::CASES,
    opensnoop::CASES,
    clonesnoop::CASES,
    exitsnoop::CASES,
    funclatency::CASES,
    gethostlatency::CASES,
    guard::CASES,
    hello::CASES,
    syscount::CASES,
    profile::CASES,
    tcfilter::CASES,
    dropsnoop::CASES,
    tcprtt::CASES,
    tcpsnoop::CASES,
    tcp_web::CASES,
    tcp_databases::CASES,
    xdpfilter::CASES,
    querysnoop::CASES,
    readline::CASES,
];

const GETPPIDS: &[&str] = &["$CALLS", "getppids", "1000"];

const BASH: Need = Need::Program("/bin/bash");

/// There are so many groups, and each has so many events.
fn each_has(run: &Run, groups: usize, events: u64) -> Result<(), String> {
    let lines = run.json()?;
    let rows = lines.iter().filter(|line| line["type"] == "interval").collect::<Vec<_>>();
    match rows.iter().find(|row| row["count"] != events) {
        Some(row) => Err(format!("not {events}: {row}")),
        None if rows.len() != groups => Err(format!("{} groups", rows.len())),
        None => Ok(()),
    }
}
