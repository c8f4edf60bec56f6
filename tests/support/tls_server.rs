//! Servers that only a proxy and an authority of the user's lead to: a tunnel to a port, and certificates for any name.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::run;

/// A proxy that wants the `login`, the value of a header, if there is one, and tunnels every connection to `port` of this machine.
/// Returns its own port, and the heads of the requests.
pub fn tunnel_to(port: u16, login: Option<String>) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let (own, heads) =
        (listener.local_addr().unwrap().port(), Arc::<Mutex<Vec<String>>>::default());
    let (seen, login) = (Arc::clone(&heads), login.unwrap_or_default());
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let (seen, login) = (Arc::clone(&seen), login.clone());
            std::thread::spawn(move || {
                let mut head = String::new();
                let mut byte = [0];
                while !head.ends_with("\r\n\r\n") && client.read_exact(&mut byte).is_ok() {
                    head.push(char::from(byte[0]));
                }
                seen.lock().unwrap().push(head.clone());
                if !head.contains(&login) {
                    let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\n\
                                   Proxy-Authenticate: Basic realm=\"proxy\"\r\nContent-Length: 0\r\n\r\n";
                    return client.write_all(refusal.as_bytes()).unwrap_or(());
                }
                client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
                let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
                let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                std::io::copy(&mut client, &mut &server).unwrap_or(0);
                server.shutdown(std::net::Shutdown::Write).unwrap_or(());
            });
        }
    });
    (own, heads)
}

/// Makes a certificate authority in `dir`, whose own certificate is `ca.pem`, and a certificate for the server with these `names`,
/// such as `DNS:cache.invalid` or `IP:192.0.2.1`.
pub fn certificates(dir: &Path, names: &[&str]) -> rustls::ServerConfig {
    let openssl = |words: &[&str]| {
        run(Command::new("openssl").args(words).current_dir(dir)).assert_exit_code(0);
    };
    let own = |name: &str, private: &str, public: &str, more: &[&str]| {
        let subject = format!("/CN={name}");
        let words = ["req", "-x509", "-days", "2", "-noenc", "-newkey", "ec", "-pkeyopt"];
        let curve =
            ["ec_paramgen_curve:P-256", "-subj", &subject, "-keyout", private, "-out", public];
        openssl(&[&words[..], &curve, more].concat());
    };
    own("authority", "ca-key.pem", "ca.pem", &[]);
    let names = format!("subjectAltName={}", names.join(","));
    let signed = [
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca-key.pem",
        "-addext",
        &names,
        "-addext",
        "basicConstraints=critical,CA:false",
    ];
    own("server", "key.pem", "cert.pem", &signed);
    let der = |name: &str| {
        let text = fs::read_to_string(dir.join(name)).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with("-----"));
        STANDARD.decode(lines.collect::<String>()).unwrap()
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![der("cert.pem").into()],
            rustls::pki_types::PrivatePkcs8KeyDer::from(der("key.pem")).into(),
        )
        .unwrap()
}
