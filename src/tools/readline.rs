//! readline: what is typed into bash.

use std::mem::MaybeUninit;
use std::path::PathBuf;

use clap::Args;
use libbpf_rs::skel::Skel as _;

use crate::bpf::readline::{ReadlineSkelBuilder, types};
use crate::elf;
use crate::error::{Error, Result};
use crate::hooks::{At, Hook, Probe};
use crate::options::EventOptions;
use crate::privileges;
use crate::render::{Column, Shown, Value};
use crate::session::Session;
use crate::tool::Tool;

/// Show what is typed into bash
#[derive(Args, Debug)]
pub(crate) struct Readline {
    /// The program or library that has the function readline, or a program linked to
    /// libreadline; else bash
    #[arg(short, long, value_name = "PATH")]
    shared: Option<PathBuf>,

    #[command(flatten)]
    options: EventOptions,
}

const COLUMNS: &[Column<types::event>] = &[
    Column::TIME,
    Column::UID.shown(Shown::WithUid),
    Column::COMM.json_only(),
    Column::PID,
    Column::PPID.json_only(),
    Column::TID,
    Column::new("COMMAND", "line", 0, |r| match r.event.cut {
        0 => Value::Text(r.tail),
        _ => Value::CutText(r.tail),
    }),
];

impl Tool for Readline {
    const NAME: &'static str = "readline";
    const ABOUT: &'static str = "Show what is typed into bash";
    const EXAMPLES: &'static [(&'static str, &'static str)] = &[
        ("-U", "with the user's number"),
        ("-s /opt/bin/bash", "another bash"),
        ("--json -u root", "one user, as JSON Lines"),
    ];

    fn run(self) -> Result<()> {
        let needs = [privileges::BPF, privileges::UPROBE];
        let session = Session::start(Self::NAME, &self.options, &needs)?;
        let program = match self.shared {
            Some(path) => path,
            None => bash()?,
        };
        let (file, offset) = elf::find_function(&program, "readline", "libreadline.so")?;
        let at = At::Uretprobe { file: &file, offset };
        session.note(format!("{at}"));

        let mut storage = MaybeUninit::uninit();
        let open = session.open(ReadlineSkelBuilder::default(), &mut storage)?;
        let skel = session.load(open)?;
        let probes = [Probe::new("on_readline", at)];
        let hooks = [Hook { name: "uretprobe readline", probes: &probes }];
        let links = session.attach(skel.object(), &hooks)?;
        session.run(skel.object(), links, COLUMNS)
    }
}

/// The bash that this user would start.
fn bash() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/bin", "/usr/bin", "/usr/local/bin"].map(PathBuf::from);
    let found = usual
        .into_iter()
        .chain(std::env::split_paths(&path))
        .map(|dir| dir.join("bash"))
        .find(|file| file.is_file());
    found.ok_or_else(|| {
        Error::new("readline", "there is no bash in /bin, /usr/bin, /usr/local/bin or $PATH")
            .hint("name a program that uses libreadline: -s PATH")
    })
}
