//! Names and labels of the objects that a run creates in the engine, by which later runs recognize them.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::common::failure::Failure;

/// Label: the run that created the object.
pub const RUN: &str = "dev.sdbuild.run";
/// Label: what the object is for, see [`Role`].
pub const ROLE: &str = "dev.sdbuild.role";
/// Label: the version of sdbuild that created it.
pub const VERSION: &str = "dev.sdbuild.version";
/// Label of container images: SHA-256 of the lock and the definition that they were assembled from.
pub const DEFINITION: &str = "dev.sdbuild.definition";

/// Identifies one invocation in the names and labels of its objects: 48 random bits as 12 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// A new id from the system's random source.
    pub fn random() -> Result<Self, Failure> {
        let mut bytes = [0u8; 6];
        getrandom::fill(&mut bytes).map_err(|error| {
            Failure::environment(format!("read the system's random source: {error}"))
        })?;
        Ok(Self(hex::encode(bytes)))
    }

    /// The 12 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not 12 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a run id is 12 lower-case hex digits")]
pub struct NotARunId;

impl FromStr for RunId {
    type Err = NotARunId;

    fn from_str(text: &str) -> Result<Self, NotARunId> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == 12 && text.bytes().all(hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotARunId)
        }
    }
}

/// What an engine object is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The container that registers the handler and removes it.
    Registrar,
    /// A container that tests emulation, and other short ones.
    Probe,
    /// The container that runs Nix.
    Builder,
    /// The volume that is mounted at `/nix`.
    Store,
    /// The container that boots an image in QEMU.
    Emulator,
}

impl Role {
    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registrar => "registrar",
            Self::Probe => "probe",
            Self::Builder => "builder",
            Self::Store => "store",
            Self::Emulator => "emulator",
        }
    }

    /// The name of this role's container in `run`.
    pub fn container_name(self, run: &RunId) -> String {
        format!("sdbuild-{}-{run}", self.as_str())
    }

    /// The role whose label has the value `text`.
    fn parse(text: &str) -> Option<Self> {
        let all = [
            Self::Registrar,
            Self::Probe,
            Self::Builder,
            Self::Store,
            Self::Emulator,
        ];
        all.into_iter().find(|role| role.as_str() == text)
    }
}

/// The name of the registrar that removes what the first registrar of `run` could not remove.
pub fn second_registrar_name(run: &RunId) -> String {
    format!("{}-2", Role::Registrar.container_name(run))
}

/// The name of the container that fills the store volume of `run`.
pub fn store_filler_name(run: &RunId) -> String {
    format!("{}-fill", Role::Probe.container_name(run))
}

/// Prefix of the names of directories with SSH control sockets.
pub(super) const SSH_DIR_PREFIX: &str = "sdbuild-ssh-";

/// The run that created an object with these labels; `None` without a valid label.
pub(crate) fn run_of(labels: &HashMap<String, String>) -> Option<RunId> {
    labels.get(RUN)?.parse().ok()
}

/// What an object with these labels is for; `None` without a valid label.
pub(crate) fn role_of(labels: &HashMap<String, String>) -> Option<Role> {
    Role::parse(labels.get(ROLE)?)
}

/// The name that sdbuild gives to an image with these labels.
pub(super) fn image_name(labels: &HashMap<String, String>) -> Option<String> {
    let short = labels.get(DEFINITION)?.get(..12)?;
    Some(format!("sdbuild/{}:{short}", labels.get(ROLE)?))
}

/// The labels of an object of `role` that `run` creates.
pub fn labels(role: Role, run: &RunId) -> HashMap<String, String> {
    HashMap::from([
        (RUN.to_owned(), run.to_string()),
        (ROLE.to_owned(), role.as_str().to_owned()),
        (VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
    ])
}
