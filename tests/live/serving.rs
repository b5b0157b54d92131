//! `ebtools serve`: what its files and metrics say against what was done, and its bad days.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use serde_json::Value;

use crate::behaviours::{Behaviour, check, text};
use crate::readers;
use crate::run::{Running, calls, ebtools, scratch_dir};
use crate::watched;

pub(crate) const BEHAVIOURS: &[(&str, Behaviour)] = &[
    ("serve_writes_what_tools_see", serve_writes_what_tools_see),
    ("serve_adds_up_what_tools_count", serve_adds_up_what_tools_count),
    ("serve_rotates_and_opens_anew", serve_rotates_and_opens_anew),
    ("serve_goes_on_after_a_full_disk", serve_goes_on_after_a_full_disk),
    ("serve_goes_on_without_a_reader", serve_goes_on_without_a_reader),
    ("serve_makes_a_deleted_file_anew", serve_makes_a_deleted_file_anew),
    ("serve_opens_files_of_its_own_only", serve_opens_files_of_its_own_only),
    ("serve_keeps_profiles_of_each_interval", serve_keeps_profiles_of_each_interval),
    ("serve_limits_events", serve_limits_events),
    ("serve_reads_its_configuration_again", serve_reads_its_configuration_again),
    ("serve_starts_tools_later", serve_starts_tools_later),
    ("serve_is_not_kept_waiting", serve_is_not_kept_waiting),
    ("serve_keeps_only_what_it_needs", serve_keeps_only_what_it_needs),
    ("serve_tells_systemd", serve_tells_systemd),
    ("serve_runs_fifty_tools", serve_runs_fifty_tools),
    ("serve_says_what_is_wrong", serve_says_what_is_wrong),
];

/// What the workload is called: a copy of /bin/true, that nobody else runs.
const WORK: &str = "served-work";
/// Longer than anything takes; what is waited for comes sooner.
const PATIENCE: Duration = Duration::from_secs(30);

/// A run with a directory of its own.
struct Serving {
    dir: PathBuf,
    running: Running,
}

impl Serving {
    /// Starts it with a configuration in which `$DIR` is the directory, and waits until its tools trace.
    fn start(name: &str, config: &str) -> Result<Self, String> {
        Self::start_within(name, config, &[])
    }

    /// The same, run by `within`.
    fn start_within(name: &str, config: &str, within: &[&str]) -> Result<Self, String> {
        let dir = scratch_dir(name);
        fs::copy("/bin/true", dir.join(WORK)).map_err(text)?;
        configure(&dir, config)?;
        let path = dir.join("serve.toml").to_string_lossy().into_owned();
        let binary = ebtools();
        let all = [within, &[&binary, "serve", &path]].concat();
        let mut running = Running::spawn(Command::new(all[0]).args(&all[1..]))?;
        end_what_hangs(running.pid());
        running.wait_for(" tools trace")?;
        Ok(Self { dir, running })
    }

    fn pid(&self) -> Pid {
        self.running.pid()
    }

    fn reload(&mut self) -> Result<(), String> {
        kill(self.pid(), Signal::SIGHUP).map_err(text)?;
        self.running.wait_for("the configuration was read again")
    }

    /// Tells it to end; what it said.
    fn end(self) -> Result<(PathBuf, String), String> {
        kill(self.pid(), Signal::SIGTERM).map_err(text)?;
        let (code, _, said) = self.running.end().map_err(text)?;
        check(code == Some(0), || format!("{code:?} {said}"))?;
        Ok((self.dir, said))
    }
}

/// It fails its case, not the whole run: nothing else would end it.
fn end_what_hangs(pid: Pid) {
    thread::spawn(move || {
        thread::sleep(PATIENCE * 3);
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        if name == "ebtools\n" {
            let _ = kill(pid, Signal::SIGKILL);
        }
    });
}

fn configure(dir: &Path, config: &str) -> Result<(), String> {
    let config = config.replace("$DIR", &dir.to_string_lossy()).replace("$WORK", WORK);
    fs::write(dir.join("serve.toml"), config).map_err(text)
}

