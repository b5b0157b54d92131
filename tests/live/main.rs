//! Live tests: real events from the kernel that this runs on.
//!
//! `cases/` is a table of tools, arguments and workloads, and what must be seen;
//! `behaviours.rs` has what a table cannot say: signals, pipes, missing rights; `hostile/` has
//! attackers: other users, other mount namespaces, files and names made to do harm. The same program
//! runs on this machine and in the virtual machines of `tests/kernels`. A case that a kernel
//! cannot run is skipped with its reason. Words on the command line choose cases by name, and
//! `--share=2/4` the second quarter of them.
//!
//! A machine that is emulated, or busy, may fail a case once: what fails is run again, and if it
//! then passes both are said. More than a few such cases are a failure.

#![allow(clippy::expect_used)] // A test that cannot go on ends.

mod behaviours;
mod case;
mod cases;
mod helper;
mod hostile;
mod made;
mod owners;
mod packets;
mod readers;
mod run;
mod servers;
mod serving;
mod terminal;
mod times;
mod validator;
mod watched;

use std::process::ExitCode;
use std::time::Instant;

use case::{Case, Need, Outcome};
use nix::sys::signal::{SigHandler, Signal, signal};

enum Check {
    Case(&'static Case),
    Behaviour(behaviours::Behaviour),
    Left,
}

impl Check {
    fn outcome(&self) -> Outcome {
        let outcome = match self {
            Check::Case(case) => case.check(),
            Check::Behaviour(run) => run().into(),
            Check::Left => Outcome::Skipped("the kernels of x86-64 share it".into()),
        };
        match (outcome, watched::wrong().first()) {
            (Outcome::Passed, Some(wrong)) => Outcome::Failed(wrong.clone()),
            (outcome, _) => outcome,
        }
    }
}

/// What is different on each kernel.
const EVERYWHERE: &[&str] = &[
    "doctor_agrees_with_what_is_found",
    "guard_says_that_it_is_not_asked",
    "modules_of_the_matrix_load",
    "tcfilter_says_what_it_needs",
];

/// What no processor makes different, and takes long to emulate: two architectures that share the cases need
/// not both run it. Here are no cases of one kernel's ways, of files as compilers make them, or of seccomp.
const BY_NO_PROCESSOR: &[&str] = &[
    "blocked_messages_end_by_a_signal",
    "blocked_output_ends_by_a_signal",
    "calls_percentiles_are_within_5_percent",
    "counts_of_many_names_are_all_shown",
    "files_that_are_too_many_are_told_of",
    "limit_on_files_is_said",
    "lookups_while_many_wait",
    "messages_that_nobody_takes",
    "names_beyond_the_table_are_counted",
    "packets_beyond_the_table_are_counted",
    "packets_of_many_sources_are_all_shown",
    "pipes_have_no_status_and_no_colours",
    "reports_are_drawn_again",
    "serve_keeps_profiles_of_each_interval",
    "serve_limits_events",
    "serve_reads_its_configuration_again",
    "serve_rotates_and_opens_anew",
    "serve_starts_tools_later",
    "silent_tools_say_that_they_run",
    "stopped_terminal_ends_by_a_signal",
    "terminal_is_given_back",
];

/// So many cases may fail once.
const UNSTEADY_MAX: usize = 2;

/// A part of the cases, from 1.
struct Share {
    number: usize,
    of: usize,
}

impl Share {
    fn of(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(number, of)| {
            Some(Self { number: number.parse().ok()?, of: of.parse().ok()? })
        });
        let share = numbers.filter(|share| (1..=share.of).contains(&share.number));
        share.ok_or_else(|| format!("--share={text}: a share is one like 2/4"))
    }

    /// Some are everybody's. Cases with a server are one share's: its data take longer to make than many cases run.
    fn has(&self, index: usize, name: &str, check: &Check) -> bool {
        if EVERYWHERE.contains(&name) {
            return true;
        }
        let index = match check {
            Check::Case(case) if case.needs.contains(&Need::Mariadb) => 1,
            Check::Case(case) if case.needs.contains(&Need::Postgresql) => 2,
            _ => index,
        };
        index % self.of == self.number - 1
    }

