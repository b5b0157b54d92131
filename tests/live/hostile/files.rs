//! Attacks by files, libraries and programs that belong to somebody else.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::images::{CODE, Image, code, note};
use crate::behaviours::{Behaviour, check, text};
use crate::run::{Running, calls, ebtools, lookups, scratch_dir, this_program};
use crate::watched::Watched as _;

pub(crate) const CASES: &[(&str, Behaviour)] = &[
    ("files_another_user_changes_no_code", another_user_changes_no_code),
    ("files_that_say_they_are_large", files_that_say_they_are_large),
    ("files_that_are_large", files_that_are_large),
    ("files_that_hold_up_are_tried_again", files_that_hold_up_are_tried_again),
    ("files_that_are_cut_while_they_are_read", files_that_are_cut_while_they_are_read),
    ("files_with_probes_that_are_none", files_with_probes_that_are_none),
    ("files_that_become_pipes_are_not_waited_for", files_that_become_pipes_are_not_waited_for),
    ("files_with_another_name_are_the_same", files_with_another_name_are_the_same),
    ("files_of_a_chroot", files_of_a_chroot),
    ("files_with_alike_names_hide_nothing", files_with_alike_names_hide_nothing),
    ("files_that_are_mapped_late", files_that_are_mapped_late),
    ("files_with_stacks_of_their_own", files_with_stacks_of_their_own),
    ("files_that_are_too_many_are_told_of", files_that_are_too_many_are_told_of),
];

/// The attacker.
const NOBODY: u32 = 65534;
const LIBC: &str = "libc.so.6";

/// A process of tests that waits for input; dropped, it ends.
struct Waiting(Child, BufReader<ChildStdout>);

impl Waiting {
    /// Starts it as a user, and waits until it says its number.
    fn start(uid: u32, program: &Path, args: &[&str]) -> Result<Self, String> {
        let mut command = Command::new(this_program());
        command.args(["helper", "as", &uid.to_string()]).arg(program).args(args);
        let mut waiting = Self::spawn(&mut command)?;
        waiting.says_pid()?;
        Ok(waiting)
    }

    fn spawn(command: &mut Command) -> Result<Self, String> {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = child.spawn().map_err(text)?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        Ok(Self(child, BufReader::new(stdout)))
    }

    /// Waits until it says its number.
    fn says_pid(&mut self) -> Result<(), String> {
        let mut line = String::new();
        self.1.read_line(&mut line).map_err(text)?;
        check(line.starts_with("pid "), || format!("it failed: {line:?}"))
    }

    fn go_on(&mut self) -> Result<(), String> {
        let input = self.0.stdin.as_mut().ok_or("no standard input")?;
        input.write_all(b"x").map_err(text)
    }

