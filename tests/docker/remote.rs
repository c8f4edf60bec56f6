//! Remote engines over `ssh` and TLS, and their failures.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::*;

/// A rootless engine behind `ssh`, found there by its default socket, and a local user.
struct There {
    sshd: Sshd,
    service: EngineService,
    user: TestUser,
}

impl There {
    fn start() -> Self {
        let service = EngineService::start(EngineKind::RootlessDocker);
        let sshd = Sshd::start(service.account());
        let path = std::env::var("PATH").unwrap();
        let user = service.account().user();
        let user = user
            .with("PATH", format!("{}:{path}", sshd.programs().display()))
            .with("DOCKER_HOST", sshd.host());
        Self { sshd, service, user }
    }

    fn build(&self, more: &[&str]) -> Command {
        self.service.account().build(&self.user, more)
    }

    fn containers(&self) -> Vec<String> {
        self.service.docker_lines(&["ps", "--all", "--format", "{{.Names}}"])
    }

    /// The number of our running `ssh` processes.
    fn clients(&self) -> usize {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let words = processes.map(|process| fs::read(process.path().join("cmdline")));
        let host = self.sshd.host();
        let ours = |words: &Vec<u8>| {
            let words = String::from_utf8_lossy(words);
            words.starts_with("/usr/bin/ssh\0") && words.split('\0').any(|word| word == host)
        };
        words.flatten().filter(ours).count()
    }
}

fn can_run() -> bool {
    root_available()
        && engine_ready()
        && tools_available(&["dockerd", "rootlesskit", "slirp4netns", "newuidmap", "ssh"])
        && tool_unpacked("usr/sbin/sshd")
}

#[test]
fn engine_over_ssh_builds_is_left_clean_and_may_be_cut_off() {
    needs!(can_run());
    let there = There::start();
    connection_is_made_and_closed(&there);
    builds_and_is_left_clean(&there);
    broken_connection_loses_only_the_current_derivation(&there);
}

fn connection_is_made_and_closed(there: &There) {
    let account = there.service.account();
    let doctor = run(&mut account.sdbuild(&there.user, &["doctor"])).stdout;
    let answers = format!("answers at {}", there.sshd.host());
    assert!(doctor.contains(&answers), "{doctor}");
    assert!(doctor.contains("where only its container sees it"), "{doctor}");
    wait_until(Duration::from_secs(10), "ssh has ended", || there.clients() == 0);
}

fn builds_and_is_left_clean(there: &There) {
    there.user.write("sd-card.nix", &product(&fresh(SMALL_IMAGE)));
    let first = run(&mut there.build(&[])).assert_exit_code(0);
    assert_eq!(fs::read_to_string(first.image()).unwrap(), "small\n", "{}", first.stderr);
    assert_eq!(there.containers(), [""; 0]);
    assert_eq!(there.clients(), 0);

    let script = fresh("    echo in the middle\n    sleep 600");
    there.user.write("sd-card.nix", &product(&script));
    for (signal, ends) in [(Signal::SIGINT, true), (Signal::SIGKILL, false)] {
        let mut running = Running::start(&mut there.build(&["-v"]));
        running.wait_for("in the middle");
        assert_eq!((there.containers().len(), there.clients()), (1, 1));
        running.signal(signal);
        running.finish();
        let what = format!("{signal}: ssh and the builder end");
        wait_until(Duration::from_secs(30), &what, || {
            there.clients() == 0 && there.service.docker_lines(&["ps", "--quiet"]).is_empty()
        });
        assert_eq!(there.containers().is_empty(), ends, "{signal}");
    }
    let account = there.service.account();
    run(&mut account.sdbuild(&there.user, &["clean", "--yes"])).assert_exit_code(0);
    assert_eq!(there.containers(), [""; 0]);
}