/// Runs the workload so many times.
fn work(dir: &Path, times: usize) -> Result<(), String> {
    for number in 0..times {
        let status = Command::new(dir.join(WORK)).arg(number.to_string()).status();
        check(status.map_err(text)?.success(), || "the workload failed".into())?;
    }
    Ok(())
}

/// The numbers of the workload's runs that are in files whose names begin like this, in order.
fn seen(dir: &Path, name: &str) -> Result<Vec<u64>, String> {
    let records = records(dir, name)?;
    let numbers = records.iter().filter_map(|record| record["args"][1].as_str()?.parse().ok());
    let mut numbers = numbers.collect::<Vec<_>>();
    numbers.sort_unstable();
    Ok(numbers)
}

fn records(dir: &Path, name: &str) -> Result<Vec<Value>, String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).map_err(text)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(name) {
            let lines = fs::read_to_string(entry.path()).map_err(text)?;
            check(lines.is_empty() || lines.ends_with('\n'), || format!("half a line: {lines}"))?;
            for line in lines.lines() {
                all.push(serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?);
            }
        }
    }
    Ok(all)
}

/// Waits until it is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Result<(), String> {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        check(Instant::now() < end, || format!("never: {what}"))?;
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The value of a metric in the file, by how its line begins.
fn metric(dir: &Path, beginning: &str) -> Option<f64> {
    let text = fs::read_to_string(dir.join("ebtools.prom")).ok()?;
    value_of(&text, beginning)
}

fn value_of(text: &str, beginning: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(beginning))?;
    line.rsplit(' ').next()?.parse().ok()
}

const METRICS: &str = "[metrics]\nfile = \"$DIR/ebtools.prom\"\ninterval = \"100ms\"\n";
const EXECS: &str =
    "[[tools]]\ntool = \"execsnoop\"\noptions = [\"-n\", \"$WORK\"]\nfile = \"$DIR/execs\"\n";

fn serve_writes_what_tools_see() -> Result<(), String> {
    let serving = Serving::start("serve", &format!("{METRICS}{EXECS}"))?;
    work(&serving.dir, 50)?;
    let (dir, said) = serving.end()?;
    let seen = seen(&dir, "execs")?;
    check(seen == (0..50).collect::<Vec<_>>(), || format!("{seen:?}"))?;
    watched::look(&fs::read_to_string(dir.join("execs")).map_err(text)?);
    let records = records(&dir, "execs")?;
    let summary = records.last().ok_or("no record")?;
    check(summary["type"] == "summary" && summary["delivered"] == 50, || summary.to_string())?;
    check(said.contains("execsnoop: 50 events, 0 lost"), || said)?;
    let mode = fs::metadata(dir.join("execs")).map_err(text)?.permissions().mode() & 0o777;
    check(mode == 0o600, || format!("{mode:o}"))?;
    let delivered = metric(&dir, "ebtools_events_total{name=\"execsnoop\"");
    check(delivered == Some(50.0), || format!("{delivered:?}"))
}

/// Reports add up to what was done; a file is not needed.
fn serve_adds_up_what_tools_count() -> Result<(), String> {
    let count = "[[tools]]\ntool = \"execsnoop\"\nname = \"counts\"\n\
                 options = [\"--count=comm\", \"-i\", \"0.1\", \"-n\", \"$WORK\"]\n";
    let calls = "[[tools]]\ntool = \"syscount\"\noptions = [\"-i\", \"0.1\", \"-n\", \"$WORK\"]\n";
    let serving = Serving::start("serve-counts", &format!("{METRICS}{count}{calls}"))?;
    for _ in 0..3 {
        work(&serving.dir, 20)?;
        thread::sleep(Duration::from_millis(150));
    }
    let (dir, _) = serving.end()?;
    let all = fs::read_to_string(dir.join("ebtools.prom")).map_err(text)?;
    for (labels, group) in [
        ("name=\"counts\",tool=\"execsnoop\"", format!("comm=\"{WORK}\"")),
        ("name=\"syscount\",tool=\"syscount\"", "syscall=\"execve\"".into()),
    ] {
        let tool = labels.rsplit('"').nth(1).unwrap_or_default();
        let sum = value_of(&all, &format!("ebtools_{tool}_total{{{labels},{group}}} "));
        let skipped = format!("ebtools_events_lost_total{{{labels},reason=\"recursion\"}} ");
        let skipped = value_of(&all, &skipped).unwrap_or(0.0);
        // Where the kernel preempts, it may skip programs; others' events are among those.
        let good = sum.is_some_and(|sum| sum <= 60.0 && sum + skipped >= 60.0);
        check(good, || format!("{tool}: {sum:?}, {skipped} skipped: {all}"))?;
    }
    Ok(())
}

