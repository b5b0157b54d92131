//! Redis.

use std::process::Child;
use std::sync::OnceLock;

use super::{Kind, Made, Server};

/// Without data, at port 6379.
pub(crate) static REDIS: Kind = Kind {
    name: "redis",
    words: ["$REDIS", "$REDIS_DATA"],
    place: ("usr", "redis-server"),
    clients: &["redis-cli", "redis-benchmark"],
    make: |_| Ok(()),
    start,
    is_ready: Server::takes_connections,
    made: OnceLock::new(),
};

fn start(server: &Server) -> Made<Child> {
    let mut command = server.command(&server.program)?;
    command.args(["--port", "6379", "--bind", "127.0.0.1", "--save", "", "--unixsocket"]);
    Ok(command.arg(server.socket()).arg("--dir").arg(&server.data).spawn()?)
}
