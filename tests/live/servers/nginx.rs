//! nginx, and curl.

use std::fs;
use std::process::Child;
use std::sync::OnceLock;

use super::{Kind, Made, Server, client, succeed};

/// With one worker, and what CONFIGURATION says.
pub(crate) static NGINX: Kind = Kind {
    name: "nginx",
    words: ["$NGINX", "$NGINX_DATA"],
    place: ("usr", "nginx"),
    clients: &["curl", "openssl"],
    make,
    start,
    is_ready: Server::takes_connections,
    made: OnceLock::new(),
};

/// `file` has 300,001 bytes. For each request there is a line in `access`: the worker, the client's port, and
/// what it has read and written, without what TLS adds.
const CONFIGURATION: &str = r#"
daemon off;
worker_processes 1;
pid pid;
error_log error;
events {}
http {
    log_format truth "nginx $pid $remote_port $request_length $bytes_sent";
    access_log access truth;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    reset_timedout_connection on;
    server {
        listen 127.0.0.1:8080 fastopen=9;
        listen 127.0.0.1:8443 ssl;
        ssl_certificate certificate;
        ssl_certificate_key key;
        root .;
        location /behind/ { proxy_pass http://127.0.0.1:8081/; }
        location /nobody/ { proxy_pass http://127.0.0.1:8082/; }
        # By a reset, as nothing is to be sent.
        location /reset/ { return 444; }
    }
    server {
        listen 127.0.0.1:8081;
        root .;
    }
    server {
        listen unix:socket;
    }
}
"#;

fn make(server: &Server) -> Made<()> {
    fs::write(server.data.join("nginx.conf"), CONFIGURATION)?;
    fs::write(server.data.join("file"), vec![b'x'; 300_001])?;
    let mut command = server.command(&client("openssl").ok_or("there is no openssl")?)?;
    command.args(["req", "-x509", "-nodes", "-subj", "/CN=localhost", "-newkey", "ec"]);
    command.args(["-pkeyopt", "ec_paramgen_curve:prime256v1", "-out", "certificate"]);
    succeed(command.args(["-keyout", "key"]).current_dir(&server.data))
}

fn start(server: &Server) -> Made<Child> {
    for left in [server.data.join("access"), server.socket()] {
        let _ = fs::remove_file(left);
    }
    let mut command = server.command(&server.program)?;
    command.arg("-p").arg(&server.data).args(["-c", "nginx.conf"]).current_dir(&server.data);
    Ok(command.spawn()?)
}
