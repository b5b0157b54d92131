//! Metrics for a collector that asks, over HTTP, on this machine alone. Whoever asks has a few seconds,
//! and there are few of them at a time: nobody can keep the others waiting for long.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Context as _, Result};
use crate::run::capabilities::Kept;
use crate::serve::exposition::{self, Flavour, Subject};
use crate::system::lock::locked;

/// What metrics tell of: it changes when tools come and go.
pub(super) type Subjects = Arc<Mutex<Vec<Subject>>>;

/// How long somebody may take to ask, and as long again to take the answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Who comes while so many are answered is turned away.
const AT_ONCE: usize = 8;
/// No request that is meant has more bytes.
const REQUEST_MAX: usize = 8 << 10;

/// Answers from now on, without any rights.
///
/// # Errors
///
/// When somebody else has the address.
pub(super) fn listen(address: SocketAddr, subjects: Subjects) -> Result<()> {
    let doing = format!("listening on {address}");
    let listener = TcpListener::bind(address).doing(&doing)?;
    let (tell, given_up) = mpsc::channel();
    let answer = move || {
        let done = Kept::default().give_up();
        let is_done = done.is_ok();
        let _ = tell.send(done);
        if !is_done {
            return;
        }
        let active = Arc::new(AtomicUsize::new(0));
        for stream in listener.incoming() {
            match stream {
                Ok(stream) if active.load(Ordering::Relaxed) < AT_ONCE => {
                    begin(stream, &subjects, &active);
                }
                Ok(_) => {}
                // No descriptor is free, most likely.
                Err(_) => thread::sleep(Duration::from_millis(100)),
            }
        }
    };
    thread::Builder::new().name("metrics".into()).spawn(answer).doing(&doing)?;
    given_up.recv().doing(&doing)?
}

fn begin(stream: TcpStream, subjects: &Subjects, active: &Arc<AtomicUsize>) {
    let (subjects, counted) = (subjects.clone(), active.clone());
    active.fetch_add(1, Ordering::Relaxed);
    let answer = move || {
        // Who goes away early is not told of.
        let _ = answer(stream, &subjects);
        counted.fetch_sub(1, Ordering::Relaxed);
    };
    if thread::Builder::new().name("answer".into()).spawn(answer).is_err() {
        active.fetch_sub(1, Ordering::Relaxed);
    }
}

fn answer(mut stream: TcpStream, subjects: &Subjects) -> std::io::Result<()> {
    let Some(request) = request(&mut stream) else { return Ok(()) };
    let (status, flavour, body) = response(&request, subjects);
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        flavour.content_type(),
        body.len()
    );
    let end = Instant::now() + PATIENCE;
    let answer = head + &body;
    let mut rest = answer.as_bytes();
    while !rest.is_empty() {
        let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        stream.set_write_timeout(Some(left))?;
        let len = stream.write(rest)?;
        rest = &rest[len..];
        if Instant::now() >= end {
            break;
        }
    }
    Ok(())
}

/// The head of a request, when it is whole in time.
fn request(stream: &mut TcpStream) -> Option<String> {
    let end = Instant::now() + PATIENCE;
    let mut request = Vec::new();
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || request.len() >= REQUEST_MAX {
            return None;
        }
        stream.set_read_timeout(Some(left)).ok()?;
        let mut piece = [0; 1024];
        let len = stream.read(&mut piece).ok().filter(|len| *len > 0)?;
        request.extend_from_slice(&piece[..len]);
    }
    Some(String::from_utf8_lossy(&request).into_owned())
}

fn response(request: &str, subjects: &Subjects) -> (&'static str, Flavour, String) {
    let mut words = request.split_ascii_whitespace();
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = path.split('?').next().unwrap_or_default();
    if method != "GET" {
        return ("405 Method Not Allowed", Flavour::Prometheus, "GET is answered\n".into());
    }
    if path != "/metrics" {
        return ("404 Not Found", Flavour::Prometheus, "there is /metrics\n".into());
    }
    let accepts = |line: &str| {
        let line = line.to_ascii_lowercase();
        line.starts_with("accept:") && line.contains("application/openmetrics-text")
    };
    let flavour = match request.lines().any(accepts) {
        true => Flavour::OpenMetrics,
        false => Flavour::Prometheus,
    };
    let subjects = locked(subjects).clone();
    ("200 OK", flavour, exposition::text(flavour, &subjects))
}
