//! Attacks by files, maps and stacks that are made to mislead `profile`.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::behaviours::{Behaviour, check, text};
use crate::made::{self, CODE_ADDRESS, CODE_END, SYMBOLS_SIZE_AT};
use crate::run::{Running, calls, ebtools, scratch_dir, this_program};
use crate::watched::Watched as _;

pub(crate) const CASES: &[(&str, Behaviour)] = &[
    ("profile_survives_files_that_are_cut_off", survives_files_that_are_cut_off),
    ("profile_reads_so_much_of_a_file", reads_so_much_of_a_file),
    ("profile_shows_no_versions_as_functions", shows_no_versions_as_functions),
    ("profile_samples_cpus_that_come_back", samples_cpus_that_come_back),
    ("profile_takes_installed_debug_files", takes_installed_debug_files),
];

const ATTACKER: u32 = 65534;
const FUNCTION: u8 = 0x12;
const OBJECT: u8 = 0x11;
const ABSOLUTE: u16 = 0xfff1;

/// Counts down from its argument.
const CODE: &[u8] = if cfg!(target_arch = "x86_64") {
    &[0x48, 0x83, 0xef, 0x01, 0x75, 0xfa, 0xc3]
} else {
    &[0x00, 0x04, 0x00, 0xf1, 0xe1, 0xff, 0xff, 0x54, 0xc0, 0x03, 0x5f, 0xd6]
};

/// A directory of the attacker's, with a file of his and the program that maps it.
struct Lair {
    dir: PathBuf,
    file: String,
    calls: String,
}

impl Lair {
    fn with(name: &str, file: &[u8]) -> Result<Self, String> {
        let dir = scratch_dir(name);
        let (path, copy) = (dir.join("mapped"), dir.join("calls"));
        fs::write(&path, file).map_err(text)?;
        fs::copy(calls(), &copy).map_err(text)?;
        for path in [&dir, &path] {
            chown(path, Some(ATTACKER), Some(ATTACKER)).map_err(text)?;
        }
        let shown = |path: &Path| path.to_string_lossy().into_owned();
        Ok(Self { file: shown(&path), calls: shown(&copy), dir })
    }

    /// Profiles, with no more memory than `limit` KiB, while the attacker runs the file's code for
    /// some seconds, and cuts the file off meanwhile, if it is to `keep` bytes of it.
    fn profile(&self, limit: u32, keep: u64) -> Result<Vec<Value>, String> {
        let limited = format!("ulimit -v {limit}; exec \"$0\" \"$@\"");
        let user = ATTACKER.to_string();
        let output = Command::new("busybox")
            .args(["timeout", "60", "sh", "-c", &limited, &ebtools(), "profile", "--json", "-U"])
            .args(["--", &this_program(), "helper", "as", &user, &self.calls, "mapped"])
            .args([&self.file, &keep.to_string(), "2"])
            .watched()
            .map_err(text)?;
        let printed = String::from_utf8_lossy(&output.stdout);
        let said = String::from_utf8_lossy(&output.stderr);
        let lines = printed.lines().map(serde_json::from_str::<Value>);
        let lines = lines.collect::<Result<Vec<_>, _>>().map_err(text)?;
        let is_done = lines.last().is_some_and(|line| line["type"] == "summary");
        check(output.status.success() && is_done, || format!("{}: {said}", output.status))?;
        Ok(lines)
    }

    /// The functions of the file, by their samples.
    fn functions(&self, lines: &[Value]) -> Result<Vec<String>, String> {
        let module = fs::canonicalize(&self.file).map_err(text)?.to_string_lossy().into_owned();
        let of_file = lines.iter().filter(|line| line["module"] == module.as_str());
        let names = of_file.filter_map(|line| line["function"].as_str().map(Into::into));
        Ok(names.collect())
    }
}