fn serve_rotates_and_opens_anew() -> Result<(), String> {
    let rotated = "rotate_at = \"4K\"\nrotated_files = 100\n";
    let mut serving = Serving::start("serve-rotates", &format!("{METRICS}{EXECS}{rotated}"))?;
    let dir = serving.dir.clone();
    work(&dir, 100)?;
    until("a file is rotated", || dir.join("execs.1").exists())?;
    // As logrotate does.
    fs::rename(dir.join("execs"), dir.join("execs-moved")).map_err(text)?;
    work(&dir, 20)?;
    serving.reload()?;
    check(dir.join("execs").exists(), || "it was not opened anew".into())?;
    work(&dir, 20)?;
    serving.end()?;
    let (seen, first) = (seen(&dir, "execs")?, 0..20u64);
    let expected = [first.clone(), first, 0..100].into_iter().flatten();
    let mut expected = expected.collect::<Vec<_>>();
    expected.sort_unstable();
    check(seen == expected, || format!("{} events: {seen:?}", seen.len()))
}

/// There is no more room in a file than the limit of its size; then there is.
fn serve_goes_on_after_a_full_disk() -> Result<(), String> {
    let limit = ["sh", "-c", "ulimit -f 32; exec \"$@\"", "sh"];
    let mut serving = Serving::start_within("serve-full", &format!("{METRICS}{EXECS}"), &limit)?;
    let dir = serving.dir.clone();
    work(&dir, 100)?;
    serving.running.wait_for("until it takes more, events are counted as lost")?;
    let lost = || {
        let lost = "ebtools_events_lost_total{name=\"execsnoop\",tool=\"execsnoop\",reason=\"output_failed\"}";
        metric(&dir, lost).unwrap_or(0.0)
    };
    until("losses are told of", || lost() > 0.0)?;
    let before = records(&dir, "execs")?;
    File::options().write(true).truncate(true).open(dir.join("execs")).map_err(text)?;
    work(&dir, 10)?;
    serving.running.wait_for(": it goes on")?;
    let (dir, said) = serving.end()?;
    let after = records(&dir, "execs")?;
    let events = |records: &[Value]| records.iter().filter(|one| one["type"] == "event").count();
    let summary = after.last().ok_or("no record")?;
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let (delivered, lost) =
        (number(&summary["delivered"]), number(&summary["lost"]["output_failed"]));
    let written = (events(&before) + events(&after)) as u64;
    // Whoever reads the files finds that something is missing.
    let lines = (before.len() + after.len()) as u64;
    let missing = number(&summary["seq"]) + 1 - lines;
    let told = before.iter().chain(&after).filter(|one| one["reason"] == "output_failed");
    let told = told.map(|one| number(&one["count"])).sum::<u64>();
    check((missing, told) == (lost, lost), || {
        format!("{lost} events lost: {missing} numbers missing, {told} told of")
    })?;
    check(delivered == written && delivered + lost == 110 && lost > 0, || {
        format!("{written} written: {summary} {said}")
    })
}

