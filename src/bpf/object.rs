//! Programs and maps of an object, by their names; and why libbpf fails.

use libbpf_rs::{Map, MapCore as _, Object, ProgramMut};

use crate::bpf::programs::Program;
use crate::error::{Error, Result};

/// A program.
pub(crate) fn program(object: &Object, wanted: Program) -> Result<ProgramMut<'_>> {
    let found = object.progs_mut().find(|program| program.name() == wanted.name());
    found.ok_or_else(|| Error::new("attaching", format!("there is no program {}", wanted.name())))
}

/// A map by its name.
pub(crate) fn map<'o>(object: &'o Object, name: &str) -> Result<Map<'o>> {
    let found = object.maps().find(|map| map.name() == name);
    found.ok_or_else(|| Error::new(format!("looking for the map {name}"), "the program has none"))
}

/// The system's own reason, without libbpf-rs's words before it and the number after it.
pub(crate) fn cause(error: &libbpf_rs::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let text = cause.to_string();
    text.split(" (os error").next().unwrap_or_default().to_string()
}
