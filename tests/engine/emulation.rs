//! The mode of emulation on scripted engines, which have sdbuild's container images and refuse every container.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::system::Architecture;
use sdbuild_engine::artifact::Cache;
use sdbuild_engine::oci::Definition;

use crate::server::{Reply, Server, default_reply, ok, refused};
use crate::support::*;

/// A port without a listener.
const UNREACHABLE: &str = "http://127.0.0.1:9";
const LAYER: &str = "sha256:1a7e";
const PRIVATE: &str = "continuing with an entry for QEMU that only the build's container sees";
const HOST: &str = "continuing with the existing binfmt_misc entry, if there is one";

/// A scripted engine's facts and refusals.
#[derive(Clone, Copy)]
struct Machine {
    info: &'static str,
    /// Its messages for the creation of a registrar and of a probe.
    refusals: (&'static str, &'static str),
    /// Its description of `builder:1`, and of `builder:2` after a pull.
    builder: &'static str,
}

const PC: &str = r#"{"OSType":"linux","Architecture":"x86_64","KernelVersion":"6.12.0"}"#;
const PI: &str = r#"{"OSType":"linux","Architecture":"aarch64","KernelVersion":"6.12.0"}"#;
const ROOTLESS: &str = r#"{"OSType":"linux","Architecture":"x86_64","KernelVersion":"6.12.0","SecurityOptions":["name=rootless"]}"#;
const FULL: &str = "write /var/lib/docker/x: no space left on device";
const DENIED: &str = "Mounts denied: the path /proc/sys/fs/binfmt_misc is not shared from the host";
const NO_FORMAT: &str = "exec /sdbuild/busybox-aarch64: exec format error";
const NO_PROFILE: &str = "seccomp profile: not allowed";
const UNMOUNTED: &str = "bind source path does not exist: /proc/sys/fs/binfmt_misc";
const ROOT_BUILDER: &str = r#"{"Id":"sha256:b1","Architecture":"amd64","Config":{}}"#;
const ARM_BUILDER: &str = r#"{"Id":"sha256:b1","Architecture":"arm64","Config":{"User":"1000"}}"#;

const SOUND: Machine = Machine { info: PC, refusals: (DENIED, NO_FORMAT), builder: ROOT_BUILDER };

/// The engine's description of an image of sdbuild's.
fn described(definition: &Definition) -> String {
    let labels: serde_json::Map<_, _> = definition
        .labels()
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect();
    serde_json::json!({
        "Id": format!("sha256:{}", definition.digest()),
        "RepoTags": [definition.reference()],
        "RootFS": {"Type": "layers", "Layers": [LAYER]},
        "Config": {"Labels": labels},
    })
    .to_string()
}

/// Both definitions, with locks that name one small package, which is never fetched.
fn definitions(locks: &Path) -> [Definition; 2] {
    let hash = Sha256Hash::of(b"x");
    for (name, architecture) in
        [("registrar", "amd64"), ("registrar", "arm64"), ("builder", "amd64"), ("builder", "arm64")]
    {
        let lock = format!(
            r#"{{"schema":1,"architecture":"{architecture}","snapshot":"20260101T000000Z","packages":[
            {{"name":"a","version":"1","path":"pool/a.deb","size":1,"sha256":"{hash}"}}]}}"#
        );
        let dir = locks.join(name);
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(format!("{architecture}.lock.json")), lock).unwrap();
    }
    let architecture = Architecture::X86_64;
    [
        Definition::registrar(architecture, Some(locks)).unwrap(),
        Definition::builder(architecture, Some(locks)).unwrap(),
    ]
}

/// A user and a scripted engine that has both images.
struct Fixture {
    engine: Server,
    user: TestUser,
}

impl Fixture {
    fn new(machine: Machine) -> Self {
        let user = TestUser::new();
        let dir = |name: &str| user.home.path().join(name);
        let definitions = definitions(&dir("locks"));
        let cache = Cache::open(dir("cache/sdbuild")).unwrap();
        for definition in &definitions {
            let note = format!("image-{}", definition.digest());
            cache.set_note(&note, LAYER).unwrap();
        }
        user.write("sd-card.nix", "{ networking.hostName = \"x\"; }");
        let pulled = AtomicBool::new(false);
        let engine = Server::new(move |request| match request {
            "GET /images/builder:2/json" if pulled.load(SeqCst) => ok(machine.builder),
            pull if pull.starts_with("POST /images/create?") => {
                pulled.store(true, SeqCst);
                ok("{}")
            }
            other => answer(other, machine, &definitions),
        });
        let text = |name: &str| dir(name).to_str().unwrap().to_owned();
        let (locks, cache) = (text("locks"), text("cache"));
        let user = user
            .with("DOCKER_HOST", engine.endpoint.to_string())
            .with("SDBUILD_LOCKS", locks)
            .with("XDG_CACHE_HOME", cache)
            .with("SDBUILD_DEBIAN_MIRROR", format!("{UNREACHABLE}/debian"))
            .with("http_proxy", UNREACHABLE);
        Self { engine, user }
    }

