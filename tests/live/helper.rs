//! What workloads need and the usual programs do not do: `live helper WORD ARGS...`.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use caps::{CapSet, CapsHashSet};
use ebtools::cli::Beside;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::personality::{self, Persona};
use nix::unistd::{Gid, Uid, chroot, setgid, setgroups, setsid, setuid};

use crate::servers;

pub(crate) fn main(args: &[String]) -> ExitCode {
    let args = args.iter().map(String::as_str).collect::<Vec<_>>();
    help(&args).unwrap_or_else(|error| {
        eprintln!("helper: {error}");
        ExitCode::from(99)
    })
}

fn help(args: &[&str]) -> Done {
    match *args {
        // Runs a command as another user.
        ["as", uid, ref command @ ..] => as_user(uid, command),
        // Becomes a command in another root directory.
        ["in-chroot", dir, ref command @ ..] => in_chroot(dir, command),
        // Becomes a command of this user that has these capabilities, with commas between, and no others.
        ["with-rights", uid, rights, ref command @ ..] => with_rights(uid, rights, command),
        // Puts queries to a database server that runs meanwhile.
        ["serve", name, data, ref queries @ ..] => serve(name, data, queries),
        // Runs a command while a server of any kind runs, whose number is $SERVER.
        ["with-server", name, data, ref command @ ..] => with_server(name, data, command),
        // Runs a command in a cgroup.
        ["in-cgroup", dir, ref command @ ..] => in_cgroup(Path::new(dir), command),
        // Runs a command in a cgroup whose path is longer than a path may be.
        ["in-deep-cgroup", dir, ref command @ ..] => in_deep_cgroup(Path::new(dir), command),
        // Runs a command as the first process of a PID namespace.
        ["in-pid-namespace", ref command @ ..] => in_pid_namespace(command),
        // Runs a command that sees the processes of its own PID namespace.
        ["with-own-proc", ref command @ ..] => with_own_proc(command),
        // Runs a command that has a file system of its own at a directory.
        ["with-mount", dir, ref command @ ..] => with_mount(Path::new(dir), command),
        // Runs a command in an overlayfs whose lower layer has files a, b and c.
        ["in-overlay", dir, ref command @ ..] => in_overlay(Path::new(dir), command),
        // Runs a command whose addresses are the same each time.
        ["without-aslr", ref command @ ..] => without_aslr(command),
        // Runs a command in a network of its own.
        ["in-network", ref command @ ..] => in_network(command),
        // Runs a command in a network that is joined to another, that of the process $OTHER: this
        // one is 10.9.8.1 on the interface va.
        ["in-two-networks", ref command @ ..] => in_two_networks(command),
        // Runs a command that has two directories a and b with the same bash, by two overlays over
        // it.
        ["with-two-overlays", dir, ref command @ ..] => with_two_overlays(Path::new(dir), command),
        // Runs a command whose output goes to a small disk, and then prints it.
        ["on-small-disk", dir, ref command @ ..] => on_small_disk(Path::new(dir), command),
        // Becomes a command whose terminal is its standard input.
        ["in-terminal", ref command @ ..] => in_terminal(command),
        // Runs a command that finds nothing in a directory, or in a file.
        ["without", path, ref command @ ..] => without(Path::new(path), command),
        // Starts programs while two tools trace this process and what it starts, in threads of it:
        // prints what they show.
        ["between-two-tools", dir] => between_two_tools(Path::new(dir)),
        _ => Err(format!("helper: unknown: {args:?}").into()),
    }
}

type Done = Result<ExitCode, Box<dyn std::error::Error>>;

fn as_user(uid: &str, command: &[&str]) -> Done {
    let uid = uid.parse()?;
    setgroups(&[])?;
    setgid(Gid::from_raw(uid))?;
    setuid(Uid::from_raw(uid))?;
    Err(Command::new(command[0]).args(&command[1..]).exec().into())
}

fn in_chroot(dir: &str, command: &[&str]) -> Done {
    chroot(dir)?;
    std::env::set_current_dir("/")?;
    Err(Command::new(command[0]).args(&command[1..]).exec().into())
}

