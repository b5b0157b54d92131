//! Where tcfilter sees packets, whose they are, and the interface that sends them.

use std::os::fd::BorrowedFd;

use libbpf_rs::{Object, ProgramInput};

use super::{Tcfilter, types};
use crate::attach::interface::Interface;
use crate::attach::plan::{Attachment, Hook, Probe, Role};
use crate::attach::points::Point;
use crate::bpf::object;
use crate::bpf::programs::{Program, tcfilter as programs};
use crate::error::{Context as _, Error, Result};

/// Where packets are seen, and whose they are.
pub(super) struct Hooks<'a> {
    tcx: Vec<Probe<'a>>,
    of_sockets: Vec<Probe<'a>>,
}

impl<'a> Hooks<'a> {
    pub(super) fn new(tool: &Tcfilter, interface: u32, root: Option<BorrowedFd<'a>>) -> Self {
        let owners = root.filter(|_| tool.knows_owners()).map(|root| {
            [
                Probe::owners(programs::ON_SOCKET, Point::Cgroup(root)),
                Probe::owners(programs::ON_RELEASE, Point::Cgroup(root)),
                Probe::owners(programs::ON_ACCEPT, Point::Declared),
                Probe::owners(programs::ON_DESTROY, Point::Declared),
            ]
        });
        let owners = owners.as_slice().concat();
        let tcx = Probe::events(programs::ON_PACKET, Point::Tcx(interface));
        let of_sockets = root.filter(|_| tool.lose.is_none() && !tool.lets_wait());
        let of_sockets = of_sockets
            .map(|root| Probe::events(programs::ON_PACKET_OF_SOCKET, Point::Cgroup(root)));
        let and = |probe: Probe<'a>| [&owners[..], &[probe]].concat();
        Self { tcx: and(tcx), of_sockets: of_sockets.map(and).unwrap_or_default() }
    }

    /// How many may be tried.
    pub(super) fn len(&self) -> usize {
        if self.of_sockets.is_empty() { 1 } else { 2 }
    }

    pub(super) fn tcx(&self) -> Hook<'_> {
        Hook { name: "tcx egress", probes: &self.tcx }
    }

    pub(super) fn of_sockets(&self) -> Hook<'_> {
        let name = "cgroup_skb egress: only what sockets send is seen, not what is forwarded";
        Hook { name, probes: &self.of_sockets }
    }
}

/// The interface, and what is to be known before packets are seen.
pub(super) struct Sender<'a> {
    pub(super) tool: &'a Tcfilter,
    pub(super) interface: Interface,
}

impl Attachment for Sender<'_> {
    fn programs(&self) -> Vec<(Program, Role)> {
        let look = (programs::ON_LOOK, Role::Tracer);
        let each = self.tool.knows_owners().then_some((programs::ON_FILE, Role::Tracer));
        [look].into_iter().chain(each).collect()
    }

    fn prepare(&mut self, object: &Object) -> Result<()> {
        self.tool.rules().fill(object)?;
        let found = look(object, self.interface.index(), false)?;
        if self.tool.lets_wait() && found.has_fq == 0 {
            let doing = format!("attaching to {}", self.interface.name());
            let cause = "its queues let no packet wait: they are not fq";
            return Err(Error::new(doing, cause).hint(
                "tc qdisc replace dev INTERFACE root fq, which replaces what tc qdisc show lists",
            ));
        }
        Ok(())
    }

    /// Sockets that are there already; those that come are seen from now on.
    fn attach(&mut self, object: &Object) -> Result<()> {
        if !self.tool.knows_owners() {
            return Ok(());
        }
        object::iterate(object, programs::ON_FILE, "looking for sockets")
    }

    fn refresh(&mut self, _: &Object) -> Result<()> {
        self.interface.check()
    }
}

/// What the interface is now. `begins`: faults last from this moment on.
pub(super) fn look(object: &Object, interface: u32, begins: bool) -> Result<types::interface> {
    /// Of `mark` and `ifindex` in `struct __sk_buff`; the second comes last here.
    const MARK: usize = 8;
    const IFINDEX: usize = 40;
    let doing = "looking at the interface";
    let mut context = [0; IFINDEX + 4];
    context[MARK] = begins.into();
    context[IFINDEX..].copy_from_slice(&interface.to_ne_bytes());
    let input = ProgramInput {
        context_in: Some(&mut context),
        data_in: Some(&[0; 64]),
        ..ProgramInput::default()
    };
    object::program(object, programs::ON_LOOK)?.test_run(input).doing(doing)?;
    object::only_value(object, "interfaces")
}