    /// Without the cache, so that a build would have to download.
    fn with_an_empty_cache(self) -> Self {
        std::fs::remove_dir_all(self.user.home.path().join("cache")).unwrap();
        self
    }

    fn builds(&self, more: &[&str]) -> Outcome {
        run(&mut self.user.build(more))
    }

    /// The roles of the containers that were requested, in order.
    fn requested_roles(&self) -> Vec<String> {
        let requests = self.engine.requests();
        let creations = requests.iter().filter_map(|request| {
            let name = request.strip_prefix("POST /containers/create?name=sdbuild-")?;
            Some(name.split('-').next().unwrap().to_owned())
        });
        creations.collect()
    }

    /// Asserts that every request was a GET.
    #[track_caller]
    fn assert_only_reads(&self) {
        let requests = self.engine.requests();
        assert!(requests.iter().all(|r| r.starts_with("GET ")), "{requests:?}");
    }
}

fn answer(request: &str, machine: Machine, definitions: &[Definition]) -> Reply {
    let (registrar, probe) = machine.refusals;
    let of = |definition: &&Definition| request.contains(&definition.reference());
    let by_id = |definition: &&Definition| request.contains(&definition.digest().to_string());
    match request {
        "GET /version" => default_reply(),
        "GET /info" => ok(machine.info),
        "GET /_ping" => ok("OK"),
        "GET /images/builder:1/json" => ok(machine.builder),
        list if list.starts_with("GET /images/json") => {
            let listed = definitions.iter().map(|definition| {
                serde_json::json!({
                    "Id": format!("sha256:{}", definition.digest()), "ParentId": "", "RepoTags": [],
                    "RepoDigests": [], "Created": 0, "Size": 0, "SharedSize": 0, "Labels": {}, "Containers": 0,
                })
            });
            ok(listed.collect::<serde_json::Value>().to_string())
        }
        image if image.starts_with("GET /images/") => {
            let found = definitions.iter().find(|d| of(d) || by_id(d));
            found.map_or_else(|| refused(404, "no such image"), |d| ok(described(d)))
        }
        list if list.starts_with("GET /containers/json") => ok("[]"),
        list if list.starts_with("GET /volumes") => ok(r#"{"Volumes":[]}"#),
        create if create.contains("create?name=sdbuild-registrar-") => refused(500, registrar),
        create if create.contains("create?name=sdbuild-probe-") => refused(500, probe),
        _ => refused(404, "no such thing"),
    }
}

#[test]
fn auto_tries_every_mode_until_none_is_left() {
    let fixture = Fixture::new(SOUND);
    let outcome = fixture.builds(&[]).assert_exit_code(3);
    // The probe's container is refused before anything about private emulation can be.
    outcome.assert_stderr_contains(&[
        "Mounts denied",
        PRIVATE,
        "error: could not start the container that registers QEMU",
    ]);

    let fixture = Fixture::new(Machine { refusals: (DENIED, NO_PROFILE), ..SOUND });
    fixture.builds(&[]).assert_exit_code(3).assert_stderr_contains(&[PRIVATE, HOST]);
    assert_eq!(fixture.requested_roles(), ["registrar", "probe", "probe"]);

    let fixture = Fixture::new(SOUND);
    let outcome = fixture.builds(&["--emulation", "register"]).assert_exit_code(3);
    assert!(!outcome.stderr.contains("continuing with"), "{}", outcome.stderr);
    assert_eq!(fixture.requested_roles(), ["registrar"], "as asked for");
}

/// The run went on to private emulation, which needs disk space as well and has a larger attack surface.
#[test]
fn a_full_disk_does_not_lead_to_the_next_mode() {
    for refusal in [FULL, "no such image", "the daemon is shutting down"] {
        let fixture = Fixture::new(Machine { refusals: (refusal, NO_PROFILE), ..SOUND });
        let outcome = fixture.builds(&[]).assert_exit_code(3).assert_stderr_contains(&[refusal]);
        assert!(!outcome.stderr.contains("continuing with"), "{}", outcome.stderr);
        assert_eq!(fixture.requested_roles(), ["registrar"]);
    }
}

/// The run ended there, although the kernel may have a handler.
#[test]
fn auto_skips_private_emulation_for_a_root_builder() {
    let of_roots = "private emulation does not work with a builder image that runs as root";
    for (info, ways) in [(PC, &["registrar", "probe"][..]), (ROOTLESS, &["probe"][..])] {
        let fixture = Fixture::new(Machine { info, ..SOUND });
        let outcome = fixture.builds(&["--builder-image", "builder:1"]).assert_exit_code(3);
        let outcome = outcome.assert_stderr_contains(&[of_roots, HOST]);
        assert_eq!(fixture.requested_roles(), ways);
        let hints = outcome.stderr.lines().filter(|l| l.starts_with("hint: "));
        let hints: Vec<_> = hints.filter(|l| l.contains("--emulation")).collect();
        assert!(hints.is_empty(), "it has tried: {hints:?}");
    }
}

#[test]
fn private_emulation_is_refused_early_for_a_root_builder() {
    let refused = |fixture: &Fixture, image: &str| {
        let words = ["--emulation", "private", "--builder-image", image];
        let outcome = fixture.builds(&words).assert_exit_code(2);
        outcome.assert_stderr_contains(&[
            "private emulation does not work with a builder image that runs as root",
            "hint: give an image with another USER",
            "hint: or omit --emulation",
        ]);
    };
    let fixture = Fixture::new(SOUND).with_an_empty_cache();
    refused(&fixture, "builder:1");
    fixture.assert_only_reads();
    // Whose one is to be pulled is known after that.
    refused(&fixture, "builder:2");
    let requests = fixture.engine.requests();
    let others: Vec<_> = requests.iter().filter(|r| !r.starts_with("GET ")).collect();
    assert_eq!(others.len(), 1, "{others:?}");
    assert!(others[0].starts_with("POST /images/create?"), "{others:?}");
}

#[test]
fn a_builder_image_for_another_architecture_is_refused_early() {
    let fixture = Fixture::new(Machine { builder: ARM_BUILDER, ..SOUND }).with_an_empty_cache();
    let outcome = fixture.builds(&["--builder-image", "builder:1"]).assert_exit_code(2);
    outcome.assert_stderr_contains(&[
        "the builder image builder:1 is for aarch64, but the engine's machine is x86_64",
        "hint: pull it for that machine: `docker --host tcp://",
        " pull --platform linux/amd64 builder:1`",
    ]);
    fixture.assert_only_reads();
}

#[test]
fn a_native_build_ignores_the_emulation_setting() {
    let fixture = Fixture::new(Machine { info: PI, ..SOUND });
    for mode in ["register", "private", "host"] {
        let outcome = fixture.builds(&["--dry-run=plan", "--emulation", mode]).assert_exit_code(0);
        let notice = format!(
            "emulation `{mode}` is not needed, because the engine's machine runs aarch64-linux itself"
        );
        let outcome = outcome.assert_stderr_contains(&[&notice]);
        let native = "emulation      none, because the engine's machine runs aarch64 itself";
        assert!(outcome.stdout.contains(native), "{}", outcome.stdout);
    }
    let auto = fixture.builds(&["--dry-run=plan"]).assert_exit_code(0);
    assert!(!auto.stderr.contains("not needed"), "{}", auto.stderr);
}

#[test]
fn an_arm_engine_emulates_what_is_for_pcs() {
    let fixture = Fixture::new(Machine { info: PI, ..SOUND });
    let pc = ["--dry-run=plan", "--system", "x86_64-linux"];
    let plan = fixture.builds(&pc).assert_exit_code(0).stdout;
    let lines = plan.lines().map(|line| line.split_whitespace());
    let lines: Vec<_> = lines.map(|words| words.collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "emulation register: QEMU runs the image's x86_64-linux programs, with an entry in the kernel's binfmt_misc \
         during the run; if that fails, private, or host",
        "glue emulated: nothing can be built without emulation for this format and system",
    ] {
        assert!(lines.iter().any(|found| found == line), "{plan}");
    }
    fixture.assert_only_reads();
}

/// A privileged container was started to look at an empty table.
#[test]
fn reading_an_unmounted_table_starts_no_privileged_container() {
    let fixture = Fixture::new(Machine { refusals: (UNMOUNTED, NO_FORMAT), ..SOUND });
    for words in [&["clean", "--dry-run"][..], &["status"]] {
        let before = fixture.requested_roles().len();
        let outcome = run(&mut fixture.user.sdbuild(words)).assert_exit_code(0);
        assert!(!outcome.stderr.contains("warning"), "{}", outcome.stderr);
        assert!(!outcome.stdout.contains("binfmt_misc entry "), "{}", outcome.stdout);
        assert_eq!(fixture.requested_roles().len() - before, 1, "{words:?}");
    }
}

#[test]
fn the_table_of_a_rootless_engine_is_not_requested() {
    let fixture = Fixture::new(Machine { info: ROOTLESS, ..SOUND });
    run(&mut fixture.user.sdbuild(&["clean", "--dry-run"])).assert_exit_code(0);
    let status = run(&mut fixture.user.sdbuild(&["status"])).assert_exit_code(0);
    assert!(status.stdout.contains("not visible"), "{}", status.stdout);
    fixture.assert_only_reads();
}
