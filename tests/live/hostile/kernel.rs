//! Attacks by names, places and calls that are made to mislead those who look at paths; and every
//! way to see opens and deletes, on whatever kernel this is.

use std::process::{Command, Stdio};

use crate::behaviours::{Behaviour, check, text};
use crate::case::Need;
use crate::run::ebtools;
use crate::watched::Watched as _;

pub(crate) const CASES: &[(&str, Behaviour)] = &[
    ("open_by_every_way_with_plain_options", open_by_every_way_with_plain_options),
    ("unlink_by_every_way_with_plain_options", unlink_by_every_way_with_plain_options),
];

/// Ways by their names, and what each needs.
type Ways<'a> = &'a [(&'a str, Option<Need>)];

/// What is loaded differs with the options, and the verifiers of old kernels are the strictest.
fn every_way(tool: &str, ways: Ways<'_>, options: &[&[&str]]) -> Result<(), String> {
    for (way, need) in ways {
        if need.is_some_and(|need| need.missing().is_some()) {
            continue;
        }
        for options in options {
            let mut command = Command::new(ebtools());
            command.args([tool, "--hook", way]).args(*options).args(["--", "true"]);
            let output = command.stdin(Stdio::null()).watched().map_err(text)?;
            check(output.status.success(), || {
                let said = String::from_utf8_lossy(&output.stderr);
                format!("{tool} --hook {way} {options:?}: {said}")
            })?;
        }
    }
    Ok(())
}

const MULTI: (&str, Option<Need>) = ("kprobe-multi", Some(Need::KprobeMulti));

fn open_by_every_way_with_plain_options() -> Result<(), String> {
    every_way(
        "opensnoop",
        &[("fexit", Some(Need::Fexit)), MULTI, ("sys-exit", None)],
        &[&[], &["-x", "-e"], &["--json"], &["-F", "--path", "/a/*"]],
    )
}

fn unlink_by_every_way_with_plain_options() -> Result<(), String> {
    let ways =
        [("fexit", Some(Need::Fexit)), MULTI, ("kprobe", Some(Need::Kprobes)), ("sys-exit", None)];
    every_way("unlinksnoop", &ways, &[&[], &["-x"], &["--renames"], &["--json", "--path", "/a/*"]])
}
