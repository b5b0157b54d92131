//! hello: the smallest tool, and the one to read first.

use super::prelude::*;
use crate::bpf::{hello::HelloSkelBuilder, programs::hello::ON_CLONE};
use crate::run::trace_pipe::Message;

/// Say hello for each new process or thread
#[derive(Args, Debug)]
pub(crate) struct Hello {
    #[command(flatten)]
    options: EventOptions,
}

const CLONES: Hook =
    Hook { name: "tracepoint task_newtask", probes: &[Probe::events(ON_CLONE, Point::Declared)] };

impl Tool for Hello {
    type Row = Message;
    const EXAMPLES: &'static [(&'static str, &'static str)] =
        &[("-- sh -c 'date; date'", "what a command starts"), ("--count=uid", "clones by user")];
    const COLUMNS: &'static [Column<Message>] = &[
        Column::TIME_IF_ASKED,
        Column::PID,
        Column::UID,
        Column::text("MESSAGE", "message", 0, "what the kernel side printed", |r| {
            Value::Text(r.event.0.as_bytes())
        }),
    ];

    fn run(self, host: &Host, columns: &[&Column<Message>]) -> Result<()> {
        let session = Session::start(host, &self.options)?;
        let mut storage = Storage::new();
        let (skel, attached) =
            session.attach::<HelloSkelBuilder>(&mut storage, columns, &[&CLONES], |_| {})?;
        session.run_trace_pipe(skel.object(), attached, columns)
    }
}
