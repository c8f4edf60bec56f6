//! What a container image is made of: a lock of packages, and the files that are added.
//!
//! Images are named by the digest of their definition: two definitions with the same digest give the same
//! bytes. [`FORMAT`] has to be raised with every change of the bytes that a definition gives.

use std::borrow::Cow;
use std::path::Path;

use sdbuild_core::failure::{Failure, OrFail};
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::plain_file;
use sdbuild_core::system::Architecture;
use serde::Serialize;

use crate::Role;
use crate::artifact::Lock;
use crate::labels::{DEFINITION, ROLE};

/// The version of the assembly: it is part of every digest.
pub(super) const FORMAT: u32 = 1;

/// The longest lock in bytes: one lists some hundred packages, each in a few hundred bytes.
const MAX_LOCK_BYTES: u64 = 4 << 20;

/// The number of the user that builds, and of its group.
pub const BUILD_USER: u32 = 1000;

/// The defaults of containers of an image. The names of the fields are part of the digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Defaults {
    pub env: Vec<String>,
    pub user: String,
    pub working_dir: String,
    /// The program that gets the command as its arguments; if there is none, the command is a program and its arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    pub command: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Definition {
    pub role: Role,
    pub architecture: Architecture,
    pub lock: Lock,
    /// The files that are added, in this order.
    pub extras: Vec<ExtraFile>,
    /// The path in the image of the pinned file of a package: name of the package and path.
    pub content_paths: &'static [(&'static str, &'static str)],
    pub defaults: Defaults,
    /// The name of an image that is not sdbuild's own, and so has no labels.
    pub name: Option<String>,
}

/// The built-in locks of a container image, for amd64 and arm64.
macro_rules! locks {
    ($role:literal) => {
        [
            include_str!(concat!(
                "../../../../containers/",
                $role,
                "/amd64.lock.json"
            )),
            include_str!(concat!(
                "../../../../containers/",
                $role,
                "/arm64.lock.json"
            )),
        ]
    };
}

impl Defaults {
    fn new(env: &[&str], user: u32, working_dir: &str, command: &str) -> Self {
        Self {
            env: env.iter().map(|variable| (*variable).to_owned()).collect(),
            user: format!("{user}:{user}"),
            working_dir: working_dir.to_owned(),
            entrypoint: Vec::new(),
            command: vec![command.to_owned()],
        }
    }
}

impl Definition {
    /// The registrar's image. With a directory `locks` its lock is read from there, in place of the built-in one.
    pub fn registrar(architecture: Architecture, locks: Option<&Path>) -> Result<Self, Failure> {
        let extras = vec![
            ExtraFile::file("sdbuild/binfmt-agent", 0o755, AGENT),
            ExtraFile::file("sdbuild/enter", 0o755, ENTER),
            ExtraFile::link("sdbuild/busybox", "/usr/bin/busybox"),
            ExtraFile::dir("binfmt_misc", 0o755, 0),
            ExtraFile::file("etc/passwd", 0o644, "root:x:0:0:root:/:/bin/sh\n"),
            ExtraFile::file("etc/group", 0o644, "root:x:0:\n"),
            ExtraFile::link("usr/bin/sh", "busybox"),
        ];
        let defaults = Defaults::new(&["PATH=/usr/bin"], 0, "/", "/bin/sh");
        let lock = lock_text(Role::Registrar, architecture, locks, locks!("registrar"))?;
        let mut registrar = Self::new(Role::Registrar, architecture, &lock, extras, defaults)?;
        registrar.content_paths = match architecture.emulates() {
            Architecture::Aarch64 => &[
                ("busybox-static:arm64", "sdbuild/busybox-aarch64"),
                ("qemu-user", "sdbuild/qemu-aarch64"),
            ],
            Architecture::X86_64 => &[
                ("busybox-static:amd64", "sdbuild/busybox-x86_64"),
                ("qemu-user", "sdbuild/qemu-x86_64"),
            ],
        };
        Ok(registrar)
    }

    /// The builder's image. With a directory `locks` its lock is read from there, in place of the built-in one.
    pub fn builder(architecture: Architecture, locks: Option<&Path>) -> Result<Self, Failure> {
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
        let defaults = Defaults::new(&env, BUILD_USER, "/home/sdbuild", "/bin/bash");
        let lock = lock_text(Role::Builder, architecture, locks, locks!("builder"))?;
        Self::new(Role::Builder, architecture, &lock, extras, defaults)
    }

