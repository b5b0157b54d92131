//! Tracepoints whose programs can be attached in two ways, by BTF or as perf's:
//! `bpf/include/tracepoint.bpf.h` says why. All of a tool are attached in the same.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use libbpf_rs::libbpf_sys::{PERF_TYPE_TRACEPOINT, perf_event_attr};
use libbpf_rs::{Link, OpenObject, ProgramAttachType, ProgramMut, ProgramType, TracepointCategory};

use crate::bpf::object::{self, cause};
use crate::error::{Error, Result};
use crate::system::kernel;
use crate::system::kernel_types;
use crate::system::sys;

/// What the sections of such programs begin with; `CATEGORY/NAME` follows.
const SECTION: &str = "tracepoint/";
/// The same for what is attached by BTF in any case; `NAME` follows.
const BY_BTF: &str = "tp_btf/";

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
            let loaded = object.progs_mut().filter(|program| program.autoload());
            can_open(&tracefs, loaded.filter_map(|program| place(program.section(), SECTION)))
        });
    let by_btf: &[_] = if as_perf { &[BY_BTF] } else { &[BY_BTF, SECTION] };
    for mut program in object.progs_mut().filter(|program| program.autoload()) {
        let place = by_btf.iter().find_map(|kind| place(program.section(), kind));
        let Some(place) = place else { continue };
        let name = place.rsplit('/').next().unwrap_or_default();
        let number = kernel_types::tracepoint(name);
        object::load_for(&mut program, ProgramAttachType::TraceRawTp, name, number)
            .map_err(|error| Error::new(format!("looking for {place}"), cause(&error)))?;
    }
    Ok(as_perf)
}

/// `raw_syscalls/sys_exit`, of a section of that kind.
fn place(section: &OsStr, kind: &str) -> Option<String> {
    Some(section.to_str()?.strip_prefix(kind)?.into())
}

/// Are these perf's tracepoints, and can they be opened? Some systems let CAP_SYS_ADMIN alone do it.
/// One is tried: the kernel changes its code for each.
fn can_open(tracefs: &Path, places: impl Iterator<Item = String>) -> bool {
    let id = |place: String| {
        let id = fs::read_to_string(tracefs.join("events").join(place).join("id"));
        id.ok()?.trim().parse().ok()
    };
    let Some(ids) = places.map(id).collect::<Option<Vec<_>>>() else { return false };
    let Some(&config) = ids.first() else { return true };
    let mut attr = perf_event_attr { type_: PERF_TYPE_TRACEPOINT, config, ..Default::default() };
    sys::perf_event_open(&mut attr, 0).is_ok()
}

/// Attaches a program where its section says, or [`choose`] did.
pub(crate) fn attach(program: &ProgramMut<'_>) -> libbpf_rs::Result<Link> {
    match program.prog_type() {
        ProgramType::Tracing => program.attach_trace(),
        ProgramType::Tracepoint => {
            let place = place(program.section(), SECTION).unwrap_or_default();
            let (category, name) = place.split_once('/').unwrap_or_default();
            program.attach_tracepoint(TracepointCategory::Custom(category.into()), name)
        }
        _ => program.attach(),
    }
}
