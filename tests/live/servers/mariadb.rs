//! MariaDB.

use std::process::{Child, Command};
use std::sync::OnceLock;

use super::{Kind, Made, Server, client, succeed};

/// Without tables of its own, and whose users may do everything. It has no port.
pub(crate) static MARIADB: Kind = Kind {
    name: "mariadb",
    words: ["$MARIADBD", "$MARIADB_DATA"],
    place: ("usr", "mariadbd"),
    clients: &["mariadb"],
    make: |server| succeed(command(server)?.arg("--bootstrap")),
    start,
    is_ready: Server::takes_connections,
    made: OnceLock::new(),
};

fn command(server: &Server) -> Made<Command> {
    let mut command = server.command(&server.program)?;
    command.arg("--no-defaults").arg(format!("--datadir={}", server.data.display()));
    // Newer ones have them elsewhere.
    let shares = ["usr/share/mariadb", "usr/share/mysql"].map(|share| server.root.join(share));
    if let Some(messages) = shares.iter().find(|share| share.join("english").is_dir()) {
        command.arg(format!("--lc-messages-dir={}", messages.display()));
    }
    command.args(["--innodb-log-file-size=4M", "--innodb-buffer-pool-size=8M"]);
    Ok(command)
}

fn start(server: &Server) -> Made<Child> {
    let mut command = command(server)?;
    command.arg(format!("--socket={}", server.socket().display()));
    Ok(command.args(["--skip-networking", "--skip-grant-tables"]).spawn()?)
}

pub(super) fn put(server: &Server, query: &str) -> Made<()> {
    let mut command = server.command(&client("mariadb").ok_or("there is no mariadb")?)?;
    command.arg("--no-defaults").arg("-S").arg(server.socket()).args(["-e", query]);
    // A query may be wrong on purpose.
    command.status()?;
    Ok(())
}
