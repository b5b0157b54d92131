//! What guard attaches, whom it refuses to guard, and whether the kernel asks it at all.

use std::fs::{self, File};
use std::net::UdpSocket;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::AtomicUsize;

use libbpf_rs::{MapCore as _, MapFlags, Object, ProgramInput as Input};

use super::files::{Files, Mark};
use super::rules::{DELETE, EXEC, OPEN, RENAME, What};
use super::{CONNECT, Guard, types};
use crate::attach::links::Links;
use crate::attach::plan::{Attachment, Role};
use crate::attach::points::Point;
use crate::bpf::object;
use crate::bpf::programs::{Program, guard as programs};
use crate::error::{Context as _, Error, Result};
use crate::filter::cgroups;
use crate::filter::packets::Network;
use crate::record::c_str;
use crate::system::sys;
use crate::tool::Named as _;

pub(super) const FILLING: &str = "filling the rules";
/// Which security modules the kernel asks; not mounted everywhere.
const MODULES: &str = "/sys/kernel/security/lsm";

/// Of a kernel, for rules for files.
pub(super) const NEEDED: &str = "Linux with CONFIG_BPF_LSM is needed, on arm64 from 6.4 on; rules for \
                                 connect do without";

/// The programs of a guard.
pub(super) struct Guarded<'a> {
    tool: &'a Guard,
    /// The root of all cgroups, where there are rules for connects.
    root: Option<File>,
    /// The files of the rules.
    held: Vec<OwnedFd>,
    links: Links,
}

impl<'a> Guarded<'a> {
    pub(super) fn new(tool: &'a Guard) -> Result<Self> {
        let hint = "rules for connect need it; others do without";
        let root = tool.denies(CONNECT).then(|| cgroups::root().map_err(|error| error.hint(hint)));
        Ok(Self { tool, root: root.transpose()?, held: Vec::new(), links: Links::default() })
    }

    /// Where they go.
    fn points(&self) -> Vec<(Program, Point<'_>)> {
        use programs::*;
        let denies = |act| self.tool.denies(act);
        let files = [
            // Of a program that overlayfs has below it, too.
            (ON_OPEN, denies(OPEN) || denies(EXEC)),
            // The open that follows shows it, where it is not refused.
            (ON_MAKE, denies(OPEN) && self.tool.enforce),
            (ON_EXEC, denies(EXEC)),
            (ON_UNLINK, denies(DELETE)),
            (ON_RMDIR, denies(DELETE)),
            (ON_RENAME, denies(DELETE) || denies(RENAME)),
            (ON_LINK, denies(RENAME)),
        ];
        let files = files.into_iter().filter(|(_, is_needed)| *is_needed);
        let connects = self.root.iter().flat_map(|root| {
            let all = [ON_CONNECT4, ON_CONNECT6, ON_SENDMSG4, ON_SENDMSG6];
            all.map(|program| (program, Point::Cgroup(root.as_fd())))
        });
        files.map(|(program, _)| (program, Point::Lsm)).chain(connects).collect()
    }

    /// Rules are for no process that this one descends from, the first of all among them.
    fn refuse_ancestors(object: &Object) -> Result<()> {
        let program = object::program(object, programs::ON_LOOK_UP)?;
        program.test_run(Input::default()).doing("looking at the processes above this one")?;
        let answer = answer(object)?;
        if answer.number == 0 {
            return Ok(());
        }
        let name = String::from_utf8_lossy(c_str(&answer.comm)).into_owned();
        let cause = format!("this process descends from one of those: {} ({name})", answer.number);
        Err(Error::usage(Guard::NAME, cause)
            .hint("guard a command behind --, or a cgroup, a container or a user apart from this"))
    }

    fn fill(&mut self, object: &Object) -> Result<()> {
        let mut files = Files::new(object);
        // Of several that deny the same, the first is shown.
        for (number, rule) in self.tool.rules().into_iter().rev() {
            let denied_by = self.tool.is_denial(number).then_some(number);
            fill_text(object, number, &rule.text)?;
            match &rule.what {
                What::File { act, path, is_below: true } => {
                    files.add_below(path, Mark { act: *act, denied_by })?;
                }
                What::File { act, path, is_below: false } => {
                    files.add(path, Mark { act: *act, denied_by })?;
                }
                What::Connect { networks, port } => {
                    for network in networks {
                        fill_network(object, *network, *port, denied_by)?;
                    }
                }
            }
        }
        self.held = files.fill()?;
        Ok(())
    }

