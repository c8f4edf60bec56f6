//! What all runs of one worker share: container images under tags of their own, a cache that knows them, and engines that
//! may be killed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use sdbuild_core::system::Architecture;
use sdbuild_engine::artifact::Cache;
use sdbuild_engine::oci::Definition;

use super::live_run::{End, LiveRun, StreamTarget};
use super::mirror::Package;
use super::workload::{self, Workload};
use crate::support::*;

/// The directory of the project's lock files, or of the renewed ones.
fn locks() -> PathBuf {
    std::env::var_os("SDBUILD_LOCKS").map_or_else(|| root().join("containers"), PathBuf::from)
}

/// The lock file `text`, changed so that it means the same under another digest: faults in the images made from it affect
/// no other worker.
fn with_other_digest(text: &str, by: usize) -> String {
    let mut lock: serde_json::Value = serde_json::from_str(text).unwrap();
    if let Some(contents) = lock.get_mut("contents").and_then(|c| c.as_array_mut()) {
        let again = contents[0].clone();
        contents.extend(std::iter::repeat_n(again, by));
    } else {
        // Two packages under each other's name: only the order of names is checked.
        let packages = lock["packages"].as_array_mut().unwrap();
        let at = packages.len() - 1 - by;
        packages.swap(at, at - 1);
        let name = packages[at]["name"].take();
        packages[at]["name"] = packages[at - 1]["name"].take();
        packages[at - 1]["name"] = name;
    }
    lock.to_string()
}

/// Builds once, so that the store, the engine and the cache hold what a run without a fault needs.
pub fn warm_up(user: &TestUser) -> Outcome {
    user.build_of(&workload::configuration(Workload::Emulated, 0), &[]).assert_exit_code(0)
}

/// The packages of the container images on this machine.
pub fn packages() -> Vec<Package> {
    let mut all = Vec::new();
    for name in ["registrar", "builder"] {
        let text = std::fs::read_to_string(locks().join(name).join("amd64.lock.json")).unwrap();
        let lock: serde_json::Value = serde_json::from_str(&text).unwrap();
        all.extend(lock["packages"].as_array().unwrap().iter().map(|p| Package {
            path: p["path"].as_str().unwrap().to_owned(),
            sha256: p["sha256"].as_str().unwrap().to_owned(),
            size: p["size"].as_u64().unwrap(),
        }));
    }
    all
}

/// The registrar's and the builder's image of this machine, by the lock files in `locks`.
fn definitions(locks: &Path) -> [Definition; 2] {
    let architecture = match std::env::consts::ARCH {
        "aarch64" => Architecture::Aarch64,
        _ => Architecture::X86_64,
    };
    let locks = Some(locks);
    [
        Definition::registrar(architecture, locks).unwrap(),
        Definition::builder(architecture, locks).unwrap(),
    ]
}

/// The shared cache of the tests, full after the first build.
pub fn shared_objects() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache/sdbuild/sha256")
}

/// The objects of one worker.
pub struct Fixture {
    dir: tempfile::TempDir,
    /// Present during a run that needs one.
    pub engines: [Option<OwnEngine>; 2],
}

impl Fixture {
    /// After [`warm_up`], so that the store and the engine hold what a run without a fault needs.
    pub fn new(number: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let fixture = Self { dir, engines: [None, None] };
        for name in ["registrar", "builder"] {
            for architecture in ["amd64", "arm64"] {
                let file = format!("{name}/{architecture}.lock.json");
                let text = std::fs::read_to_string(locks().join(&file)).unwrap();
                let text = with_other_digest(&text, number + 1);
                let to = fixture.locks().join(file);
                std::fs::create_dir_all(to.parent().unwrap()).unwrap();
                std::fs::write(to, text).unwrap();
            }
        }
        copy_cache(&shared_objects().join("../.."), &fixture.cache());
        fixture.name_images();
        fixture
    }

