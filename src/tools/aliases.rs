//! Names that other collections have for the question that a tool answers. docs/names.md says of all
//! their names what they are here.

use std::ffi::OsString;

/// A name that stands for a tool, and for options that come before the user's own.
#[derive(Debug)]
pub(crate) struct Alias {
    pub(crate) name: &'static str,
    pub(crate) tool: &'static str,
    options: &'static [&'static str],
    /// The options that the words right behind it stand for.
    pub(crate) words: &'static [&'static str],
}

/// In the order of the alphabet. Where those of bcc or libbpf-tools print the time, these do.
pub(crate) const ALIASES: &[Alias] = &[
    // What is typed into bash.
    Alias { name: "bashreadline", tool: "readline", options: &["-T"], words: &[] },
    // Queries of a millisecond or more; a word says of which server.
    Alias { name: "dbslower", tool: "querysnoop", options: &["-T", "--slower", "1"], words: &[] },
    // Files that are gone from their names: deleted, replaced or renamed.
    Alias {
        name: "filegone",
        tool: "unlinksnoop",
        options: &["-T", "--renames", "all"],
        words: &[],
    },
    // How often functions are called, each by itself.
    Alias { name: "funccount", tool: "funclatency", options: &["--by", "function"], words: &[] },
    // What processes send by kill and the like.
    Alias {
        name: "killsnoop",
        tool: "exitsnoop",
        options: &["-T", "--signals", "--calls"],
        words: &[],
    },
    // Queries of a millisecond or more to one server of MySQL.
    Alias {
        name: "mysqld_qslower",
        tool: "querysnoop",
        options: &["-T", "mysql", "--slower", "1"],
        words: &["--pid", "--slower"],
    },
    // What the kernel ends for want of memory.
    Alias { name: "oomkill", tool: "exitsnoop", options: &["-T", "--oom"], words: &[] },
    // How many processes and threads begin, each second.
    Alias { name: "pidpersec", tool: "clonesnoop", options: &["--count"], words: &[] },
    // All signals.
    Alias { name: "sigsnoop", tool: "exitsnoop", options: &["-T", "--signals"], words: &[] },
    // Which programs listen.
    Alias { name: "solisten", tool: "tcpsnoop", options: &["--events", "listen"], words: &[] },
    // Connections, each by what happens to it.
    Alias { name: "tcpaccept", tool: "tcpsnoop", options: &["--events", "accept"], words: &[] },
    Alias { name: "tcpconnect", tool: "tcpsnoop", options: &["--events", "connect"], words: &[] },
    Alias {
        name: "tcpconnlat",
        tool: "tcpsnoop",
        options: &["--events", "connect"],
        words: &["--slower"],
    },
    // Packets of TCP that are dropped.
    Alias { name: "tcpdrop", tool: "dropsnoop", options: &["-T", "--only", "tcp"], words: &[] },
    Alias { name: "tcplife", tool: "tcpsnoop", options: &["--events", "close"], words: &[] },
    Alias {
        name: "tcpretrans",
        tool: "tcpsnoop",
        options: &["-T", "--events", "retransmit"],
        words: &[],
    },
    // How far away the other ends of connections are.
    Alias { name: "tcprtt", tool: "tcpsnoop", options: &["--rtt"], words: &[] },
    Alias { name: "tcpstates", tool: "tcpsnoop", options: &["--events", "state"], words: &[] },
    Alias { name: "tcptracer", tool: "tcpsnoop", options: &[], words: &[] },
    // Who starts threads.
    Alias {
        name: "threadsnoop",
        tool: "clonesnoop",
        options: &["-T", "--kind", "thread"],
        words: &[],
    },
    // Which tracepoints and USDT probes there are.
    Alias { name: "tplist", tool: "probes", options: &["--kind", "tracepoint,usdt"], words: &[] },
    // How often the functions of the virtual file system are called.
    Alias {
        name: "vfscount",
        tool: "funclatency",
        options: &["vfs_*", "--by", "function"],
        words: &["--duration"],
    },
];

