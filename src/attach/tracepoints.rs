//! Tracepoints whose programs can be attached in two ways, by BTF or as perf's:
//! `bpf/include/tracepoint.bpf.h` says why. All of a tool are attached in the same.

use std::fs;
use std::path::Path;

use libbpf_rs::libbpf_sys::{PERF_TYPE_TRACEPOINT, perf_event_attr};
use libbpf_rs::{Link, OpenObject, OpenProgramMut, ProgramAttachType, ProgramMut, ProgramType};

use crate::bpf::object::cause;
use crate::error::{Error, Result};
use crate::system::kernel;
use crate::system::sys;

/// What the sections of such programs begin with; `CATEGORY/NAME` follows.
const SECTION: &str = "tracepoint/";

/// Chooses the way, before the programs are loaded: as perf's where the kernel would preempt them
/// otherwise, if tracefs, where perf's have their numbers, is there, and this process may use them.
/// Tells whether it is that one.
///
/// # Errors
///
/// When the kernel does not have one of the tracepoints.
pub(crate) fn choose(object: &mut OpenObject) -> Result<bool> {
    let as_perf = kernel::preempts_tracepoints()
        && kernel::tracefs().is_some_and(|tracefs| {
            let mut loaded = object.progs_mut().filter(|program| program.autoload());
            loaded.all(|program| place(&program).is_none_or(|place| can_open(&tracefs, &place)))
        });
    if as_perf {
        return Ok(true);
    }
    for mut program in object.progs_mut() {
        let Some(place) = place(&program).filter(|_| program.autoload()) else { continue };
        let name = place.rsplit('/').next().unwrap_or_default().to_string();
        program.set_prog_type(ProgramType::Tracing);
        program.set_attach_type(ProgramAttachType::TraceRawTp);
        let found = program.set_attach_target(0, Some(name));
        found.map_err(|error| Error::new(format!("looking for {place}"), cause(&error)))?;
    }
    Ok(false)
}

/// `raw_syscalls/sys_exit`
fn place(program: &OpenProgramMut<'_>) -> Option<String> {
    Some(program.section().to_str()?.strip_prefix(SECTION)?.into())
}

/// Can perf's tracepoint be opened? Some systems let CAP_SYS_ADMIN alone do it.
fn can_open(tracefs: &Path, place: &str) -> bool {
    let id = fs::read_to_string(tracefs.join("events").join(place).join("id"));
    let Some(id) = id.ok().and_then(|id| id.trim().parse().ok()) else { return false };
    let mut attr =
        perf_event_attr { type_: PERF_TYPE_TRACEPOINT, config: id, ..Default::default() };
    sys::perf_event_open(&mut attr, 0).is_ok()
}

/// Attaches a program where its section says, or [`choose`] did.
pub(crate) fn attach(program: &ProgramMut<'_>) -> libbpf_rs::Result<Link> {
    match program.prog_type() {
        ProgramType::Tracing => program.attach_trace(),
        _ => program.attach(),
    }
}