    /// Lets it go on, and waits for its end: its exit code.
    fn end(mut self) -> Result<Option<i32>, String> {
        drop(self.0.stdin.take());
        Ok(self.0.wait().map_err(text)?.code())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A directory that is the attacker's, and the program of unusual calls in it, which he can run.
fn scene(name: &str) -> Result<(PathBuf, PathBuf), String> {
    let dir = scratch_dir(name);
    let program = dir.join("calls");
    fs::copy(calls(), &program).map_err(text)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).map_err(text)?;
    give(&dir)?;
    Ok((dir, program))
}

fn give(path: &Path) -> Result<(), String> {
    chown(path, Some(NOBODY), Some(NOBODY)).map_err(text)
}

fn finish(running: Running) -> Result<(String, String), String> {
    kill(running.pid(), Signal::SIGINT).map_err(text)?;
    let (code, stdout, stderr) = running.end().map_err(text)?;
    check(code == Some(0), || format!("{code:?} {stdout} {stderr}"))?;
    Ok((stdout, stderr))
}

/// An attacker's library has a function where he wants the kernel to write. When it has been read,
/// a program of root's has its name.
fn another_user_changes_no_code() -> Result<(), String> {
    let (dir, program) = scene("exchange")?;
    let victim = scratch_dir("victim").join("program");
    fs::write(&victim, [code(), code()].concat()).map_err(text)?;
    for name in ["d", "e"] {
        fs::create_dir(dir.join(name)).map_err(text)?;
        give(&dir.join(name))?;
    }
    let library = dir.join("d").join(LIBC);
    Image { functions: &[("getaddrinfo", CODE)], ..Image::default() }
        .write(&library)
        .map_err(text)?;
    give(&library)?;
    symlink(&victim, dir.join("e").join(LIBC)).map_err(text)?;
    let compared = Waiting::start(0, &program, &["compare", &victim.to_string_lossy()])?;
    let args = ["exchange-after-reading", &dir.to_string_lossy(), LIBC];
    let mut attacker = Waiting::start(NOBODY, &program, &args)?;
    let running = Running::start(&["gethostlatency", "-n", "nobody"])?;
    // That it has exchanged them.
    attacker.says_pid()?;
    finish(running)?;
    let code = compared.end()?;
    attacker.end()?;
    check(code == Some(0), || format!("code of root's was changed: {code:?}"))?;
    let _ = fs::remove_dir_all(victim.parent().unwrap_or(&victim));
    fs::remove_dir_all(dir).map_err(text)
}

/// A library and a pipe, which nobody writes to, change places all the time.
fn files_that_become_pipes_are_not_waited_for() -> Result<(), String> {
    let (dir, program) = scene("pipes")?;
    let [library, pipe] = ["library", "pipe"].map(|name| dir.join(name));
    let functions = &[("getaddrinfo", CODE)];
    Image { functions, ..Image::default() }.write(&library).map_err(text)?;
    mkfifo(&pipe, Mode::from_bits_truncate(0o644)).map_err(text)?;
    let args = [library.to_string_lossy(), pipe.to_string_lossy()];
    let attacker = Waiting::start(NOBODY, &program, &["exchange-on", &args[0], &args[1]])?;
    let (mut found, mut refused) = (0, 0);
    // Whichever of them it is: a minute is enough for both to be met many times.
    let deadline = Instant::now() + Duration::from_secs(60);
    while (found < 5 || refused < 5) && Instant::now() < deadline {
        let mut command = Command::new("busybox");
        command.args(["timeout", "20", &ebtools(), "probes", &args[0], "getaddr*"]);
        command.stdin(Stdio::null());
        let output = command.watched().map_err(text)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0) => found += 1,
            Some(1) if said.contains("it is not a regular file") => refused += 1,
            code => return Err(format!("{code:?} {said}")),
        }
    }
    drop(attacker);
    check(found >= 5 && refused >= 5, || format!("{found} found, {refused} refused"))?;
    fs::remove_dir_all(dir).map_err(text)
}

/// Every tool that reads such a file fails soon, with little memory, and says why.
fn is_refused(path: &Path, why: &[&str]) -> Result<(), String> {
    let path = path.to_string_lossy();
    let function = format!("{path}:getaddr*");
    for args in [
        &["probes", &path, "getaddr*"][..],
        &["readline", "-s", &path],
        &["querysnoop", "--server", &path],
        &["funclatency", &function],
    ] {
        let mut command = Command::new("sh");
        // KiB of memory, the program itself among them; seconds of time.
        let script = "ulimit -v 700000; ulimit -t 20; exec \"$0\" \"$@\"";
        command.args(["-c", script, &ebtools()]).args(args).stdin(Stdio::null());
        let output = command.watched().map_err(text)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let good = output.status.code() == Some(1)
            && said.lines().count() <= 2
            && why.iter().any(|why| said.contains(why));
        check(good, || format!("{args:?}: {} {said}", output.status))?;
    }
    Ok(())
}

