//! Completions: what clap knows, and values that only the machine knows.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use clap::Command;
use clap_complete::{Shell, generate};

use super::{Result, tools};

/// Values of an option, or of an argument without one, and what each shell has for them.
struct Values {
    id: &'static str,
    /// The name of the value in the command line.
    name: &'static str,
    bash: &'static str,
    zsh: &'static str,
    fish: &'static str,
}

const VALUES: &[Values] = &[
    Values {
        id: "user",
        name: "USER",
        bash: "$(compgen -u)",
        zsh: "_users",
        fish: "(__fish_complete_users)",
    },
    Values {
        id: "pid",
        name: "PID",
        bash: "$(cd /proc && echo [0-9]*)",
        zsh: "_pids",
        fish: "(__fish_complete_pids)",
    },
    Values {
        id: "cgroup",
        name: "PATH",
        bash: "$(cd /sys/fs/cgroup && find -mindepth 1 -type d -printf '/sys/fs/cgroup/%P\\n')",
        zsh: "_files -W /sys/fs/cgroup -P /sys/fs/cgroup/ -/",
        fish: "(find /sys/fs/cgroup -mindepth 1 -type d)",
    },
    Values {
        id: "interface",
        name: "INTERFACE",
        bash: "$(ls /sys/class/net)",
        zsh: "_net_interfaces",
        fish: "(ls /sys/class/net)",
    },
    Values {
        id: "function",
        name: "FUNCTION",
        // All of them are too many for a list: those that begin like the word.
        bash: "$(awk -v cur=\"${cur}\" 'cur != \"\" && $2 ~ /^[tT]$/ && index($3, cur) == 1 { print $3 }' /proc/kallsyms)",
        zsh: "{ compadd -- ${${${(f)\"$(</proc/kallsyms)\"}##* ? }%%[^a-zA-Z0-9_.]*} }",
        fish: "(string match -rg '^[^ ]+ [tT] (\\w+)' </proc/kallsyms)",
    },
];

/// The commands that are installed, by name.
fn commands() -> Vec<(String, Command)> {
    // What `ebtools help` takes is what clap's own would.
    let all = ebtools::cli::command().disable_help_subcommand(false);
    let of_all = tools(&all).flat_map(|tool| {
        let names = [tool.get_name()].into_iter().chain(tool.get_visible_aliases());
        names.map(|name| (format!("{name}-ebtools"), tool.clone()))
    });
    let whole = all.clone().mut_subcommands(|one| one.hide(false));
    of_all.chain([("ebtools".into(), whole)]).collect()
}

fn generated(shell: Shell, mut command: Command, name: &str) -> Result<String> {
    let mut text = Vec::new();
    generate(shell, &mut command, name, &mut text);
    Ok(String::from_utf8(text)?)
}

/// bash expands `$()` in a list of words when it completes: so these are values that are known.
pub(crate) fn bash(dir: &Path) -> Result<()> {
    for (name, command) in commands() {
        let command = with_values(command);
        fs::write(dir.join(&name), generated(Shell::Bash, command, &name)?)?;
    }
    Ok(())
}

fn with_values(command: Command) -> Command {
    let command =
        command.mut_args(|arg| match VALUES.iter().find(|values| arg.get_id() == values.id) {
            Some(values) => arg.value_parser([values.bash]),
            None => arg,
        });
    command.mut_subcommands(with_values)
}

pub(crate) fn zsh(dir: &Path) -> Result<()> {
    for (name, command) in commands() {
        let mut text = String::new();
        for line in generated(Shell::Zsh, command, &name)?.lines() {
            let known = VALUES.iter().find(|values| {
                line.contains(&format!("--{}=[", values.id))
                    || line.contains(&format!(":{}:_default'", values.name))
                    || line.starts_with(&format!("':{} -- ", values.id))
            });
            let line = match (known, line.rsplit_once(":_")) {
                (Some(values), Some((start, _))) => format!("{start}:{}' \\", values.zsh),
                _ => line.to_string(),
            };
            let _ = writeln!(text, "{line}");
        }
        fs::write(dir.join(format!("_{name}")), text)?;
    }
    Ok(())
}

/// clap_complete makes nothing for arguments without an option here.
pub(crate) fn fish(dir: &Path) -> Result<()> {
    for (name, command) in commands() {
        let mut text = generated(Shell::Fish, command.clone(), &name)?;
        fish_values(&mut text, &name, "", &command);
        for tool in command.get_subcommands() {
            let tool_name = tool.get_name();
            let condition = format!(" -n '__fish_ebtools_using_subcommand {tool_name}'");
            fish_values(&mut text, &name, &condition, tool);
        }
        fs::write(dir.join(format!("{name}.fish")), text)?;
    }
    Ok(())
}

fn fish_values(text: &mut String, name: &str, condition: &str, command: &Command) {
    for arg in command.get_arguments() {
        if let Some(values) = VALUES.iter().find(|values| arg.get_id() == values.id) {
            let mut option = "-f".to_string();
            if let Some(long) = arg.get_long() {
                option = format!("-x -l {long}");
            }
            if let Some(short) = arg.get_short() {
                option += &format!(" -s {short}");
            }
            let _ = writeln!(text, "complete -c {name}{condition} {option} -a \"{}\"", values.fish);
        }
    }
}
