//! What tools of packets see and do that no command of their own can show.

use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Output};

use serde_json::Value;

use crate::behaviours::{Behaviour, check, text};
use crate::case::{Need, cgroup2};
use crate::run::{calls, ebtools, scratch_dir, this_program};
use crate::watched::Watched as _;

pub(crate) const BEHAVIOURS: &[(&str, Behaviour)] = &[
    ("tcfilter_counts_and_drops_frames", counts_and_drops_frames),
    ("tcfilter_knows_sockets_that_were_there", knows_sockets_that_were_there),
    ("tcfilter_by_cgroup", counts_by_cgroup),
    ("tcpsnoop_accept_that_was_waiting", sees_an_accept_that_was_waiting),
    ("tcpsnoop_connections_that_were_there", knows_connections_that_were_there),
    ("killed_tcfilter_drops_no_more", || killed_drops_no_more("tcfilter")),
    ("killed_xdpfilter_drops_no_more", || killed_drops_no_more("xdpfilter")),
    ("tcfilter_says_what_it_needs", says_what_it_needs),
];

/// Runs a script in a network of its own and in a fresh directory; `$0` is ebtools, `$1` calls.
fn in_network(name: &str, script: &str) -> Result<Output, String> {
    let dir = scratch_dir(name);
    let script = format!(
        "attached() {{ until busybox grep -q ': attached' log; do kill -0 $! || exit 99; done; }}\n\
         cd \"$2\"; {script}"
    );
    let mut command = Command::new(this_program());
    command.args(["helper", "in-network", "sh", "-c", &script, &ebtools(), calls()]).arg(&dir);
    let output = command.watched().map_err(text)?;
    std::fs::remove_dir_all(dir).map_err(text)?;
    check(output.status.code() == Some(0), || format!("{output:?}"))?;
    Ok(output)
}

/// Lines of JSON.
fn rows(output: &Output) -> Result<Vec<Value>, String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let is_row = |line: &&str| {
        [r#""type":"interval""#, r#""type":"event""#].iter().any(|of| line.contains(of))
    };
    let rows = text.lines().filter(is_row);
    rows.map(|line| serde_json::from_str(line).map_err(|error| format!("{line}: {error}")))
        .collect()
}

fn skip_without(needs: &[Need]) -> Result<(), String> {
    match needs.iter().find_map(|need| need.missing()) {
        Some(why) => Err(format!("skipped: {why}")),
        None => Ok(()),
    }
}

/// Frames of a socket that is none of IP: whoever sends them.
fn counts_and_drops_frames() -> Result<(), String> {
    skip_without(&[Need::Tcx])?;
    let script = r#"
        "$0" tcfilter lo --by port --drop port:53 --drop tcp -i 90 --json -v 2>log &
        attached
        "$1" frames lo
        kill -INT $!
        wait $!"#;
    let rows = rows(&in_network("frames", script)?)?;
    let sum = rows.iter().filter_map(|row| row["count"].as_u64()).sum::<u64>();
    check(sum == 11, || format!("{sum} frames: {rows:?}"))?;
    // Nobody named port 22.
    for (protocol, port, action, bytes) in [
        ("icmp-echo-request", None, "pass", 46),
        ("udp", Some(53), "drop", 50),
        ("udp", Some(54), "pass", 70),
        ("tcp", Some(443), "drop", 90),
        ("tcp", Some(22), "pass", 58),
        ("ip-cut", None, "pass", 16),
        ("ethernet-0x1234", None, "pass", 15),
    ] {
        let is_it = |row: &&Value| {
            row["protocol"] == protocol
                && row["port"].as_u64() == port
                && row["action"] == action
                && row["bytes"].as_u64() == Some(bytes)
        };
        let one = rows.iter().find(is_it);
        check(one.is_some(), || format!("no {protocol} {port:?} {action} {bytes}: {rows:?}"))?;
    }
    Ok(())
}

/// One listens, and a thread waits for a connection, before it is traced; what the other end sends is
/// another process's.
fn knows_sockets_that_were_there() -> Result<(), String> {
    let script = r#"
        busybox mkfifo go
        "$1" serve 9000 <go >said &
        server=$!
        exec 3>go
        until busybox grep -q pid said; do kill -0 $! || exit 98; done
        "$0" tcfilter lo --by pid -p $server -i 90 --json -v 2>log &
        attached
        echo >&3
        wait $server || exit 97
        wait $!
        echo "server $server""#;
    let output = in_network("serve", script)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let server = text.lines().find_map(|line| line.strip_prefix("server "));
    let server = server.and_then(|pid| pid.parse::<u64>().ok()).ok_or("no server")?;
    let rows = rows(&output)?;
    let [row] = &rows[..] else { return Err(format!("not one row: {text}")) };
    // At least the answer to the connection, the word, and the end.
    let good = row["pid"].as_u64() == Some(server)
        && row["comm"] == "calls"
        && row["protocol"] == "tcp"
        && row["count"].as_u64() >= Some(3);
    check(good, || text)
}

