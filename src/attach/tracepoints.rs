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
            let places = loaded.filter_map(|program| Some(place(program.section())?.to_string()));
            can_open(&tracefs, places)
        });
    for mut program in object.progs_mut().filter(|program| program.autoload()) {
        let also = (!as_perf).then(|| place(program.section())).flatten();
        let Some(place) = after(program.section(), BY_BTF).or(also) else { continue };
        let name = place.rsplit('/').next().unwrap_or_default().to_string();
        let number = kernel_types::tracepoint(&name);
        object::load_for(&mut program, ProgramAttachType::TraceRawTp, &name, number)
            .map_err(|error| Error::new(format!("looking for {name}"), cause(&error)))?;
    }
    Ok(as_perf)
}

/// `raw_syscalls/sys_exit`
fn place(section: &OsStr) -> Option<&str> {
    after(section, SECTION)
}

fn after<'s>(section: &'s OsStr, prefix: &str) -> Option<&'s str> {
    section.to_str()?.strip_prefix(prefix)
}

/// Are these perf's tracepoints, and can they be opened? Some systems let CAP_SYS_ADMIN alone do it. One is
/// tried: the kernel changes its code for each.
fn can_open(tracefs: &Path, places: impl Iterator<Item = String>) -> bool {
    let id = |place: String| {
        let id = fs::read_to_string(tracefs.join("events").join(place).join("id"));
        id.ok()?.trim().parse().ok()
    };
    let ids = places.map(id).collect::<Option<Vec<_>>>();
    ids.is_some_and(|ids| {
        ids.first().is_none_or(|id| {
            let (type_, config) = (PERF_TYPE_TRACEPOINT, *id);
            let mut attr = perf_event_attr { type_, config, ..Default::default() };
            sys::perf_event_open(&mut attr, 0).is_ok()
        })
    })
}

/// Attaches a program where its section says, or [`choose`] did.
pub(crate) fn attach(program: &ProgramMut<'_>) -> libbpf_rs::Result<Link> {
    match program.prog_type() {
        ProgramType::Tracing => program.attach_trace(),
        ProgramType::Tracepoint => {
            let (category, name) = place(program.section())
                .and_then(|place| place.split_once('/'))
                .unwrap_or_default();
            program.attach_tracepoint(TracepointCategory::Custom(category.into()), name)
        }
        _ => program.attach(),
    }
}
