//! The table of columns that a tool has.

use crate::bpf::shared::types::collect;
use crate::output::values::{Kind, Value};
use crate::record::Record;

/// One column of the text table, one key of the JSON object, and one name for `--fields`.
#[derive(Debug)]
pub struct Column<E> {
    /// The head of the column.
    pub title: &'static str,
    /// The JSON key.
    pub key: &'static str,
    /// What its value is, if it has one.
    pub kind: Kind,
    /// What it may be instead.
    pub or: Option<Kind>,
    /// The least width in the text table, in terminal cells.
    pub width: usize,
    /// What it means, for `--fields help`.
    pub about: &'static str,
    /// Whose memory it comes from.
    pub source: Source,
    /// Where it is shown without `--fields`.
    pub shown: Shown,
    /// What the tool's options do with it.
    pub option: Asked,
    /// What the kernel side collects only for this: a bit of `enum collect`.
    pub collect: u32,
    /// What it is to those who add up reports.
    pub part: Part,
    /// Its value in a row.
    pub value: for<'r> fn(&Record<'r, E>) -> Value<'r>,
}

/// What a column is to those who add up the reports of a tool that counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part {
    /// What the events of a row have in common.
    Label,
    /// Added up: how many, or how much.
    Sum,
    /// Neither: it follows from the others. Times and fractions are never labels.
    Derived,
}

/// Where a column is shown without `--fields`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shown {
    /// In the table and in JSON.
    Always,
    /// In JSON.
    JsonOnly,
    /// Nowhere.
    Nowhere,
}

/// What options do with a column. They are written as a user does: `--by=src`, or `--by` with any
/// value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Asked {
    /// Nothing.
    Not,
    /// Each of these shows it, where `--fields` does not say what is shown.
    With(&'static [&'static str]),
    /// This one shows it, beside what `--fields` names too.
    Added(&'static str),
    /// The first puts the column with the second for its key in its place.
    Replaced(&'static str, &'static str),
}

/// Whose memory a value comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Source {
    /// The kernel's own data: nobody else can change it.
    Kernel,
    /// Memory of the process: another of its threads may change it while it is read.
    User,
}

impl<E> Column<E> {
    /// A column of the kernel's own data that is always shown. Each kind of value has a function of its
    /// own for it: `Column::uint`, `Column::text`.
    pub(super) const fn of(
        kind: Kind,
        title: &'static str,
        key: &'static str,
        width: usize,
        about: &'static str,
        value: for<'r> fn(&Record<'r, E>) -> Value<'r>,
    ) -> Self {
        let (source, shown, option) = (Source::Kernel, Shown::Always, Asked::Not);
        Self {
            title,
            key,
            kind,
            or: None,
            width,
            about,
            source,
            shown,
            option,
            collect: 0,
            part: Part::Label,
            value,
        }
    }

    /// The same column, whose values are added up from report to report.
    #[must_use]
    pub const fn sum(mut self) -> Self {
        self.part = Part::Sum;
        self
    }

    /// The same column, which follows from others.
    #[must_use]
    pub const fn derived(mut self) -> Self {
        self.part = Part::Derived;
        self
    }

    /// The same column, whose value may be of this kind too.
    #[must_use]
    pub const fn or(mut self, kind: Kind) -> Self {
        self.or = Some(kind);
        self
    }

    /// Does it tell of the container?
    pub(crate) fn is_of_container(&self) -> bool {
        ["container", "container_name", "pod", "namespace"].contains(&self.key)
    }

    /// The same column, read from the process's memory.
    #[must_use]
    pub const fn user(mut self) -> Self {
        self.source = Source::User;
        self
    }

    /// The same column, in JSON alone unless an option asks for it.
    #[must_use]
    pub const fn json_only(mut self) -> Self {
        self.shown = Shown::JsonOnly;
        self
    }

    /// The same column, nowhere unless an option asks for it.
    #[must_use]
    pub const fn hidden(mut self) -> Self {
        self.shown = Shown::Nowhere;
        self
    }

    /// The same column, shown with each of these options.
    #[must_use]
    pub const fn with(mut self, options: &'static [&'static str]) -> Self {
        self.option = Asked::With(options);
        self
    }

    /// The same column, which this option adds to whatever is shown: before what has no end.
    #[must_use]
    pub const fn added_by(mut self, option: &'static str) -> Self {
        self.option = Asked::Added(option);
        self
    }

    /// The same column; `option` shows the one with this key instead.
    #[must_use]
    pub const fn replaced_by(mut self, option: &'static str, key: &'static str) -> Self {
        self.option = Asked::Replaced(option, key);
        self
    }

    /// The same column; the kernel side collects it only when it is shown.
    #[must_use]
    pub(crate) const fn collect(mut self, what: collect) -> Self {
        self.collect = what.0;
        self
    }
}
