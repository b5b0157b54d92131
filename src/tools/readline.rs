//! readline: what is typed into bash.

mod shells;

use std::path::PathBuf;

use super::prelude::*;
use crate::attach::plan::Role;
use crate::attach::uprobes::{ProbeSet, Uprobe, When};
use crate::bpf::programs::readline::ON_READLINE;
use crate::bpf::readline::{ReadlineSkelBuilder, types};
use shells::{Shells, Which};

/// Show what is typed into bash
#[derive(Args, Debug)]
pub(crate) struct Readline {
    /// Only this program or library: one that has the function readline, or is linked to
    /// libreadline
    #[arg(short, long, value_name = "PATH")]
    shared: Option<PathBuf>,

    /// Every program that calls readline of libreadline, not only bash
    #[arg(short, long, conflicts_with = "shared")]
    all: bool,

    #[command(flatten)]
    options: EventOptions,
}

type Col = Column<types::event>;

const LINES: Hook = Hook { name: "uretprobes", probes: &[] };
const FUNCTIONS: ProbeSet = &[Uprobe {
    program: ON_READLINE,
    role: Role::Events,
    shared: None,
    name: "readline",
    when: When::Return,
}];

impl Tool for Readline {
    type Row = types::event;
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("-U", "with the user's number"),
        ("--all", "what is typed into psql, sqlite3, bc ... too"),
        ("--json -u root", "one user, as JSON Lines"),
    ];
    const TASK: &'static [Col] = &Task {
        time: Col::TIME,
        names: [Col::COMM.json_only(), Col::PID, Col::NS_PID],
        ..Task::COMM_FIRST
    }
    .columns();
    const COLUMNS: &'static [Col] = &[
        Col::cut_text(
            "COMMAND",
            "line",
            0,
            "the line; [end of file] for Ctrl-D (eof in JSON)",
            |r| match (r.event.eof, r.event.cut) {
                (0, 0) => Value::Text(r.tail),
                (0, _) => Value::CutText(r.tail),
                _ => Value::EndOfFile,
            },
        )
        .or(Kind::EndOfFile)
        .user(),
        Col::boolean("EOF", "eof", 3, "the end of the input, not a line", |r| match r.event.eof {
            0 => Value::None,
            _ => Value::Bool(true),
        })
        .json_only(),
    ];

    fn run(self, host: &Host, columns: &[&Col]) -> Result<()> {
        let session = Session::start(host, &self.options)?;
        let which = match (self.shared, self.all) {
            (Some(path), _) => Which::One(path),
            (None, true) => Which::AllPrograms,
            (None, false) => Which::AllShells,
        };
        let shells = Shells::new(which, &[FUNCTIONS], &host.messages)?;
        let mut storage = Storage::new();
        let (skel, attached) = session.attach::<ReadlineSkelBuilder>(
            &mut storage,
            columns,
            Plan::new(&[&LINES]).and(shells),
            |_| {},
        )?;
        session.run(skel.object(), attached, columns, |_| true)
    }
}
