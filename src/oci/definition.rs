//! What a container image is made of: a lock, and the few things that we add.
//!
//! Its digest names it. Two definitions with one digest give the same bytes; whoever changes what
//! the assembly makes of a definition raises [`FORMAT`].

use std::borrow::Cow;
use std::path::Path;
use std::str::FromStr;

use serde::Serialize;

use crate::artifact::{Lock, Sha256Hash};
use crate::engine::Role;
use crate::engine::labels::{DEFINITION, ROLE};
use crate::failure::{Failure, OrFail};
use crate::plain_file;

/// Raised with every change of what the assembly makes of the same definition.
pub(super) const FORMAT: u32 = 1;

/// A lock names some hundred packages, each in a few hundred bytes.
const LONGEST_LOCK: u64 = 4 << 20;

/// The user that builds.
pub const BUILD_USER: u32 = 1000;

/// Whose programs are in a container image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// 64-bit PC.
    Amd64,
    /// 64-bit ARM.
    Arm64,
}

impl Architecture {
    /// Debian's and Docker's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

impl FromStr for Architecture {
    type Err = Failure;

    fn from_str(name: &str) -> Result<Self, Failure> {
        match name {
            "amd64" | "x86_64" => Ok(Self::Amd64),
            "arm64" | "aarch64" => Ok(Self::Arm64),
            other => Err(Failure::environment(format_args!(
                "there are no container images for hosts of architecture {other}"
            ))
            .hint("use an engine on an x86_64 or aarch64 host")),
        }
    }
}

/// Something that the assembly adds to what comes out of packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extra {
    /// Where, without a leading slash.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// User and group alike.
    pub owner: u32,
    /// What.
    pub content: ExtraContent,
}

/// What an [`Extra`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtraContent {
    /// A folder.
    Folder,
    /// A file with these bytes.
    File(Vec<u8>),
    /// A symbolic link to there.
    Symlink(String),
}

impl Extra {
    /// A file of root's.
    pub fn file(path: &str, mode: u32, bytes: impl Into<Vec<u8>>) -> Self {
        let content = ExtraContent::File(bytes.into());
        Self {
            path: path.to_owned(),
            mode,
            owner: 0,
            content,
        }
    }

    fn identity(&self) -> serde_json::Value {
        let content = match &self.content {
            ExtraContent::Folder => "folder".to_owned(),
            ExtraContent::File(bytes) => Sha256Hash::of(bytes).to_string(),
            ExtraContent::Symlink(target) => format!("to {target}"),
        };
        serde_json::json!([self.path, self.mode, self.owner, content])
    }

    fn folder(path: &str, mode: u32, owner: u32) -> Self {
        Self {
            path: path.to_owned(),
            mode,
            owner,
            content: ExtraContent::Folder,
        }
    }

    fn link(path: &str, target: &str) -> Self {
        let content = ExtraContent::Symlink(target.to_owned());
        Self {
            path: path.to_owned(),
            mode: 0o777,
            owner: 0,
            content,
        }
    }
}

/// What runs in a container of the image when nobody says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Defaults {
    /// `KEY=value`.
    pub env: Vec<String>,
    /// `uid:gid`.
    pub user: String,
    /// Where.
    pub working_dir: String,
    /// What.
    pub command: Vec<String>,
}

/// A container image, before anything was fetched.
#[derive(Clone, Debug)]
pub struct Definition {
    /// What for.
    pub role: Role,
    /// Whose programs.
    pub architecture: Architecture,
    /// The packages.
    pub lock: Lock,
    /// What is added, in this order.
    pub extras: Vec<Extra>,
    /// Where the pinned contents of a package go: package and path.
    pub places: &'static [(&'static str, &'static str)],
    /// How it runs.
    pub defaults: Defaults,
}

impl Definition {
    /// The registrar's image. `locks` is a folder with locks in place of the built-in ones.
    pub fn registrar(architecture: Architecture, locks: Option<&Path>) -> Result<Self, Failure> {
        let built_in = match architecture {
            Architecture::Amd64 => include_str!("../../containers/registrar/amd64.lock.json"),
            Architecture::Arm64 => include_str!("../../containers/registrar/arm64.lock.json"),
        };
        let extras = vec![
            Extra::file("sdbuild/keeper", 0o755, KEEPER),
            Extra::folder("binfmt_misc", 0o755, 0),
            Extra::file("etc/passwd", 0o644, "root:x:0:0:root:/:/bin/sh\n"),
            Extra::file("etc/group", 0o644, "root:x:0:\n"),
            Extra::link("usr/bin/sh", "busybox"),
        ];
        let defaults = Defaults {
            env: vec!["PATH=/usr/bin".to_owned()],
            user: "0:0".to_owned(),
            working_dir: "/".to_owned(),
            command: vec!["/bin/sh".to_owned()],
        };
        let lock = lock_text(Role::Registrar, architecture, locks, built_in)?;
        let mut registrar = Self::new((Role::Registrar, architecture), &lock, extras, defaults)?;
        registrar.places = &[
            ("busybox-static:arm64", "sdbuild/busybox-aarch64"),
            ("qemu-user", "sdbuild/qemu-aarch64"),
        ];
        Ok(registrar)
    }

