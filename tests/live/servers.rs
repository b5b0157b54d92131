//! Real database servers: their data are made once a run, in a directory of their own, and a case's
//! workload starts them, puts queries, and stops them.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::run::scratch_dir;
use crate::times::SERVERS;

/// Directory, and what is in one of those in it.
const POSTGRESQL: (&str, &str) = ("usr/lib/postgresql", "bin/postgres");
const MARIADB: (&str, &str) = ("usr", "mariadbd");

/// Nobody's number: servers do not run as root.
const NOBODY: u32 = 65534;

pub(crate) struct Server {
    /// What it is unpacked under: / if it is installed.
    root: PathBuf,
    pub(crate) program: PathBuf,
    /// Where its data are, and its socket.
    pub(crate) data: PathBuf,
}

type Made<T> = Result<T, Box<dyn std::error::Error>>;

/// A server, if it is there, or why its data could not be made.
type Ready = Option<Result<Server, String>>;

static OWN_POSTGRESQL: OnceLock<Ready> = OnceLock::new();
static OWN_MARIADB: OnceLock<Ready> = OnceLock::new();

/// PostgreSQL with the user alice and the database postgres.
pub(crate) fn postgresql() -> &'static Ready {
    OWN_POSTGRESQL.get_or_init(|| find(POSTGRESQL).map(|found| made(found, "postgresql")))
}

/// MariaDB without tables of its own, and whose users may do everything.
pub(crate) fn mariadb() -> &'static Ready {
    OWN_MARIADB.get_or_init(|| find(MARIADB).map(|found| made(found, "mariadb")))
}

/// Removes the data of those that were made.
pub(crate) fn clean_up() {
    let made = [OWN_POSTGRESQL.get(), OWN_MARIADB.get()].into_iter().flatten();
    for server in made.flatten().flatten() {
        let _ = fs::remove_dir_all(&server.data);
    }
}

/// Where `$EBTOOLS_SERVERS` and the system have a program, in a directory below `dir`.
fn find((dir, program): (&str, &str)) -> Option<(PathBuf, PathBuf)> {
    let roots = [std::env::var("EBTOOLS_SERVERS").unwrap_or_default(), "/".into()];
    let roots = roots.into_iter().filter(|root| !root.is_empty()).map(PathBuf::from);
    let mut found = roots.flat_map(|root| {
        let dirs = root.join(dir).read_dir().into_iter().flatten().flatten();
        let programs = dirs.map(|dir| dir.path().join(program)).filter(|path| path.is_file());
        programs.map(|program| (root.clone(), program)).collect::<Vec<_>>()
    });
    found.next()
}

fn made((root, program): (PathBuf, PathBuf), name: &str) -> Result<Server, String> {
    let server = Server { root, program, data: scratch_dir(name) };
    let began = Instant::now();
    server.make(name).map_err(|error| format!("making {name}'s data: {error}"))?;
    SERVERS.add(began);
    Ok(server)
}

/// The workload: the server runs while queries are put.
pub(crate) fn serve(name: &str, data: &Path, queries: &[&str]) -> Made<()> {
    let program = if name == "postgresql" { find(POSTGRESQL) } else { find(MARIADB) };
    let (root, program) = program.ok_or("there is no such server")?;
    let server = Server { root, program, data: data.into() };
    let (mut process, end) = if name == "postgresql" {
        (server.start_postgresql()?, Signal::SIGINT)
    } else {
        (server.start_mariadb()?, Signal::SIGTERM)
    };
    let done = queries.iter().try_for_each(|query| server.put(name, query));
    kill(Pid::from_raw(i32::try_from(process.id())?), end)?;
    process.wait()?;
    done
}

