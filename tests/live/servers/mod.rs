//! Real servers: their data are made once a run, in a directory of their own, and a case's workload
//! starts them, has clients ask them, and stops them. A file for each kind of server.

mod mariadb;
mod nginx;
mod postgresql;
mod redis;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::run::scratch_dir;
use crate::times::SERVERS;

pub(crate) use mariadb::MARIADB;
pub(crate) use nginx::NGINX;
pub(crate) use postgresql::POSTGRESQL;
pub(crate) use redis::REDIS;

static ALL: [&Kind; 4] = [&POSTGRESQL, &MARIADB, &REDIS, &NGINX];

/// Nobody's number: servers do not run as root.
const NOBODY: u32 = 65534;

type Made<T> = Result<T, Box<dyn std::error::Error>>;

pub(crate) struct Kind {
    name: &'static str,
    /// What cases call its program, and its data.
    words: [&'static str; 2],
    /// Directory, and what is in one of those in it.
    place: (&'static str, &'static str),
    /// What else its cases run, in `usr/bin`.
    clients: &'static [&'static str],
    make: fn(&Server) -> Made<()>,
    start: fn(&Server) -> Made<Child>,
    /// Does it take connections?
    is_ready: fn(&Server) -> Made<bool>,
    made: OnceLock<Result<Server, String>>,
}

/// One that is found, with its data.
pub(crate) struct Server {
    /// What it is unpacked under: / if it is installed.
    root: PathBuf,
    program: PathBuf,
    /// Where its data are, and its socket.
    data: PathBuf,
}

impl Kind {
    /// Why it cannot be run here.
    pub(crate) fn missing(&self) -> Option<String> {
        let missing = match self.find() {
            Some(_) => self.clients.iter().find(|name| client(name).is_none()),
            None => Some(&self.name),
        };
        missing.map(|name| format!("there is no {name}"))
    }

    /// What cases call it and its data, once those are made.
    pub(crate) fn words(&self) -> Result<[(&'static str, String); 2], String> {
        let server = self.made.get_or_init(|| self.made()).as_ref().map_err(Clone::clone)?;
        let [program, data] = [&server.program, &server.data].map(|path| path.display());
        // The one begins with the other.
        Ok([(self.words[1], data.to_string()), (self.words[0], program.to_string())])
    }

    fn made(&self) -> Result<Server, String> {
        let began = Instant::now();
        let make = || {
            let server = self.server(scratch_dir(self.name))?;
            chown(&server.data, Some(server.uid()?), None)?;
            (self.make)(&server).map(|()| server)
        };
        let server = make().map_err(|error| format!("making {}'s data: {error}", self.name))?;
        SERVERS.add(began);
        Ok(server)
    }

    fn server(&self, data: PathBuf) -> Made<Server> {
        let (root, program) = self.find().ok_or_else(|| format!("there is no {}", self.name))?;
        Ok(Server { root, program, data })
    }

    /// Where `$EBTOOLS_SERVERS` and the system have its program.
    fn find(&self) -> Option<(PathBuf, PathBuf)> {
        let (dir, program) = self.place;
        let mut found = roots().flat_map(|root| {
            let dirs = root.join(dir).read_dir().into_iter().flatten().flatten();
            let programs = dirs.map(|dir| dir.path().join(program)).filter(|path| path.is_file());
            programs.map(|program| (root.clone(), program)).collect::<Vec<_>>()
        });
        found.next()
    }

    /// Waits until it takes connections.
    fn wait(&self, server: &Server, process: &mut Child) -> Made<()> {
        for _ in 0..2500 {
            if (self.is_ready)(server)? {
                return Ok(());
            }
            if let Some(status) = process.try_wait()? {
                return Err(format!("{}: {status}", self.name).into());
            }
            sleep(Duration::from_millis(20));
        }
        Err(format!("{} does not start", self.name).into())
    }
}

fn roots() -> impl Iterator<Item = PathBuf> {
    let roots = [std::env::var("EBTOOLS_SERVERS").unwrap_or_default(), "/".into()];
    roots.into_iter().filter(|root| !root.is_empty()).map(PathBuf::from)
}

fn client(name: &str) -> Option<PathBuf> {
    roots().map(|root| root.join("usr/bin").join(name)).find(|path| path.is_file())
}

/// Removes the data of those that were made.
pub(crate) fn clean_up() {
    for server in ALL.iter().filter_map(|kind| kind.made.get()?.as_ref().ok()) {
        let _ = fs::remove_dir_all(&server.data);
    }
}

/// The workload: a server runs while `work` is done.
fn serve<T>(name: &str, data: &str, work: impl FnOnce(&Server, &Child) -> Made<T>) -> Made<T> {
    let kind = ALL.into_iter().find(|kind| kind.name == name).ok_or("no such kind of server")?;
    let server = kind.server(data.into())?;
    let mut process = (kind.start)(&server)?;
    let done = kind.wait(&server, &mut process).and_then(|()| work(&server, &process));
    // It ends when its clients are gone, or has ended.
    if process.try_wait()?.is_none() {
        kill(Pid::from_raw(i32::try_from(process.id())?), Signal::SIGTERM)?;
    }
    process.wait()?;
    done
}

/// A workload of a database: these queries are put.
pub(crate) fn put(name: &str, data: &str, queries: &[String]) -> Made<()> {
    let put = if name == POSTGRESQL.name { postgresql::put } else { mariadb::put };
    serve(name, data, |server, _| queries.iter().try_for_each(|query| put(server, query)))
}

/// The workload of any: a command that finds the clients, and in `$SERVER` its number.
pub(crate) fn with(name: &str, data: &str, command: &[&str]) -> Made<ExitStatus> {
    serve(name, data, |server, process| {
        let system = std::env::var_os("PATH").unwrap_or_default();
        let paths = server.program.parent().into_iter().map(Path::to_path_buf);
        let paths = paths.chain(roots().map(|root| root.join("usr/bin")));
        let paths = std::env::join_paths(paths.chain(std::env::split_paths(&system)))?;
        let mut found = Command::new(command[0]);
        found.args(&command[1..]).env("PATH", paths).env("SERVER", process.id().to_string());
        if let Some(libraries) = roots().find_map(|root| libraries(&root)) {
            found.env("LD_LIBRARY_PATH", libraries);
        }
        Ok(found.status()?)
    })
}

/// Those of what is unpacked.
fn libraries(root: &Path) -> Option<PathBuf> {
    let libraries = root.join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH));
    (root != Path::new("/")).then_some(libraries)
}

impl Server {
    fn command(&self, program: &Path) -> Made<Command> {
        let mut command = Command::new(program);
        if let Some(libraries) = libraries(&self.root) {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/");
        command.uid(self.uid()?).gid(self.uid()?);
        Ok(command)
    }

    /// Who can see the program.
    fn uid(&self) -> Made<u32> {
        let owner = fs::metadata(&self.program)?.uid();
        Ok(if owner == 0 { NOBODY } else { owner })
    }

    /// Where it listens besides.
    fn socket(&self) -> PathBuf {
        self.data.join("socket")
    }

    fn takes_connections(&self) -> Made<bool> {
        Ok(UnixStream::connect(self.socket()).is_ok())
    }
}

/// What it says when it fails.
fn succeed(command: &mut Command) -> Made<()> {
    let output = command.stderr(Stdio::piped()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)).into())
}