/// Nobody reads standard output, then somebody does: what is not there is in the accounts, and they are told
/// meanwhile.
fn serve_goes_on_without_a_reader() -> Result<(), String> {
    let config = METRICS.to_string() + &EXECS.replace("$DIR/execs", "-");
    let mut serving = Serving::start("serve-unread", &config)?;
    let dir = serving.dir.clone();
    let arguments = "x".repeat(4000);
    for _ in 0..60 {
        let status = Command::new(dir.join(WORK)).arg(&arguments).status().map_err(text)?;
        check(status.success(), || "the workload failed".into())?;
    }
    serving.running.wait_for("until it takes more, events are counted as lost")?;
    let failed =
        "ebtools_events_lost_total{name=\"execsnoop\",tool=\"execsnoop\",reason=\"output_failed\"}";
    until("losses are told of", || metric(&dir, failed).unwrap_or(0.0) > 0.0)?;
    kill(serving.pid(), Signal::SIGTERM).map_err(text)?;
    let (_, printed, said) = serving.running.end().map_err(text)?;
    let records = printed.lines().map(serde_json::from_str::<Value>);
    let records = records.collect::<Result<Vec<_>, _>>().map_err(text)?;
    let events = records.iter().filter(|one| one["type"] == "event").count();
    let delivered = metric(&dir, "ebtools_events_total").unwrap_or(0.0);
    let lost = metric(&dir, failed).unwrap_or(0.0);
    check(events as f64 == delivered && delivered + lost == 60.0, || {
        format!("{events} events, {delivered} delivered, {lost} lost: {said}")
    })
}

fn serve_makes_a_deleted_file_anew() -> Result<(), String> {
    let mut serving = Serving::start("serve-deleted", &format!("{METRICS}{EXECS}"))?;
    let dir = serving.dir.clone();
    work(&dir, 1)?;
    until("an event is written", || seen(&dir, "execs").is_ok_and(|seen| seen.len() == 1))?;
    fs::remove_file(dir.join("execs")).map_err(text)?;
    serving.running.wait_for("was deleted: made anew")?;
    work(&dir, 10)?;
    let (dir, _) = serving.end()?;
    let seen = seen(&dir, "execs")?;
    check(seen == (0..10).collect::<Vec<_>>(), || format!("{seen:?}"))
}

/// Links, pipes and what others own are not written to, and nothing waits for them; a tool whose file
/// becomes one goes on with the file before.
fn serve_opens_files_of_its_own_only() -> Result<(), String> {
    let dir = scratch_dir("serve-files");
    let path = |name: &str| dir.join(name);
    symlink(path("target"), path("link")).map_err(text)?;
    mkfifo(&path("fifo"), Mode::S_IRWXU).map_err(text)?;
    fs::write(path("first"), "").map_err(text)?;
    fs::hard_link(path("first"), path("second")).map_err(text)?;
    fs::write(path("others"), "").map_err(text)?;
    std::os::unix::fs::chown(path("others"), Some(65534), None).map_err(text)?;
    for name in ["link", "fifo", "second", "others", "gone/file", "."] {
        configure(&dir, &EXECS.replace("$DIR/execs", &path(name).to_string_lossy()))?;
        let config = path("serve.toml").to_string_lossy().into_owned();
        let output = Command::new(ebtools()).args(["serve", &config]).output().map_err(text)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let good = output.status.code() == Some(1)
            && said.contains("execsnoop: opening ")
            && said.contains("serving: no tool traces");
        check(good, || format!("{name}: {said}"))?;
    }
    check(!path("target").exists(), || "something was made through a link".into())?;

    let mut serving = Serving::start("serve-replaced", EXECS)?;
    let dir = serving.dir.clone();
    fs::rename(dir.join("execs"), dir.join("execs-moved")).map_err(text)?;
    symlink("/dev/null", dir.join("execs")).map_err(text)?;
    kill(serving.pid(), Signal::SIGHUP).map_err(text)?;
    serving.running.wait_for("records go on to the file before")?;
    work(&dir, 5)?;
    serving.end()?;
    let seen = seen(&dir, "execs-moved")?;
    check(seen.len() == 5, || format!("{seen:?}"))
}

