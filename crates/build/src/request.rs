//! What a run is asked to do, as plain values. The program resolves them from flags, variables and files; nothing here reads the
//! environment.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, fs};

use jiff::Timestamp;

use crate::build_mode::{EmulationChoice, Glue, Product};
use crate::output::ImagerUrl;
use crate::remote_builder::RemoteBuilder;
use crate::series::Series;
use sdbuild_core::compression::CompressionOptions;
use sdbuild_core::loopback::is_loopback;
use sdbuild_core::system::System;
use sdbuild_engine::ssh_machine::SshMachine;
use sdbuild_image::board::BoardName;
use sdbuild_image::image_format::Format;
use sdbuild_nix::flake_ref::FlakeRef;

/// The engine, the directories and the network of a run.
#[derive(Clone, Debug)]
pub struct Common {
    /// The rented machine whose engine is used in place of the user's own; the run that rents it sets it.
    pub machine: Option<SshMachine>,
    /// `DOCKER_HOST`.
    pub docker_host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub docker_context: Option<String>,
    /// Docker's configuration directory.
    pub docker_config: PathBuf,
    /// `DOCKER_TLS_VERIFY`.
    pub docker_tls_verify: bool,
    /// `DOCKER_CERT_PATH`.
    pub docker_cert_path: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
    /// The user's home directory.
    pub home: Option<PathBuf>,
    /// sdbuild's cache directory.
    pub cache_dir: PathBuf,
    /// Name of the volume for the builder's `/nix`.
    pub store: String,
    /// sdbuild's state directory, for logs and run locks.
    pub state_dir: PathBuf,
    /// Debian mirrors, in the order in which they are tried.
    pub mirrors: Vec<String>,
    /// Time without data after which a download is aborted.
    pub stall_timeout: Duration,
    /// Whether nothing is fetched, and the builder has no network.
    pub offline: bool,
    /// The proxies for downloads.
    pub proxies: Proxies,
    /// File with certificate authorities to trust in addition to the usual ones.
    pub ca_file: Option<PathBuf>,
    /// Base URL of the release channels.
    pub channels: String,
    /// A directory with package locks that replace the built-in ones.
    pub locks: Option<PathBuf>,
}

impl Common {
    /// The same with the store volume `name`.
    #[must_use]
    pub fn with_store(&self, name: String) -> Self {
        Self {
            store: name,
            ..self.clone()
        }
    }
}

/// Everything that a build depends on.
#[derive(Clone, Debug)]
pub struct BuildRequest {
    /// The engine, the directories and the network.
    pub common: Common,
    /// What is built.
    pub source: SourceRequest,
    /// What it is built for, and how.
    pub target: Target,
    /// How much is done at a time, and where else than on the engine.
    pub resources: ResourceLimits,
    /// The binary caches.
    pub caches: Caches,
    /// Where the image goes.
    pub output: Output,
    /// What the user can be asked; set by commands that ask, if there is a terminal.
    pub questions: Questions,
    /// The builds that this is one of; set by commands that build several.
    pub series: Option<Series>,
}

/// The configuration, what the command line adds to it, and the nixpkgs for it.
#[derive(Clone, Debug)]
pub struct SourceRequest {
    /// The configuration, absolute.
    pub choice: SourceChoice,
    /// The directory that is uploaded with a module file, if it is not the file's own; absolute.
    pub root: Option<PathBuf>,
    /// Inputs of the flake, and the flakes that replace them.
    pub override_inputs: Vec<(String, FlakeRef)>,
    /// Inputs of the flake that the user's own git fetches although the builder could ask for them; `self` is the flake.
    pub git_inputs: Vec<String>,
    /// Whether the user names them, by a flag or in settings of their own, and not the settings of a project.
    pub names_git_inputs: bool,
    /// The attributes of other configurations of the flake that are built next: what evaluates this one evaluates them too.
    pub next: Vec<Vec<String>>,
    /// Directory, URL or release.
    pub nixpkgs: String,
    /// Where that is set, as a hint for a failure about it.
    pub nixpkgs_origin: Option<String>,
    /// Whether the nixpkgs that was resolved is written to `sdbuild.lock`.
    pub writes_lock: bool,
    /// The line of a public key that root accepts.
    pub ssh_key: Option<String>,
    /// Host name that replaces the configuration's.
    pub host_name: Option<String>,
    /// `OPTION=VALUE` pairs that are added to the configuration.
    pub set: Vec<String>,
    /// Directories to look for programs in, as in `PATH`.
    pub path: OsString,
}

/// The configuration that is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceChoice {
    /// A module file, absolute.
    Config(PathBuf),
    /// A flake.
    Flake {
        /// The reference; its path is absolute.
        reference: FlakeRef,
        /// Whether the user named nothing, and the current directory has a flake and no module file.
        found: bool,
    },
}

impl SourceChoice {
    /// Whether it is a file that only its owner may read, as `init` writes it when there is a key of a network in it.
    pub fn is_private(&self) -> bool {
        match self {
            Self::Config(path) => {
                let of_others = 0o077;
                fs::metadata(path).is_ok_and(|found| found.permissions().mode() & of_others == 0)
            }
            // What git tracks is for all who may clone it.
            Self::Flake { .. } => false,
        }
    }
}