/// Twelve kilobytes on the disk.
fn files_that_say_they_are_large() -> Result<(), String> {
    let (dir, _) = scene("sparse")?;
    let path = dir.join("sparse");
    let none = ["no PostgreSQL, MySQL or MariaDB"];
    for sections in [1 << 20, 1 << 24, 1 << 40, u64::MAX] {
        let functions = &[("getaddrinfo", CODE)];
        Image { functions, sections: Some(sections), ..Image::default() }
            .write(&path)
            .map_err(text)?;
        let file = fs::File::options().write(true).open(&path).map_err(text)?;
        file.set_len(1 << 40).map_err(text)?;
        is_refused(&path, &[&format!("it has {sections} sections"), none[0]])?;
    }
    fs::remove_dir_all(dir).map_err(text)
}

fn files_that_are_large() -> Result<(), String> {
    let (dir, _) = scene("large")?;
    let path = dir.join("large");
    let none = "no PostgreSQL, MySQL or MariaDB";
    let matches = "nothing matches";
    let needed = Image { names: b"libreadline.so\0", needed: 1_000_000, ..Image::default() };
    needed.write(&path).map_err(text)?;
    is_refused(&path, &["1000000 entries for the dynamic linker", none, matches])?;

    let names = [&b"getaddr".repeat(1 << 17)[..], &[0]].concat();
    let symbols = (0..300_000).map(|i| (i * 3, CODE)).collect::<Vec<_>>();
    Image { names: &names, symbols: &symbols, ..Image::default() }.write(&path).map_err(text)?;
    is_refused(&path, &["the names of its symbols overlap", none])?;

    let notes = note(CODE, 0).repeat(300_000);
    Image { notes: &notes, ..Image::default() }.write(&path).map_err(text)?;
    is_refused(&path, &["it has a table of", "it has no such function", none])?;
    fs::remove_dir_all(dir).map_err(text)
}

/// A lease: whoever opens the file has to wait, for 45 seconds.
fn files_that_hold_up_are_tried_again() -> Result<(), String> {
    let (dir, program) = scene("lease")?;
    let library = dir.join(LIBC);
    Image { functions: &[("getaddrinfo", CODE)], ..Image::default() }
        .write(&library)
        .map_err(text)?;
    give(&library)?;
    let mut attacker = Waiting::start(NOBODY, &program, &["lease", &library.to_string_lossy()])?;
    let mut running = Running::start_command(Command::new(ebtools()).args([
        "gethostlatency",
        "-v",
        "-n",
        "nobody",
        "-d",
        "100",
    ]))?;
    attacker.go_on()?;
    running.wait_for(&format!("in use: uprobe /proc/{}/map_files/", attacker.0.id()))?;
    finish(running)?;
    attacker.end()?;
    fs::remove_dir_all(dir).map_err(text)
}

/// libbpf maps the file to read its probes.
fn files_that_are_cut_while_they_are_read() -> Result<(), String> {
    let (dir, program) = scene("cut")?;
    let server = dir.join("mysqld");
    fs::copy(calls(), &server).map_err(text)?;
    give(&server)?;
    let attacker = Waiting::start(NOBODY, &program, &["cut", &server.to_string_lossy()])?;
    for _ in 0..5 {
        let mut command = Command::new(ebtools());
        command.args(["querysnoop", "-d", "0.01", "--server"]).arg(&server);
        let output = command.stdin(Stdio::null()).watched().map_err(text)?;
        check(output.status.code().is_some_and(|code| code < 2), || format!("{output:?}"))?;
    }
    attacker.end()?;
    fs::remove_dir_all(dir).map_err(text)
}

/// Only where nothing is done may the kernel write, and only into data count.
fn files_with_probes_that_are_none() -> Result<(), String> {
    let (dir, _) = scene("notes")?;
    let path = dir.join("mysqld");
    for (address, semaphore) in [(64, 0), (CODE, 64), (1 << 40, 0)] {
        let notes = note(address, semaphore);
        Image { notes: &notes, ..Image::default() }.write(&path).map_err(text)?;
        let mut command = Command::new(ebtools());
        command.args(["querysnoop", "-d", "0.1", "--server"]).arg(&path);
        let output = command.stdin(Stdio::null()).watched().map_err(text)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let good = output.status.code() == Some(1) && said.contains("no PostgreSQL, MySQL");
        check(good, || format!("{address:#x} {semaphore:#x}: {} {said}", output.status))?;
    }
    fs::remove_dir_all(dir).map_err(text)
}