/// The newest ones, and each can be read.
fn serve_keeps_profiles_of_each_interval() -> Result<(), String> {
    let config = "[[tools]]\ntool = \"profile\"\noptions = [\"-i\", \"0.5\", \"-n\", \"calls\"]\n\
                  profiles = \"$DIR\"\nkept_profiles = 2\n";
    let serving = Serving::start("serve-profiles", config)?;
    let dir = serving.dir.clone();
    let status = Command::new(calls()).args(["busy", "2500"]).status().map_err(text)?;
    check(status.success(), || format!("{status}"))?;
    serving.end()?;
    let names = fs::read_dir(&dir).map_err(text)?.flatten();
    let names = names.map(|entry| entry.path().to_string_lossy().into_owned());
    let kept = names.filter(|name| name.contains("/profile-") && name.ends_with(".pb.gz"));
    let kept = kept.collect::<Vec<_>>();
    check(kept.len() == 2, || format!("{kept:?}"))?;
    for file in &kept {
        readers::pprof(file).map_err(|why| format!("{file}: {why}"))?;
    }
    Ok(())
}

/// What is too much is counted.
fn serve_limits_events() -> Result<(), String> {
    let limited = format!("{METRICS}{EXECS}max_events_per_second = 5\n");
    let serving = Serving::start("serve-limits", &limited)?;
    work(&serving.dir, 200)?;
    let (dir, _) = serving.end()?;
    let seen = seen(&dir, "execs")?.len() as u64;
    let records = records(&dir, "execs")?;
    let summary = records.last().ok_or("no record")?;
    let lost = summary["lost"]["rate_limited"].as_u64().unwrap_or(0);
    let told = records.iter().filter(|one| one["reason"] == "rate_limited");
    let told = told.filter_map(|one| one["count"].as_u64()).sum::<u64>();
    check(seen + lost == 200 && lost > 0 && told == lost, || format!("{seen}: {summary}, {told}"))
}

/// What stays loses nothing, what goes has its accounts, what is new waits for a restart; a mistake
/// changes nothing.
fn serve_reads_its_configuration_again() -> Result<(), String> {
    let opens =
        "[[tools]]\ntool = \"opensnoop\"\noptions = [\"-n\", \"$WORK\"]\nfile = \"$DIR/opens\"\n";
    let mut serving = Serving::start("serve-reload", &format!("{METRICS}{EXECS}{opens}"))?;
    let dir = serving.dir.clone();
    let working = thread::spawn({
        let dir = dir.clone();
        move || work(&dir, 300)
    });
    configure(&dir, "[[tools]]\ntool = \"nonsense\"\n")?;
    kill(serving.pid(), Signal::SIGHUP).map_err(text)?;
    serving.running.wait_for("tool nonsense: there is no such tool")?;
    let clones = "[[tools]]\ntool = \"clonesnoop\"\n";
    for _ in 0..5 {
        // One that is to be otherwise goes on as it is, too.
        configure(&dir, &format!("{METRICS}{}", EXECS.replace("$WORK", "$WORK\", \"-x")))?;
        kill(serving.pid(), Signal::SIGHUP).map_err(text)?;
        serving.running.wait_for("execsnoop: a restart is needed to change it")?;
        configure(&dir, &format!("{METRICS}{EXECS}{clones}"))?;
        kill(serving.pid(), Signal::SIGHUP).map_err(text)?;
        serving.running.wait_for("clonesnoop: a restart is needed to start it")?;
    }
    until("opensnoop has its accounts", || {
        records(&dir, "opens")
            .is_ok_and(|all| all.last().is_some_and(|one| one["type"] == "summary"))
    })?;
    working.join().map_err(|_| "the workload panicked")??;
    let (dir, said) = serving.end()?;
    let seen = seen(&dir, "execs")?;
    check(seen == (0..300).collect::<Vec<_>>(), || format!("{}: {said}", seen.len()))?;
    check(!said.contains("clonesnoop: 0 events"), || said)
}