fn with_rights(uid: &str, rights: &str, command: &[&str]) -> Done {
    let uid = uid.parse()?;
    let rights = rights.split(',').filter(|name| !name.is_empty()).map(str::parse);
    let rights = rights.collect::<Result<CapsHashSet, _>>()?;
    if uid == 0 {
        // Root gets back by exec what is in the bounding set.
        for other in caps::runtime::thread_all_supported().difference(&rights) {
            caps::drop(None, CapSet::Bounding, *other)?;
        }
    }
    caps::securebits::set_keepcaps(true)?;
    setgroups(&[])?;
    setgid(Gid::from_raw(uid))?;
    setuid(Uid::from_raw(uid))?;
    caps::set(None, CapSet::Effective, &rights)?;
    for set in [CapSet::Permitted, CapSet::Inheritable, CapSet::Ambient] {
        caps::set(None, set, &rights)?;
    }
    Err(Command::new(command[0]).args(&command[1..]).exec().into())
}

fn in_terminal(command: &[&str]) -> Done {
    setsid()?;
    // The first one that the leader of a session opens is its own.
    let terminal = File::options().read(true).write(true).open("/proc/self/fd/0")?;
    Err(Command::new(command[0]).args(&command[1..]).stdin(terminal).exec().into())
}

fn without(path: &Path, command: &[&str]) -> Done {
    private_mounts()?;
    let none = None::<&str>;
    if path.is_dir() {
        mount(Some("none"), path, Some("tmpfs"), MsFlags::empty(), none)?;
    } else if path.exists() {
        mount(Some("/dev/null"), path, none, MsFlags::MS_BIND, none)?;
    }
    run(command)
}

fn in_overlay(dir: &Path, command: &[&str]) -> Done {
    private_mounts()?;
    let (none, flags) = (None::<&str>, MsFlags::empty());
    // The directory may be in an overlayfs itself, which cannot be a layer.
    mount(Some("none"), dir, Some("tmpfs"), flags, none)?;
    let [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map(|x| dir.join(x));
    for dir in [&lower, &upper, &work, &merged] {
        std::fs::create_dir(dir)?;
    }
    for file in ["a", "b", "c"] {
        std::fs::write(lower.join(file), file)?;
    }
    let [l, u, w] = [&lower, &upper, &work].map(|dir| dir.display());
    let options = format!("lowerdir={l},upperdir={u},workdir={w}");
    mount(Some("none"), &merged, Some("overlay"), flags, Some(options.as_str()))?;
    std::env::set_current_dir(merged)?;
    run(command)
}

fn with_mount(dir: &Path, command: &[&str]) -> Done {
    private_mounts()?;
    std::fs::create_dir_all(dir)?;
    mount(Some("none"), dir, Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
    run(command)
}

fn with_two_overlays(dir: &Path, command: &[&str]) -> Done {
    private_mounts()?;
    let (none, flags) = (None::<&str>, MsFlags::empty());
    mount(Some("none"), dir, Some("tmpfs"), flags, none)?;
    std::fs::create_dir(dir.join("lower"))?;
    std::fs::copy("/bin/bash", dir.join("lower/bash"))?;
    for name in ["a", "b"] {
        let [upper, work, merged] =
            ["upper", "work", ""].map(|part| dir.join(format!("{name}{part}")));
        for dir in [&upper, &work, &merged] {
            std::fs::create_dir(dir)?;
        }
        let [l, u, w] = [&dir.join("lower"), &upper, &work].map(|dir| dir.display().to_string());
        let options = format!("lowerdir={l},upperdir={u},workdir={w}");
        mount(Some("none"), &merged, Some("overlay"), flags, Some(options.as_str()))?;
    }
    std::env::set_current_dir(dir)?;
    run(command)
}

fn on_small_disk(dir: &Path, command: &[&str]) -> Done {
    private_mounts()?;
    mount(Some("none"), dir, Some("tmpfs"), MsFlags::empty(), Some("size=256k"))?;
    let file = dir.join("output");
    let output = std::fs::File::create(&file)?;
    let status = Command::new(command[0]).args(&command[1..]).stdout(output).status()?;
    print!("{}", std::fs::read_to_string(file)?);
    code_of(status)
}

fn without_aslr(command: &[&str]) -> Done {
    personality::set(Persona::ADDR_NO_RANDOMIZE)?;
    run(command)
}

fn own_network() -> Result<(), Box<dyn std::error::Error>> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    busybox("ip link set lo up")
}

fn in_network(command: &[&str]) -> Done {
    own_network()?;
    run(command)
}

fn in_two_networks(command: &[&str]) -> Done {
    unshare(CloneFlags::CLONE_NEWNET)?;
    let mut other = Command::new("busybox").args(["unshare", "-n", "sleep", "300"]).spawn()?;
    let own = std::fs::read_link("/proc/self/ns/net")?;
    let pid = other.id().to_string();
    while std::fs::read_link(format!("/proc/{pid}/ns/net"))? == own {
        std::thread::yield_now();
    }
    // The other end is called veth0.
    busybox("ip link add va type veth")?;
    busybox(&format!("ip link set veth0 netns {pid}"))?;
    busybox("ip addr add 10.9.8.1/24 dev va")?;
    busybox("ip link set va up")?;
    busybox(&format!("nsenter -n -t {pid} ip addr add 10.9.8.2/24 dev veth0"))?;
    busybox(&format!("nsenter -n -t {pid} ip link set veth0 up"))?;
    let status = Command::new(command[0]).args(&command[1..]).env("OTHER", &pid).status();
    other.kill()?;
    other.wait()?;
    code_of(status?)
}

fn busybox(words: &str) -> Result<(), Box<dyn std::error::Error>> {
    let status = Command::new("busybox").args(words.split(' ')).status()?;
    if status.success() { Ok(()) } else { Err(format!("busybox {words}: {status}").into()) }
}

fn serve(name: &str, data: &str, queries: &[&str]) -> Done {
    let queries = queries.iter().map(|query| query.replace("LONG", &"x".repeat(100_000)));
    // Others may use its port.
    own_network()?;
    servers::put(name, data, &queries.collect::<Vec<_>>())?;
    Ok(ExitCode::SUCCESS)
}

fn with_server(name: &str, data: &str, command: &[&str]) -> Done {
    code_of(servers::with(name, data, command)?)
}

fn in_cgroup(dir: &Path, command: &[&str]) -> Done {
    std::fs::write(dir.join("cgroup.procs"), "0")?;
    run(command)
}

fn in_deep_cgroup(dir: &Path, command: &[&str]) -> Done {
    let (name, depth) = ("d".repeat(200), 25);
    std::env::set_current_dir(dir)?;
    for _ in 0..depth {
        std::fs::create_dir(&name)?;
        std::env::set_current_dir(&name)?;
    }
    std::fs::write("cgroup.procs", "0")?;
    let done = run(command);
    std::fs::write(dir.join("cgroup.procs"), "0")?;
    let deadline = Instant::now() + Duration::from_secs(20);
    for _ in 0..depth {
        std::env::set_current_dir("..")?;
        // The kernel lets go of a cgroup a little after its last process.
        while std::fs::remove_dir(&name).is_err() && Instant::now() < deadline {}
    }
    done
}

fn in_pid_namespace(command: &[&str]) -> Done {
    unshare(CloneFlags::CLONE_NEWPID)?;
    run(command)
}

fn with_own_proc(command: &[&str]) -> Done {
    private_mounts()?;
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), None::<&str>)?;
    run(command)
}

