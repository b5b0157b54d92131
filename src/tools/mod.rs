//! The table of tools: one line each, and the one that is an example last. A tool's kernel side is in
//! `src/bpf/NAME.bpf.c`, its page in `docs/tools/NAME.md`.

use crate::output::{Clock, Column, Lines, Names, Screen, schema, sums};
use crate::record::Row;
use crate::tool::{self, Entry, Named, Rows, Tool};

pub(crate) mod aliases;
mod packets;
mod prelude;

macro_rules! tools {
    ($($module:ident::$tool:ident;)*) => {
        $(
            mod $module;
            impl Named for $module::$tool {
                const NAME: &'static str = stringify!($module);
                const PAGE: &'static str =
                    include_str!(concat!("../../docs/tools/", stringify!($module), ".md"));
            }
        )*
        /// All tools, in the order that help lists them.
        pub(crate) const TOOLS: &[Entry] = &[$(Entry::of::<$module::$tool>()),*];

        /// Every line that any tool makes of what these bytes may be, and how long it may be: for the
        /// fuzzer.
        #[doc(hidden)]
        pub fn lines_of(bytes: &[u8]) -> Vec<(String, usize)> {
            [$(lines::<$module::$tool>(bytes)),*].concat()
        }

        #[cfg(test)]
        fn tables(width: usize) -> String {
            [$(tests::table::<$module::$tool>(width)),*].concat()
        }

        #[test]
        fn columns_are_sound() {
            $(tool::tests::check_columns::<$module::$tool>();)*
        }
    };
}

tools! {
    clonesnoop::Clonesnoop;
    doctor::Doctor;
    dropsnoop::Dropsnoop;
    execsnoop::Execsnoop;
    exitsnoop::Exitsnoop;
    funclatency::Funclatency;
    gethostlatency::Gethostlatency;
    guard::Guard;
    opensnoop::Opensnoop;
    probes::Probes;
    profile::Profile;
    querysnoop::Querysnoop;
    readline::Readline;
    syscount::Syscount;
    tcfilter::Tcfilter;
    tcpsnoop::Tcpsnoop;
    unlinksnoop::Unlinksnoop;
    xdpfilter::Xdpfilter;
    hello::Hello;
}

/// The JSON Schema of what all tools print, or this one.
pub(crate) fn schema(of: Option<&str>) -> Vec<u8> {
    let tools = TOOLS.iter().filter(|tool| of.is_none_or(|name| name == tool.name));
    schema::of(&tools.map(|tool| (tool.name, tool.records())).collect::<Vec<_>>())
}

/// Of each of its tables of columns.
fn lines<T: Tool>(bytes: &[u8]) -> Vec<(String, usize)> {
    let tables = [""].into_iter().chain(T::OTHERS.iter().map(|(option, _)| *option));
    let columns = |table| tool::columns::<T>(|option| option == table);
    let of = (T::ROWS.kind(), T::NAME, T::ROWS.are_of_a_run().then_some(0));
    tables.flat_map(|table| lines_of_rows(of, &columns(table), bytes)).collect()
}