    /// The emulator's image. With a directory `locks` its lock is read from there, in place of the built-in one.
    pub fn emulator(architecture: Architecture, locks: Option<&Path>) -> Result<Self, Failure> {
        let extras = vec![
            ExtraFile::file("sdbuild/machine", 0o755, MACHINE),
            ExtraFile::file("sdbuild/keys", 0o755, KEYS),
            ExtraFile::file("etc/passwd", 0o644, PASSWD),
            ExtraFile::file("etc/group", 0o644, GROUP),
            ExtraFile::link("usr/bin/sh", "busybox"),
            ExtraFile::dir("tmp", 0o1777, 0),
            ExtraFile::dir("machine", 0o700, BUILD_USER),
        ];
        let env = ["PATH=/usr/bin", "TMPDIR=/machine"];
        let defaults = Defaults::new(&env, BUILD_USER, "/machine", "/bin/sh");
        let lock = lock_text(Role::Emulator, architecture, locks, locks!("emulator"))?;
        Self::new(Role::Emulator, architecture, &lock, extras, defaults)
    }

    /// The image that puts files into file systems. With a directory `locks` its lock is read from there, in place of the built-in one.
    pub fn card(architecture: Architecture, locks: Option<&Path>) -> Result<Self, Failure> {
        let extras = vec![
            ExtraFile::file("sdbuild/put", 0o755, PUT),
            ExtraFile::file("etc/passwd", 0o644, PASSWD),
            ExtraFile::file("etc/group", 0o644, GROUP),
            ExtraFile::link("usr/bin/sh", "busybox"),
            // Its mode is that of the file system in memory that is mounted there.
            ExtraFile::dir("work", 0o1777, 0),
        ];
        let env = ["PATH=/usr/bin:/usr/sbin", "TZ=UTC", "LANG=C.UTF-8"];
        let defaults = Defaults::new(&env, BUILD_USER, "/work", "/bin/sh");
        let lock = lock_text(Role::Card, architecture, locks, locks!("card"))?;
        Self::new(Role::Card, architecture, &lock, extras, defaults)
    }

    pub(super) fn new(
        role: Role,
        architecture: Architecture,
        lock: &str,
        extras: Vec<ExtraFile>,
        defaults: Defaults,
    ) -> Result<Self, Failure> {
        let (role_name, debian_name) = (role.as_str(), architecture.debian_name());
        let name = format!("the lock of the {role_name} for {debian_name}");
        let lock = Lock::parse(lock).or_usage(format_args!("read {name}"))?;
        if lock.architecture != debian_name {
            return Err(Failure::usage(format_args!(
                "{name} is for {}",
                lock.architecture
            )));
        }
        Ok(Self {
            role,
            architecture,
            lock,
            extras,
            content_paths: &[],
            defaults,
            name: None,
        })
    }

    /// The path in the image of the pinned file of `package`.
    pub(super) fn content_path(&self, package: &str) -> Option<&'static str> {
        let path = self.content_paths.iter().find(|(name, _)| *name == package);
        path.map(|(_, path)| *path)
    }

    /// SHA-256 of everything that determines the bytes of the image. Names and origins of packages do not.
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
            self.content_paths,
            self.defaults,
        ]);
        Sha256Hash::of(all.to_string().as_bytes())
    }

    pub fn reference(&self) -> String {
        let own = || format!("sdbuild/{}:{}", self.role.as_str(), self.digest().short());
        self.name.clone().unwrap_or_else(own)
    }

    /// The program that containers of the image are there for.
    pub fn program(&self) -> &'static str {
        match self.role {
            Role::Registrar | Role::Emulator => "QEMU",
            Role::Builder => "Nix",
            Role::Card => "debugfs and mtools",
            role @ (Role::Probe | Role::Store | Role::Collector) => role.as_str(),
        }
    }

    /// The labels that are written into the image.
    pub(super) fn image_labels(&self) -> Vec<(&'static str, String)> {
        match self.name {
            Some(_) => Vec::new(),
            None => self.labels().to_vec(),
        }
    }

    /// The labels of an image of sdbuild's own, by which it is recognised.
    pub fn labels(&self) -> [(&'static str, String); 2] {
        [
            (DEFINITION, self.digest().to_string()),
            (ROLE, self.role.as_str().to_owned()),
        ]
    }
}