/// Have all but the last that wrote there closed their accounts, and is that the one with the usual options?
fn is_last_of_its_kind(dir: &Path) -> bool {
    let records = records(dir, "execs").unwrap_or_default();
    let of = |kind: &str| records.iter().filter(|one| one["type"] == kind).collect::<Vec<_>>();
    let (starts, summaries) = (of("start"), of("summary"));
    let options = starts.last().map(|start| &start["options"]);
    starts.len() > 1
        && starts.len() == summaries.len() + 1
        && options.is_some_and(|options| *options == serde_json::json!(["-n", WORK]))
}

fn serve_starts_tools_later() -> Result<(), String> {
    let later = |config: &str| format!("reload_tools = true\n{METRICS}{config}");
    let mut serving = Serving::start("serve-later", &later(EXECS))?;
    let dir = serving.dir.clone();
    let bad = "[[tools]]\ntool = \"guard\"\n";
    // Others than before, back again at once, and one that cannot start: there is one of each name.
    for config in ["$WORK\", \"-x", "$WORK\", \"-U", "$WORK"] {
        let config = EXECS.replace("$WORK", config);
        configure(&dir, &later(&format!("{config}{bad}")))?;
        serving.reload()?;
    }
    let up = "ebtools_tool_up{name=\"execsnoop\",tool=\"execsnoop\"} 1";
    let guard = "ebtools_tool_up{name=\"guard\",tool=\"guard\"} 0";
    until("each is there once", || {
        let all = fs::read_to_string(dir.join("ebtools.prom")).unwrap_or_default();
        let ups = all.lines().filter(|line| line.starts_with("ebtools_tool_up"));
        let mut ups = ups.collect::<Vec<_>>();
        ups.sort_unstable();
        ups == [up, guard] && is_last_of_its_kind(&dir)
    })?;
    let again = EXECS.replace("execs\"", "again\"") + "name = \"again\"\n";
    configure(&dir, &later(&format!("{EXECS}{again}")))?;
    serving.reload()?;
    until("it traces", || metric(&dir, "ebtools_tool_up{name=\"again\"") == Some(1.0))?;
    work(&dir, 10)?;
    serving.end()?;
    for name in ["execs", "again"] {
        let seen = seen(&dir, name)?;
        check(seen.len() == 10, || format!("{name}: {seen:?}"))?;
    }
    Ok(())
}

/// Asks for a path; what comes back.
fn ask(address: &str, request: &str) -> Result<String, String> {
    let mut stream = TcpStream::connect(address).map_err(text)?;
    stream.write_all(request.as_bytes()).map_err(text)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(text)?;
    Ok(answer)
}

/// Those who ask and do not go on are left, and others get their answer.
fn serve_is_not_kept_waiting() -> Result<(), String> {
    let address = "127.0.0.1:19435";
    let listen = format!("[metrics]\nlisten = \"{address}\"\n{EXECS}");
    let serving = Serving::start("serve-listens", &listen)?;
    work(&serving.dir, 7)?;
    let hanging = (0..20).map(|_| TcpStream::connect(address)).collect::<Vec<_>>();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n");
    until("it answers", || {
        let answer = ask(address, &(get("/metrics") + "\r\n")).unwrap_or_default();
        value_of(&answer, "ebtools_events_total{name=\"execsnoop\"") == Some(7.0)
    })?;
    drop(hanging);
    let open = get("/metrics") + "Accept: application/openmetrics-text;version=1.0.0\r\n\r\n";
    for (request, expected) in [
        (open, "\n# EOF\n"),
        (get("/") + "\r\n", "HTTP/1.1 404 "),
        ("POST /metrics HTTP/1.1\r\n\r\n".into(), "HTTP/1.1 405 "),
        ("\u{0}\u{1b}\r\n\r\n".into(), "HTTP/1.1 405 "),
        ("x".repeat(20_000), ""),
    ] {
        // A connection may be cut while something is still on its way.
        let answer = ask(address, &request);
        check(
            expected.is_empty() || answer.as_ref().is_ok_and(|text| text.contains(expected)),
            || format!("{request:?}: {answer:?}"),
        )?;
    }
    serving.end().map(drop)
}

