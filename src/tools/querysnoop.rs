//! querysnoop: queries of databases, and how long they take.

mod servers;

use std::path::PathBuf;

use super::prelude::*;
use crate::attach::plan::Role;
use crate::attach::uprobes::{ProbeSet, Uprobe, When};
use crate::bpf::programs::querysnoop as programs;
use crate::bpf::querysnoop::{QuerysnoopSkelBuilder, types};
use crate::record::{Record, c_str};
use crate::run::options::milliseconds;
use servers::Servers;

/// Show queries of PostgreSQL, MySQL and MariaDB, and how long they take
#[derive(Args, Debug)]
pub(crate) struct Querysnoop {
    /// Only queries of at least MS milliseconds, or a time like 2s
    #[arg(short, long, value_name = "MS", default_value = "0", value_parser = milliseconds)]
    slower: u64,

    /// Only servers that run this program
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,

    #[command(flatten)]
    options: EventOptions,
}

type Col = Column<types::event>;

fn is_unreadable(record: &Record<'_, types::event>) -> bool {
    record.event.text == types::text::TEXT_UNREADABLE.0
}

/// PostgreSQL's processes have it in their title:
/// `postgres: 15/main: alice shop 10.0.0.7(4711) idle`.
fn user<'a>(record: &Record<'a, types::event>) -> &'a [u8] {
    let text = c_str(&record.event.user);
    match types::server(record.event.server) {
        types::server::POSTGRESQL => title(text).unwrap_or_default(),
        _ => text,
    }
}

/// The user in a title; none where the process serves no client.
fn title(text: &[u8]) -> Option<&[u8]> {
    let rest = text.strip_prefix(b"postgres: ")?;
    let mut words = rest.split(|&byte| byte == b' ');
    let mut first = words.next()?;
    // The name of the cluster, if it has one.
    if first.ends_with(b":") {
        first = words.next()?;
    }
    // Server processes of its own are called by two words or more, and have no host.
    let (_, host) = (words.next()?, words.next()?);
    let is_host = host == b"[local]" || host.ends_with(b")");
    is_host.then_some(first)
}

macro_rules! uprobes {
    ($($program:ident $role:ident $when:ident $name:literal),*) => {
        &[$(Uprobe {
            program: programs::$program,
            role: Role::$role,
            shared: None,
            name: $name,
            when: When::$when,
        }),*]
    };
}

macro_rules! dispatch {
    ($program:ident $name:literal) => {
        uprobes!(ON_DISPATCH_RETURN Returns Return $name, $program Events Entry $name)
    };
}

/// The functions have C++ names, with the types of their arguments.
const PROBE_SETS: &[ProbeSet] = &[
    uprobes!(ON_STATEMENT_STATUS Events Usdt "postgresql:statement__status"),
    uprobes!(ON_REPORT_ACTIVITY Events Entry "pgstat_report_activity"),
    uprobes!(
        ON_QUERY_DONE Returns Usdt "mysql:query__done",
        ON_QUERY_START Events Usdt "mysql:query__start"
    ),
    // MariaDB 10.6 and later, 10.2 and later, and before; MySQL 5.7 and later.
    dispatch!(ON_DISPATCH_PACKET "_Z16dispatch_command19enum_server_commandP3THDPcjb"),
    dispatch!(ON_DISPATCH_PACKET "_Z16dispatch_command19enum_server_commandP3THDPcjbb"),
    dispatch!(ON_DISPATCH_PACKET "_Z16dispatch_command19enum_server_commandP3THDPcj"),
    dispatch!(ON_DISPATCH_DATA "_Z16dispatch_commandP3THDPK8COM_DATA19enum_server_command"),
];

const QUERIES: Hook =
    Hook { name: "USDT and uprobes", probes: &[Probe::clears_up(programs::ON_THREAD_END)] };

impl Tool for Querysnoop {
    type Row = types::event;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("", "the queries of all servers that run"),
        ("--slower 100", "those that take a tenth of a second or more"),
        ("-p 1234 --json", "those of one connection, as JSON Lines"),
    ];
    const COLUMNS: &'static [Col] = &[
        Col::TIME,
        Col::UID_IF_ASKED,
        Col::PID,
        Col::NS_PID,
        Col::TID,
        Col::PPID.json_only(),
        Col { about: "the name of the server's process", ..Col::COMM },
        Col::CGROUP,
        Col::CONTAINER,
        Col::NAMESPACE,
        Col::POD,
        Col::CONTAINER_NAME,
        Col::text("USER", "user", 12, "the database's user, where it can be had", |r| {
            match user(r) {
                b"" => Value::None,
                user => Value::Text(user),
            }
        })
        .user(),
        Col::word("COMMAND", "command", 7, "query, prepare, or execute what was prepared", |r| {
            Value::Word(match types::command(r.event.command) {
                types::command::COM_STMT_PREPARE => "prepare",
                types::command::COM_STMT_EXECUTE => "execute",
                _ => "query",
            })
        })
        .json_only(),
        Col::uint("STMT", "statement", 4, "with execute: the number of what was prepared", |r| {
            match types::command(r.event.command) {
                types::command::COM_STMT_EXECUTE if is_unreadable(r) => Value::Unreadable,
                types::command::COM_STMT_EXECUTE => Value::Uint(r.event.statement),
                _ => Value::None,
            }
        })
        .or(Kind::Unreadable)
        .json_only(),
        Col::duration("LATENCY", "latency_ns", 8, "how long it took", |r| {
            Value::Duration(r.event.latency_ns)
        }),
        Col::cut_text(
            "QUERY",
            "query",
            0,
            "its text, 64 KiB at the most; - where it was not sent",
            |r| {
                let is_query = r.event.command != types::command::COM_STMT_EXECUTE.0;
                // Some clients send a NUL too.
                match r.tail.strip_suffix(b"\0").unwrap_or(r.tail) {
                    b"" if is_query && is_unreadable(r) => Value::Unreadable,
                    b"" => Value::None,
                    query if r.event.text == types::text::TEXT_CUT.0 => Value::CutText(query),
                    query => Value::Text(query),
                }
            },
        )
        .or(Kind::Unreadable)
        .user(),
    ];

    fn run(self, host: &Host, columns: &[&Col]) -> Result<()> {
        let session = Session::start(host, &self.options)?;
        let servers = Servers::new(self.server, PROBE_SETS, &host.messages)?;
        let mut storage = Storage::new();
        let (skel, attached) = session.attach::<QuerysnoopSkelBuilder>(
            &mut storage,
            columns,
            Plan::new(&[&QUERIES]).and(servers),
            |open| {
                if let Some(constants) = &mut open.maps.rodata_data {
                    constants.slower_ns = self.slower;
                }
            },
        )?;
        session.run(skel.object(), attached, columns, |_| true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_users_in_titles() {
        for (text, user) in [
            ("postgres: alice shop [local] SELECT", Some("alice")),
            ("postgres: 15/main: alice shop 10.0.0.7(4711) idle in transaction", Some("alice")),
            ("postgres: alice shop ::1(4711) idle", Some("alice")),
            ("postgres: checkpointer ", None),
            ("postgres: 15/main: autovacuum worker shop", None),
            ("postgres: 15/main: parallel worker for PID 12 ", None),
            ("/usr/lib/postgresql/15/bin/postgres -D data", None),
            ("", None),
        ] {
            assert_eq!(title(text.as_bytes()), user.map(str::as_bytes), "{text}");
        }
    }
}