/// Runs a script that traces `$server` with tcpsnoop, which has begun before: what is shown, and the
/// server's number.
fn tcpsnoop_of_server(name: &str, script: &str) -> Result<(Vec<Value>, u64), String> {
    let output = in_network(name, script)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let server = text.lines().find_map(|line| line.strip_prefix("server "));
    Ok((rows(&output)?, server.and_then(|pid| pid.parse().ok()).ok_or("no server")?))
}

/// The call has begun before the trace, and what it accepts comes after that.
fn sees_an_accept_that_was_waiting() -> Result<(), String> {
    let script = r#"
        busybox mkfifo go
        "$1" serve 9000 <go >said &
        server=$!
        exec 3>go
        until busybox grep -q pid said; do kill -0 $! || exit 98; done
        "$0" tcpsnoop -p $server --json -v 2>log &
        attached
        echo >&3
        wait $server || exit 97
        wait $!
        echo "server $server""#;
    let (rows, server) = tcpsnoop_of_server("accepts", script)?;
    let [accept, close] = &rows[..] else { return Err(format!("not two rows: {rows:?}")) };
    let is_servers =
        |row: &Value| row["pid"] == server && row["lport"] == 9000 && row["before_start"] == false;
    let good = accept["kind"] == "accept" && accept["accept_wait_ns"].as_u64() > Some(0);
    let ends = close["kind"] == "close"
        && close["bytes_sent"] == 20
        && close["duration_ns"].as_u64() > Some(0);
    check(good && ends && is_servers(accept) && is_servers(close), || format!("{rows:?}"))
}

/// A connection of nc's was there, and is its own all the same.
fn knows_connections_that_were_there() -> Result<(), String> {
    let script = r#"
        busybox mkfifo go
        busybox nc -l -p 9000 >got <go &
        server=$!
        exec 3>go
        { until busybox grep -q more said; do echo; busybox usleep 20000; done; echo end; } 2>/dev/null |
            { until busybox nc 127.0.0.1 9000; do busybox usleep 20000; done; } >/dev/null &
        until [ -s got ]; do kill -0 $server || exit 98; done
        "$0" tcpsnoop -p $server --json -v 2>log &
        attached
        echo more >said
        exec 3>&-
        wait $server || exit 97
        wait $!
        echo "server $server""#;
    let (rows, server) = tcpsnoop_of_server("were-there", script)?;
    let [close] = &rows[..] else { return Err(format!("not one row: {rows:?}")) };
    let good = close["kind"] == "close"
        && close["pid"] == server
        && close["lport"] == 9000
        && close["before_start"] == true
        && close["duration_ns"].is_null()
        && close["bytes_sent"] == 0
        && close["bytes_received"].as_u64() > Some(4);
    check(good, || format!("{rows:?}"))
}

/// Of the command, which is in this process's.
fn counts_by_cgroup() -> Result<(), String> {
    let mount = cgroup2().ok_or("skipped: there is no cgroup v2")?;
    let own = std::fs::read_to_string("/proc/self/cgroup").map_err(text)?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::")).ok_or("no cgroup v2")?;
    let number = std::fs::metadata(format!("{mount}{own}")).map_err(text)?.ino();
    let script = r#"
        "$0" tcfilter lo --by cgroup -i 90 --json -- busybox ping -c 1 127.0.0.1"#;
    let rows = rows(&in_network("cgroup", script)?)?;
    let is_it = |row: &&Value| row["cgroup"] == number && row["cgroup_path"] == own;
    let sum = rows.iter().filter(is_it).filter_map(|row| row["count"].as_u64()).sum::<u64>();
    check(rows.len() == 1 && sum == 1, || format!("not 1 of {number} {own}: {rows:?}"))
}

fn killed_drops_no_more(tool: &str) -> Result<(), String> {
    let script = r#"
        ping() { busybox ping -c 1 -W 1 127.0.0.1 >ping; }
        "$0" TOOL lo --drop icmp-echo -v 2>log &
        attached
        ! ping || exit 2
        kill -9 $!
        wait
        ping || ping || exit 3
        "$0" TOOL lo -d 0.1 -v || exit 4"#;
    in_network(&format!("killed-{tool}"), &script.replace("TOOL", tool)).map(drop)
}

/// In a line, and a hint: of kernels that can't, and of queues.
fn says_what_it_needs() -> Result<(), String> {
    let script = r#"
        ! "$0" tcfilter lo --delay 50ms --for 9 --only udp 2>said || exit 1
        busybox cat said"#;
    let output = in_network("needs", script)?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = said.lines().collect::<Vec<_>>();
    let expected: [&str; 2] = match Need::Tcx.missing() {
        Some(_) => [
            "ebtools: tcx egress: this kernel has no tcx programs",
            "hint: Linux 6.6 has them; before it, tcfilter counts and drops, and no more",
        ],
        None => [
            "ebtools: attaching to lo: its queues let no packet wait: they are not fq",
            "hint: tc qdisc replace dev INTERFACE root fq, which replaces what tc qdisc show lists",
        ],
    };
    check(lines == expected, || said.clone())
}