    /// The builder's image. `locks` is a folder with locks in place of the built-in ones.
    pub fn builder(architecture: Architecture, locks: Option<&Path>) -> Result<Self, Failure> {
        let built_in = match architecture {
            Architecture::Amd64 => include_str!("../../containers/builder/amd64.lock.json"),
            Architecture::Arm64 => include_str!("../../containers/builder/arm64.lock.json"),
        };
        let extras = vec![
            Extra::file("etc/passwd", 0o644, PASSWD),
            Extra::file("etc/group", 0o644, GROUP),
            Extra::file("etc/nsswitch.conf", 0o644, NSSWITCH),
            Extra::link("usr/bin/sh", "bash"),
            Extra::folder("tmp", 0o1777, 0),
            Extra::folder("var/tmp", 0o1777, 0),
            Extra::folder("home/sdbuild", 0o755, BUILD_USER),
            Extra::folder("nix", 0o755, BUILD_USER),
            Extra::folder("nix/store", 0o755, BUILD_USER),
            Extra::folder("nix/var", 0o755, BUILD_USER),
            Extra::folder("nix/var/nix", 0o755, BUILD_USER),
        ];
        let env = [
            "PATH=/usr/bin:/usr/sbin",
            "HOME=/home/sdbuild",
            "USER=sdbuild",
            "NIX_SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
            "LANG=C.UTF-8",
        ];
        let defaults = Defaults {
            env: env.map(str::to_owned).to_vec(),
            user: format!("{BUILD_USER}:{BUILD_USER}"),
            working_dir: "/home/sdbuild".to_owned(),
            command: vec!["/bin/bash".to_owned()],
        };
        let lock = lock_text(Role::Builder, architecture, locks, built_in)?;
        Self::new((Role::Builder, architecture), &lock, extras, defaults)
    }

    pub(super) fn new(
        (role, architecture): (Role, Architecture),
        lock: &str,
        extras: Vec<Extra>,
        defaults: Defaults,
    ) -> Result<Self, Failure> {
        let what = format_args!(
            "the lock of the {} for {}",
            role.as_str(),
            architecture.as_str()
        )
        .to_string();
        let lock = Lock::parse(lock).or_usage(format_args!("read {what}"))?;
        if lock.architecture != architecture.as_str() {
            return Err(Failure::usage(format_args!(
                "{what} is for {}",
                lock.architecture
            )));
        }
        Ok(Self {
            role,
            architecture,
            lock,
            extras,
            places: &[],
            defaults,
        })
    }

    /// Where a pinned file of `package` goes in the image.
    pub(super) fn place(&self, package: &str) -> Option<&'static str> {
        let place = self.places.iter().find(|(name, _)| *name == package);
        place.map(|(_, path)| *path)
    }

    /// SHA-256 over everything that decides what the image is. Where a package comes from, and what
    /// it is called, does not.
    pub fn digest(&self) -> Sha256Hash {
        let packages: Vec<_> = self.lock.packages.iter().map(|pin| pin.sha256).collect();
        let contents: Vec<_> = self
            .lock
            .contents
            .iter()
            .map(|c| (&c.package, &c.path, c.sha256))
            .collect();
        let extras: Vec<_> = self.extras.iter().map(Extra::identity).collect();
        let all = serde_json::json!([
            FORMAT,
            self.role.as_str(),
            self.architecture,
            packages,
            contents,
            extras,
            self.places,
            self.defaults,
        ]);
        Sha256Hash::of(all.to_string().as_bytes())
    }

    /// The name under which an engine holds it.
    pub fn reference(&self) -> String {
        format!("sdbuild/{}:{}", self.role.as_str(), self.digest().short())
    }

    /// The labels by which it is known as ours.
    pub fn labels(&self) -> [(&'static str, String); 2] {
        [
            (DEFINITION, self.digest().to_string()),
            (ROLE, self.role.as_str().to_owned()),
        ]
    }
}

/// Puts the handler into the kernel's table and takes it out again.
const KEEPER: &str = include_str!("../../containers/registrar/keeper");
const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
sdbuild:x:1000:1000:sdbuild:/home/sdbuild:/bin/bash
nobody:x:65534:65534:nobody:/:/bin/false
";
const GROUP: &str = "root:x:0:\nsdbuild:x:1000:\nnogroup:x:65534:\n";
const NSSWITCH: &str = "passwd: files\ngroup: files\nhosts: files dns\n";