/// What leads to files that this very program has mapped.
fn mapped(name: &str) -> Result<PathBuf, String> {
    let maps = fs::read_to_string("/proc/self/maps").map_err(text)?;
    let mut paths = maps.lines().filter_map(|line| line.split_once('/').map(|(_, path)| path));
    let path = paths.find(|path| path.rsplit('/').next().is_some_and(|file| file.contains(name)));
    path.map(|path| Path::new("/").join(path)).ok_or(format!("skipped: {name} is not mapped"))
}

/// A directory with a C library and a program that looks names up, and its loader.
fn jail(name: &str) -> Result<PathBuf, String> {
    let dir = scratch_dir(name);
    let program = lookups()[0].ok_or("skipped: there is no program that looks names up")?;
    for (from, to) in
        [(mapped("ld-linux")?, "ld.so"), (mapped(LIBC)?, LIBC), (program.into(), "lookups")]
    {
        fs::copy(from, dir.join(to)).map_err(text)?;
    }
    Ok(dir)
}

/// Looks names up once there is input.
fn lookups_in(root: &Path) -> Result<Waiting, String> {
    let mut command = Command::new(this_program());
    command.args(["helper", "in-chroot"]).arg(root);
    command.args(["/ld.so", "--library-path", "/", "/lookups", "after", "input"]);
    let waiting = Waiting::spawn(&mut command)?;
    // Its library comes next: it may be seen without.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let maps = format!("/proc/{}/maps", waiting.0.id());
    while !fs::read_to_string(&maps).map_err(text)?.contains("/lookups") {
        check(std::time::Instant::now() < deadline, || "it does not start".into())?;
    }
    Ok(waiting)
}

