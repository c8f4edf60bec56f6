//! What one run starts with: a user, a workload, a cache, disks, a mirror.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::Campaign;
use super::fault_kinds::{Fault, FaultKind};
use super::fixture::{Fixture, shared_objects};
use super::mirror::{Behavior, Mirror, Package};
use super::phases::{ALL, Phase};
use super::private;
use super::workload::{self, COMPRESSED, IMAGE, Workload};
use crate::disk::create_store_volume;
use crate::support::*;

/// The content of files that were in the output directory before.
pub const PRECIOUS: &str = "precious";

/// What a seed determines before the run starts.
pub struct Setup {
    pub seed: u64,
    pub kind: &'static FaultKind,
    pub phase: Phase,
    /// How far into the phase the fault is injected, from 0 to 1.
    pub fraction: f64,
    pub user: TestUser,
    pub needs_downloads: bool,
    /// Whether an image of the same name exists already, and `--force` is given.
    pub replaces: bool,
    pub rng: fastrand::Rng,
    pub mirror: Option<Mirror>,
    pub disk: Option<SmallDisk>,
    /// A store volume of this run alone, to be removed.
    pub store: Option<String>,
    /// Whether waits are only as long as the timeout that they wait for.
    brief: bool,
    /// The name that the image gets.
    pub image: &'static str,
    pub damage: Damage,
    /// The names of the cached objects that the container images are made of.
    needed: Vec<String>,
    /// A word or two about the run beyond its kind of fault.
    pub variant: String,
}

impl Setup {
    /// Draws everything that is random about run `seed`; what is drawn later comes from `rng`.
    pub fn draw(seed: u64, fixture: &mut Fixture, campaign: &Campaign) -> Self {
        let packages = &campaign.packages;
        let mut rng = fastrand::Rng::with_seed(seed);
        let kind = super::kind_of(seed);
        let phase = kind.phases[rng.usize(..kind.phases.len())];
        let mut setup = Self {
            seed,
            kind,
            phase,
            fraction: rng.f64(),
            // The harness's own engines hold the usual images.
            user: if kind.fault.needs_own_engine() {
                TestUser::new().with_own_cache()
            } else {
                fixture.user()
            },
            needs_downloads: false,
            replaces: rng.bool(),
            rng,
            mirror: None,
            disk: None,
            store: None,
            brief: campaign.brief,
            image: IMAGE,
            damage: Damage::Truncated,
            needed: packages.iter().map(|p| p.sha256.clone()).collect(),
            variant: String::new(),
        };
        setup.needs_downloads = !kind.fault.needs_own_engine()
            && kind.fault != Fault::StoreFull
            && (phase.needs_downloads() || kind.fault.needs_downloads());
        setup.prepare(fixture, packages);
        setup
    }

    fn prepare(&mut self, fixture: &mut Fixture, packages: &[Package]) {
        if self.rng.bool() {
            self.image = COMPRESSED;
            self.set_variable("SDBUILD_COMPRESS", "zstd".to_owned());
        }
        match self.kind.fault {
            Fault::Engine(_) | Fault::EngineStalls => {
                self.set_variable("DOCKER_HOST", fixture.engine(false).host());
            }
            Fault::LastingEngine => self.set_variable("DOCKER_HOST", fixture.engine(true).host()),
            Fault::OutputFull => self.disk = Some(SmallDisk::mount(&self.user.out(), "170m")),
            Fault::StoreFull => self.own_store(),
            Fault::CacheFull => self.cache_on_a_small_disk(),
            Fault::Memory => {
                self.user.write("sdbuild.toml", "memory-mib = 160\n");
            }
            Fault::CacheDamaged => self.damage = Damage::ALL[self.rng.usize(..Damage::ALL.len())],
            Fault::TwoFillACache => fs::remove_dir_all(self.cache()).unwrap(),
            _ => {}
        }
        // The harness's own engines have no network for these phases.
        if self.kind.fault.needs_own_engine() && self.phase.needs_downloads() {
            self.phase = ALL[self.rng.usize(4..ALL.len())];
        }
        let out = self.user.out();
        fs::write(out.join("other.img"), PRECIOUS).unwrap();
        if self.replaces {
            fs::write(out.join(self.image), PRECIOUS).unwrap();
        }
        let text = workload::configuration(self.workload(), self.seed);
        self.user.write("sd-card.nix", &text);
        if self.needs_downloads {
            fixture.remove_images();
            self.remove_downloads(packages);
        }
    }