fn run(command: &[&str]) -> Done {
    code_of(Command::new(command[0]).args(&command[1..]).status()?)
}

fn code_of(status: ExitStatus) -> Done {
    Ok(ExitCode::from(u8::try_from(status.code().unwrap_or(98))?))
}

fn private_mounts() -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
}

/// Where tracefs is not mounted, mounts it for this program and its children alone.
pub(crate) fn mount_tracefs() {
    let dir = "/sys/kernel/tracing";
    if Path::new(dir).join("events").exists() {
        return;
    }
    let mounted = private_mounts().and_then(|()| {
        mount(Some("tracefs"), dir, Some("tracefs"), MsFlags::empty(), None::<&str>)
    });
    if let Err(error) = mounted {
        println!("note: tracefs cannot be mounted: {error}");
    }
}

fn between_two_tools(dir: &Path) -> Done {
    let own = std::process::id().to_string();
    let mut running = Vec::new();
    for tool in ["execsnoop", "opensnoop"] {
        let (said, err) = nix::unistd::pipe()?;
        let out = File::create(dir.join(tool))?;
        let args = [tool, "--json", "-v", "-p", &own, "--follow", "-d", "100"];
        let tool = Beside::start(&args, out.into(), err)?;
        let mut said = BufReader::new(File::from(said));
        let mut line = String::new();
        while !line.contains(": attached") {
            line.clear();
            if said.read_line(&mut line)? == 0 {
                return Err("it did not attach".into());
            }
        }
        running.push((tool, said));
    }
    for _ in 0..50 {
        Command::new("/bin/echo").arg(dir).stdout(Stdio::null()).status()?;
    }
    for (tool, _said) in running {
        let code = tool.end();
        if code != 0 {
            return Err(format!("exit code {code}").into());
        }
    }
    Ok(ExitCode::SUCCESS)
}