/// Registers the handler in the kernel's table and removes it.
const AGENT: &str = include_str!("../../../../containers/registrar/binfmt-agent");
/// Gives a container a private table of handlers.
const ENTER: &str = include_str!("../../../../containers/builder/enter");
/// Runs QEMU until its standard input ends.
const MACHINE: &str = include_str!("../../../../containers/emulator/machine");
/// Passes key presses on to QEMU.
const KEYS: &str = include_str!("../../../../containers/emulator/keys");
/// Puts files into one file system.
const PUT: &str = include_str!("../../../../containers/card/put");
const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
sdbuild:x:1000:1000:sdbuild:/home/sdbuild:/bin/bash
nobody:x:65534:65534:nobody:/:/bin/false
";
const GROUP: &str = "root:x:0:\nsdbuild:x:1000:\nnogroup:x:65534:\n";
const NSSWITCH: &str = "passwd: files\ngroup: files\nhosts: files dns\n";

/// The text of the lock in `dir` if there is a directory, else the one of the built-in locks for amd64 and arm64.
fn lock_text<'a>(
    role: Role,
    architecture: Architecture,
    dir: Option<&Path>,
    [amd64, arm64]: [&'a str; 2],
) -> Result<Cow<'a, str>, Failure> {
    let Some(dir) = dir else {
        return Ok(Cow::Borrowed(match architecture {
            Architecture::X86_64 => amd64,
            Architecture::Aarch64 => arm64,
        }));
    };
    let path = dir
        .join(role.as_str())
        .join(format!("{}.lock.json", architecture.debian_name()));
    let text = plain_file::read_text(&path, MAX_LOCK_BYTES)
        .or_usage(format_args!("read {}", path.display()))?;
    Ok(Cow::Owned(text))
}

/// A file, directory or link that is added to an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraFile {
    /// Its path, without a leading slash.
    pub path: String,
    pub mode: u32,
    /// The number of its user and its group.
    pub owner: u32,
    pub content: ExtraFileContent,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtraFileContent {
    Dir,
    File(Vec<u8>),
    Symlink(String),
}

impl ExtraFile {
    fn new(path: &str, mode: u32, owner: u32, content: ExtraFileContent) -> Self {
        Self {
            path: path.to_owned(),
            mode,
            owner,
            content,
        }
    }

    /// A file that belongs to root.
    pub fn file(path: &str, mode: u32, bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(path, mode, 0, ExtraFileContent::File(bytes.into()))
    }

    pub(super) fn dir(path: &str, mode: u32, owner: u32) -> Self {
        Self::new(path, mode, owner, ExtraFileContent::Dir)
    }

    pub(super) fn link(path: &str, target: &str) -> Self {
        Self::new(path, 0o777, 0, ExtraFileContent::Symlink(target.to_owned()))
    }

    /// What [`Definition::digest`] hashes of it.
    pub(super) fn identity(&self) -> serde_json::Value {
        let content = match &self.content {
            ExtraFileContent::Dir => "directory".to_owned(),
            ExtraFileContent::File(bytes) => Sha256Hash::of(bytes).to_string(),
            ExtraFileContent::Symlink(target) => format!("to {target}"),
        };
        serde_json::json!([self.path, self.mode, self.owner, content])
    }
}

/// The package with the certificate authorities, of the builder's lock.
const AUTHORITIES: &str = "ca-certificates";

impl Definition {
    /// The image `sdbuild:VERSION`, whose containers run `program` with the arguments that they are given. Any user may run
    /// it. It has no labels: `clean` must not remove the program that runs it. If there is a directory `locks`, the
    /// builder's lock there is used in place of the built-in one.
    pub fn tool(
        architecture: Architecture,
        program: Vec<u8>,
        version: &str,
        locks: Option<&Path>,
    ) -> Result<Self, Failure> {
        let mut tool = Self::builder(architecture, locks)?;
        tool.lock.packages.retain(|pin| pin.name == AUTHORITIES);
        tool.extras = vec![
            ExtraFile::file("usr/bin/sdbuild", 0o755, program),
            ExtraFile::dir("tmp", 0o1777, 0),
            ExtraFile::dir("home", 0o1777, 0),
        ];
        tool.defaults = Defaults {
            entrypoint: vec!["/usr/bin/sdbuild".to_owned()],
            ..Defaults::new(&["PATH=/usr/bin", "HOME=/home"], 0, "/home", "--help")
        };
        tool.name = Some(format!("sdbuild:{version}"));
        Ok(tool)
    }
}

#[cfg(test)]
mod tests;
