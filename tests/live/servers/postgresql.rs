//! PostgreSQL.

use std::fs;
use std::process::Child;
use std::sync::OnceLock;

use super::{Kind, Made, Server, succeed};

/// With the user alice and the database postgres, at port 5432.
pub(crate) static POSTGRESQL: Kind = Kind {
    name: "postgresql",
    words: ["$POSTGRES", "$POSTGRES_DATA"],
    place: ("usr/lib/postgresql", "bin/postgres"),
    clients: &[],
    make,
    start,
    is_ready,
    made: OnceLock::new(),
};

fn make(server: &Server) -> Made<()> {
    let mut command = server.command(&server.program.with_file_name("initdb"))?;
    command.arg("-D").arg(&server.data).args(["-U", "alice", "-A", "trust", "-E", "UTF8"]);
    succeed(command.args(["--no-sync", "--no-locale"]))
}

fn start(server: &Server) -> Made<Child> {
    let mut command = server.command(&server.program)?;
    command.arg("-D").arg(&server.data).arg("-k").arg(&server.data);
    command.args(["-c", "listen_addresses=127.0.0.1", "-c", "port=5432"]);
    command.args(["-c", "fsync=off", "-c", "shared_buffers=1MB"]);
    // A crash is its end: it would wait a minute for what is to be stopped at once.
    command.args(["-c", "restart_after_crash=off"]);
    Ok(command.spawn()?)
}

fn is_ready(server: &Server) -> Made<bool> {
    let mut command = server.command(&server.program.with_file_name("pg_isready"))?;
    Ok(command.arg("-q").arg("-h").arg(&server.data).status()?.success())
}

/// `SQL`, or `extended: SQL`: parsed, bound and executed by messages of their own.
pub(super) fn put(server: &Server, query: &str) -> Made<()> {
    let extended = query.strip_prefix("extended: ");
    let client = if extended.is_some() { "pgbench" } else { "psql" };
    let mut command = server.command(&server.program.with_file_name(client))?;
    command.arg("-h").arg(&server.data).args(["-U", "alice"]);
    if let Some(query) = extended {
        let script = std::env::temp_dir().join("query.sql");
        fs::write(&script, query)?;
        command.args(["-n", "-M", "extended", "-t", "1", "-f"]).arg(script).arg("postgres");
    } else {
        command.args(["-X", "-q", "-c", query, "postgres"]);
    }
    // A query may be wrong on purpose.
    command.status()?;
    Ok(())
}