/// The lock in `folder` if there is one, else the one that was there when sdbuild was built.
fn lock_text<'a>(
    role: Role,
    architecture: Architecture,
    folder: Option<&Path>,
    built_in: &'a str,
) -> Result<Cow<'a, str>, Failure> {
    let Some(folder) = folder else {
        return Ok(Cow::Borrowed(built_in));
    };
    let path = folder
        .join(role.as_str())
        .join(format!("{}.lock.json", architecture.as_str()));
    let text = plain_file::read_text(&path, LONGEST_LOCK)
        .or_usage(format_args!("read {}", path.display()))?;
    Ok(Cow::Owned(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Make = fn(Architecture, Option<&Path>) -> Result<Definition, Failure>;
    const ALL: [Make; 2] = [Definition::registrar, Definition::builder];

    #[test]
    fn the_built_in_locks_are_whole() {
        for architecture in [Architecture::Amd64, Architecture::Arm64] {
            for make in ALL {
                let definition = make(architecture, None).unwrap();
                assert_eq!(definition.lock.architecture, architecture.as_str());
            }
            let registrar = Definition::registrar(architecture, None).unwrap();
            let [probe, qemu] = &registrar.lock.contents[..] else {
                panic!("{registrar:?}")
            };
            assert_eq!(qemu.path, "usr/bin/qemu-aarch64");
            assert_eq!(registrar.place(&qemu.package), Some("sdbuild/qemu-aarch64"));
            assert_eq!(probe.path, "usr/bin/busybox");
            assert_eq!(
                registrar.place(&probe.package),
                Some("sdbuild/busybox-aarch64")
            );
        }
    }

    #[test]
    fn the_digest_knows_everything_that_matters() {
        let base = Definition::registrar(Architecture::Amd64, None).unwrap();
        let changes: [fn(&mut Definition); 9] = [
            |d| d.places = &[("qemu-user", "elsewhere")],
            |d| d.role = Role::Builder,
            |d| d.architecture = Architecture::Arm64,
            |d| d.lock.packages[0].sha256 = Sha256Hash::of(b"x"),
            |d| d.lock.contents[0].sha256 = Sha256Hash::of(b"x"),
            |d| d.extras.push(Extra::file("x", 0o644, "y")),
            |d| d.extras[0].mode = 0o600,
            |d| d.extras[0].content = ExtraContent::Folder,
            |d| d.defaults.user = "1:1".to_owned(),
        ];
        let mut digests = vec![base.digest()];
        for change in changes {
            let mut other = base.clone();
            change(&mut other);
            digests.push(other.digest());
        }
        let mut moved = base.clone();
        moved.lock.packages[0].path = "pool/elsewhere.deb".to_owned();
        moved.lock.snapshot = "20300101T000000Z".to_owned();
        assert_eq!(moved.digest(), base.digest());
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), 1 + changes.len());
    }

    #[test]
    fn names_and_labels_say_what_it_is() {
        let builder = Definition::builder(Architecture::Amd64, None).unwrap();
        let digest = builder.digest().to_string();
        assert_eq!(
            builder.reference(),
            format!("sdbuild/builder:{}", digest.split_at(12).0)
        );
        let [definition, role] = builder.labels();
        assert_eq!(definition, ("dev.sdbuild.definition", digest));
        assert_eq!(role, ("dev.sdbuild.role", "builder".to_owned()));
    }

    #[test]
    fn a_lock_that_is_a_pipe_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("builder")).unwrap();
        let lock = folder.path().join("builder/arm64.lock.json");
        nix::unistd::mkfifo(&lock, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let failure = Definition::builder(Architecture::Arm64, Some(folder.path())).unwrap_err();
        assert!(
            failure.to_string().contains("not a plain file"),
            "{failure}"
        );
    }

    #[test]
    fn other_locks_are_read_from_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let failure = Definition::builder(Architecture::Amd64, Some(folder.path())).unwrap_err();
        assert!(
            failure.to_string().contains("builder/amd64.lock.json"),
            "{failure}"
        );
        std::fs::create_dir(folder.path().join("builder")).unwrap();
        let lock = folder.path().join("builder/amd64.lock.json");
        let text = |architecture| {
            format!(
                r#"{{"schema":1,"architecture":"{architecture}","snapshot":"x","packages":[]}}"#
            )
        };
        std::fs::write(&lock, text("arm64")).unwrap();
        let failure = Definition::builder(Architecture::Amd64, Some(folder.path())).unwrap_err();
        assert!(failure.to_string().ends_with("is for arm64"), "{failure}");
        std::fs::write(&lock, text("amd64")).unwrap();
        let renewed = Definition::builder(Architecture::Amd64, Some(folder.path())).unwrap();
        let built_in = Definition::builder(Architecture::Amd64, None).unwrap();
        assert_ne!(renewed.digest(), built_in.digest());
    }

    #[test]
    fn architectures_have_their_engine_names() {
        assert_eq!(
            "x86_64".parse::<Architecture>().unwrap(),
            Architecture::Amd64
        );
        assert_eq!(
            "aarch64".parse::<Architecture>().unwrap(),
            Architecture::Arm64
        );
        assert!("riscv64".parse::<Architecture>().is_err());
    }
}
