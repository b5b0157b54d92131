//! The loads: one kind of system call, again and again, under a name that filters can find.

use std::error::Error;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::unlink;

/// The name of the process while it works.
pub(crate) const COMM: &CStr = c"ebtools-load";
/// What is in every path that a load uses.
pub(crate) const MARK: &str = "ebtools-load-file";

/// A port of UDP that nobody has.
pub(crate) const CLOSED_PORT: u16 = 59_009;

/// Does this line of a tracer show an event of this load? Where it shows no arguments, and of what has no
/// path, by the program's name: that of `COMM`, which some cut at ten bytes.
pub(crate) fn is_shown_by(kind: &str, line: &str) -> bool {
    match kind {
        "connections" => line.contains("ebtools-lo") && !line.contains(r#""options""#),
        "drops" => line.starts_with("udp ") || line.contains(r#""protocol":"udp""#),
        _ => line.contains(MARK) || line.starts_with("true "),
    }
}

/// Does `count` of `kind` in `dir`, and prints how long they took in nanoseconds.
pub(crate) fn main(kind: &str, count: u64, dir: &Path) -> Result<(), Box<dyn Error>> {
    let there = dir.join(format!("{MARK}-{}", std::process::id()));
    let missing = dir.join(format!("{MARK}-missing"));
    File::create(&there)?;
    let path = |path: &Path| CString::new(path.to_string_lossy().as_bytes());
    let (there, missing) = (path(&there)?, path(&missing)?);
    let opened = |path: &CString| open(path.as_c_str(), OFlag::O_RDONLY, Mode::empty());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    nix::sys::prctl::set_name(COMM)?;
    let start = Instant::now();
    for _ in 0..count {
        match kind {
            "opens" => drop(opened(&there)?),
            "failed" => drop(opened(&missing)),
            "others" => drop(nix::unistd::getppid()),
            "deletes" => {
                File::create(Path::new(missing.to_str()?))?;
                unlink(missing.as_c_str())?;
            }
            "execs" => {
                Command::new("/bin/true").arg(MARK).status()?;
            }
            "connections" => {
                let connected = TcpStream::connect(listener.local_addr()?)?;
                drop(listener.accept()?);
                drop(connected);
            }
            "drops" => drop(sender.send_to(b"x", (Ipv4Addr::LOCALHOST, CLOSED_PORT))?),
            _ => return Err(format!("unknown load: {kind}").into()),
        }
    }
    let took = start.elapsed();
    nix::sys::prctl::set_name(c"resting")?;
    unlink(there.as_c_str())?;
    println!("{}", took.as_nanos());
    Ok(())
}

/// Opens a file that is not there every millisecond, with the number of milliseconds in its name,
/// until the time is over: the first one that a tracer shows says when it had attached.
pub(crate) fn probes(time: Duration) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    while start.elapsed() < time {
        let ms = start.elapsed().as_micros() / 100;
        let _ = File::open(format!("/{MARK}-at-{ms}-tenths"));
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}