impl Drop for Lair {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A table of symbols that is there when it is looked for and gone when it is read.
fn survives_files_that_are_cut_off() -> Result<(), String> {
    let mut file = made::elf(&[("counts_down", FUNCTION, 1, CODE_ADDRESS, 16)], CODE);
    let size = 64_u64 << 20;
    file[SYMBOLS_SIZE_AT..][..8].copy_from_slice(&size.to_ne_bytes());
    let lair = Lair::with("cut", &file)?;
    let all = fs::OpenOptions::new().write(true).open(&lair.file).map_err(text)?;
    all.set_len(2 * size).map_err(text)?;
    for _ in 0..3 {
        let lines = lair.profile(4 << 20, CODE_END)?;
        let functions = lair.functions(&lines)?;
        check(!functions.is_empty(), || format!("no samples: {lines:?}"))?;
    }
    Ok(())
}

/// Two hundred gigabytes of symbols, nearly all of which is a hole.
fn reads_so_much_of_a_file() -> Result<(), String> {
    let mut file = made::elf(&[("counts_down", FUNCTION, 1, CODE_ADDRESS, 16)], CODE);
    let size = 200_u64 << 30;
    file[SYMBOLS_SIZE_AT..][..8].copy_from_slice(&size.to_ne_bytes());
    let lair = Lair::with("sparse", &file)?;
    let all = fs::OpenOptions::new().write(true).open(&lair.file).map_err(text)?;
    all.set_len(size + (1 << 20)).map_err(text)?;
    let lines = lair.profile(600 << 10, 0)?;
    let functions = lair.functions(&lines)?;
    check(functions.iter().any(|name| name == "counts_down"), || format!("{functions:?}"))
}

/// Neither the names of versions and data nor a function that ends before are what runs. Without
/// another name it is the address that the file gives to it.
fn shows_no_versions_as_functions() -> Result<(), String> {
    let symbols = [
        ("GLIBC_PRIVATE", OBJECT, ABSOLUTE, 0, 0),
        ("VERSION_1", OBJECT, ABSOLUTE, CODE_ADDRESS, 0),
        ("data", OBJECT, 1, CODE_ADDRESS, 0x1000),
        ("elsewhere", FUNCTION, 1, 0x10, 4),
    ];
    let lair = Lair::with("versions", &made::elf(&symbols, CODE))?;
    let functions = lair.functions(&lair.profile(600 << 10, 0)?)?;
    let prefix = format!("[mapped+{:#x}", CODE_ADDRESS >> 4);
    let good = !functions.is_empty() && functions.iter().all(|name| name.starts_with(&prefix));
    check(good, || format!("{functions:?}"))
}

const SECOND_CPU: &str = "/sys/devices/system/cpu/cpu1/online";

/// The second CPU, which is put back in every case.
struct SecondCpu;

impl SecondCpu {
    fn set(state: &str) -> Result<(), String> {
        fs::write(SECOND_CPU, state).map_err(text)
    }
}

impl Drop for SecondCpu {
    fn drop(&mut self) {
        let _ = Self::set("1");
    }
}

/// One that is away for a while, and one that is back before anybody has looked.
fn samples_cpus_that_come_back() -> Result<(), String> {
    if fs::read_to_string(SECOND_CPU).is_ok_and(|state| state.trim() != "1")
        || fs::OpenOptions::new().write(true).open(SECOND_CPU).is_err()
    {
        return Err("skipped: there is no second CPU that can be switched off".into());
    }
    for is_seen in [true, false] {
        let mut running = Running::start(&["profile", "--json", "-n", "calls"])?;
        let cpu = SecondCpu;
        SecondCpu::set("0")?;
        if is_seen {
            running.wait_for("CPU 1 went")?;
        }
        drop(cpu);
        running.wait_for("CPU 1 came")?;
        let mut busy = Command::new("busybox");
        let status = busy.args(["taskset", "2", calls(), "busy", "300"]).status().map_err(text)?;
        check(status.success(), || status.to_string())?;
        kill(running.pid(), Signal::SIGINT).map_err(text)?;
        let (_, printed, said) = running.end().map_err(text)?;
        let lines = printed.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let spin = lines.filter(|line| line["function"] == "spin");
        let samples = spin.filter_map(|line| line["count"].as_u64()).sum::<u64>();
        check(samples > 10, || format!("{samples} samples: {printed}{said}"))?;
    }
    Ok(())
}

/// Removes what a case has installed.
struct Installed(PathBuf);

impl Drop for Installed {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
        // Those that are empty, and not more than this case may have made.
        for dir in self.0.ancestors().skip(1).take_while(|dir| *dir != Path::new("/usr/lib")) {
            if fs::remove_dir(dir).is_err() {
                break;
            }
        }
    }
}

/// Symbols that were put into a file of their own: by the name in the stripped one, if the sum is
/// right and root owns it, and by the build id.
fn takes_installed_debug_files() -> Result<(), String> {
    let dir = fs::canonicalize(scratch_dir("stripped")).map_err(text)?;
    let (debug, stripped) = (dir.join("calls.debug"), dir.join("calls"));
    let run = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).current_dir(&dir).watched();
        let output = output.map_err(|_| format!("skipped: there is no {program}"))?;
        check(output.status.success(), || format!("{program} {args:?}: {output:?}"))?;
        Ok::<_, String>(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    run("objcopy", &["--only-keep-debug", calls(), "calls.debug"])?;
    run("objcopy", &["--strip-all", "--add-gnu-debuglink=calls.debug", calls(), "calls"])?;
    let is_named = || {
        let mut profile = Command::new(ebtools());
        profile.args(["profile", "--json", "-U", "--"]).arg(&stripped).args(["busy", "300"]);
        let output = profile.watched().map_err(text)?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        check(printed.contains("\"module\":\""), || printed.clone())?;
        Ok::<_, String>(printed.contains("\"function\":\"spin\""))
    };
    check(!is_named()?, || "it has symbols".into())?;
    let install = |path: PathBuf| {
        fs::create_dir_all(path.parent().ok_or("no directory")?).map_err(text)?;
        fs::copy(&debug, &path).map_err(text)?;
        Ok::<_, String>(Installed(path))
    };
    let beside = dir.strip_prefix("/").map_err(text)?;
    let linked = install(Path::new("/usr/lib/debug").join(beside).join("calls.debug"))?;
    check(is_named()?, || "not by the link".into())?;
    chown(&linked.0, Some(ATTACKER), None).map_err(text)?;
    check(!is_named()?, || "it believes another user".into())?;
    chown(&linked.0, Some(0), None).map_err(text)?;
    let mut wrong = fs::read(&debug).map_err(text)?;
    wrong.push(0);
    fs::write(&linked.0, wrong).map_err(text)?;
    check(!is_named()?, || "it believes a wrong sum".into())?;
    drop(linked);
    let notes = run("readelf", &["-n", "calls"])?;
    if let Some((_, id)) = notes.split_once("Build ID: ") {
        let (first, rest) = id.lines().next().unwrap_or_default().split_at(2);
        let name = format!("/usr/lib/debug/.build-id/{first}/{}.debug", rest.trim());
        let _installed = install(name.into())?;
        check(is_named()?, || "not by the build id".into())?;
    }
    fs::remove_dir_all(&dir).map_err(text)
}
