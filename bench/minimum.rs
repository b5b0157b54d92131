//! The anchor of the tables: programs that do as little as can be, beside which tracers are measured.

use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use libbpf_rs::{MapCore as _, ObjectBuilder, RingBufferBuilder};

use crate::tracer::Result;

#[path = "../build/clang.rs"]
mod clang;

/// Attaches these programs of minimum.bpf.c, and prints what they put into their ring until a signal
/// ends it.
pub(crate) fn main(programs: &[&str], dir: &Path) -> Result<()> {
    let object = dir.join("minimum.o");
    let mut open = ObjectBuilder::default().open_file(&object)?;
    for mut program in open.progs_mut() {
        let wanted = programs.iter().any(|name| program.name() == *name);
        program.set_autoload(wanted);
    }
    let object = open.load()?;
    let attached = object.progs_mut().filter(|program| program.autoload());
    let _links = attached.map(|program| program.attach()).collect::<libbpf_rs::Result<Vec<_>>>()?;
    let events = object.maps().find(|map| map.name() == "events").ok_or("there is no ring")?;
    let output = std::cell::RefCell::new(BufWriter::new(std::io::stdout()));
    let mut builder = RingBufferBuilder::new();
    builder.add(&events, |bytes| {
        let name = bytes.get(40..104).unwrap_or_default();
        let line = [name.split(|byte| *byte == 0).next().unwrap_or_default(), b"\n"].concat();
        output.borrow_mut().write_all(&line).map_or(-1, |()| 0)
    })?;
    let ring = builder.build()?;
    loop {
        ring.consume()?;
        output.borrow_mut().flush()?;
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Compiles them into `dir`.
pub(crate) fn compile(dir: &Path) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let arch = if cfg!(target_arch = "x86_64") { "x86" } else { "arm64" };
    let compiled = Command::new(clang::find()?)
        .args(clang::flags(arch, root, Path::new(env!("EBTOOLS_LIBBPF_HEADERS"))))
        .args(["-g", "-O2", "-target", "bpf", "-c"])
        .arg(root.join("bench/minimum.bpf.c"))
        .arg("-o")
        .arg(dir.join("minimum.o"))
        .status()?;
    if compiled.success() { Ok(()) } else { Err("bench/minimum.bpf.c does not compile".into()) }
}