    /// What the run builds.
    pub fn workload(&self) -> Workload {
        match self.kind.fault {
            Fault::Memory => Workload::Memory,
            Fault::Processes => Workload::Processes,
            // Longer than the registrar waits for a heartbeat.
            Fault::Stop if matches!(self.phase, Phase::Upload | Phase::Build) => Workload::Long,
            Fault::Registrar(_)
            | Fault::Builder(_)
            | Fault::BuilderPaused
            | Fault::DoubleKill { .. }
            | Fault::PrivateKill
            | Fault::HandlerRemoved => Workload::Held,
            Fault::Engine(_) | Fault::EngineStalls | Fault::LastingEngine | Fault::StoreFull => {
                Workload::Offline
            }
            _ => Workload::Emulated,
        }
    }

    /// Whether the run uses private emulation.
    pub fn is_private(&self) -> bool {
        private::is_drawn(self.kind, self.seed)
    }

    /// The arguments beyond those of every build; with `force` existing files are replaced. With `-v` each phase has a line at its
    /// end, however short it was.
    pub fn arguments(&self, force: bool) -> Vec<&'static str> {
        let force = force.then_some("--force");
        let private: &[_] = if self.is_private() { &["--emulation", "private"] } else { &[] };
        let all = ["-v"].into_iter().chain(force);
        all.chain(private.iter().copied()).collect()
    }

    pub fn cache(&self) -> PathBuf {
        PathBuf::from(&self.user.environment["XDG_CACHE_HOME"]).join("sdbuild")
    }

    pub fn set_variable(&mut self, name: &str, value: String) {
        self.user.environment.insert(name.to_owned(), value);
    }

    fn own_store(&mut self) {
        let name = format!("sdbuild-store-faults-{}", self.seed);
        let dir = self.user.state.path().join("store");
        self.disk = Some(SmallDisk::mount(&dir, "700m"));
        // In a directory of its own: the engine fills only an empty one.
        let dir = dir.join("volume");
        fs::create_dir(&dir).unwrap();
        create_store_volume(&name, &dir);
        self.set_variable("SDBUILD_STORE", name.clone());
        self.store = Some(name);
    }

    fn cache_on_a_small_disk(&mut self) {
        let dir = self.user.state.path().join("small");
        let small = SmallDisk::mount(&dir, "600m");
        let copy = |name: &str| {
            let to = dir.join("sdbuild").join(name);
            fs::create_dir_all(&to).unwrap();
            for file in file_names(&self.cache().join(name)) {
                fs::copy(self.cache().join(name).join(&file), to.join(&file)).unwrap();
            }
        };
        copy("sha256");
        copy("notes");
        self.set_variable("XDG_CACHE_HOME", dir.to_str().unwrap().to_owned());
        self.disk = Some(small);
    }

    /// Removes a few packages and both images, so that they have to be downloaded and assembled.
    fn remove_downloads(&mut self, packages: &[Package]) {
        let behavior = match self.kind.fault {
            Fault::MirrorStalls => Behavior::Stalls(self.rng.usize(..200_000)),
            Fault::MirrorCuts => Behavior::Cuts(self.rng.usize(..200_000)),
            Fault::MirrorSlow => Behavior::Slow,
            Fault::MirrorWrong => Behavior::Wrong,
            _ => Behavior::Good,
        };
        let objects = self.cache().join("sha256");
        let mut some: Vec<&Package> =
            packages.iter().filter(|p| (200_000..3_000_000).contains(&p.size)).collect();
        self.rng.shuffle(&mut some);
        for package in some.iter().take(3) {
            fs::remove_file(objects.join(&package.sha256)).unwrap_or(());
        }
        drop(fs::remove_dir_all(self.cache().join("notes")));
        if self.kind.fault == Fault::MirrorStalls && self.brief {
            self.set_variable("SDBUILD_STALL_TIMEOUT", "5".to_owned());
        }
        let mirror = Mirror::open(packages, &shared_objects(), behavior);
        self.set_variable("SDBUILD_DEBIAN_MIRROR", mirror.url());
        self.mirror = Some(mirror);
    }

    /// Removes the cause of the fault, so that the next build can succeed.
    pub fn repair(&mut self, fixture: &Fixture) {
        if let Some(mirror) = &self.mirror {
            mirror.behave(Behavior::Good);
        }
        if let Some(disk) = &self.disk {
            fs::remove_file(disk.path().join("ballast.img")).unwrap_or(());
        }
        match self.kind.fault {
            Fault::Memory => {
                fs::remove_file(self.user.home.path().join("sdbuild.toml")).unwrap();
                self.shorten_workload();
            }
            Fault::Stop => self.shorten_workload(),
            Fault::CacheDamaged => {
                fs::set_permissions(self.cache().join("sha256"), Permissions::from_mode(0o755))
                    .unwrap();
                // A damaged object is replaced when it is needed: now all objects are.
                fixture.remove_images();
                drop(fs::remove_dir_all(self.cache().join("notes")));
            }
            _ => {}
        }
    }

    fn shorten_workload(&self) {
        let text = workload::configuration(Workload::Emulated, self.seed);
        self.user.write("sd-card.nix", &text);
    }

    /// Another user with the same workload, as another derivation.
    pub fn companion(&self, fixture: &Fixture) -> TestUser {
        let mut user = fixture.user();
        for name in ["SDBUILD_DEBIAN_MIRROR", "XDG_CACHE_HOME", "SDBUILD_COMPRESS"] {
            let shares = name != "XDG_CACHE_HOME" || self.kind.fault == Fault::TwoFillACache;
            if let Some(value) = self.user.environment.get(name).filter(|_| shares) {
                user.environment.insert(name.to_owned(), value.clone());
            }
        }
        user.write("sd-card.nix", &workload::configuration(self.workload(), self.seed));
        user
    }

    /// Damages the cache, or three objects of it that an image needs.
    pub fn damage_cache(&mut self) {
        self.variant.push_str(self.damage.word());
        let objects = self.cache().join("sha256");
        if let Damage::Dir(mode) = self.damage {
            fs::set_permissions(&objects, Permissions::from_mode(mode)).unwrap();
            return;
        }
        let mut needed = self.needed.clone();
        self.rng.shuffle(&mut needed);
        let paths = needed.iter().map(|name| objects.join(name));
        for path in paths.filter(|path| path.exists()).take(3) {
            let bytes = fs::read(&path).unwrap_or_default();
            // Other caches have hard links to the same file: it must not be written to.
            fs::remove_file(&path).unwrap();
            match self.damage {
                Damage::Truncated => fs::write(&path, &bytes[..bytes.len() / 2]).unwrap(),
                Damage::OtherBytes => fs::write(&path, vec![7; bytes.len()]).unwrap(),
                Damage::IsADirectory => fs::create_dir(&path).unwrap(),
                Damage::Unreadable | Damage::Dir(_) => {
                    fs::write(&path, &bytes).unwrap();
                    fs::set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
                }
            }
        }
    }
}

