//! querysnoop: queries of databases, and how long they take.

mod normal;
mod servers;
mod told;

use std::path::PathBuf;

use clap::ValueEnum;

use super::prelude::*;
use crate::attach::plan::Role;
use crate::attach::uprobes::{ProbeSet, Uprobe, When};
use crate::bpf::programs::querysnoop as programs;
use crate::bpf::querysnoop::{QuerysnoopSkelBuilder, types};
use crate::run::groups::Outcome;
use crate::run::options::{TopOptions, milliseconds};
use servers::Servers;
use told::{is_postgresql, is_unreadable, query, text_or_none};

/// Show queries of PostgreSQL, MySQL and MariaDB, and how long they take
#[derive(Args, Debug)]
pub(crate) struct Querysnoop {
    /// Only servers of this kind
    #[arg(value_name = "KIND")]
    servers: Option<ServerKind>,

    /// Only queries of at least MS milliseconds, or a time like 2s
    #[arg(short, long, short_alias = 'm', alias = "threshold", value_name = "MS", default_value = "0", value_parser = milliseconds)]
    slower: u64,

    /// Show only queries that failed
    #[arg(short = 'x', long)]
    failed: bool,

    /// Only servers that run this program, whatever KIND says
    #[arg(long, alias = "exe", value_name = "PATH")]
    server: Option<PathBuf>,

    #[command(flatten)]
    top: TopOptions,

    #[command(flatten)]
    options: EventOptions,
}

/// Servers whose programs have different names.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ServerKind {
    #[value(alias = "postgresql")]
    Postgres,
    /// MariaDB too
    #[value(alias = "mariadb")]
    Mysql,
}

type Col = Column<types::event>;

const NORMALIZED_ABOUT: &str = "its text without values, comments and white space: the \
     same for queries that differ in no more";

const ERROR_ABOUT: &str = "the server's code, if it failed: PostgreSQL's SQLSTATE, the number of \
     MySQL and MariaDB; FAILED where there is none, ENDED with the process or thread";

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
    ($program:ident $name:literal, $($details:ident $function:literal),*) => {
        uprobes!(
            ON_DISPATCH_RETURN Returns Return $name,
            $program Events Entry $name,
            $($details Details Entry $function),*
        )
    };
}

/// The functions have C++ names, with the types of their arguments. What is given is for MySQL besides.
macro_rules! probe_sets {
    ($($details:ident $function:literal),*) => {
        &[
            uprobes!(
                ON_STATEMENT_STATUS Events Usdt "postgresql:statement__status",
                ON_TEXT Details Entry "pq_sendstring"
            ),
            uprobes!(
                ON_REPORT_ACTIVITY Events Entry "pgstat_report_activity",
                ON_TEXT Details Entry "pq_sendstring"
            ),
            uprobes!(
                ON_QUERY_DONE Returns Usdt "mysql:query__done",
                ON_QUERY_START Events Usdt "mysql:query__start",
                ON_SEND_ERROR Details Entry "_Z14net_send_errorP3THDjPKcS2_"
            ),
            // MariaDB 10.6 and later, 10.2 and later, and before; MySQL 5.7 and later.
            dispatch!(
                ON_DISPATCH_PACKET "_Z16dispatch_command19enum_server_commandP3THDPcjb",
                ON_SEND_ERROR_PACKET "_ZN8Protocol21net_send_error_packetEP3THDjPKcS3_"
            ),
            dispatch!(
                ON_DISPATCH_PACKET "_Z16dispatch_command19enum_server_commandP3THDPcjbb",
                ON_SEND_ERROR_PACKET "_ZN8Protocol21net_send_error_packetEP3THDjPKcS3_"
            ),
            dispatch!(
                ON_DISPATCH_PACKET "_Z16dispatch_command19enum_server_commandP3THDPcj",
                ON_SEND_ERROR "_Z14net_send_errorP3THDjPKcS2_"
            ),
            dispatch!(
                ON_DISPATCH_DATA "_Z16dispatch_commandP3THDPK8COM_DATA19enum_server_command",
                ON_SEND_ERROR "_ZN16Protocol_classic10send_errorEjPKcS1_"
                $(, $details $function)*
            ),
        ]
    };
}

