//! What keys are called: by ebtools, or by others who have names for the same things. Theirs are taken where
//! they mean just that; what they have no name for is `ebtools.KEY`.

use clap::ValueEnum;

use super::entry::{entry, key};

/// Whose names keys have.
#[derive(Clone, Copy, Debug, Default, PartialEq, ValueEnum)]
pub enum Names {
    /// Its own
    #[default]
    Ebtools,
    /// OpenTelemetry's, of its semantic conventions
    Otel,
    /// Those of the Elastic Common Schema
    Ecs,
}

/// The version that the names are of.
const ECS_VERSION: &str = "9.4.0";

/// Of records of this type or tool, or of all: a key, and its names in OpenTelemetry and ECS, if there are any.
/// OpenTelemetry's `thread.id` is no `tid`: it is that of a language's own threads.
const NAMES: &[(&str, &str, &str, &str)] = &[
    ("", "time", "", "@timestamp"),
    ("", "seq", "", "event.sequence"),
    ("start", "version", "", "agent.version"),
    ("start", "host", "host.name", "host.hostname"),
    ("start", "boot_id", "", "host.boot.id"),
    ("start", "kernel", "", "host.os.kernel"),
    ("", "uid", "process.real_user.id", "user.id"),
    ("", "pid", "process.pid", "process.pid"),
    ("", "ns_pid", "process.vpid", "process.vpid"),
    ("", "tid", "", "process.thread.id"),
    ("", "comm", "thread.name", "process.thread.name"),
    ("", "ppid", "process.parent_pid", "process.parent.pid"),
    ("", "parent_comm", "", "process.parent.name"),
    ("", "container", "container.id", "container.id"),
    ("", "container_name", "k8s.container.name", "container.name"),
    ("", "namespace", "k8s.namespace.name", "orchestrator.namespace"),
    ("", "pod", "k8s.pod.name", "orchestrator.resource.name"),
    ("", "errno", "error.type", "error.code"),
    ("", "latency_ns", "", "event.duration"),
    ("execsnoop", "args", "process.command_args", "process.args"),
    ("execsnoop", "argv0", "process.command", ""),
    ("execsnoop", "exe", "process.executable.path", "process.executable"),
    ("execsnoop", "cwd", "process.working_directory", "process.working_directory"),
    ("exitsnoop", "args", "process.command_args", "process.args"),
    ("exitsnoop", "exit_code", "process.exit.code", "process.exit_code"),
    ("guard", "act", "", "event.action"),
    ("guard", "rule", "security_rule.name", "rule.name"),
    ("hello", "message", "", "message"),
    ("opensnoop", "full_path", "file.path", "file.path"),
    ("querysnoop", "error", "error.type", "error.code"),
    ("querysnoop", "error_message", "", "error.message"),
    ("querysnoop", "query", "db.query.text", ""),
    ("tcpsnoop", "laddr", "network.local.address", ""),
    ("tcpsnoop", "lport", "network.local.port", ""),
    ("tcpsnoop", "raddr", "network.peer.address", ""),
    ("tcpsnoop", "rport", "network.peer.port", ""),
    ("unlinksnoop", "path", "file.path", "file.path"),
    ("", "src", "source.address", "source.ip"),
    ("", "dst", "destination.address", "destination.ip"),
    ("", "port", "destination.port", "destination.port"),
    ("", "src_port", "source.port", "source.port"),
    ("", "dst_port", "destination.port", "destination.port"),
];

impl Names {
    /// What others call this key of records of that type and tool.
    pub(crate) fn of(self, kind: &str, tool: &str, key: &str) -> Option<&'static str> {
        let is_of = |of: &str| of.is_empty() || of == kind || of == tool;
        let (_, _, otel, ecs) = NAMES.iter().find(|(of, one, ..)| *one == key && is_of(of))?;
        let name = match self {
            Names::Ebtools => "",
            Names::Otel => *otel,
            Names::Ecs => *ecs,
        };
        (!name.is_empty()).then_some(name)
    }

    /// What stands before a key that others have no name for.
    pub(super) fn prefix(self) -> &'static str {
        if self == Names::Ebtools { "" } else { "ebtools." }
    }

    /// Appends a key of these records.
    pub(super) fn key(self, out: &mut Vec<u8>, kind: &str, tool: &str, name: &str) {
        match self.of(kind, tool, name) {
            Some(theirs) => key(out, theirs, ""),
            None => key(out, self.prefix(), name),
        }
    }

    /// Appends what all such records have there.
    pub(super) fn constants(self, out: &mut Vec<u8>, kind: &str, tool: &str) {
        if self != Names::Ecs {
            return;
        }
        let kind = match kind {
            "interval" | "summary" => "metric",
            "start" | "event" | "lost" => "event",
            // How things are, that nobody has to wait for.
            _ => "state",
        };
        entry(out, "ecs.version", ECS_VERSION);
        entry(out, "event.kind", kind);
        entry(out, "event.module", "ebtools");
        entry(out, "event.dataset", format_args!("ebtools.{tool}"));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// All that are in the table: of, key.
    pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
        NAMES.iter().map(|&(of, key, ..)| (of, key))
    }

    #[test]
    fn a_name_may_be_a_tools_own() {
        let name = |names: Names, kind, tool, name| {
            let mut out = Vec::new();
            names.key(&mut out, kind, tool, name);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(name(Names::Ebtools, "event", "execsnoop", "ppid"), r#","ppid":"#);
        assert_eq!(name(Names::Otel, "event", "execsnoop", "ppid"), r#","process.parent_pid":"#);
        assert_eq!(name(Names::Ecs, "event", "execsnoop", "ppid"), r#","process.parent.pid":"#);
        assert_eq!(name(Names::Otel, "event", "opensnoop", "full_path"), r#","file.path":"#);
        assert_eq!(name(Names::Otel, "event", "execsnoop", "path"), r#","ebtools.path":"#);
        assert_eq!(name(Names::Otel, "start", "gethostlatency", "host"), r#","host.name":"#);
        assert_eq!(name(Names::Otel, "event", "gethostlatency", "host"), r#","ebtools.host":"#);
    }
}
