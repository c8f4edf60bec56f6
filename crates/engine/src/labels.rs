//! Names and labels of the objects that a run creates in the engine, by which later runs recognize them.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use crate::moment::Moment;
use sdbuild_core::failure::Failure;

/// Label: the run that created the object.
pub const RUN: &str = "dev.sdbuild.run";
/// Label: what the object is for, see [`Role`].
pub(crate) const ROLE: &str = "dev.sdbuild.role";
/// Label of containers: the [`Moment`] at which they were asked for, by the client's clocks.
pub(crate) const CREATED: &str = "dev.sdbuild.created";
/// Label: the version of sdbuild that created it.
pub const VERSION: &str = "dev.sdbuild.version";
/// Label of container images: SHA-256 of the lock and the definition that they were assembled from.
pub(crate) const DEFINITION: &str = "dev.sdbuild.definition";

/// Identifies one invocation in the names and labels of its objects: 48 random bits as 12 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    pub fn random() -> Result<Self, Failure> {
        let mut bytes = [0u8; 6];
        getrandom::fill(&mut bytes).map_err(|error| {
            Failure::environment(format!("read the system's random source: {error}"))
        })?;
        Ok(Self(hex::encode(bytes)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RunId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == 12 && text.bytes().all(hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err("a run id is 12 lower-case hex digits".to_owned())
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The container that registers the handler and removes it.
    Registrar,
    /// A container that tests emulation, and other short ones.
    Probe,
    Builder,
    Store,
    Emulator,
    /// The container that collects garbage on a store volume. No builder runs there meanwhile.
    Collector,
    /// The container that puts files into the file systems of a card.
    Card,
}

impl Role {
    const ALL: [Self; 7] = [
        Self::Registrar,
        Self::Probe,
        Self::Builder,
        Self::Store,
        Self::Emulator,
        Self::Collector,
        Self::Card,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registrar => "registrar",
            Self::Probe => "probe",
            Self::Builder => "builder",
            Self::Store => "store",
            Self::Emulator => "emulator",
            Self::Collector => "collector",
            Self::Card => "card",
        }
    }

    pub fn container_name(self, run: &RunId) -> String {
        format!("sdbuild-{}-{run}", self.as_str())
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

const SECOND: &str = "-2";
const FILLER: &str = "-fill";

/// The name of the registrar that removes what the first registrar of `run` could not remove.
pub(crate) fn second_registrar_name(run: &RunId) -> String {
    format!("{}{SECOND}", Role::Registrar.container_name(run))
}

/// The name of the container that fills the store volume of `run`.
pub fn store_filler_name(run: &RunId) -> String {
    format!("{}{FILLER}", Role::Probe.container_name(run))
}

/// The role and the run of a container of ours; `None` for any other. Its labels alone do not make it ours: a container
/// that a user makes from a committed builder inherits them, but not the name that the run gave.
pub(super) fn owner_of(name: &str, labels: &HashMap<String, String>) -> Option<(Role, RunId)> {
    let (role, run) = (role_of(labels)?, run_of(labels)?);
    let suffix = name.strip_prefix(&role.container_name(&run))?;
    ["", SECOND, FILLER]
        .contains(&suffix)
        .then_some((role, run))
}

/// Whether runs give their containers names like `name`.
pub(super) fn is_container_name(name: &str) -> bool {
    let of_role = |role: &Role| {
        let rest = name.strip_prefix("sdbuild-")?.strip_prefix(role.as_str())?;
        let run: RunId = rest.strip_prefix('-')?.get(..12)?.parse().ok()?;
        owner_of(name, &labels(*role, &run))
    };
    Role::ALL.iter().any(|role| of_role(role).is_some())
}

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

/// The same, with the moment at which it is created.
pub(crate) fn labels_of_now(role: Role, run: &RunId) -> HashMap<String, String> {
    let mut all = labels(role, run);
    all.extend(Moment::now().map(|now| (CREATED.to_owned(), now.to_string())));
    all
}

/// How long before `now` an object with these labels was asked for; zero if that is in the future, `None` where it is not known.
pub(super) fn age(labels: &HashMap<String, String>, now: Option<&Moment>) -> Option<Duration> {
    let asked_for = labels.get(CREATED)?.parse().ok()?;
    Some(now?.since(&asked_for).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> RunId {
        "0123456789ab".parse().unwrap()
    }

    #[test]
    fn a_container_of_ours_has_label_and_name_of_its_run() {
        let labels = labels(Role::Builder, &run());
        let ours = Some((Role::Builder, run()));
        let name = Role::Builder.container_name(&run());
        assert_eq!(owner_of(&name, &labels), ours);
        assert_eq!(owner_of(&format!("{name}-2"), &labels), ours);
        let other = Role::Probe.container_name(&run());
        for made_from_it in [
            "mine",
            &other,
            "sdbuild-builder-ba9876543210",
            &format!("{name}-mine"),
        ] {
            assert_eq!(owner_of(made_from_it, &labels), None, "{made_from_it}");
        }
        assert_eq!(owner_of(&name, &HashMap::new()), None);
    }

    #[test]
    fn names_of_containers_are_recognized() {
        for ours in [
            Role::Registrar.container_name(&run()),
            second_registrar_name(&run()),
            store_filler_name(&run()),
        ] {
            assert!(is_container_name(&ours), "{ours}");
        }
        for other in [
            "sdbuild-builder",
            "sdbuild-store",
            "mine",
            "sdbuild-builder-0123456789az",
        ] {
            assert!(!is_container_name(other), "{other}");
        }
    }
}
