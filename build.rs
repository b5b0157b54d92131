//! Compiles `src/bpf/*.bpf.c`, whose further parts are in `src/bpf/NAME/`, and makes a libbpf-cargo skeleton of
//! each, in `OUT_DIR`; `skeletons.rs` there has a module for each, with the name of its file.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::time::SystemTime;

use libbpf_cargo::SkeletonBuilder;
use libbpf_rs::btf::{Btf, BtfKind, BtfType, TypeId};
use libbpf_rs::{ObjectBuilder, OpenObject};

#[path = "build/clang.rs"]
mod clang;
#[path = "build/lines.rs"]
mod lines;

/// The first libbpf that has all that is called: `bpf_program__attach_uprobe_multi` is of 1.3.
const OLDEST_LIBBPF: (u32, u32) = (1, 3);

/// A program that the live tests load.
const TESTED: &str = "tests/live/owners.bpf.c";

type Result<T> = std::result::Result<T, String>;

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            for line in message.lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<()> {
    for input in ["src/bpf", "vmlinux", "build", "build.rs", TESTED] {
        println!("cargo::rerun-if-changed={input}");
    }
    println!("cargo::rerun-if-env-changed=CLANG");
    let out = PathBuf::from(variable("OUT_DIR")?);
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let build = Build {
        libbpf: libbpf_headers(&out)?,
        clang: clang::find()?,
        arch: kernel_arch(&variable("CARGO_CFG_TARGET_ARCH")?)?,
        root: root.clone(),
        out,
    };
    println!("cargo::rustc-env=EBTOOLS_LIBBPF_HEADERS={}", build.libbpf.display());
    let sources = files(&root.join("src/bpf"), ".bpf.c")?;
    let common = files(&root.join("src/bpf/include"), ".h")?
        .into_iter()
        .chain(files(&root.join("vmlinux"), ".h")?)
        .chain(files(&root.join("build"), ".rs")?)
        .chain([root.join("build.rs")]);
    let newest_common = common.map(|path| modified(&path)).max().flatten();
    build.all(&sources, newest_common)?;
    build.tested()?;
    write_modules(&build.out, &sources)?;
    write_programs(&build.out, &sources)?;
    write_types(&build.out, &sources)
}

struct Build {
    clang: PathBuf,
    libbpf: PathBuf,
    arch: &'static str,
    root: PathBuf,
    out: PathBuf,
}

impl Build {
    /// Compiles what is older than its source or than `newest_common`, on all processors.
    fn all(&self, sources: &[PathBuf], newest_common: Option<SystemTime>) -> Result<()> {
        // Another compiler makes other objects: then everything is stale.
        let stamp = self.out.join("clang");
        let same_clang = fs::read_to_string(&stamp).is_ok_and(|was| was == self.describe());
        let stale = sources
            .iter()
            .filter(|source| {
                let made = modified(&skeleton(&self.out, source));
                !same_clang || made <= newest_common.max(changed(source))
            })
            .collect::<Vec<_>>();
        let queue = Mutex::new(stale.iter());
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let results = std::thread::scope(|scope| {
            let workers = (0..threads.min(stale.len()))
                .map(|_| scope.spawn(|| self.work(&queue)))
                .collect::<Vec<_>>();
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or(Err("a build thread panicked".into())))
                .collect::<Vec<_>>()
        });
        results.into_iter().collect::<Result<Vec<()>>>()?;
        write(&stamp, &self.describe())
    }

    fn work<'a>(&self, queue: &Mutex<impl Iterator<Item = &'a &'a PathBuf>>) -> Result<()> {
        loop {
            let next = queue.lock().map_err(|error| error.to_string())?.next();
            let Some(source) = next else { return Ok(()) };
            self.one(source)?;
        }
    }

    fn one(&self, source: &Path) -> Result<()> {
        let object = self.out.join(format!("{}.o", tool_name(source)));
        let skeleton = skeleton(&self.out, source);
        SkeletonBuilder::new()
            .source(source)
            .obj(&object)
            .clang(&self.clang)
            .clang_args(clang::flags(self.arch, &self.root, &self.libbpf))
            .reference_obj(true)
            // Nobody reads it, and a toolchain may come without rustfmt.
            .rustfmt(self.out.join("no-rustfmt"))
            .build_and_generate(&skeleton)
            // The innermost cause is what clang printed.
            .map_err(|error| format!("compiling {}:\n{}", source.display(), error.root_cause()))?;
        compress(&object, &skeleton)
    }

    fn tested(&self) -> Result<()> {
        let output = Command::new(&self.clang)
            .args(clang::flags(self.arch, &self.root, &self.libbpf))
            .args(["-g", "-O2", "-target", "bpf", "-c"])
            .arg(self.root.join(TESTED))
            .arg("-o")
            .arg(self.out.join("owners.o"))
            .output()
            .map_err(|error| format!("{}: {error}", self.clang.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(()) } else { Err(format!("compiling {TESTED}:\n{said}")) }
    }

    fn describe(&self) -> String {
        format!("{} {} {}", self.clang.display(), self.arch, self.libbpf.display())
    }
}

