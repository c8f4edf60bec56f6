//! What a container image is made of: a lock, and the few things that we add.
//!
//! Its digest names it. Two definitions with one digest give the same bytes; whoever changes what
//! the assembly makes of a definition raises [`FORMAT`].

use std::borrow::Cow;
use std::path::Path;

use serde::Serialize;

use super::extra_file::ExtraFile;
use crate::artifact::Lock;
use crate::common::failure::{Failure, OrFail};
use crate::common::hash::Sha256Hash;
use crate::common::plain_file;
use crate::common::system::Architecture;
use crate::engine::Role;
use crate::engine::labels::{DEFINITION, ROLE};

/// Raised with every change of what the assembly makes of the same definition.
pub(super) const FORMAT: u32 = 1;

/// A lock names some hundred packages, each in a few hundred bytes.
const LONGEST_LOCK: u64 = 4 << 20;

/// The user that builds.
pub const BUILD_USER: u32 = 1000;

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
    pub extras: Vec<ExtraFile>,
    /// Where the pinned contents of a package go: package and path.
    pub places: &'static [(&'static str, &'static str)],
    /// How it runs.
    pub defaults: Defaults,
}

impl Definition {
    /// The registrar's image. `locks` is a directory with locks in place of the built-in ones.
    pub fn registrar(architecture: Architecture, locks: Option<&Path>) -> Result<Self, Failure> {
        let built_in = match architecture {
            Architecture::X86_64 => include_str!("../../containers/registrar/amd64.lock.json"),
            Architecture::Aarch64 => include_str!("../../containers/registrar/arm64.lock.json"),
        };
        let extras = vec![
            ExtraFile::file("sdbuild/binfmt-agent", 0o755, AGENT),
            ExtraFile::file("sdbuild/enter", 0o755, ENTER),
            ExtraFile::link("sdbuild/busybox", "/usr/bin/busybox"),
            ExtraFile::dir("binfmt_misc", 0o755, 0),
            ExtraFile::file("etc/passwd", 0o644, "root:x:0:0:root:/:/bin/sh\n"),
            ExtraFile::file("etc/group", 0o644, "root:x:0:\n"),
            ExtraFile::link("usr/bin/sh", "busybox"),
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

    /// The builder's image. `locks` is a directory with locks in place of the built-in ones.
    pub fn builder(architecture: Architecture, locks: Option<&Path>) -> Result<Self, Failure> {
        let built_in = match architecture {
            Architecture::X86_64 => include_str!("../../containers/builder/amd64.lock.json"),
            Architecture::Aarch64 => include_str!("../../containers/builder/arm64.lock.json"),
        };
        let extras = vec![
            ExtraFile::file("etc/passwd", 0o644, PASSWD),
            ExtraFile::file("etc/group", 0o644, GROUP),
            ExtraFile::file("etc/nsswitch.conf", 0o644, NSSWITCH),
            ExtraFile::link("usr/bin/sh", "bash"),
            ExtraFile::dir("tmp", 0o1777, 0),
            ExtraFile::dir("var/tmp", 0o1777, 0),
            ExtraFile::dir("home/sdbuild", 0o755, BUILD_USER),
            ExtraFile::dir("nix", 0o755, BUILD_USER),
            ExtraFile::dir("nix/store", 0o755, BUILD_USER),
            ExtraFile::dir("nix/var", 0o755, BUILD_USER),
            ExtraFile::dir("nix/var/nix", 0o755, BUILD_USER),
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

    /// The emulator's image. `locks` is a directory with locks in place of the built-in ones.
    pub fn emulator(architecture: Architecture, locks: Option<&Path>) -> Result<Self, Failure> {
        let built_in = match architecture {
            Architecture::X86_64 => include_str!("../../containers/emulator/amd64.lock.json"),
            Architecture::Aarch64 => include_str!("../../containers/emulator/arm64.lock.json"),
        };
        let extras = vec![
            ExtraFile::file("sdbuild/machine", 0o755, MACHINE),
            ExtraFile::file("sdbuild/keys", 0o755, KEYS),
            ExtraFile::file("etc/passwd", 0o644, PASSWD),
            ExtraFile::file("etc/group", 0o644, GROUP),
            ExtraFile::link("usr/bin/sh", "busybox"),
            ExtraFile::dir("tmp", 0o1777, 0),
            ExtraFile::dir("machine", 0o700, BUILD_USER),
        ];
        let defaults = Defaults {
            env: vec!["PATH=/usr/bin".to_owned(), "TMPDIR=/machine".to_owned()],
            user: format!("{BUILD_USER}:{BUILD_USER}"),
            working_dir: "/machine".to_owned(),
            command: vec!["/bin/sh".to_owned()],
        };
        let lock = lock_text(Role::Emulator, architecture, locks, built_in)?;
        Self::new((Role::Emulator, architecture), &lock, extras, defaults)
    }

    pub(super) fn new(
        (role, architecture): (Role, Architecture),
        lock: &str,
        extras: Vec<ExtraFile>,
        defaults: Defaults,
    ) -> Result<Self, Failure> {
        let what = format_args!(
            "the lock of the {} for {}",
            role.as_str(),
            architecture.debian_name()
        )
        .to_string();
        let lock = Lock::parse(lock).or_usage(format_args!("read {what}"))?;
        if lock.architecture != architecture.debian_name() {
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
        let extras: Vec<_> = self.extras.iter().map(ExtraFile::identity).collect();
        let all = serde_json::json!([
            FORMAT,
            self.role.as_str(),
            self.architecture.debian_name(),
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
const AGENT: &str = include_str!("../../containers/registrar/binfmt-agent");
/// Gives a container a table of handlers of its own.
const ENTER: &str = include_str!("../../containers/builder/enter");
/// Runs QEMU on a leash.
const MACHINE: &str = include_str!("../../containers/emulator/machine");
/// Hands on what is typed.
const KEYS: &str = include_str!("../../containers/emulator/keys");
const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
sdbuild:x:1000:1000:sdbuild:/home/sdbuild:/bin/bash
nobody:x:65534:65534:nobody:/:/bin/false
";
const GROUP: &str = "root:x:0:\nsdbuild:x:1000:\nnogroup:x:65534:\n";
const NSSWITCH: &str = "passwd: files\ngroup: files\nhosts: files dns\n";

/// The lock in `dir` if there is one, else the one that was there when sdbuild was built.
fn lock_text<'a>(
    role: Role,
    architecture: Architecture,
    dir: Option<&Path>,
    built_in: &'a str,
) -> Result<Cow<'a, str>, Failure> {
    let Some(dir) = dir else {
        return Ok(Cow::Borrowed(built_in));
    };
    let path = dir
        .join(role.as_str())
        .join(format!("{}.lock.json", architecture.debian_name()));
    let text = plain_file::read_text(&path, LONGEST_LOCK)
        .or_usage(format_args!("read {}", path.display()))?;
    Ok(Cow::Owned(text))
}

#[cfg(test)]
mod tests;
