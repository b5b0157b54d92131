//! guard: acts that rules forbid, shown or refused.

use std::net::SocketAddr;

use super::prelude::*;
use crate::bpf::guard::{GuardSkelBuilder, types};
use crate::error::Error;
use crate::output::values::Place;
use crate::record::{Header, Record, c_str};
use crate::run::capabilities::GUARD_OF_CONNECTS;
use crate::run::options::CommonOptions;
use crate::system::{kernel, protocols};
use guarded::Guarded;
use rules::{ACTS, DELETE, RENAME, Rule, What};

mod files;
mod guarded;
mod rules;

/// Show what rules forbid, or refuse it
#[derive(Args, Debug)]
#[command(mut_arg("command", |arg| arg.help("Run this command, guard only it and its descendants, and exit when it does, with its exit code. Its standard output goes to standard error")))]
pub(crate) struct Guard {
    /// Forbid this: open:PATH, exec:PATH, delete:PATH, rename:PATH, where DIRECTORY/* stands for all
    /// that is below; connect:ADDRESS, like 10.0.0.0/8, 10.0.0.1:443 or port:53; may be repeated
    #[arg(long, value_name = "RULE")]
    deny: Vec<Rule>,

    /// But allow this; may be repeated
    #[arg(long, value_name = "RULE")]
    allow: Vec<Rule>,

    /// Refuse it, with EPERM; without this option it is shown, and goes on
    #[arg(long)]
    enforce: bool,

    #[command(flatten)]
    options: EventOptions,
}

/// Rules that there may be.
const RULES_MAX: usize = types::guard_limit::RULES_MAX.0 as usize;
/// Bytes of a rule's text, with its NUL.
const RULE_LEN: usize = types::guard_limit::RULE_LEN.0 as usize;
const CONNECT: usize = types::act::ACT_CONNECT.0 as usize;

type Col = Column<types::event>;

const GUARDED: Hook = Hook { name: "LSM and cgroup programs", probes: &[] };

impl Tool for Guard {
    type Row = types::event;
    const KINDS: &'static [&'static str] = ACTS;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("--deny open:/etc/shadow -- ./install.sh", "would it read the passwords?"),
        ("--enforce --deny 'exec:/tmp/*' --cgroup /app", "nothing is run from /tmp"),
        (
            "--enforce --deny connect:0.0.0.0/0 --deny connect:::/0 -- make",
            "a build without network",
        ),
        (
            "--deny 'delete:/srv/*' --allow 'delete:/srv/tmp/*' -u www-data",
            "what is deleted elsewhere",
        ),
    ];
    const TASK: &'static [Col] = &Task::COMM_FIRST.columns();
    const COLUMNS: &'static [Col] = &[
        Col::word("ACTION", "action", 6, "audit or denied: it went on, or was refused", |r| {
            Value::Word(if r.event.is_refused != 0 { "denied" } else { "audit" })
        }),
        Col::word("ACT", "act", 7, "open, exec, delete, rename or connect", |r| {
            Value::Word(ACTS.get(r.event.act as usize).copied().unwrap_or("?"))
        }),
        Col::text("RULE", "rule", 24, "the rule that forbids it", |r| Value::Text(rule(r))),
        Col::path("TARGET", "target", 0, "the file, by a path to it; or the address", target),
    ];

    fn run(mut self, host: &Host, columns: &[&Col]) -> Result<()> {
        self.check_rules()?;
        self.check_target()?;
        let CommonOptions { filter, run } = &mut self.options.common;
        // What a process may not do it might let another one do.
        filter.follow = !filter.pid.is_empty() && run.command.is_empty();
        let mut session = Session::start(host, &self.options)?.kinds(Self::KINDS);
        if self.denies(CONNECT) {
            session = session.needing(GUARD_OF_CONNECTS)?;
        }
        if self.denies_files() {
            if let Some(error) = Point::Lsm.impossible() {
                return Err(error.hint(guarded::NEEDED));
            }
        }
        let has_flags = self.rename_has_flags()?;
        let mut storage = Storage::new();
        let (skel, attached) = session.attach::<GuardSkelBuilder>(
            &mut storage,
            columns,
            Plan::new(&[&GUARDED]).and(Guarded::new(&self)?),
            |open| {
                if let Some(constants) = &mut open.maps.rodata_data {
                    self.configure(constants);
                    constants.rename_has_flags = has_flags.into();
                }
            },
        )?;
        session.run(skel.object(), attached, columns, |_| true)
    }
}

