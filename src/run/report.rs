//! What the user gets: lines on standard output, and the accounts of what was lost.

use std::collections::HashMap;
use std::env;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

use crate::error::{Error, Result};
use crate::output::buffer::Output;
use crate::output::json::{self, Head, Start};
use crate::output::messages::Messages;
use crate::output::{Clock, Column, Lines, Screen, is_zone_of_system};
use crate::record::Record;
use crate::run::drawing::Drawing;
use crate::run::host::Host;
use crate::run::loss::{self, Accounts, InKernel, Taken};
use crate::run::options::{Format, OutputOptions, ViewOptions};

/// What limits of events are for.
const SECOND: Duration = Duration::from_secs(1);

/// The lines of one run.
#[derive(Debug)]
pub(crate) struct Report {
    host: Host,
    options: OutputOptions,
    buffer: u32,
    clock: Clock,
    screen: Screen,
    /// The last one that was written.
    header: Vec<u8>,
    /// Of columns that have what their text takes.
    widths: HashMap<&'static str, usize>,
    output: Output,
    /// The number of the next line of JSON.
    seq: u64,
    /// The first one, as long as it could not be written.
    start: Option<Start>,
    /// What has been told of already.
    told: Accounts,
    /// Events that the kernel let through and a filter here did not.
    rejected: u64,
    /// Events for which a table had no room.
    no_room: u64,
    /// Events that were more than are to be shown, and how many were shown since the second began.
    limited: u64,
    second: (Instant, u64),
    /// Why an event that the kernel let through did not come here.
    rest: &'static str,
    /// Events that the kernel let through, beyond those in its counters.
    counted: u64,
    error: Option<Error>,
    /// What a tool says beside the accounts: lines for people, and values in JSON.
    beside: (Vec<String>, Vec<(&'static str, u64)>),
    /// Files that could not be attached to.
    unattached: u64,
    /// What rows are sorted by.
    sort: Option<String>,
    /// They are drawn on the whole terminal.
    live: Option<Drawing>,
}

impl Report {
    pub(crate) fn new(
        host: &Host,
        options: &OutputOptions,
        view: &ViewOptions,
        buffer: u32,
    ) -> Self {
        Self {
            host: host.clone(),
            options: options.clone(),
            buffer,
            clock: clock(&host.messages, options.format()),
            screen: host.screen(options),
            header: Vec::new(),
            widths: HashMap::new(),
            output: host.output(),
            seq: 0,
            start: None,
            told: Accounts::default(),
            rejected: 0,
            no_room: 0,
            limited: 0,
            second: (Instant::now(), 0),
            rest: loss::UNACCOUNTED,
            counted: 0,
            error: None,
            beside: Default::default(),
            unattached: 0,
            sort: view.sort.clone(),
            live: view.live.then(|| Drawing::new(host, options)),
        }
    }

    /// What makes the rows of a kind (`event` or `interval`, in JSON); writes a table's header.
    pub(crate) fn lines<'a, E>(&mut self, kind: &str, columns: &[&'a Column<E>]) -> Lines<'a, E> {
        let lines = self.lines_of(kind, columns);
        if !self.begin_live(&lines) {
            self.header(&lines);
            self.output.flush();
        }
        lines
    }

    fn lines_of<'a, E>(&self, kind: &str, columns: &[&'a Column<E>]) -> Lines<'a, E> {
        let lines = self.options.lines(kind, self.host.tool, columns);
        lines.named(self.options.names(), self.host.name)
    }

    /// Are they drawn on the whole terminal?
    fn begin_live<E>(&mut self, lines: &Lines<'_, E>) -> bool {
        let sort = self.sorted_by(lines);
        let live = self.live.as_mut().map(|live| lines.begin_live(&mut live.rows, sort));
        live.is_some()
    }

    /// The rows that come now are a report; on the whole terminal they stand for those before.
    pub(crate) fn begin(&mut self) {
        if let Some(live) = &mut self.live {
            live.rows.begin();
            live.is_changed = true;
        }
    }

    /// The numbers of these in the order that the user wants, if he wants one.
    pub(crate) fn order<E>(
        &self,
        lines: &Lines<'_, E>,
        records: &[Record<'_, E>],
    ) -> Option<Vec<usize>> {
        Some(lines.order(self.sorted_by(lines)?, &self.clock, records))
    }

    /// The number of the column that rows are sorted by.
    fn sorted_by<E>(&self, lines: &Lines<'_, E>) -> Option<usize> {
        lines.find(self.sort.as_deref()?)
    }

    /// The same for rows that come many at a time. A terminal's header comes with them.
    pub(crate) fn lines_of_summary<'a, E>(&mut self, columns: &[&'a Column<E>]) -> Lines<'a, E> {
        let lines = self.lines_of("interval", columns);
        let is_live = self.begin_live(&lines);
        self.begin();
        if !is_live && self.screen.width.is_none() {
            self.header(&lines);
            self.output.flush();
        }
        lines
    }

    /// On a terminal, what makes the lines of these rows: without the columns that are empty in all of
    /// them. Where they are not the same as before, their header is written.
    pub(crate) fn lines_on_screen<'a, E>(
        &mut self,
        lines: &Lines<'a, E>,
        records: &[Record<'_, E>],
    ) -> Option<Lines<'a, E>> {
        let is_table = self.options.format() == Format::Table;
        let is_fitted =
            is_table && self.live.is_none() && self.screen.width.is_some() && !records.is_empty();
        is_fitted.then(|| {
            let mut lines = lines.filled(records);
            lines.narrow(self.screen, &self.clock, records, &mut self.widths);
            self.header(&lines);
            lines
        })
    }

    fn header<E>(&mut self, lines: &Lines<'_, E>) {
        let mut header = Vec::new();
        lines.header(&mut header, self.screen);
        if header != self.header {
            self.output.lines(0, |out| out.extend_from_slice(&header));
            self.header = header;
        }
    }

    /// How wide lines may be, if that matters.
    pub(crate) fn width(&self) -> Option<usize> {
        self.screen.width
    }

    /// Begins JSON with what runs, before any event. What is to be said is not asked for otherwise.
    pub(crate) fn start(&mut self, start: Option<Start>) {
        self.start = start
            .filter(|start| !self.line(start.time_ns, |out, head| json::start(out, head, start)));
    }

    /// Are rows JSON?
    pub(crate) fn is_json(&self) -> bool {
        self.options.format() == Format::Json
    }

    /// A line of JSON that is no row. Was it written? If not, it has no number either, and is worth
    /// another try.
    fn line(&mut self, time_ns: u64, write: impl FnOnce(&mut Vec<u8>, &Head<'_>)) -> bool {
        let (tool, name, names) = (self.host.tool, self.host.name, self.options.names());
        let (seq, clock) = (self.seq, &self.clock);
        self.output.flush();
        self.output.lines(0, |out| write(out, &Head { tool, name, names, seq, clock, time_ns }));
        let is_written = self.output.flush();
        self.seq += u64::from(is_written);
        is_written
    }

    /// A row that stands for `events` events.
    pub(crate) fn row<E>(&mut self, lines: &Lines<'_, E>, record: &Record<'_, E>, events: u64) {
        if lines.is_event() && self.exceeds_limit(events) {
            self.limited += events;
            return;
        }
        let (clock, screen) = (&self.clock, self.screen);
        if !lines.is_event() {
            self.host.tally.add_up(|series| lines.add_up(series, clock, record));
        }
        match &mut self.live {
            None => {
                let seq = Some(self.seq);
                self.seq += 1;
                self.output.lines(events, |out| lines.row(out, clock, screen, seq, record));
            }
            Some(live) => {
                lines.row_live(&mut live.rows, clock, record);
                let mut text = Vec::new();
                lines.below(&mut text, Screen::default(), record);
                live.rows.below(&text);
                live.is_changed = true;
                self.left_out(events);
            }
        }
    }

    /// Are these more than are to be shown in this second?
    fn exceeds_limit(&mut self, events: u64) -> bool {
        let Some(limit) = self.host.tally.limit() else { return false };
        self.second.1 += events;
        self.second.1 > u64::from(limit)
    }

    /// Lines for people, which stand beside the rows of a table or in their place; JSON has them in
    /// its values.
    pub(crate) fn text(&mut self, events: u64, write: impl FnOnce(&mut Vec<u8>)) {
        match (self.options.format(), &mut self.live) {
            (Format::Table, None) => self.output.lines(events, write),
            (Format::Table, Some(live)) => {
                let mut text = Vec::new();
                write(&mut text);
                live.rows.below(&text);
                self.left_out(events);
            }
            (Format::Json, _) => self.left_out(events),
        }
    }

    /// A line with the time, in a table of several reports.
    pub(crate) fn time(&mut self, time_ns: u64) {
        if self.live.is_some() {
            return;
        }
        let mut line = Vec::new();
        self.clock.local_into(&mut line, time_ns);
        line.push(b'\n');
        self.text(0, |out| out.extend_from_slice(&line));
    }

    /// Events that were counted, and whose row is not shown.
    pub(crate) fn left_out(&mut self, events: u64) {
        self.output.lines(events, |_| ());
    }

    /// Events were not wanted after all.
    pub(crate) fn reject(&mut self, events: u64) {
        self.rejected += events;
    }

    /// A table here had no room for these events.
    pub(crate) fn no_room(&mut self, events: u64) {
        self.no_room += events;
    }

    /// The kernel let these events through and has not put them into its counters.
    pub(crate) fn counted(&mut self, events: u64) {
        self.counted += events;
    }

    /// What does not come here was lost on its way, for this reason.
    pub(crate) fn lost_on_the_way(&mut self, reason: &'static str) {
        self.rest = reason;
    }

    /// Writes what waits, and looks at the clock, which may have been set, and at the screen, which may
    /// have another size now.
    pub(crate) fn flush(&mut self) {
        self.clock.set(boot_ns());
        if self.second.0.elapsed() >= SECOND {
            self.second = (Instant::now(), 0);
        }
        if self.screen.width.is_some() {
            self.screen.width = self.host.width();
        }
        if let Some(live) = &mut self.live {
            live.draw(&mut self.output);
        }
        self.output.flush();
    }

    /// Gives the terminal back, if it was drawn on: what comes now may take long.
    pub(crate) fn end_live(&mut self) {
        self.flush();
        if let Some(live) = &mut self.live {
            live.give_back();
        }
    }

    /// Hands over what `make` writes, if somebody wants it.
    ///
    /// # Errors
    ///
    /// When it could not be made, or others wait already.
    pub(crate) fn hand_over(
        &self,
        make: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        let Some(to) = &self.host.made else { return Ok(()) };
        let mut made = Vec::new();
        make(&mut made)?;
        to.try_send(made).map_err(|_| ErrorKind::WouldBlock.into())
    }

    /// Something else than standard output could not be written: the run ends with this error.
    pub(crate) fn fail(&mut self, error: Error) {
        self.error = Some(error);
    }

    /// So many files could not be attached to: what happened there is in no account.
    pub(crate) fn unattached(&mut self, files: u64) {
        self.unattached = files;
    }

    /// To be said at the end beside the accounts: lines for people, and values in JSON.
    pub(crate) fn beside(&mut self, lines: Vec<String>, values: Vec<(&'static str, u64)>) {
        self.beside = (lines, values);
    }

    /// Events that were written.
    pub(crate) fn delivered(&self) -> u64 {
        self.output.delivered()
    }

    /// To people.
    pub(crate) fn messages(&self) -> &Messages {
        &self.host.messages
    }

    /// Do people see the rows as they come?
    pub(crate) fn is_on_terminal(&self) -> bool {
        self.host.is_on_terminal()
    }

    /// Can nothing more be written?
    pub(crate) fn has_failed(&mut self) -> bool {
        self.output.failure().is_some()
    }

    /// Tells of the events that were lost since the last time.
    pub(crate) fn lost(&mut self, kernel: InKernel) {
        let accounts = Accounts::now(kernel, self.taken());
        self.tell(accounts);
        self.output.flush();
    }

    fn tell(&mut self, accounts: Accounts) {
        self.host.tally.set_accounts(&accounts);
        let start = self.start.take();
        self.start(start);
        for (reason, count) in accounts.lost_since(&self.told) {
            let is_told = match self.options.format() {
                Format::Table => {
                    let advice = loss::advice(reason, count, self.buffer);
                    self.host.messages.say(self.host.warning(&self.options, &advice));
                    true
                }
                Format::Json => {
                    self.line(boottime_ns(), |out, head| json::lost(out, head, reason, count))
                }
            };
            if is_told {
                *self.told.lost.entry(reason).or_default() += count;
            }
        }
    }

    /// The last lines, when nothing is on its way any more: whatever has failed before (`done`), the
    /// accounts are told. A closed pipe ends the run in silence: nobody is there to read.
    ///
    /// # Errors
    ///
    /// `done`, or when the output failed.
    pub(crate) fn finish(&mut self, kernel: Result<InKernel>, done: Result<()>) -> Result<()> {
        if let Some(live) = self.live.take() {
            self.output.lines(0, |out| out.extend_from_slice(&live.last()));
        }
        self.flush();
        if self.pipe_is_closed() {
            return done;
        }
        let (kernel, done) = match kernel {
            Ok(kernel) => (kernel, done),
            // What is known is told, and why it is not all.
            Err(error) => (InKernel::default(), done.and(Err(error))),
        };
        let hidden = kernel.hidden;
        let accounts = self.accounts(kernel);
        let mut totals = accounts.line();
        if hidden > 0 {
            totals += &format!("; {hidden} hidden, which --all shows");
            self.beside.1.push(("hidden", hidden));
        }
        if self.unattached > 0 {
            let plural = if self.unattached == 1 { "" } else { "s" };
            totals += &format!("; {} file{plural} could not be attached to", self.unattached);
            self.beside.1.push(("unattached", self.unattached));
        }
        let Accounts { produced, delivered, lost } = accounts.clone();
        self.tell(accounts);
        if self.is_json() {
            let beside = std::mem::take(&mut self.beside.1);
            self.line(boottime_ns(), |out, head| {
                json::summary(out, head, produced, delivered, &lost, &beside);
            });
        }
        if self.pipe_is_closed() {
            return done;
        }
        self.host.messages.say(totals);
        for line in &self.beside.0 {
            self.host.messages.say(line);
        }
        done.and_then(|()| match self.output.failure() {
            // A pipe may be closed at any time, just now too.
            None => self.error.take().map_or(Ok(()), Err),
            Some(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Some(error) => Err(Error::new("writing to standard output", error)),
        })
    }

    /// The final ones.
    pub(super) fn accounts(&mut self, mut kernel: InKernel) -> Accounts {
        kernel.submitted += self.counted;
        let rest = if self.output.failure().is_some() { loss::OUTPUT_FAILED } else { self.rest };
        Accounts::at_end(kernel, self.taken(), rest)
    }

    fn taken(&self) -> Taken {
        Taken {
            delivered: self.output.delivered(),
            rejected: self.rejected,
            no_room: self.no_room,
            unwritten: self.output.unwritten(),
            limited: self.limited,
        }
    }

    fn pipe_is_closed(&mut self) -> bool {
        self.output.failure().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
    }
}

fn clock(messages: &Messages, format: Format) -> Clock {
    let clock = Clock::new(boot_ns());
    // JSON has no local time.
    if format == Format::Json || env::var("TZ").map_or(true, |tz| is_zone_of_system(&tz)) {
        return clock;
    }
    messages.say("TZ names no time zone of this system: times are in UTC");
    clock.in_utc()
}

/// Nanoseconds on the clock that the kernel stamps records with.
pub(crate) fn boottime_ns() -> u64 {
    u64::try_from(nanoseconds(ClockId::CLOCK_BOOTTIME)).unwrap_or(0)
}

/// The time of day when the machine booted, as it is now.
fn boot_ns() -> i64 {
    nanoseconds(ClockId::CLOCK_REALTIME) - nanoseconds(ClockId::CLOCK_BOOTTIME)
}

fn nanoseconds(id: ClockId) -> i64 {
    clock_gettime(id).map_or(0, |time| time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::RefCell;
    use std::io;
    use std::rc::Rc;

    use proptest::prelude::*;

    use super::*;
    use crate::output::buffer::Taker;

    /// Has room for so many bytes.
    #[derive(Clone, Debug)]
    pub(crate) struct Disk {
        room: usize,
        bytes: Rc<RefCell<Vec<u8>>>,
    }

    impl Disk {
        pub(crate) fn with_room(room: usize) -> Self {
            Self { room, bytes: Rc::default() }
        }

        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.bytes.borrow().clone()).unwrap()
        }
    }

    pub(crate) fn report_to(disk: &Disk, format: Format) -> Report {
        let mut report = Report::new(
            &Host::standard().unwrap(),
            &OutputOptions::of(format),
            &ViewOptions::default(),
            0,
        );
        report.output = Output::to(Box::new(disk.clone()));
        report
    }

    impl Taker for Disk {
        fn write(&mut self, bytes: &[u8]) -> (usize, Option<io::Error>) {
            let mut disk = self.bytes.borrow_mut();
            let fits = bytes.len().min(self.room - disk.len());
            disk.extend_from_slice(&bytes[..fits]);
            (fits, (fits < bytes.len()).then(|| ErrorKind::StorageFull.into()))
        }

        fn take_back(&mut self, bytes: usize) {
            let mut disk = self.bytes.borrow_mut();
            let whole = disk.len() - bytes;
            disk.truncate(whole);
        }

        fn is_closed(&self) -> bool {
            false
        }
    }

    /// What may become of events that the kernel let through.
    #[derive(Clone, Debug)]
    enum Fate {
        Row(u64, usize),
        LeftOut(u64),
        Rejected(u64),
        NoRoom(u64),
        /// They never came.
        Vanished(u64),
        Flush,
    }

    /// How many events each of them befell.
    #[derive(Default)]
    struct Happened {
        submitted: u64,
        left_out: u64,
        rejected: u64,
        no_room: u64,
        vanished: u64,
    }

    impl Happened {
        fn add(&mut self, fate: Fate, report: &mut Report) {
            let (of, events) = match fate {
                // A line that says how many events it stands for.
                Fate::Row(events, len) => {
                    let line = format!("{events} {:len$}\n", "");
                    report.output.lines(events, |out| out.extend_from_slice(line.as_bytes()));
                    self.submitted += events;
                    return;
                }
                Fate::Flush => return report.flush(),
                Fate::LeftOut(events) => {
                    report.left_out(events);
                    (&mut self.left_out, events)
                }
                Fate::Rejected(events) => {
                    report.reject(events);
                    (&mut self.rejected, events)
                }
                Fate::NoRoom(events) => {
                    report.no_room(events);
                    (&mut self.no_room, events)
                }
                Fate::Vanished(events) => (&mut self.vanished, events),
            };
            *of += events;
            self.submitted += events;
        }
    }

    fn fates() -> impl Strategy<Value = Vec<Fate>> {
        let fate = prop_oneof![
            (0..9u64, 0..9_000usize).prop_map(|(events, len)| Fate::Row(events, len)),
            (0..9u64).prop_map(Fate::LeftOut),
            (0..9u64).prop_map(Fate::Rejected),
            (0..9u64).prop_map(Fate::NoRoom),
            (0..9u64).prop_map(Fate::Vanished),
            Just(Fate::Flush),
        ];
        prop::collection::vec(fate, 0..40)
    }

    proptest! {
        #[test]
        fn every_event_is_in_the_accounts(
            fates in fates(),
            room in prop_oneof![Just(usize::MAX), 0..90_000usize],
            calls in 0..3u64,
            map_full in 0..3u64,
            format in prop::sample::select(&[Format::Table, Format::Json]),
        ) {
            let disk = Disk::with_room(room);
            let mut report = report_to(&disk, format);
            let mut all = Happened::default();
            for fate in fates {
                all.add(fate, &mut report);
            }
            let Happened { submitted, left_out, rejected, no_room, vanished } = all;
            report.flush();
            let has_failed = report.has_failed();
            let kernel = InKernel::with(submitted, calls, map_full);
            let Accounts { produced, delivered, lost } = report.accounts(kernel);
            let lost_for = |reason| lost.get(reason).copied().unwrap_or(0);

            prop_assert_eq!(produced, delivered + lost.values().sum::<u64>());
            prop_assert_eq!(produced, submitted - rejected + calls + map_full);
            prop_assert_eq!(lost_for("map_full"), no_room + map_full);
            let written = disk.text();
            let shown = written.lines().map(|line| line[..1].parse::<u64>().unwrap()).sum::<u64>();
            if has_failed {
                prop_assert!((shown..=shown + left_out).contains(&delivered));
                let lost = submitted - rejected - no_room - delivered;
                prop_assert_eq!(lost_for(loss::OUTPUT_FAILED), lost);
                prop_assert_eq!(lost_for(loss::UNACCOUNTED), 0);
            } else {
                prop_assert_eq!(delivered, shown + left_out);
                prop_assert_eq!(lost_for(loss::OUTPUT_FAILED), 0);
                prop_assert_eq!(lost_for(loss::UNACCOUNTED), vanished);
            }
        }
    }
}