/// Two derivations: the first is built when the connection breaks, the second is being built. The second never ends
/// at the first attempt; at the next it finds the directory that it left on the volume.
fn two_steps() -> String {
    let first = fresh("    mkdir $out");
    let second = format!(
        "    : ${{first}}\n    \
         if mkdir /nix/var/tried 2>/dev/null; then echo in the middle; sleep 600; fi\n{SMALL_IMAGE}"
    );
    configuration(&format!(
        "  system.build.sdImage = let first = pkgs.runCommand \"first\" {{ }} ''\n{first}\n  ''; \
         in lib.mkForce (pkgs.runCommand \"second\" {{ }} ''\n{second}\n  '');"
    ))
}

fn broken_connection_loses_only_the_current_derivation(there: &There) {
    there.user.write("sd-card.nix", &two_steps());
    let mut running = Running::start(&mut there.build(&["-v"]));
    running.wait_for("in the middle");
    there.sshd.cut();
    let broken = running.finish();
    assert_eq!(broken.code, Some(5), "the builder could not be removed\n{}", broken.stderr);
    assert!(broken.built().contains(&"first"), "{}", broken.stderr);
    wait_until(Duration::from_secs(30), "the watchdog ends the builder", || {
        there.service.docker_lines(&["ps", "--quiet"]).is_empty()
    });
    let again = run(&mut there.build(&["-v"])).assert_exit_code(0);
    let built = again.built();
    assert!(built.contains(&"second") && !built.contains(&"first"), "{}", again.stderr);
    assert_eq!(there.containers(), [""; 0]);
}

#[test]
fn errors_of_ssh_are_passed_on() {
    needs!(root_available(), tool_unpacked("usr/sbin/sshd"));
    let account = Account::new();
    let sshd = Sshd::start(&account);
    let path = format!("{}:{}", sshd.programs().display(), std::env::var("PATH").unwrap());
    let user = account.user().with("PATH", path);
    user.write("sd-card.nix", &product(SMALL_IMAGE));
    let refused = |host: &str| {
        run(account.build(&user, &[]).env("DOCKER_HOST", host)).assert_exit_code(3).stderr
    };
    let nothing = refused(&sshd.host());
    assert!(nothing.contains("there is no engine socket"), "{nothing}");
    let wrong = refused(&format!("{}/nonexistent.sock", sshd.host()));
    assert!(wrong.contains("open failed"), "{wrong}");
    let stranger = refused(&sshd.host().replace("other-machine", "sdbuild-tests@127.0.0.1"));
    assert!(stranger.contains("Host key verification failed"), "{stranger}");
}

/// Makes a certificate authority, an engine's certificate for 127.0.0.1 and a user's.
fn certificates(dir: &std::path::Path) {
    let openssl = |words: &[&str]| {
        run(Command::new("openssl").args(words).current_dir(dir)).assert_exit_code(0);
    };
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"];
    let own = |name: &'static str| {
        let authority = ["req", "-x509", "-days", "2", "-subj", name];
        [&authority[..], &key].concat()
    };
    openssl(&[&own("/CN=authority")[..], &["-keyout", "ca-key.pem", "-out", "ca.pem"]].concat());
    for (name, usage, more) in [
        ("server-", "extendedKeyUsage=serverAuth", "subjectAltName=IP:127.0.0.1"),
        ("", "extendedKeyUsage=clientAuth", "keyUsage=digitalSignature"),
    ] {
        let [private, public] = ["key", "cert"].map(|what| format!("{name}{what}.pem"));
        let signed = [
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca-key.pem",
            "-addext",
            usage,
            "-addext",
            more,
            "-addext",
            "basicConstraints=critical,CA:false",
        ];
        openssl(&[&own("/CN=one")[..], &signed, &["-keyout", &private, "-out", &public]].concat());
    }
}

/// An engine that requires client certificates, and a user with one.
struct Encrypted {
    certificates: tempfile::TempDir,
    /// For the downloads of sdbuild, which runs in the engine's network namespace.
    _way_out: NetworkUplink,
    engine: OwnEngine,
    user: TestUser,
}