impl Server {
    fn command(&self, program: &Path) -> Made<Command> {
        let mut command = Command::new(program);
        if self.root != Path::new("/") {
            let library = self.root.join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH));
            command.env("LD_LIBRARY_PATH", library);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).current_dir("/");
        command.uid(self.uid()?).gid(self.uid()?);
        Ok(command)
    }

    /// Who can see the program.
    fn uid(&self) -> Made<u32> {
        let owner = fs::metadata(&self.program)?.uid();
        Ok(if owner == 0 { NOBODY } else { owner })
    }

    fn make(&self, name: &str) -> Made<()> {
        chown(&self.data, Some(self.uid()?), None)?;
        let output = if name == "postgresql" {
            let mut command = self.command(&self.program.with_file_name("initdb"))?;
            command.arg("-D").arg(&self.data).args(["-U", "alice", "-A", "trust", "-E", "UTF8"]);
            command.args(["--no-sync", "--no-locale"]).stderr(Stdio::piped()).output()?
        } else {
            self.mariadbd()?.arg("--bootstrap").stderr(Stdio::piped()).output()?
        };
        if output.status.success() {
            return Ok(());
        }
        Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)).into())
    }

    fn mariadbd(&self) -> Made<Command> {
        let mut command = self.command(&self.program)?;
        command.arg("--no-defaults").arg(format!("--datadir={}", self.data.display()));
        // Newer ones have them elsewhere.
        let shares = ["usr/share/mariadb", "usr/share/mysql"].map(|share| self.root.join(share));
        if let Some(messages) = shares.iter().find(|share| share.join("english").is_dir()) {
            command.arg(format!("--lc-messages-dir={}", messages.display()));
        }
        command.args(["--innodb-log-file-size=4M", "--innodb-buffer-pool-size=8M"]);
        command.stderr(Stdio::null());
        Ok(command)
    }

    fn start_postgresql(&self) -> Made<Child> {
        let mut command = self.command(&self.program)?;
        command.arg("-D").arg(&self.data).arg("-k").arg(&self.data);
        command.args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=1MB"]);
        // A crash is its end: it would wait a minute for what is to be stopped at once.
        command.args(["-c", "restart_after_crash=off"]);
        let process = command.stderr(Stdio::null()).spawn()?;
        for _ in 0..1000 {
            let mut ready = self.command(&self.program.with_file_name("pg_isready"))?;
            if ready.arg("-q").arg("-h").arg(&self.data).status()?.success() {
                return Ok(process);
            }
            sleep(Duration::from_millis(50));
        }
        Err("PostgreSQL does not start".into())
    }

    fn start_mariadb(&self) -> Made<Child> {
        let mut command = self.mariadbd()?;
        let socket = self.data.join("socket");
        command.arg(format!("--socket={}", socket.display()));
        command.args(["--skip-networking", "--skip-grant-tables"]);
        let process = command.spawn()?;
        for _ in 0..1000 {
            if socket.exists() {
                return Ok(process);
            }
            sleep(Duration::from_millis(50));
        }
        Err("MariaDB does not start".into())
    }

    /// `SQL`, or for PostgreSQL `extended: SQL`: parsed, bound and executed by messages of their
    /// own.
    fn put(&self, name: &str, query: &str) -> Made<()> {
        let extended = query.strip_prefix("extended: ");
        let mut command = match (name, extended) {
            ("postgresql", Some(query)) => {
                let script = std::env::temp_dir().join("query.sql");
                fs::write(&script, query)?;
                let mut command = self.command(&self.program.with_file_name("pgbench"))?;
                command.arg("-h").arg(&self.data).args(["-U", "alice", "-n", "-M", "extended"]);
                command.args(["-t", "1", "-f"]).arg(script).arg("postgres");
                command
            }
            ("postgresql", None) => {
                let mut command = self.command(&self.program.with_file_name("psql"))?;
                command.arg("-h").arg(&self.data).args(["-U", "alice", "-X", "-q", "-c", query]);
                command.arg("postgres");
                command
            }
            _ => {
                let mut client = self.root.join("usr/bin/mariadb");
                if !client.exists() {
                    client = "/usr/bin/mariadb".into();
                }
                let mut command = self.command(&client)?;
                command.arg("--no-defaults").arg("-S").arg(self.data.join("socket"));
                command.args(["-e", query]);
                command
            }
        };
        // A query may be wrong on purpose.
        command.stderr(Stdio::null()).status()?;
        Ok(())
    }
}