/// How a cache is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    Truncated,
    OtherBytes,
    IsADirectory,
    /// An object without permission to read it.
    Unreadable,
    /// The mode of the directory of objects.
    Dir(u32),
}

impl Damage {
    const ALL: [Self; 6] = [
        Self::Truncated,
        Self::OtherBytes,
        Self::IsADirectory,
        Self::Unreadable,
        Self::Dir(0o555),
        Self::Dir(0),
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::OtherBytes => "other bytes",
            Self::IsADirectory => "a directory",
            Self::Unreadable => "unreadable",
            Self::Dir(0) => "no permission",
            Self::Dir(_) => "read-only",
        }
    }

    /// Whether the damage is a matter of permissions, which root must not be able to ignore.
    pub fn is_a_permission(self) -> bool {
        matches!(self, Self::Unreadable | Self::Dir(_))
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        if let Some(store) = &self.store {
            remove_volume(store);
        }
        // Unmounted before its directory is removed.
        self.disk = None;
    }
}

/// Fills the disk below `dir` to its last byte.
pub fn fill(dir: &Path) {
    use std::io::Write as _;
    let mut ballast = fs::File::create(dir.join("ballast.img")).unwrap();
    for size in [1 << 20, 4096, 1] {
        let piece = vec![0; size];
        while ballast.write_all(&piece).is_ok() {}
    }
}

/// Handlers that are not sdbuild's, which must stay the same byte for byte. Those that the faults of other runs register come
/// and go.
pub fn foreign_handlers(own: &str) -> BTreeMap<String, String> {
    let foreign = |name: &String| !name.starts_with("sdbuild-") && !name.starts_with("faults-");
    let all = handlers().into_iter();
    all.filter(|(name, _)| foreign(name) || name == own).collect()
}
