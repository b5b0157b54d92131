//! Programs and maps of an object, by their names; and why libbpf fails.

use std::error::Error as StdError;
use std::io;

use libbpf_rs::{
    Iter, Map, MapCore as _, MapFlags, Object, OpenProgramMut, ProgramAttachType, ProgramMut,
    ProgramType,
};
use plain::Plain;

use crate::bpf::programs::Program;
use crate::error::{Context as _, Error, Result};
use crate::system::sys;

/// A program.
pub(crate) fn program(object: &Object, wanted: Program) -> Result<ProgramMut<'_>> {
    let found = object.progs_mut().find(|program| program.name() == wanted.name());
    found.ok_or_else(|| Error::new("attaching", format!("there is no program {}", wanted.name())))
}

/// Runs the program of an iterator for all that there is of what it goes through.
pub(crate) fn iterate(object: &Object, wanted: Program, doing: &str) -> Result<()> {
    let link = program(object, wanted)?.attach().doing(doing)?;
    let mut all = Iter::new(&link).doing(doing)?;
    io::copy(&mut all, &mut io::sink()).doing(doing)?;
    Ok(())
}

/// A map by its name.
pub(crate) fn map<'o>(object: &'o Object, name: &str) -> Result<Map<'o>> {
    let found = object.maps().find(|map| map.name() == name);
    found.ok_or_else(|| Error::new(format!("looking for the map {name}"), "the program has none"))
}

/// The one value of an array.
pub(crate) fn only_value<T: Plain + Default>(object: &Object, name: &str) -> Result<T> {
    let doing = || format!("reading the map {name}");
    let found = map(object, name)?.lookup(&0u32.to_ne_bytes(), MapFlags::ANY).doing(doing())?;
    let mut value = T::default();
    match value.copy_from_bytes(&found.unwrap_or_default()) {
        Ok(()) => Ok(value),
        Err(error) => Err(Error::new(doing(), format!("{error:?}"))),
    }
}

/// Before it is loaded: a tracing program's kernel function, or tracepoint; `number` is that of the type,
/// where it is known. libbpf looks for it otherwise, in modules too.
pub(crate) fn load_for(
    program: &mut OpenProgramMut<'_>,
    kind: ProgramAttachType,
    name: &str,
    number: Option<u32>,
) -> libbpf_rs::Result<()> {
    if let Some(number) = number {
        sys::load_for(program, kind, number);
        return Ok(());
    }
    program.set_prog_type(ProgramType::Tracing);
    program.set_attach_type(kind);
    program.set_attach_target(0, Some(name.into()))
}

/// The end of the text of ENOTSUPP, the kernel's own error that C libraries have no text for.
const ENOTSUPP: &str = "(os error 524)";

/// The system's own reason, without libbpf-rs's words before it and the number after it.
pub(crate) fn cause(error: &libbpf_rs::Error) -> String {
    let mut cause: &(dyn StdError + 'static) = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let text = cause.to_string();
    if text.ends_with(ENOTSUPP) {
        return "this kernel cannot do that".into();
    }
    text.split(" (os error").next().unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use libbpf_rs::ErrorExt as _;

    #[test]
    fn causes_have_a_text_and_no_number() {
        let cause = |number| {
            let error = libbpf_rs::Error::from_raw_os_error(number);
            cause(&error.context("attaching").context("loading"))
        };
        assert_eq!(cause(1), "Operation not permitted");
        assert_eq!(cause(524), "this kernel cannot do that");
    }
}