fn serve_keeps_only_what_it_needs() -> Result<(), String> {
    let serving = Serving::start("serve-rights", &format!("{METRICS}{EXECS}"))?;
    let tasks = fs::read_dir(format!("/proc/{}/task", serving.pid())).map_err(text)?;
    for task in tasks.flatten() {
        let status = fs::read_to_string(task.path().join("status")).map_err(text)?;
        let value = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(":\t"));
            line.unwrap_or_default().to_string()
        };
        let name = value("Name");
        let capabilities = u64::from_str_radix(&value("CapPrm"), 16).map_err(text)?;
        // JSON has the paths of cgroups; before 5.19 counters are read with CAP_BPF.
        let allowed = if name == "execsnoop" { 1 << 2 | 1 << 39 } else { 0 };
        let good =
            capabilities & !allowed == 0 && value("NoNewPrivs") == "1" && value("Seccomp") == "2";
        check(good, || format!("{name}: {status}"))?;
    }
    serving.end().map(drop)
}

fn serve_tells_systemd() -> Result<(), String> {
    let dir = scratch_dir("serve-systemd");
    let path = dir.join("notify");
    let socket = UnixDatagram::bind(&path).map_err(text)?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(text)?;
    let said = |words: &str| {
        let mut bytes = [0; 256];
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let len = socket.recv(&mut bytes).map_err(text)?;
            if String::from_utf8_lossy(&bytes[..len]).lines().any(|line| line == words) {
                return Ok(());
            }
        }
        Err(format!("never: {words}"))
    };
    let path = path.to_string_lossy();
    let script = "NOTIFY_SOCKET=$0 WATCHDOG_USEC=100000 exec \"$@\"";
    let within = ["sh", "-c", script, &path];
    let mut serving = Serving::start_within("serve-notifies", EXECS, &within)?;
    for words in ["READY=1", "WATCHDOG=1", "WATCHDOG=1"] {
        said(words)?;
    }
    serving.reload()?;
    for words in ["RELOADING=1", "READY=1", "WATCHDOG=1"] {
        said(words)?;
    }
    serving.end()?;
    said("STOPPING=1")
}

/// The same tool fifty times, each with the same events; where there is one processor, which most likely
/// is an emulated one, ten times.
fn serve_runs_fifty_tools() -> Result<(), String> {
    let tools =
        if thread::available_parallelism().is_ok_and(|all| all.get() > 1) { 50 } else { 10 };
    let tool = |number: usize| {
        let name = format!("t{number:02}");
        EXECS.replace("execs\"", &format!("{name}\"")) + &format!("name = \"{name}\"\n")
    };
    let config = (0..tools).map(tool).collect::<String>();
    let serving = Serving::start("serve-fifty", &config)?;
    work(&serving.dir, 10)?;
    let (dir, said) = serving.end()?;
    for number in 0..tools {
        let seen = seen(&dir, &format!("t{number:02}"))?;
        check(seen.len() == 10, || format!("{number}: {seen:?} {said}"))?;
    }
    Ok(())
}

fn serve_says_what_is_wrong() -> Result<(), String> {
    let dir = scratch_dir("serve-wrong");
    let config = dir.join("serve.toml").to_string_lossy().into_owned();
    for (text_of, expected) in [
        (EXECS.to_string(), Ok("the configuration is right: 1 tool\n")),
        (format!("{EXECS}colour = 1\n"), Err("line 5: unknown field `colour`")),
        ("tools = 1".into(), Err("line 1: ")),
    ] {
        configure(&dir, &text_of)?;
        let mut check_only = Command::new(ebtools());
        let output = check_only.args(["serve", "--check", &config]).output().map_err(text)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let (code, words) = match expected {
            Ok(words) => (Some(0), words),
            Err(words) => (Some(1), words),
        };
        check(output.status.code() == code && said.contains(words), || said)?;
    }
    Ok(())
}