    fn leaves(&self, name: &str) -> bool {
        self.of > 1 && cfg!(target_arch = "aarch64") && BY_NO_PROCESSOR.contains(&name)
    }
}

/// Under nohup, and in the background of a script, signals are ignored, and what is started would
/// ignore them too.
#[allow(unsafe_code)]
fn default_signals() {
    for ignored in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT] {
        // SAFETY: No handler of this program is replaced.
        unsafe { signal(ignored, SigHandler::SigDfl) }.expect("these signals have a default");
    }
}

fn cases() -> impl Iterator<Item = &'static Case> {
    cases::ALL.iter().copied().flatten()
}

fn behaviours() -> impl Iterator<Item = &'static (&'static str, behaviours::Behaviour)> {
    [
        behaviours::BEHAVIOURS,
        owners::BEHAVIOURS,
        packets::BEHAVIOURS,
        serving::BEHAVIOURS,
        terminal::BEHAVIOURS,
    ]
    .into_iter()
    .chain(hostile::ALL.iter().copied())
    .flatten()
}

fn main() -> ExitCode {
    let args = std::env::args().skip(1).collect::<Vec<_>>();
    if let Some(("helper", rest)) = args.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return helper::main(rest);
    }
    let share = args.iter().find_map(|arg| arg.strip_prefix("--share=")).map(Share::of);
    let share = match share.transpose() {
        Ok(share) => share.unwrap_or(Share { number: 1, of: 1 }),
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    let wanted = args.iter().filter(|arg| !arg.starts_with('-')).collect::<Vec<_>>();
    let chosen = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(*word));
    if !nix::unistd::geteuid().is_root() {
        let skipped = cases().count() + behaviours().count();
        println!("skipped: all live cases need root");
        println!("live: 0 passed, 0 failed, {skipped} skipped");
        return ExitCode::SUCCESS;
    }
    default_signals();
    helper::mount_tracefs();

    let cases = cases().map(|case| (case.name, Check::Case(case)));
    let behaviours = behaviours().map(|(name, run)| (*name, Check::Behaviour(*run)));
    let chosen = cases.chain(behaviours).filter(|(name, _)| chosen(name));
    let shared = chosen.enumerate().filter(|(index, (name, check))| share.has(*index, name, check));
    let left = |name| share.leaves(name).then_some(Check::Left);
    run_all(shared.map(|(_, (name, check))| (name, left(name).unwrap_or(check))))
}

/// One after the other; says what came of each, and of all.
fn run_all(checks: impl Iterator<Item = (&'static str, Check)>) -> ExitCode {
    let (mut passed, mut failed, mut skipped, mut unsteady) = (0, 0, 0, 0);
    let mut times = Vec::new();
    for (name, check) in checks {
        let began = Instant::now();
        let mut outcome = check.outcome();
        if matches!(outcome, Outcome::Failed(_)) && unsteady < UNSTEADY_MAX {
            let seconds = began.elapsed().as_secs_f64();
            println!("{name}: {outcome} ({seconds:.1} s), and is run again");
            outcome = check.outcome();
            unsteady += usize::from(matches!(outcome, Outcome::Passed));
        }
        match outcome {
            Outcome::Passed => passed += 1,
            Outcome::Failed(_) => failed += 1,
            Outcome::Skipped(_) => skipped += 1,
        }
        let seconds = began.elapsed().as_secs_f64();
        println!("{name}: {outcome} ({seconds:.1} s)");
        times.push((name, seconds));
    }
    servers::clean_up();
    if unsteady > 0 {
        println!("unsteady: {unsteady} passed when they were run again");
    }
    println!("{}", times::line(times));
    println!("live: {passed} passed, {failed} failed, {skipped} skipped");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
