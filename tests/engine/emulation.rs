//! Which way of emulation is taken on engines that answer by script: they hold our container images, and
//! make no container of any.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use sdbuild::artifact::Cache;
use sdbuild::common::hash::Sha256Hash;
use sdbuild::common::system::Architecture;
use sdbuild::oci::Definition;

use crate::server::{Reply, Server, default_reply, ok, refused};
use crate::support::*;

const NOBODY: &str = "http://127.0.0.1:9";
const LAYER: &str = "sha256:1a7e";
const PRIVATE: &str = "going on with a handler that only the builder sees";
const HOST: &str = "going on with the existing handler, if there is one";

/// What the engine is, and how it refuses.
#[derive(Clone, Copy)]
struct Machine {
    info: &'static str,
    /// Instead of making a registrar, and of making a probe.
    refusals: (&'static str, &'static str),
    /// What it tells of `builder:1`, and of `builder:2` once that is pulled.
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
const ROOTS: &str = r#"{"Id":"sha256:b1","Architecture":"amd64","Config":{}}"#;
const OF_ARM: &str = r#"{"Id":"sha256:b1","Architecture":"arm64","Config":{"User":"1000"}}"#;

const SOUND: Machine = Machine {
    info: PC,
    refusals: (DENIED, NO_FORMAT),
    builder: ROOTS,
};

/// An image of ours as engines tell it.
fn told(definition: &Definition) -> String {
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

/// Both definitions by locks that name one small package, which nobody ever fetches.
fn definitions(locks: &Path) -> [Definition; 2] {
    let hash = Sha256Hash::of(b"x");
    for (name, architecture) in [
        ("registrar", "amd64"),
        ("registrar", "arm64"),
        ("builder", "amd64"),
        ("builder", "arm64"),
    ] {
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

/// A user at such a machine, whose engine holds both images.
struct Scene {
    engine: Server,
    user: TestUser,
}

impl Scene {
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
            .with("SDBUILD_DEBIAN_MIRROR", format!("{NOBODY}/debian"))
            .with("http_proxy", NOBODY);
        Self { engine, user }
    }

    /// What was assembled is forgotten: a build would have to fetch, from nobody.
    fn with_an_empty_cache(self) -> Self {
        std::fs::remove_dir_all(self.user.home.path().join("cache")).unwrap();
        self
    }

    fn builds(&self, more: &[&str]) -> Outcome {
        run(&mut self.user.build(more))
    }

    /// The roles of the containers that it was asked for, in order.
    fn asked_for(&self) -> Vec<String> {
        let requests = self.engine.requests();
        let creations = requests.iter().filter_map(|request| {
            let name = request.strip_prefix("POST /containers/create?name=sdbuild-")?;
            Some(name.split('-').next().unwrap().to_owned())
        });
        creations.collect()
    }

    /// Nothing but questions.
    #[track_caller]
    fn was_only_asked(&self) {
        let requests = self.engine.requests();
        assert!(
            requests.iter().all(|r| r.starts_with("GET ")),
            "{requests:?}"
        );
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
            found.map_or_else(|| refused(404, "no such image"), |d| ok(told(d)))
        }
        list if list.starts_with("GET /containers/json") => ok("[]"),
        list if list.starts_with("GET /volumes") => ok(r#"{"Volumes":[]}"#),
        create if create.contains("create?name=sdbuild-registrar-") => refused(500, registrar),
        create if create.contains("create?name=sdbuild-probe-") => refused(500, probe),
        _ => refused(404, "no such thing"),
    }
}

#[test]
fn auto_goes_on_when_a_way_is_barred_until_none_is_left() {
    let scene = Scene::new(SOUND);
    let said = scene.builds(&[]).assert_exit_code(3);
    // The probe's container is refused before anything about private emulation can be.
    said.assert_stderr_contains(&["Mounts denied", PRIVATE, "error: start the registrar"]);

    let scene = Scene::new(Machine {
        refusals: (DENIED, NO_PROFILE),
        ..SOUND
    });
    scene
        .builds(&[])
        .assert_exit_code(3)
        .assert_stderr_contains(&[PRIVATE, HOST]);
    assert_eq!(scene.asked_for(), ["registrar", "probe", "probe"]);

    let scene = Scene::new(SOUND);
    let said = scene
        .builds(&["--emulation", "register"])
        .assert_exit_code(3);
    assert!(!said.stderr.contains("going on"), "{}", said.stderr);
    assert_eq!(scene.asked_for(), ["registrar"], "as asked for");
}

/// The run went on to private emulation, which needs room as well, and has the wider surface.
#[test]
fn a_full_disk_is_no_reason_for_another_way() {
    for refusal in [FULL, "no such image", "the daemon is shutting down"] {
        let scene = Scene::new(Machine {
            refusals: (refusal, NO_PROFILE),
            ..SOUND
        });
        let said = scene
            .builds(&[])
            .assert_exit_code(3)
            .assert_stderr_contains(&[refusal]);
        assert!(!said.stderr.contains("going on"), "{}", said.stderr);
        assert_eq!(scene.asked_for(), ["registrar"]);
    }
}

/// It ended there, although a handler may be there.
#[test]
fn auto_leaves_private_emulation_out_for_a_builder_of_roots() {
    let of_roots = "private emulation is not for a builder image that runs as root";
    for (info, ways) in [
        (PC, &["registrar", "probe"][..]),
        (ROOTLESS, &["probe"][..]),
    ] {
        let scene = Scene::new(Machine { info, ..SOUND });
        let said = scene
            .builds(&["--builder-image", "builder:1"])
            .assert_exit_code(3);
        let said = said.assert_stderr_contains(&[of_roots, HOST]);
        assert_eq!(scene.asked_for(), ways);
        let hints = said.stderr.lines().filter(|l| l.starts_with("hint: "));
        let hints: Vec<_> = hints.filter(|l| l.contains("--emulation")).collect();
        assert!(hints.is_empty(), "it has tried: {hints:?}");
    }
}

#[test]
fn private_emulation_for_a_builder_of_roots_is_refused_before_anything_is_done() {
    let refused = |scene: &Scene, image: &str| {
        let words = ["--emulation", "private", "--builder-image", image];
        let said = scene.builds(&words).assert_exit_code(2);
        said.assert_stderr_contains(&[
            "private emulation is not for a builder image that runs as root",
            "hint: give an image whose USER is another one",
            "hint: or omit --emulation",
        ]);
    };
    let scene = Scene::new(SOUND).with_an_empty_cache();
    refused(&scene, "builder:1");
    scene.was_only_asked();
    // Whose one is to be pulled is known after that.
    refused(&scene, "builder:2");
    let requests = scene.engine.requests();
    let others: Vec<_> = requests.iter().filter(|r| !r.starts_with("GET ")).collect();
    assert_eq!(others.len(), 1, "{others:?}");
    assert!(others[0].starts_with("POST /images/create?"), "{others:?}");
}

#[test]
fn a_builder_image_of_another_machine_is_refused_before_anything_is_done() {
    let scene = Scene::new(Machine {
        builder: OF_ARM,
        ..SOUND
    })
    .with_an_empty_cache();
    let said = scene
        .builds(&["--builder-image", "builder:1"])
        .assert_exit_code(2);
    said.assert_stderr_contains(&[
        "the builder image builder:1 is for aarch64, the engine's machine is x86_64",
        "hint: pull it for that machine: `docker --host tcp://",
        " pull --platform linux/amd64 builder:1`",
    ]);
    scene.was_only_asked();
}

#[test]
fn what_the_machine_runs_itself_is_built_natively_whatever_the_settings_say() {
    let scene = Scene::new(Machine { info: PI, ..SOUND });
    for mode in ["register", "private", "host"] {
        let told = scene
            .builds(&["--dry-run=plan", "--emulation", mode])
            .assert_exit_code(0);
        let notice = format!(
            "emulation `{mode}` is not needed: the engine's machine runs aarch64-linux itself"
        );
        let told = told.assert_stderr_contains(&[&notice]);
        let native = "emulation      none: the engine's machine runs aarch64 itself";
        assert!(told.stdout.contains(native), "{}", told.stdout);
    }
    let auto = scene.builds(&["--dry-run=plan"]).assert_exit_code(0);
    assert!(!auto.stderr.contains("not needed"), "{}", auto.stderr);
}

/// A privileged container was started to look at an empty table.
#[test]
fn a_look_at_an_unmounted_table_starts_nothing_privileged() {
    let scene = Scene::new(Machine {
        refusals: (UNMOUNTED, NO_FORMAT),
        ..SOUND
    });
    for words in [&["clean", "--dry-run"][..], &["status"]] {
        let before = scene.asked_for().len();
        let said = run(&mut scene.user.sdbuild(words)).assert_exit_code(0);
        assert!(!said.stderr.contains("warning"), "{}", said.stderr);
        assert!(!said.stdout.contains("handler "), "{}", said.stdout);
        assert_eq!(scene.asked_for().len() - before, 1, "{words:?}");
    }
}

#[test]
fn nobody_is_asked_for_the_table_of_a_rootless_engine() {
    let scene = Scene::new(Machine {
        info: ROOTLESS,
        ..SOUND
    });
    run(&mut scene.user.sdbuild(&["clean", "--dry-run"])).assert_exit_code(0);
    let status = run(&mut scene.user.sdbuild(&["status"])).assert_exit_code(0);
    assert!(status.stdout.contains("not visible"), "{}", status.stdout);
    scene.was_only_asked();
}
