//! What a run begins with: who runs where, for those who read its lines elsewhere or later.

use std::ffi::OsString;
use std::fs;

use nix::sys::utsname::uname;

use crate::output::json::Start;
use crate::run::host::Host;
use crate::run::report::boottime_ns;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What is known now, when all is attached; what cannot be read is left out.
pub(crate) fn now(host: &Host) -> Start {
    let name = uname().ok();
    let name = |part: fn(&nix::sys::utsname::UtsName) -> &std::ffi::OsStr| {
        name.as_ref().map(|name| part(name).to_string_lossy().into_owned())
    };
    let (options, command) = split(&host.args);
    Start {
        time_ns: boottime_ns(),
        host: name(|name| name.nodename()),
        boot_id: fs::read_to_string(BOOT_ID).ok().map(|id| id.trim_end().into()),
        kernel: name(|name| name.release()),
        options: words(options),
        command: words(command),
        hooks: host.messages.hooks(),
    }
}

/// The arguments before `--`, and those behind it.
fn split(args: &[OsString]) -> (&[OsString], &[OsString]) {
    match args.iter().position(|arg| arg == "--") {
        Some(at) => (&args[..at], &args[at + 1..]),
        None => (args, &[]),
    }
}

fn words(args: &[OsString]) -> Vec<String> {
    args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_options_from_the_command() {
        let of = |args: &[&str]| {
            let args = args.iter().map(OsString::from).collect::<Vec<_>>();
            let (options, command) = split(&args);
            (words(options).join(" "), words(command).join(" "))
        };
        assert_eq!(of(&["-x", "--", "sh", "--", "-c"]), ("-x".into(), "sh -- -c".into()));
        assert_eq!(of(&["-x"]), ("-x".into(), String::new()));
        assert_eq!(of(&[]), Default::default());
    }
}