/// Puts the object into its skeleton compressed: objects were a quarter of ebtools.
fn compress(object: &Path, skeleton: &Path) -> Result<()> {
    let read = |path: &Path| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    let code = String::from_utf8(read(skeleton)?).map_err(|error| error.to_string())?;
    let (code, _data) = code
        .rsplit_once("#[unsafe(link_section")
        .filter(|(_, data)| data.contains("static DATA: [u8;"))
        .ok_or("libbpf-cargo puts the object elsewhere than it did")?;
    let mut bytes = read(object)?;
    // Those who work on a program want to see its lines in what the verifier says.
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        lines::leave_out(&mut bytes).ok_or("an object has no types, or others than they were")?;
    }
    let packed = object.with_extension("o.deflate");
    fs::write(&packed, miniz_oxide::deflate::compress_to_vec(&bytes, 10))
        .map_err(|error| format!("{}: {error}", packed.display()))?;
    let data = format!(
        "static DATA: std::sync::LazyLock<Vec<u8>> = \
         std::sync::LazyLock::new(|| crate::bpf::unpack(include_bytes!({packed:?})));\n}}\n"
    );
    write(skeleton, &format!("{code}{data}"))
}

/// The names of the types that the objects know, among them all of the kernel's that they read, and of
/// those that programs at tracepoints are loaded for: `src/system/kernel_types.rs`. A name that ends in
/// `___something` is one of several forms of a type.
fn write_types(out: &Path, sources: &[PathBuf]) -> Result<()> {
    let mut names = BTreeSet::new();
    for source in sources {
        let object = out.join(format!("{}.o", tool_name(source)));
        names.extend(tracepoints(&object)?.into_iter().map(|name| format!("btf_trace_{name}")));
        let types = Btf::from_path(&object).map_err(|error| format!("{object:?}: {error}"))?;
        for number in (1u32..).take(types.len()) {
            let Some(found) = types.type_by_id::<BtfType<'_>>(TypeId::from(number)) else {
                continue;
            };
            let Some(name) = found.name().and_then(OsStr::to_str) else { continue };
            let is_composite = found.is_composite() || found.is_any_enum();
            if is_composite || found.kind() == BtfKind::Typedef {
                names.insert(name.split("___").next().unwrap_or(name).to_string());
            }
        }
    }
    let names = names.into_iter().collect::<Vec<_>>();
    let doc = "/// Types of the kernel that are read, and others.";
    write(&out.join("types.rs"), &format!("{doc}\nconst NAMED_TYPES: &[&str] = &{names:?};\n"))
}

/// One Rust module a skeleton. `Plain` says: any bytes are a valid value of the type.
fn write_modules(out: &Path, sources: &[PathBuf]) -> Result<()> {
    let mut text = String::new();
    for source in sources {
        let name = tool_name(source);
        let path = skeleton(out, source);
        let _ = writeln!(text, "pub(crate) mod {name} {{ include!({path:?}); }}");
        let code = fs::read_to_string(&path).map_err(|error| format!("{path:?}: {error}"))?;
        let own = fs::read_to_string(source).map_err(|error| format!("{source:?}: {error}"))?;
        for record in exported(&own) {
            if code.contains(&format!("pub struct {record} {{")) {
                let _ = writeln!(
                    text,
                    "// SAFETY: repr(C), integers and arrays of integers only: shared.bpf.h.\n\
                     unsafe impl plain::Plain for {name}::types::{record} {{}}"
                );
            }
        }
    }
    write(&out.join("skeletons.rs"), &text)
}

/// The names of each object's programs: `src/bpf/programs.rs`. A tool's own begin with `on_`; the others
/// are in every object.
fn write_programs(out: &Path, sources: &[PathBuf]) -> Result<()> {
    let mut common = BTreeSet::new();
    let mut text = String::new();
    for source in sources {
        let opened = opened(&out.join(format!("{}.o", tool_name(source))))?;
        let names = opened.progs().map(|program| program.name().to_string_lossy().into_owned());
        let (own, shared) = names.partition::<Vec<_>, _>(|name| name.starts_with("on_"));
        common.extend(shared);
        if !own.is_empty() {
            let _ = writeln!(text, "{}", programs(&tool_name(source), own));
        }
    }
    write(&out.join("programs.rs"), &(text + &programs("common", common)))
}