    /// Where a program can be attached and is not asked, no rule would be kept.
    fn test(&self, object: &Object) -> Result<()> {
        if self.tool.denies_files() {
            let is_asked = is_asked(object, programs::ON_OWN_OPEN, Point::Lsm, || {
                let _ = File::open("/");
            })?;
            if !is_asked {
                return Err(not_asked());
            }
        }
        let Some(root) = &self.root else { return Ok(()) };
        let socket = UdpSocket::bind("0.0.0.0:0").doing("making a socket")?;
        let is_asked =
            is_asked(object, programs::ON_OWN_CONNECT, Point::Cgroup(root.as_fd()), || {
                // Nothing is sent.
                let _ = socket.connect("127.0.0.1:9");
            })?;
        let cause = "the kernel asks no programs of cgroups for connects";
        match is_asked {
            true => Ok(()),
            false => Err(Error::new(Guard::NAME, cause)
                .hint("cgroup v2 must not be mounted for a part of the processes only")),
        }
    }
}

impl Attachment for Guarded<'_> {
    fn programs(&self) -> Vec<(Program, Role)> {
        let events = self.points().into_iter().map(|(program, _)| (program, Role::Events));
        let own_open = self.tool.denies_files().then_some(programs::ON_OWN_OPEN);
        let own_connect = self.root.as_ref().map(|_| programs::ON_OWN_CONNECT);
        let told = [programs::ON_LOOK_AT, programs::ON_LOOK_UP].into_iter();
        let told = told.chain(own_open).chain(own_connect);
        events.chain(told.map(|program| (program, Role::Tracer))).collect()
    }

    fn prepare(&mut self, object: &Object) -> Result<()> {
        Self::refuse_ancestors(object)?;
        self.fill(object)
    }

    fn attach(&mut self, object: &Object) -> Result<()> {
        let mut links = Links::default();
        for (program, point) in self.points() {
            let attached = point.attach(object, program, &AtomicUsize::default());
            links.join(attached.map_err(|error| match point {
                Point::Lsm => error.hint(NEEDED),
                _ => error,
            })?);
        }
        self.links = links;
        self.test(object)
    }

    fn take_links(&mut self) -> Links {
        std::mem::take(&mut self.links)
    }
}

/// What the kernel side has told last.
pub(super) fn answer(object: &Object) -> Result<types::answer> {
    object::only_value(object, "answer")
}

/// Is this program run when this process does `act`?
fn is_asked(
    object: &Object,
    program: Program,
    point: Point<'_>,
    act: impl FnOnce(),
) -> Result<bool> {
    let (zero, none) = (0u32.to_ne_bytes(), types::answer::default());
    let answers = object::map(object, "answer")?;
    answers.update(&zero, sys::bytes_of(&none), MapFlags::ANY).doing(FILLING)?;
    let _attached = point.attach(object, program, &AtomicUsize::default())?;
    act();
    Ok(answer(object)?.number != 0)
}

fn not_asked() -> Error {
    let cause = "this kernel does not ask BPF programs what it may do: no rule would be kept";
    let modules = fs::read_to_string(MODULES).unwrap_or_default();
    let modules = match modules.trim() {
        "" => "...,bpf".into(),
        modules => format!("{modules},bpf"),
    };
    let hint = format!("boot it with lsm={modules}; rules for connect do without");
    Error::new(Guard::NAME, cause).hint(hint)
}

fn fill_text(object: &Object, number: u16, text: &str) -> Result<()> {
    let mut rule = types::rule_text::default();
    for (to, from) in rule.text.iter_mut().zip(text.as_bytes()) {
        *to = *from;
    }
    rule.len = u32::try_from(text.len() + 1).unwrap_or(0);
    let (map, key) = (object::map(object, "rule_texts")?, u32::from(number).to_ne_bytes());
    map.update(&key, sys::bytes_of(&rule), MapFlags::ANY).doing(FILLING)
}

fn fill_network(
    object: &Object,
    network: Network,
    port: u16,
    denied_by: Option<u16>,
) -> Result<()> {
    let (family, address) = network.bytes();
    // The port and the family count before the address.
    let bits = 32 + u32::from(network.bits);
    let key = types::destination { bits, port, family, address, ..types::destination::default() };
    let map = if denied_by.is_some() { "denied_networks" } else { "allowed_networks" };
    // Those that allow are not shown, and need no number but one.
    let rule = u32::from(denied_by.unwrap_or(1)).to_ne_bytes();
    object::map(object, map)?.update(sys::bytes_of(&key), &rule, MapFlags::ANY).doing(FILLING)
}