/// Without a mount namespace of its own.
fn files_of_a_chroot() -> Result<(), String> {
    let dir = jail("chroot")?;
    let traced = lookups_in(&dir)?;
    let pid = traced.0.id().to_string();
    let running = Running::start(&["gethostlatency", "--json", "-p", &pid])?;
    traced.end()?;
    let (stdout, _) = finish(running)?;
    check(stdout.contains(r#""produced":7,"delivered":7,"lost":{}"#), || stdout)?;
    fs::remove_dir_all(dir).map_err(text)
}

/// A C library that nobody else has.
fn library(dir: &Path, name: &str) -> Result<String, String> {
    let functions = &[("getaddrinfo", CODE)];
    let path = dir.join(name);
    Image { functions, ..Image::default() }.write(&path).map_err(text)?;
    Ok(path.to_string_lossy().into_owned())
}

/// What is mapped first may be called almost as a C library, or be another one.
fn files_with_alike_names_hide_nothing() -> Result<(), String> {
    let (dir, program) = scene("alike")?;
    let decoy = library(&dir, "libc.so.6.decoy")?;
    let own = library(&dir, LIBC)?;
    let other = scratch_dir("other");
    let others = library(&other, LIBC)?;
    let mut running = Running::start(&["gethostlatency", "-n", "nobody"])?;
    let mapping = Waiting::start(0, &program, &["map", &decoy, &own, &others])?;
    for _ in [decoy, own, others] {
        running.wait_for(&format!("in use: uprobe /proc/{}/map_files/", mapping.0.id()))?;
    }
    finish(running)?;
    fs::remove_dir_all(dir).map_err(text)?;
    fs::remove_dir_all(other).map_err(text)
}

/// A library that is loaded long after the program began.
fn files_that_are_mapped_late() -> Result<(), String> {
    let (dir, program) = scene("late")?;
    let late = library(&dir, LIBC)?;
    let mut victim = Waiting::start(0, &program, &["map-later", &late])?;
    let mut running = Running::start(&["gethostlatency", "-n", "nobody"])?;
    // Processes are looked at each second: after these, nothing is new about the first one.
    for number in 0..4 {
        let own = dir.join(number.to_string());
        fs::create_dir(&own).map_err(text)?;
        let new = Waiting::start(0, &program, &["map", &library(&own, LIBC)?])?;
        running.wait_for(&format!("in use: uprobe /proc/{}/map_files/", new.0.id()))?;
    }
    victim.go_on()?;
    victim.says_pid()?;
    running.wait_for(&format!("in use: uprobe /proc/{}/map_files/", victim.0.id()))?;
    finish(running)?;
    victim.end()?;
    fs::remove_dir_all(dir).map_err(text)
}

/// Another name, or other rights, make no other file: each event is seen once.
fn files_with_another_name_are_the_same() -> Result<(), String> {
    let dir = jail("names")?;
    let first = lookups_in(&dir)?;
    let mut running = Running::start(&["gethostlatency", "--json", "-n", "ld.so"])?;
    let path = dir.join(LIBC);
    fs::hard_link(&path, dir.join("link")).map_err(text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).map_err(text)?;
    let second = lookups_in(&dir)?;
    // It knows the file as it is now, by one of the two.
    running.wait_for(" has its probes already")?;
    for process in [first, second] {
        process.end()?;
    }
    let (stdout, _) = finish(running)?;
    check(stdout.contains(r#""produced":14,"delivered":14,"lost":{}"#), || stdout)?;
    fs::remove_dir_all(dir).map_err(text)
}

/// A hundred containers have each a library of their own: without descriptors for all of them it
/// says how many it has not attached to.
fn files_that_are_too_many_are_told_of() -> Result<(), String> {
    let (dir, program) = scene("many")?;
    let mut containers = Vec::new();
    for number in 0..40 {
        let own = dir.join(number.to_string());
        fs::create_dir(&own).map_err(text)?;
        let library = own.join(LIBC);
        let functions = &[("getaddrinfo", CODE), ("gethostbyname", CODE + 64)];
        Image { functions, ..Image::default() }.write(&library).map_err(text)?;
        containers.push(Waiting::start(0, &program, &["map", &library.to_string_lossy()])?);
    }
    let run = |limit: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit {limit}; exec \"$0\" \"$@\""), &ebtools()]);
        command.args(["gethostlatency", "--json", "-v", "-d", "100"]);
        finish(Running::start_command(&mut command)?)
    };
    // A soft limit is raised: without uprobe.multi each function takes four.
    let (stdout, said) = run("-Sn 100")?;
    check(!stdout.contains("unattached"), || format!("{stdout} {said}"))?;
    let (stdout, said) = run("-n 100")?;
    let good = stdout.contains("\"unattached\":") && said.contains(" could not be attached to");
    check(good, || format!("{stdout} {said}"))?;
    drop(containers);
    fs::remove_dir_all(dir).map_err(text)
}

/// Programs that tracing would end are refused, unless the user wants it.
fn files_with_stacks_of_their_own() -> Result<(), String> {
    let (dir, _) = scene("stacks")?;
    let path = dir.join("program");
    let plain = [("main", CODE)];
    let coroutines = [("main", CODE), ("qemu_coroutine_new", CODE + 64)];
    for (functions, is_go, why) in [
        (&plain[..], false, None),
        (&plain[..], true, Some("it is written in Go")),
        (&coroutines[..], false, Some("it has coroutines")),
    ] {
        Image { functions, is_go, ..Image::default() }.write(&path).map_err(text)?;
        for force in [&[][..], &["--force"]] {
            let mut command = Command::new(ebtools());
            command.args(["funclatency", "-d", "0.1", &format!("{}:main", path.display())]);
            let output = command.args(force).stdin(Stdio::null()).watched().map_err(text)?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let good = match why.filter(|_| force.is_empty()) {
                Some(why) => output.status.code() == Some(1) && said.contains(why),
                None => output.status.code() == Some(0),
            };
            check(good, || format!("{why:?} {force:?}: {} {said}", output.status))?;
        }
    }
    fs::remove_dir_all(dir).map_err(text)
}