/// As a table and as JSON, `of` this type, tool and number; the table on a terminal too, and events as those
/// that a report has counted.
fn lines_of_rows<R: Row>(
    of: (&str, &str, Option<u64>),
    columns: &[&Column<R>],
    bytes: &[u8],
) -> Vec<(String, usize)> {
    let table = || Lines::table(columns);
    let json = Lines::json(of.0, of.1, Names::Ebtools, columns);
    let by = columns.iter().filter(|column| column.key != Column::<R>::TIME.key).copied();
    let counted = sums::columns(&by.collect::<Vec<_>>(), false);
    let counts = Lines::json(Rows::Intervals.kind(), of.1, Names::Ebtools, &counted);
    let mut kinds = vec![(json, None), (table(), None), (table(), Some(80)), (table(), Some(40))];
    if of.0 == Rows::Events.kind() {
        kinds.push((counts, None));
    }
    let mut all = Vec::new();
    R::of_any(bytes, &mut |record| {
        for (lines, width) in &kinds {
            let screen = Screen { width: *width, has_colours: false };
            let mut line = Vec::new();
            lines.row(&mut line, &Clock::new(0), screen, of.2, record);
            let text = String::from_utf8(line).unwrap_or_default();
            let lines = text.split_inclusive('\n');
            all.extend(lines.map(|line| (line.into(), width.unwrap_or(usize::MAX))));
        }
    });
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::sync::LazyLock;

    use super::*;
    use crate::output::fields;
    use crate::output::json::SCHEMA;
    use crate::output::names;
    use crate::record::Header;
    use crate::system::sys;
    use crate::validator::Validator;
    use proptest::prelude::*;
    use unicode_width::UnicodeWidthStr as _;

    static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
        let schema = String::from_utf8(schema(None)).unwrap();
        Validator::new(&schema).unwrap()
    });

    /// A line for each key of each record: its shape, and what it means.
    fn keys() -> BTreeSet<String> {
        let mut keys = BTreeSet::new();
        for (tool, kind, record) in VALIDATOR.records() {
            for (key, of) in record["properties"].as_object().unwrap() {
                let mut shape = of.as_object().unwrap().clone();
                let about = shape.remove("description").unwrap_or_default();
                let types = shape.get("type").and_then(|types| types.as_array());
                let distinct = types.map(|types| {
                    types.iter().map(ToString::to_string).collect::<BTreeSet<_>>().len()
                });
                assert_eq!(distinct, types.map(Vec::len), "{tool} {key}: two shapes of one type");
                let shape = serde_json::Value::from(shape);
                let about = about.as_str().unwrap_or_default();
                if shape.get("const").is_some() && about.is_empty() {
                    continue;
                }
                assert!(!about.is_empty(), "{tool} {key}: what is it?");
                keys.insert(format!("{tool} {kind} {key}: {shape} - {about}"));
            }
        }
        keys
    }

    /// Programs rely on it. New lines are added by INSTA_UPDATE=always; the others go by hand alone.
    #[test]
    fn published_keys_stay_what_they_are() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/json-keys.txt");
        let published = fs::read_to_string(path).unwrap();
        let (version, lines) = published.split_once('\n').unwrap();
        let published = lines.lines().map(Into::into).collect::<BTreeSet<String>>();
        let keys = keys();
        let gone = published.difference(&keys).collect::<Vec<_>>();
        assert!(
            gone.is_empty() || version != SCHEMA,
            "published keys of {SCHEMA} are gone or mean something else: {gone:#?}\n\
             Give the new meaning a new key. If it must be, raise SCHEMA in src/output/json.rs and name the \
             keys in CHANGELOG: INSTA_UPDATE=always cargo test --lib then writes {path} anew. If only the \
             words of a meaning are better now, change them there too."
        );
        if published == keys && version == SCHEMA {
            return;
        }
        let update = std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always");
        assert!(
            update,
            "there are new keys: INSTA_UPDATE=always cargo test --lib adds them to {path}"
        );
        let lines = keys.into_iter().map(|line| line + "\n").collect::<String>();
        fs::write(path, format!("{SCHEMA}\n{lines}")).unwrap();
    }

    /// The table of docs/json.md, made from the keys of all tools.
    #[test]
    fn names_of_others_are_documented() {
        let mut unused = names::tests::all().collect::<BTreeSet<_>>();
        let mut rows = BTreeSet::new();
        for (tool, kind, record) in VALIDATOR.records() {
            for key in record["properties"].as_object().unwrap().keys() {
                let is_of = |of: &str| of.is_empty() || of == kind || of == tool;
                let known = names::tests::all().find(|(of, one)| one == key && is_of(of));
                let Some((of, _)) = known else { continue };
                unused.remove(&(of, key.as_str()));
                let name = |names: Names| match names.of(kind, tool, key) {
                    Some(name) => format!("`{name}`"),
                    None => format!("`ebtools.{key}`"),
                };
                let whose = if of.is_empty() { String::new() } else { format!(" of `{of}`") };
                let (otel, ecs) = (name(Names::Otel), name(Names::Ecs));
                rows.insert(format!("| `{key}`{whose} | {otel} | {ecs} |\n"));
            }
        }
        assert!(unused.is_empty(), "there are no such keys: {unused:?}");
        let rows = rows.into_iter().collect::<String>();
        let page = include_str!("../../docs/json.md");
        assert!(
            page.contains(&format!("|---|---|---|\n{rows}\n")),
            "docs/json.md should have\n{rows}"
        );
    }

    #[test]
    fn schema_of_a_tool_has_no_other() {
        let schema = Validator::new(&String::from_utf8(schema(Some("hello"))).unwrap()).unwrap();
        let kinds = schema.records().map(|(tool, kind, _)| (tool, kind)).collect::<BTreeSet<_>>();
        let kinds =
            kinds.into_iter().map(|(tool, kind)| format!("{tool} {kind}")).collect::<Vec<_>>();
        assert_eq!(
            kinds,
            ["hello event", "hello interval", "hello lost", "hello start", "hello summary"]
        );
    }

    /// A record with long names (of 42 bytes), of a tool whose own part is as large as this one's; other tools find
    /// large numbers in it.
    fn record<T: Tool>() -> Vec<u8> {
        let mut header =
            Header { time_ns: 45_296_000_000_000, pid: 4_194_303, ..Header::default() };
        (header.tid, header.ppid, header.uid) = (4_194_304, 1, 65_534);
        header.comm = *b"worker-\xe4\xb8\x96-12\x1b\0\0";
        header.parent_comm = *b"systemd-journal\0";
        let header = sys::bytes_of(&header).to_vec();
        let own = size_of::<T::Row>().saturating_sub(header.len());
        let names = b"/usr/lib/x86_64-linux-gnu/libLLVM-19.so.1\0--config=/etc/\"a b\"\0".repeat(3);
        [header, [42, 0, 0, 0].repeat(own / 4), names].concat()
    }

    /// The table of a tool on a terminal of that width.
    pub(super) fn table<T: Tool>(width: usize) -> String {
        let columns = tool::columns::<T>(|_| false);
        let columns = fields::choose(&columns, false, &[], |_| false).unwrap();
        let screen = Screen { width: Some(width), has_colours: false };
        let (lines, clock) = (Lines::table(&columns), Clock::new(0).in_utc());
        let mut out = format!("{}\n", T::NAME).into_bytes();
        lines.header(&mut out, screen);
        T::Row::of_any(&record::<T>(), &mut |record| {
            lines.row(&mut out, &clock, screen, None, record);
        });
        String::from_utf8(out).unwrap() + "\n"
    }

    #[test]
    fn rows_at_80_and_40_columns() {
        insta::assert_snapshot!("rows_at_80_columns", tables(80));
        insta::assert_snapshot!("rows_at_40_columns", tables(40));
    }

    proptest! {
        #[test]
        fn lines_are_safe_and_json_is_what_its_schema_says(words in prop::collection::vec(any::<u64>(), 0..80)) {
            let bytes = words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<_>>();
            for (line, width) in super::lines_of(&bytes) {
                let line = line.strip_suffix('\n').unwrap();
                prop_assert!(!line.contains(char::is_control), "{line:?}");
                prop_assert!(line.width() <= width, "{line:?}");
                if line.starts_with("{\"type\"") {
                    prop_assert_eq!(VALIDATOR.check(line), Ok(()), "{}", line);
                }
            }
        }
    }
}
