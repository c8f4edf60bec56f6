//! What one run finds when it starts: a user, a job, a cache, disks, a mirror.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::Campaign;
use super::fault_kinds::{Fault, FaultKind};
use super::fixture::{Fixture, copy_cache, shared_objects};
use super::mirror::{Behavior, Mirror, Package};
use super::phases::{ALL, Phase};
use super::private;
use super::workload::{self, COMPRESSED, IMAGE, Workload};
use crate::support::*;

/// The text of what was in the output directory before.
pub const PRECIOUS: &str = "precious";

/// What a seed decides before the run starts.
pub struct Setup {
    pub seed: u64,
    pub kind: &'static FaultKind,
    pub phase: Phase,
    /// How far into the phase.
    pub fraction: f64,
    pub user: TestUser,
    pub needs_downloads: bool,
    /// An image of the same name is there already, and `--force` is given.
    pub replaces: bool,
    pub rng: fastrand::Rng,
    pub mirror: Option<Mirror>,
    pub disk: Option<SmallDisk>,
    /// A store volume of its own, to be removed.
    pub store: Option<String>,
    /// Long waits are as short as they can be.
    brief: bool,
    /// The name that the image gets.
    pub image: &'static str,
    pub damage: Damage,
    /// The objects that the container images are made of.
    needed: Vec<String>,
    /// What the run was, in a word or two more than its kind.
    pub variant: String,
}

impl Setup {
    /// Everything that is random about run `seed` is drawn here or from `rng` later on.
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
            // Engines of the harness's own hold the durations images.
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
        // An engine of its own has no network that a phase of these could use.
        if self.kind.fault.needs_own_engine() && self.phase.needs_downloads() {
            self.phase = ALL[self.rng.usize(4..ALL.len())];
        }
        let out = self.user.out();
        fs::write(out.join("other.img"), PRECIOUS).unwrap();
        if self.replaces {
            fs::write(out.join(self.image), PRECIOUS).unwrap();
        }
        let text = workload::configuration(self.job(), self.seed);
        self.user.write("sd-card.nix", &text);
        if self.needs_downloads {
            fixture.remove_images();
            self.lack(packages);
        }
    }

    /// What the run builds.
    pub fn job(&self) -> Workload {
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

    /// The builder has a handler of its own.
    pub fn is_private(&self) -> bool {
        private::is_drawn(self.kind, self.seed)
    }

    /// The arguments beyond those of every build; with `force` what is there is replaced.
    pub fn arguments(&self, force: bool) -> Vec<&'static str> {
        let force = force.then_some("--force");
        let private: &[_] = if self.is_private() {
            &["--emulation", "private"]
        } else {
            &[]
        };
        force.into_iter().chain(private.iter().copied()).collect()
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
        // A bind, not a volume of type tmpfs: that one forgets everything between two uses.
        // In a directory of its own: the engine fills only an empty one.
        let dir = dir.join("volume");
        fs::create_dir(&dir).unwrap();
        let device = format!("device={}", dir.display());
        let label = "dev.sdbuild.role=store";
        let words = [
            "volume",
            "create",
            "--label",
            label,
            "--opt",
            "type=none",
            "--opt",
            "o=bind",
        ];
        docker(&[&words[..], &["--opt", &device, &name]].concat());
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

    /// A few packages and both images are to be fetched and made.
    fn lack(&mut self, packages: &[Package]) {
        let behavior = match self.kind.fault {
            Fault::MirrorStalls => Behavior::Stalls(self.rng.usize(..200_000)),
            Fault::MirrorCuts => Behavior::Cuts(self.rng.usize(..200_000)),
            Fault::MirrorSlow => Behavior::Slow,
            Fault::MirrorWrong => Behavior::Wrong,
            _ => Behavior::Good,
        };
        let objects = self.cache().join("sha256");
        let mut some: Vec<&Package> = packages
            .iter()
            .filter(|p| (200_000..3_000_000).contains(&p.size))
            .collect();
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

    /// Takes the trouble away, so that the next build has none.
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
                self.make_it_short();
            }
            Fault::Stop => self.make_it_short(),
            Fault::CacheDamaged => {
                fs::set_permissions(self.cache().join("sha256"), Permissions::from_mode(0o755))
                    .unwrap();
                // What is damaged is replaced when it is needed: now all of it is.
                fixture.remove_images();
                drop(fs::remove_dir_all(self.cache().join("notes")));
            }
            _ => {}
        }
    }

    fn make_it_short(&self) {
        let text = workload::configuration(Workload::Emulated, self.seed);
        self.user.write("sd-card.nix", &text);
    }

    /// Somebody else with the same job, under a name of its own in the store.
    pub fn companion(&self, fixture: &Fixture) -> TestUser {
        let mut user = fixture.user();
        for name in [
            "SDBUILD_DEBIAN_MIRROR",
            "XDG_CACHE_HOME",
            "SDBUILD_COMPRESS",
        ] {
            let shares = name != "XDG_CACHE_HOME" || self.kind.fault == Fault::TwoFillACache;
            if let Some(value) = self.user.environment.get(name).filter(|_| shares) {
                user.environment.insert(name.to_owned(), value.clone());
            }
        }
        user.write(
            "sd-card.nix",
            &workload::configuration(self.job(), self.seed),
        );
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
            // Others have the same file by another name: it is never written to.
            fs::remove_file(&path).unwrap();
            match self.damage {
                Damage::Truncated => fs::write(&path, &bytes[..bytes.len() / 2]).unwrap(),
                Damage::OtherBytes => fs::write(&path, vec![7; bytes.len()]).unwrap(),
                Damage::IsAFolder => fs::create_dir(&path).unwrap(),
                Damage::Unreadable | Damage::Dir(_) => {
                    fs::write(&path, &bytes).unwrap();
                    fs::set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
                }
            }
        }
    }
}

/// What is wrong with a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    Truncated,
    OtherBytes,
    IsAFolder,
    /// Nobody may read the object.
    Unreadable,
    /// The mode of the directory of objects.
    Dir(u32),
}

impl Damage {
    const ALL: [Self; 6] = [
        Self::Truncated,
        Self::OtherBytes,
        Self::IsAFolder,
        Self::Unreadable,
        Self::Dir(0o555),
        Self::Dir(0),
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::OtherBytes => "other bytes",
            Self::IsAFolder => "a directory",
            Self::Unreadable => "unreadable",
            Self::Dir(0) => "no permission",
            Self::Dir(_) => "read-only",
        }
    }

    /// Root may do anything: it takes somebody whom modes bind.
    pub fn needs_a_user(self) -> bool {
        matches!(self, Self::Unreadable | Self::Dir(_))
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        if let Some(store) = &self.store {
            run(std::process::Command::new("docker").args(["volume", "rm", "--force", store]));
        }
        // Before the directory that it is mounted on goes.
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

/// Handlers that are nobody's of ours: what must be the same afterwards, byte for byte. Those of
/// other runs of the campaign come and go.
pub fn foreign_handlers(own: &str) -> BTreeMap<String, String> {
    let foreign = |name: &String| !name.starts_with("sdbuild-") && !name.starts_with("faults-");
    let all = handlers().into_iter();
    all.filter(|(name, _)| foreign(name) || name == own)
        .collect()
}