impl Encrypted {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        certificates(dir.path());
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let host = ["--host", "tcp://127.0.0.1:2376", "--tlsverify"];
        let own = ["--tlscert", &at("server-cert.pem"), "--tlskey", &at("server-key.pem")];
        let authority = ["--tlscacert", &at("ca.pem")];
        let engine = OwnEngine::start_with(&[&host[..], &own, &authority].concat());
        let user = TestUser::new()
            .with("DOCKER_HOST", "tcp://127.0.0.1")
            .with("DOCKER_TLS_VERIFY", "1")
            .with("DOCKER_CERT_PATH", at(""));
        Self { certificates: dir, _way_out: NetworkUplink::of(engine.pid()), engine, user }
    }

    /// Runs `inner` in the engine's network namespace, with further `variables`.
    fn runs(&self, inner: &Command, variables: &[(&str, &str)]) -> Outcome {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.engine.pid()));
        command.arg(inner.get_program()).args(inner.get_args());
        command.env_clear().envs(&self.user.environment);
        command.envs(variables.iter().copied());
        run(command.current_dir(self.user.home.path()).stdin(Stdio::null()))
    }
}

fn can_encrypt() -> bool {
    let tools = ["openssl", "nsenter", "ip", "dockerd", "slirp4netns"];
    root_available() && engine_ready() && tools_available(&tools)
}

#[test]
fn tls_is_verified_at_both_ends() {
    needs!(can_encrypt());
    let there = Encrypted::start();
    let doctor = |variables: &[(&str, &str)]| {
        let inner = there.user.sdbuild(&["doctor"]);
        there.runs(&inner, variables).stdout
    };
    let good = doctor(&[]);
    assert!(good.contains("answers at tcp://127.0.0.1:2376"), "{good}");
    let strangers = tempfile::tempdir().unwrap();
    certificates(strangers.path());
    let path = strangers.path().to_str().unwrap();
    let stranger = doctor(&[("DOCKER_CERT_PATH", path)]);
    assert!(stranger.contains("connect by TLS to the engine"), "{stranger}");
    assert!(stranger.contains("DOCKER_CERT_PATH"), "{stranger}");
    let plain = doctor(&[("DOCKER_TLS_VERIFY", ""), ("DOCKER_HOST", "tcp://127.0.0.1:2376")]);
    assert!(plain.contains("requires TLS"), "{plain}");
    fs::remove_file(there.certificates.path().join("cert.pem")).unwrap();
    let nobody = doctor(&[]);
    assert!(nobody.contains("connect by TLS to the engine"), "{nobody}");
}

/// By its variables, and then by a context of Docker's client.
#[test]
fn engine_over_tls_or_of_a_docker_context_builds() {
    needs!(can_encrypt());
    let mut there = Encrypted::start();
    builds(&there);

    let at = |name: &str| there.certificates.path().join(name).display().to_string();
    let [ca, cert, key] = ["ca.pem", "cert.pem", "key.pem"].map(at);
    let endpoint = format!("host=tcp://127.0.0.1:2376,ca={ca},cert={cert},key={key}");
    there.user = TestUser::new().with_context("there", &endpoint);
    let host = "tcp://127.0.0.1:2376";
    let status = |variables: &[(&str, &str)]| {
        let inner = there.user.sdbuild(&["status"]);
        there.runs(&inner, variables).assert_exit_code(0).stdout
    };
    let current = status(&[]);
    assert!(current.contains(host), "{current}");
    let other = status(&[("DOCKER_CONTEXT", "default")]);
    assert!(!other.contains(host), "{other}");
    builds(&there);
}

/// Asserts that the engine builds an image and is left clean.
fn builds(there: &Encrypted) {
    // Containers of this engine cannot resolve host names.
    let product = product_of_the_builder_alone(&fresh(SMALL_IMAGE));
    there.user.write("sd-card.nix", &product);
    let image = there.runs(&there.user.build(&[]), &[]).assert_exit_code(0).image();
    assert_eq!(fs::read_to_string(image).unwrap(), "small\n");
    assert_eq!(there.engine.docker(&["ps", "--all", "--quiet"]).stdout, "");
}
