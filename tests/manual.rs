//! Man pages and completions: nothing is missing in them, and mandoc has nothing to say.

#![allow(clippy::expect_used)] // A test that cannot go on ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[allow(dead_code)] // Its main.
#[path = "../examples/manual/main.rs"]
mod manual;

fn manual(test: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    manual::write(Path::new(env!("CARGO_BIN_EXE_ebtools")), &dir).expect("it can be written");
    dir
}

fn text(path: PathBuf) -> String {
    fs::read_to_string(&path).unwrap_or_else(|error| format!("{}: {error}", path.display()))
}

#[test]
fn nothing_is_missing() {
    let dir = manual("missing");
    let all = ebtools::cli::command();
    let overview = text(dir.join("man/ebtools.8"));
    for tool in manual::tools(&all) {
        let name = tool.get_name();
        assert!(overview.contains(&format!("ebtools\\-{name}(8)")), "{name}: {overview}");
        let page = text(dir.join(format!("man/ebtools-{name}.8")));
        for section in ["FIELDS", "EXAMPLES", r#""SEE ALSO""#] {
            assert!(page.contains(&format!(".SH {section}\n")), "{name}: {page}");
        }
        let complete = |shell: &str, file: String| text(dir.join(shell).join(file));
        let [bash, zsh, fish] = [
            complete("bash", format!("{name}-ebtools")),
            complete("zsh", format!("_{name}-ebtools")),
            complete("fish", format!("{name}-ebtools.fish")),
        ];
        let options = tool.get_arguments().filter(|arg| !arg.is_hide_set());
        let options = options.filter_map(clap::Arg::get_long).collect::<Vec<_>>();
        assert!(options.len() >= 3, "{name}: {options:?}");
        for option in options {
            let in_roff = format!("\\-\\-{}", option.replace('-', "\\-"));
            assert!(page.contains(&in_roff), "{name} --{option}: {page}");
            assert!(bash.contains(&format!(" --{option}")), "{name} --{option}: {bash}");
            assert!(zsh.contains(&format!("--{option}")), "{name} --{option}: {zsh}");
            assert!(fish.contains(&format!(" -l {option}")), "{name} --{option}: {fish}");
        }
        for file in ["bash/ebtools", "zsh/_ebtools", "fish/ebtools.fish"] {
            assert!(text(dir.join(file)).contains(name), "{name}: {file}");
        }
    }
}

#[test]
fn help_and_schema_are_completed() {
    let dir = manual("help");
    for (file, expected) in [
        ("bash/ebtools", "ebtools__subcmd__help,execsnoop)"),
        ("bash/ebtools", "ebtools__subcmd__schema,execsnoop)"),
        ("zsh/_ebtools", "_ebtools__subcmd__schema__subcmd__execsnoop_commands"),
        ("fish/ebtools.fish", "-a \"schema\""),
        ("zsh/_ebtools", "_ebtools__subcmd__help__subcmd__execsnoop_commands"),
        ("fish/ebtools.fish", "__fish_ebtools_using_subcommand help"),
    ] {
        assert!(text(dir.join(file)).contains(expected), "{file}");
    }
}

#[test]
fn each_tool_has_a_page_and_a_row() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = text(root.join("README.md"));
    assert!(readme.lines().count() <= 150, "{}", readme.lines().count());
    for tool in manual::tools(&ebtools::cli::command()) {
        let name = tool.get_name();
        let page = text(root.join(format!("docs/tools/{name}.md")));
        let question = page.strip_prefix(&format!("# {name}: ")).unwrap_or_default();
        let (first, rest) = question.lines().next().unwrap_or_default().split_at(1);
        let row = format!("| [`{name}`](docs/tools/{name}.md) | {}{rest}", first.to_uppercase());
        assert!(readme.contains(&row), "{row}");
    }
}

#[test]
fn mandoc_has_nothing_to_say() {
    for page in manual("lint").join("man").read_dir().expect("there are pages") {
        let page = page.expect("the directory can be read").path();
        let output = Command::new("mandoc").args(["-T", "lint"]).arg(&page).output();
        let output = output.expect("mandoc can be run");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{}", page.display());
        assert!(output.status.success(), "{}", page.display());
    }
}