/// The image, and how the programs that build it run.
#[derive(Clone, Debug)]
pub struct Target {
    /// System of the image.
    pub system: System,
    /// The format of the image.
    pub format: Format,
    /// Whether no flag or setting names the format: the configuration may make another image then.
    pub is_default_format: bool,
    /// The board that the image is for, if it is for one in particular.
    pub board: Option<BoardName>,
    /// Requested emulation.
    pub emulation: EmulationChoice,
    /// What builds the glue.
    pub glue: Glue,
    /// What is built of the configuration.
    pub product: Product,
}

/// How much is done at a time; `None` for what the engine's machine has room for.
#[derive(Clone, Debug)]
pub struct ResourceLimits {
    /// The kind of the rented machine that the build runs on.
    pub rented: Option<String>,
    /// The machines that Nix sends derivations to.
    pub builders: Builders,
    /// The user's builder image, if it is not sdbuild's own.
    pub builder_image: Option<String>,
    /// Cores for each derivation, 0 for all.
    pub cores: Option<u32>,
    /// Derivations that are built in parallel.
    pub jobs: Option<u32>,
    /// Parallel connections to binary caches.
    pub connections: Option<u32>,
    /// Memory limit of the builder in bytes.
    pub memory: Option<u64>,
}

/// The machines that Nix sends derivations to, and what it takes to log in there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Builders {
    /// The machines; may be empty.
    pub machines: Vec<RemoteBuilder>,
    /// The private key for those whose line names none, absolute.
    pub key: Option<PathBuf>,
    /// The key that is used when none is named and the file exists, absolute.
    pub default_key: Option<PathBuf>,
    /// Files with host keys that the user trusts; each may be missing.
    pub known_hosts: Vec<PathBuf>,
}

/// Binary caches, the keys that sign them, and what else it takes to use them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caches {
    /// Their URLs, without user names and passwords, each once; may be empty.
    pub substituters: Vec<String>,
    /// Trusted public keys.
    pub trusted_public_keys: Vec<String>,
    /// Whether to build what a cache has but fails to deliver.
    pub fallback: bool,
    /// File with user names and passwords for caches, absolute.
    pub netrc_file: Option<PathBuf>,
    /// Whether the binary caches that a flake names are used; `None`: those that the user accepts when asked.
    pub accept_flake_caches: Option<bool>,
}

/// Where the image goes, and in which form.
#[derive(Clone, Debug)]
pub struct Output {
    /// The output directory, absolute.
    pub dir: PathBuf,
    /// Whether to replace an image of the same name.
    pub force: bool,
    /// Compression of the image.
    pub compress: CompressionOptions,
    /// Whether to write a list for Raspberry Pi Imager, and where the image will be published.
    pub imager: Option<ImagerUrl>,
    /// The time of the build, in place of the current time.
    pub source_date_epoch: Option<Timestamp>,
    /// Whether the image is booted when it is complete.
    pub is_booted: bool,
    /// User and group to give the image to, if not those of this process.
    pub owner: Option<(u32, u32)>,
}

/// Questions that the user can be asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Questions {
    /// Whether the binary caches that a flake names are used.
    pub caches: bool,
    /// Whether the image may replace a file that is in its way.
    pub replacing: bool,
}

/// Proxies for downloads; their addresses may contain passwords.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// `http_proxy` or `HTTP_PROXY`.
    pub http: Option<String>,
    /// `https_proxy` or `HTTPS_PROXY`.
    pub https: Option<String>,
    /// `all_proxy` or `ALL_PROXY`: where neither of the others is set.
    pub all: Option<String>,
    /// `no_proxy` or `NO_PROXY`: the hosts that are reached without a proxy.
    pub none: Option<String>,
}

impl Proxies {
    /// Reads the environment through `get`. A name in lower case comes first, as for curl.
    pub fn from(get: impl Fn(&str) -> Option<String>) -> Self {
        let either = |name: &str| get(name).or_else(|| get(&name.to_ascii_uppercase()));
        Self {
            http: either("http_proxy"),
            https: either("https_proxy"),
            all: either("all_proxy"),
            none: either("no_proxy"),
        }
    }

    /// The proxies that only this machine reaches, without passwords, each once.
    pub fn loopback(&self) -> Vec<String> {
        let all = [&self.http, &self.https, &self.all].into_iter().flatten();
        let mut found: Vec<String> = Vec::new();
        for proxy in all
            .filter(|proxy| is_loopback(proxy))
            .map(|proxy| bare(proxy))
        {
            if !found.contains(&proxy) {
                found.push(proxy);
            }
        }
        found
    }

