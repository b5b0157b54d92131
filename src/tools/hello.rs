//! hello: the smallest tool, and the one to read first.

use clap::Args;
use libbpf_rs::skel::Skel as _;

use crate::attach::hooks::{At, Hook, Probe};
use crate::bpf::hello::HelloSkelBuilder;
use crate::error::Result;
use crate::output::{Column, Shown, Value};
use crate::run::options::EventOptions;
use crate::run::session::{Session, Storage, Wants};
use crate::run::trace_pipe::Message;
use crate::tool::Tool;

/// Say hello for each new process or thread
#[derive(Args, Debug)]
pub(crate) struct Hello {
    #[command(flatten)]
    options: EventOptions,
}

type Col = Column<Message>;

const COLUMNS: &[Col] = &[
    Col::TIME.shown(Shown::WithTime),
    Col::PID,
    Col::UID,
    Col::new("MESSAGE", "message", 0, "what the kernel side printed", |r| {
        Value::Text(r.event.0.as_bytes())
    }),
];

const CLONES: Hook =
    Hook { name: "tracepoint task_newtask", probes: &[Probe::new("on_clone", At::Declared)] };

impl Tool for Hello {
    const NAME: &'static str = "hello";
    const PAGE: &'static str = include_str!("../../docs/tools/hello.md");
    const EXAMPLES: &'static [(&'static str, &'static str)] =
        &[("-- sh -c 'date; date'", "what a command starts"), ("--count=uid", "clones by user")];

    fn run(self) -> Result<()> {
        let Some(columns) = self.options.columns(COLUMNS)? else { return Ok(()) };
        let session = Session::start(Self::NAME, &self.options)?;
        let mut storage = Storage::new();
        let (skel, links) = session.attach::<HelloSkelBuilder>(
            &mut storage,
            &Wants::default(),
            &[&CLONES],
            |_| {},
        )?;
        session.run_trace_pipe(skel.object(), links, &columns)
    }
}