const PROBE_SETS: &[ProbeSet] = probe_sets!();

/// The same, and what each statement of MySQL passes with its database.
const PROBE_SETS_OF_DATABASES: &[ProbeSet] = probe_sets!(
    ON_START_STATEMENT "_Z22pfs_start_statement_vcP20PSI_statement_lockerPKcjS2_j",
    ON_START_STATEMENT "_Z22pfs_start_statement_v2P20PSI_statement_lockerPKcjS2_j",
    ON_START_STATEMENT "_Z22pfs_start_statement_v1P20PSI_statement_lockerPKcjS2_j"
);

const QUERIES: Hook =
    Hook { name: "USDT and uprobes", probes: &[Probe::clears_up(programs::ON_THREAD_END)] };

impl Tool for Querysnoop {
    type Row = types::event;
    const TOP: &'static [&'static str] = &["normalized_query"];
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("", "the queries of all servers that run"),
        ("--slower 100", "those that take a tenth of a second or more"),
        ("-x --fields error_message,query", "those that fail, and why"),
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
            text_or_none(told::user(r))
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
        Col::text("ERROR", "error", 6, ERROR_ABOUT, told::error).user(),
        Col::text("SQLSTATE", "sqlstate", 8, "of an error: its SQLSTATE", |r| {
            text_or_none(told::sqlstate(r))
        })
        .user()
        .json_only(),
        Col::cut_text(
            "MESSAGE",
            "error_message",
            0,
            "of an error: what the client was told",
            told::message,
        )
        .user()
        .json_only(),
        Col::text(
            "DATABASE",
            "database",
            8,
            "its database at the beginning, where the server tells",
            |r| text_or_none(told::database(r)),
        )
        .user(),
        Col::made("NORMALIZED", "normalized_query", 0, NORMALIZED_ABOUT, |r| {
            let is_cut = r.event.text == types::text::TEXT_CUT.0;
            let normal = match (is_postgresql(r), is_cut) {
                (true, false) => normal::of_postgresql,
                (true, true) => normal::of_cut_postgresql,
                (false, false) => normal::of_mysql,
                (false, true) => normal::of_cut_mysql,
            };
            match query(r) {
                b"" if is_unreadable(r) => Value::Unreadable,
                b"" => Value::None,
                query => Value::Made(normal, query),
            }
        })
        .or(Kind::Unreadable)
        .user()
        .hidden(),
        Col::cut_text(
            "QUERY",
            "query",
            0,
            "its text, 64 KiB at the most; - where it was not sent",
            |r| {
                let is_query = r.event.command != types::command::COM_STMT_EXECUTE.0;
                match query(r) {
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
        let session = Session::start(host, &self.options)?.summing_up(&self.options, &self.top);
        let programs: &[_] = match self.servers {
            None => &["postgres", "mysqld", "mariadbd"],
            Some(ServerKind::Postgres) => &["postgres"],
            Some(ServerKind::Mysql) => &["mysqld", "mariadbd"],
        };
        let has_database = columns.iter().any(|column| column.key == "database");
        let is_shown = has_database && session.makes_records();
        let sets = if is_shown { PROBE_SETS_OF_DATABASES } else { PROBE_SETS };
        let servers = Servers::new(self.server, programs, sets, &host.messages)?;
        let mut storage = Storage::new();
        let (skel, attached) = session.attach::<QuerysnoopSkelBuilder>(
            &mut storage,
            columns,
            Plan::new(&[&QUERIES]).and(servers),
            |open| {
                if let Some(constants) = &mut open.maps.rodata_data {
                    constants.slower_ns = self.slower;
                    constants.only_failed = self.failed.into();
                }
            },
        )?;
        session.run_outcomes(skel.object(), attached, columns, |record| Outcome {
            latency_ns: record.event.latency_ns,
            has_failed: record.event.outcome != types::outcome::SUCCEEDED.0,
        })
    }
}