    /// Gives the engine's images the names of this worker's, as if they had been assembled: they have the same files, and
    /// assembling them again for each worker takes seconds. What removes them has them assembled.
    fn name_images(&self) {
        let cache = Cache::open(self.cache().join("sdbuild")).unwrap();
        let [theirs, own] = [locks(), self.locks()].map(|locks| definitions(&locks));
        for (theirs, own) in theirs.into_iter().zip(own) {
            let note = |definition: &Definition| format!("image-{}", definition.digest());
            let layers = cache.note(&note(&theirs)).unwrap();
            cache.set_note(&note(&own), &layers).unwrap();
            let labels = own.labels().map(|(key, value)| format!("{key}={value}"));
            let text = format!("FROM {}\nLABEL {}\n", theirs.reference(), labels.join(" "));
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("Dockerfile"), text).unwrap();
            let mut build = Command::new("docker");
            // Docker's clients do not have the newer builder by themselves.
            build.env("DOCKER_BUILDKIT", "0").args(["build", "--quiet"]);
            run(build.arg("--tag").arg(own.reference()).arg(dir.path())).assert_exit_code(0);
        }
    }

    fn locks(&self) -> PathBuf {
        self.dir.path().join("locks")
    }

    pub fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    /// A user with these images and a cache of their own that knows them.
    pub fn user(&self) -> TestUser {
        let user = TestUser::new().with("SDBUILD_LOCKS", self.locks().to_str().unwrap());
        let cache = user.state.path().join("cache");
        if self.cache().exists() {
            copy_cache(&self.cache(), &cache);
        }
        user.with("XDG_CACHE_HOME", cache.to_str().unwrap())
    }

    /// The tags of the images.
    pub fn tags(&self) -> Vec<String> {
        let notes = |cache: &Path| -> BTreeSet<String> {
            file_names(&cache.join("sdbuild/notes")).into_iter().collect()
        };
        let shared = notes(&shared_objects().join("../.."));
        let own = notes(&self.cache());
        let digests = own.difference(&shared).filter_map(|n| n.strip_prefix("image-"));
        digests
            .flat_map(|digest| {
                ["registrar", "builder"].map(|role| format!("sdbuild/{role}:{}", &digest[..12]))
            })
            .collect()
    }

    /// Removes the images from the machine's engine.
    pub fn remove_images(&self) {
        for tag in self.tags() {
            let id = run(Command::new("docker").args(["image", "inspect", "-f", "{{.Id}}", &tag]));
            if id.code == Some(0) {
                // An image that a container uses loses only its name.
                run(Command::new("docker").args(["rmi", "--force", &tag]));
                run(Command::new("docker").args(["rmi", "--force", id.stdout.trim()]));
            }
        }
    }

    /// The engine that may be killed; with `lasting` its containers run on without it.
    pub fn engine(&mut self, lasting: bool) -> &mut OwnEngine {
        let index = usize::from(lasting);
        if self.engines[index].is_none() {
            let more: &[&str] = if lasting { &["--live-restore"] } else { &[] };
            let engine = OwnEngine::start_with(more);
            let user = TestUser::new().with("DOCKER_HOST", engine.host());
            user.build_of(&workload::configuration(Workload::Offline, 0), &[]).assert_exit_code(0);
            self.engines[index] = Some(engine);
        }
        self.engines[index].as_mut().unwrap()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.remove_images();
    }
}

/// Copies a cache by hard links, but for partial downloads: those are written in place.
pub fn copy_cache(from: &Path, to: &Path) {
    let mut copy = Command::new("cp");
    copy.args(["-a", "--link"]).arg(from).arg(to);
    assert!(copy.status().unwrap().success());
    let objects = to.join("sdbuild/sha256");
    // An object's name is a SHA-256 in hex.
    for name in file_names(&objects).iter().filter(|name| name.len() != 64) {
        std::fs::remove_file(objects.join(name)).unwrap();
    }
}

/// A build without a fault that downloads a few packages and assembles both images, for the durations of its phases.
pub fn build_without_fault(user: &TestUser) -> LiveRun {
    user.write("sd-card.nix", &workload::configuration(Workload::Emulated, 1));
    let mut live = LiveRun::start(
        &mut user.build(&["-v"]),
        user.state.path(),
        [StreamTarget::Harness, StreamTarget::Harness],
    );
    let end = live.wait(super::fault_kinds::HANG_LIMIT);
    let ended_well = matches!(end, Some((End::Code(0), _)));
    assert!(ended_well, "{end:?}: {}", live.stderr());
    live
}