impl Alias {
    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        ALIASES.iter().find(|alias| alias.name == name)
    }

    /// What it stands for, with these arguments behind it.
    pub(crate) fn arguments(&self, given: &[OsString]) -> Vec<OsString> {
        let is_word = |arg: &&OsString| !arg.as_encoded_bytes().starts_with(b"-");
        let words = given.iter().take_while(is_word).zip(self.words);
        let words = words.map(|(word, option)| [option.into(), word.clone()]).collect::<Vec<_>>();
        let rest = &given[words.len()..];
        let mut is_given = false;
        // Lists that are given would be added to its own.
        let is_its = |option: &&&str| {
            if option.starts_with("--") {
                is_given = rest.iter().take_while(|arg| *arg != "--").any(|arg| is(arg, option));
            }
            !is_given
        };
        let tool = [self.tool].into_iter().chain(self.options.iter().filter(is_its).copied());
        let words = words.into_iter().flatten();
        tool.map(OsString::from).chain(words).chain(rest.iter().cloned()).collect()
    }

    /// `clonesnoop --count`
    pub(crate) fn meaning(&self) -> String {
        [&[self.tool], self.options].concat().join(" ")
    }
}

/// Is it this option, with a value or without?
fn is(arg: &OsString, option: &str) -> bool {
    let rest = arg.as_encoded_bytes().strip_prefix(option.as_bytes());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"="))
}

/// Other names of a tool.
pub(crate) fn of_tool(tool: &str) -> impl Iterator<Item = &'static str> {
    ALIASES.iter().filter(move |alias| alias.tool == tool).map(|alias| alias.name)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use clap::error::ErrorKind;

    use super::*;
    use crate::tools::TOOLS;

    #[test]
    fn stands_before_what_is_given() {
        for (name, given, expected) in [
            ("bashreadline", "-U -- sh", "readline -T -U -- sh"),
            ("pidpersec", "--count=uid", "clonesnoop --count=uid"),
            ("funccount", "--by comm c:puts", "funclatency --by comm c:puts"),
            ("vfscount", "5 --by=pid", "funclatency vfs_* --duration 5 --by=pid"),
            ("threadsnoop", "-- cat --kind", "clonesnoop -T --kind thread -- cat --kind"),
            ("mysqld_qslower", "", "querysnoop -T mysql --slower 1"),
            ("mysqld_qslower", "7 -T", "querysnoop -T mysql --slower 1 --pid 7 -T"),
            ("mysqld_qslower", "7 5 9", "querysnoop -T mysql --slower 1 --pid 7 --slower 5 9"),
            ("mysqld_qslower", "-T 7 5", "querysnoop -T mysql --slower 1 -T 7 5"),
        ] {
            let given = given.split_whitespace().map(OsString::from).collect::<Vec<_>>();
            let arguments = Alias::named(name).unwrap().arguments(&given);
            assert_eq!(arguments.join(OsStr::new(" ")), *expected, "{name} {given:?}");
        }
    }

    #[test]
    fn each_stands_for_a_tool_and_its_options() {
        assert!(ALIASES.is_sorted_by_key(|alias| alias.name));
        for alias in ALIASES {
            let tool = TOOLS.iter().find(|tool| tool.name == alias.tool);
            let tool = tool.unwrap_or_else(|| panic!("{}", alias.tool));
            let read = tool.command().no_binary_name(true).try_get_matches_from(alias.options);
            // What the user must give may be missing.
            let kind = read.err().map(|error| error.kind());
            let is_right = matches!(kind, None | Some(ErrorKind::MissingRequiredArgument));
            assert!(is_right, "{}: {kind:?}", alias.meaning());
            assert!(TOOLS.iter().all(|tool| tool.name != alias.name), "{}", alias.name);
        }
    }
}