    /// The variables for a container, each in both spellings: without the proxies that only this machine reaches, and none at all
    /// without a proxy.
    pub fn variables(&self) -> Vec<(String, String)> {
        let proxies = [
            ("http_proxy", &self.http),
            ("https_proxy", &self.https),
            ("all_proxy", &self.all),
        ];
        let reached = |(name, proxy): (&'static str, &Option<String>)| {
            let proxy = proxy.clone().filter(|proxy| !is_loopback(proxy))?;
            Some((name, proxy))
        };
        let mut found: Vec<_> = proxies.into_iter().filter_map(reached).collect();
        if !found.is_empty() {
            found.extend(self.none.clone().map(|none| ("no_proxy", none)));
        }
        let both = |(name, value): (&str, String)| {
            [
                (name.to_ascii_uppercase(), value.clone()),
                (name.to_owned(), value),
            ]
        };
        found.into_iter().flat_map(both).collect()
    }
}

/// The address of a proxy without user name and password.
fn bare(proxy: &str) -> String {
    match (proxy.split_once("://"), proxy.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        (None, Some((_, host))) => host.to_owned(),
        (_, None) => proxy.to_owned(),
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proxies")
    }
}

#[cfg(test)]
pub(crate) mod fixture {
    use super::*;

    /// A run of a user whose home directory is `home`.
    pub(crate) fn common(home: &std::path::Path) -> Common {
        Common {
            machine: None,
            docker_host: None,
            docker_context: None,
            docker_config: home.join(".docker"),
            docker_tls_verify: false,
            docker_cert_path: None,
            runtime_dir: None,
            home: Some(home.to_owned()),
            cache_dir: home.join(".cache/sdbuild"),
            store: "sdbuild-store".to_owned(),
            state_dir: home.join(".local/state/sdbuild"),
            mirrors: vec!["http://deb.debian.org/debian".to_owned()],
            stall_timeout: Duration::from_secs(20),
            offline: false,
            proxies: Proxies::default(),
            ca_file: None,
            channels: "https://channels.nixos.org".to_owned(),
            locks: None,
        }
    }

    /// A build without flags, variables and files.
    pub(crate) fn request() -> BuildRequest {
        let home = std::env::temp_dir();
        let format = Format::default();
        BuildRequest {
            common: common(&home),
            source: SourceRequest {
                choice: SourceChoice::Config(home.join("sd-card.nix")),
                root: None,
                override_inputs: Vec::new(),
                next: Vec::new(),
                git_inputs: Vec::new(),
                names_git_inputs: false,
                nixpkgs: "26.05".to_owned(),
                nixpkgs_origin: None,
                writes_lock: true,
                ssh_key: None,
                host_name: None,
                set: Vec::new(),
                path: OsString::new(),
            },
            target: Target {
                system: System::default(),
                board: None,
                emulation: EmulationChoice::default(),
                glue: Glue::default(),
                product: Product::default(),
                format: format.clone(),
                is_default_format: true,
            },
            resources: ResourceLimits {
                rented: None,
                builders: Builders::default(),
                builder_image: None,
                cores: None,
                jobs: None,
                connections: None,
                memory: None,
            },
            caches: Caches::default(),
            output: Output {
                dir: home,
                force: false,
                compress: format.default_compression(),
                imager: None,
                source_date_epoch: None,
                is_booted: false,
                owner: None,
            },
            questions: Questions::default(),
            series: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_its_owner_may_read_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sd-card.nix");
        let source = SourceChoice::Config(path.clone());
        assert!(!source.is_private(), "there is no such file");
        fs::write(&path, "").unwrap();
        for (mode, is_private) in [(0o600, true), (0o644, false), (0o640, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(source.is_private(), is_private, "{mode:o}");
        }
    }
}

#[cfg(test)]
mod proxies_tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        Proxies::from(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn both_spellings_are_read_and_written() {
        let all = proxies(&[
            ("HTTP_PROXY", "http://upper:1"),
            ("http_proxy", "http://me:secret@lower:1"),
            ("NO_PROXY", "a.example"),
        ]);
        let expected = [
            ("HTTP_PROXY", "http://me:secret@lower:1"),
            ("http_proxy", "http://me:secret@lower:1"),
            ("NO_PROXY", "a.example"),
            ("no_proxy", "a.example"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(all.variables(), expected);
        assert!(!format!("{all:?}").contains("secret"));
        assert_eq!(proxies(&[("no_proxy", "x")]).variables(), []);
    }

    #[test]
    fn a_proxy_of_this_machine_is_not_passed_on() {
        for proxy in ["http://me:secret@127.0.0.1:3128", "localhost:3128"] {
            let all = proxies(&[("https_proxy", proxy), ("HTTPS_PROXY", "x")]);
            assert_eq!(all.variables(), [], "{proxy}");
            let shown = all.loopback();
            assert_eq!(shown.len(), 1, "{shown:?}");
            assert!(!shown[0].contains("secret"), "{shown:?}");
        }
        let several = proxies(&[
            ("http_proxy", "http://localhost:1"),
            ("https_proxy", "http://localhost:2"),
            ("all_proxy", "http://localhost:1"),
        ]);
        let shown = ["http://localhost:1", "http://localhost:2"];
        assert_eq!(several.loopback(), shown, "each once");
        assert_eq!(
            proxies(&[("all_proxy", "http://10.0.0.1:1")]).loopback(),
            [""; 0]
        );
    }
}
