//! `--builder-image`: another image that has Nix, pulled when the engine lacks it.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::*;

/// A registry on this machine, from Debian's package; it ends with the value.
struct Registry {
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Registry {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let settings = folder.path().join("config.yml");
        let text = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{port}\n",
            folder.path().join("data").display()
        );
        fs::write(&settings, text).unwrap();
        let unpacked = root().join("target/tools/usr/bin/docker-registry");
        let program = if unpacked.exists() {
            unpacked
        } else {
            "docker-registry".into()
        };
        let child = Command::new(program)
            .arg("serve")
            .arg(&settings)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the container registry that scripts/setup --test unpacks");
        let registry = Self {
            child,
            folder,
            port,
        };
        within(Duration::from_secs(20), "the registry listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        assert!(self.folder.path().exists());
    }
}

#[test]
fn a_foreign_image_is_pulled_and_has_a_store_of_its_own() {
    if !engine_is_here() {
        return;
    }
    let person = Person::new();
    person.write("sd-card.nix", &product(SMALL_IMAGE));
    // Makes sure that our own builder is loaded: it plays the foreign image, under another name.
    ran(&mut person.build(&[])).exits(0);
    let before = Machine::now();
    let registry = Registry::start();
    let reference = format!("127.0.0.1:{}/nix:1", registry.port);
    let own = docker_lines(&[
        "images",
        "--format",
        "{{.Repository}}:{{.Tag}}",
        "sdbuild/builder",
    ]);
    // Our labels would make it ours: a foreign one has none, and has Nix's store in it.
    let container = docker(&["create", &own[0], "true"]).trim().to_owned();
    let file = registry.folder.path().join("image.tar");
    docker(&["export", "--output", file.to_str().unwrap(), &container]);
    docker(&["rm", &container]);
    let path = "ENV PATH=/usr/bin:/bin NIX_SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt";
    let file = file.to_str().unwrap();
    let words = [
        "import",
        "--change",
        path,
        "--change",
        "USER 1000:1000",
        file,
        &reference,
    ];
    docker(&words);
    docker(&["push", "--quiet", &reference]);
    docker(&["rmi", &reference]);

    ran(&mut person.build(&["--force", "--builder-image", &reference]))
        .exits(0)
        .says(&["pull the builder image"]);
    let volumes = docker_lines(&["volume", "ls", "--quiet"]);
    let own: Vec<_> = volumes
        .iter()
        .filter(|v| v.starts_with("sdbuild-store-"))
        .collect();
    assert_eq!(own.len(), 1, "{volumes:?}");
    docker(&["volume", "rm", own[0]]);
    docker(&["rmi", &reference]);
    before.is_unchanged();

    ran(&mut person.build(&[
        "--force",
        "--builder-image",
        &format!("127.0.0.1:{}/none:1", registry.port),
    ]))
    .exits(3)
    .says(&["/none:1"]);
    before.is_unchanged();
}