fn opened(object: &Path) -> Result<OpenObject> {
    let opened = ObjectBuilder::default().open_file(object);
    opened.map_err(|error| format!("{}: {error}", object.display()))
}

/// Where its programs go: `sys_exit`.
fn tracepoints(object: &Path) -> Result<Vec<String>> {
    let opened = opened(object)?;
    let sections = opened.progs().map(|program| program.section().to_string_lossy().into_owned());
    let places = sections.filter_map(|section| {
        let place =
            ["tracepoint/", "tp_btf/"].iter().find_map(|kind| section.strip_prefix(kind))?;
        Some(place.rsplit('/').next()?.to_string())
    });
    Ok(places.collect())
}

fn programs(module: &str, names: impl IntoIterator<Item = String>) -> String {
    let constant = |name: String| {
        let upper = name.to_uppercase();
        format!("    pub(crate) const {upper}: Program = Program({name:?});\n")
    };
    let constants = names.into_iter().map(constant).collect::<String>();
    format!("pub(crate) mod {module} {{\n    use super::Program;\n{constants}}}\n")
}

/// What a tool shares with user space: `event`, and every `struct X *export_X;`.
fn exported(source: &str) -> impl Iterator<Item = &str> {
    let pointers = source.lines().filter_map(|line| line.strip_prefix("struct "));
    let names = pointers.filter_map(|rest| rest.split_once(" *export_"));
    names.map(|(name, _)| name).chain(["event"])
}

/// A directory whose `bpf/` has libbpf's headers: those that libbpf-sys built, or the system's.
fn libbpf_headers(out: &Path) -> Result<PathBuf> {
    let built = PathBuf::from(variable("DEP_BPF_INCLUDE")?);
    if built.join("bpf/bpf_helpers.h").exists() {
        return Ok(built);
    }
    let system = Path::new("/usr/include/bpf");
    if !system.join("bpf_helpers.h").exists() {
        return Err("libbpf's headers are missing: install libbpf-dev, or build with the \
                    feature `vendored`"
            .into());
    }
    let version = libbpf_version(&system.join("libbpf_version.h"));
    if version < Some(OLDEST_LIBBPF) {
        let (major, minor) = version.unwrap_or_default();
        return Err(format!(
            "libbpf {major}.{minor} is too old: libbpf-dev {}.{} or later is needed, or the feature \
             `vendored`, which builds the libbpf that the crate libbpf-sys carries",
            OLDEST_LIBBPF.0, OLDEST_LIBBPF.1
        ));
    }
    // Only this one directory of /usr/include, nothing else of the host.
    let dir = out.join("system-libbpf");
    fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let link = dir.join("bpf");
    if !link.exists() {
        std::os::unix::fs::symlink(system, &link)
            .map_err(|error| format!("{}: {error}", link.display()))?;
    }
    Ok(dir)
}

/// What `LIBBPF_MAJOR_VERSION` and `LIBBPF_MINOR_VERSION` are there.
fn libbpf_version(header: &Path) -> Option<(u32, u32)> {
    let text = fs::read_to_string(header).ok()?;
    let number = |name: &str| {
        let after = text.split(&format!("#define LIBBPF_{name}_VERSION ")).nth(1)?;
        after.split_whitespace().next()?.parse::<u32>().ok()
    };
    Some((number("MAJOR")?, number("MINOR")?))
}

fn kernel_arch(arch: &str) -> Result<&'static str> {
    match arch {
        "x86_64" => Ok("x86"),
        "aarch64" => Ok("arm64"),
        other => {
            Err(format!("no kernel types for {other}: see vmlinux/README.md for how to add them"))
        }
    }
}

fn tool_name(source: &Path) -> String {
    let file = source.file_name().unwrap_or_default().to_string_lossy();
    file.trim_end_matches(".bpf.c").to_string()
}

fn skeleton(out: &Path, source: &Path) -> PathBuf {
    out.join(format!("{}.skel.rs", tool_name(source)))
}

fn files(dir: &Path, suffix: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut found = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with(suffix))
        .collect::<Vec<_>>();
    found.sort();
    Ok(found)
}

/// When a source or one of its further parts was.
fn changed(source: &Path) -> Option<SystemTime> {
    let parts = files(&source.with_file_name(tool_name(source)), ".h").unwrap_or_default();
    parts.iter().map(PathBuf::as_path).chain([source]).map(modified).max().flatten()
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|data| data.modified()).ok()
}

/// Writes only what is different, so that rustc has nothing to do where nothing changed.
fn write(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|was| was == text) {
        return Ok(());
    }
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).map_err(|error| format!("${name}: {error}"))
}