/// The rule's text, which is the beginning of the tail.
fn rule<'a>(record: &Record<'a, types::event>) -> &'a [u8] {
    let rest = &mut record.tail.get(..).unwrap_or_default();
    c_str(Record::<Header>::piece(rest, record.event.rule_len))
}

fn target<'a>(record: &Record<'a, types::event>) -> Value<'a> {
    let event = record.event;
    if event.family != 0 {
        let address = protocols::address(event.address, event.family == 4);
        let port = u16::try_from(event.port).unwrap_or(0);
        return Value::Endpoint(SocketAddr::new(address, port));
    }
    let rest = &mut record.tail.get(..).unwrap_or_default();
    let _rule = Record::<Header>::piece(rest, event.rule_len);
    let names = Record::<Header>::piece(rest, event.names_len);
    Value::Path(Place::new(names, event.names_state, b""))
}

impl Guard {
    /// All rules, with their numbers: those that deny come first.
    fn rules(&self) -> Vec<(u16, &Rule)> {
        (1..).zip(self.deny.iter().chain(&self.allow)).collect()
    }

    fn is_denial(&self, number: u16) -> bool {
        usize::from(number) <= self.deny.len()
    }

    /// Is there a rule that denies this act?
    fn denies(&self, act: usize) -> bool {
        self.deny.iter().any(|rule| rule.act() == act)
    }

    fn denies_files(&self) -> bool {
        (0..CONNECT).any(|act| self.denies(act))
    }

    /// The whole system is none: whoever guards it may lock himself out.
    fn check_target(&self) -> Result<()> {
        let CommonOptions { filter, run } = &self.options.common;
        if self.enforce && filter.name.is_some() {
            return Err(Error::usage(Self::NAME, "whoever has a name can take another one")
                .hint("--enforce is for a command, --cgroup, --container, -p or -u"));
        }
        if self.enforce && !filter.tid.is_empty() {
            return Err(Error::usage(Self::NAME, "another thread of the process can do the same")
                .hint("--enforce is for whole processes: -p"));
        }
        let is_given = !run.command.is_empty()
            || !filter.pid.is_empty()
            || !filter.cgroup.is_empty()
            || !filter.container.is_empty();
        if is_given {
            return Ok(());
        }
        let cause = match filter.user.as_slice() {
            [] => "whose acts? The whole system is not guarded",
            users if users.contains(&0) => "all that root does is not guarded",
            _ => return Ok(()),
        };
        Err(Error::usage(Self::NAME, cause)
            .hint("give a command behind --, --cgroup, --container, -p, or -u with another user"))
    }

    fn check_rules(&self) -> Result<()> {
        if self.deny.is_empty() {
            return Err(Error::usage(Self::NAME, "no rule says what is forbidden")
                .hint("--deny RULE, like --deny open:/etc/shadow"));
        }
        let count = self.rules().len();
        if count > RULES_MAX {
            let cause = format!("{count} rules are given, {RULES_MAX} can be");
            return Err(Error::usage(Self::NAME, cause));
        }
        let useless = self.allow.iter().find(|rule| !self.denies(rule.act()));
        match useless {
            None => Ok(()),
            Some(rule) => Err(Error::usage(
                format!("--allow {}", rule.text),
                format!("no rule denies {}", ACTS[rule.act()]),
            )),
        }
    }

    /// The function of the kernel that asks has an argument more then.
    fn rename_has_flags(&self) -> Result<bool> {
        if !self.denies(DELETE) && !self.denies(RENAME) {
            return Ok(false);
        }
        let counts = kernel::arguments(&["bpf_lsm_path_rename"])?;
        Ok(counts.first() == Some(&5))
    }

    fn configure(&self, constants: &mut types::rodata) {
        constants.enforce = self.enforce.into();
        for (number, rule) in self.rules().into_iter().rev() {
            let What::File { act, is_below, .. } = rule.what else { continue };
            if self.is_denial(number) {
                constants.acts_denied |= 1 << act;
            }
            if is_below {
                constants.acts_below |= 1 << act;
            }
            if is_below && self.is_denial(number) {
                constants.first_below[act] = number;
            }
        }
    }
}
