//! What goes into an image, for its manifest: as data, without places on the user's machine.

use crate::nixos::build_source::BuildSource;
use crate::oci::Definition;
use crate::output::manifest::{self, ContainerImage, Nixpkgs, Program};
use crate::pipeline::Plan;
use crate::pipeline::emulation::Emulation;

/// The package that emulates, and the one that builds.
const QEMU: &str = "qemu-user";
const NIX: &str = "nix-bin";

/// The container images of a run.
#[derive(Clone, Debug)]
pub(super) struct Containers {
    pub(super) qemu: Option<Program>,
    pub(super) nix: Option<Program>,
    pub(super) registrar: Option<ContainerImage>,
    pub(super) builder: ContainerImage,
}

impl Containers {
    /// `builder` is our own; a foreign one is known by `reference` alone.
    pub(super) fn new(
        registrar: Option<&Definition>,
        builder: Option<&Definition>,
        reference: &str,
    ) -> Self {
        let foreign = || ContainerImage {
            reference: reference.to_owned(),
            definition_sha256: None,
        };
        Self {
            qemu: registrar.and_then(|definition| program(definition, QEMU)),
            nix: builder.and_then(|definition| program(definition, NIX)),
            registrar: registrar.map(image),
            builder: builder.map_or_else(foreign, image),
        }
    }
}

fn image(definition: &Definition) -> ContainerImage {
    ContainerImage {
        reference: definition.reference(),
        definition_sha256: Some(definition.digest().to_string()),
    }
}

fn program(definition: &Definition, package: &str) -> Option<Program> {
    let lock = &definition.lock;
    let pin = lock.packages.iter().find(|pin| pin.name == package)?;
    let content = lock.contents.iter().find(|one| one.package == package);
    Some(Program {
        version: pin.version.clone(),
        package_sha256: pin.sha256.to_string(),
        program_sha256: content.map(|one| one.sha256.to_string()),
    })
}

/// How `mode` is told.
pub(super) fn emulation(mode: Emulation, containers: &Containers) -> manifest::Emulation {
    let name = match mode {
        Emulation::Native => "none",
        Emulation::Register => "register",
        Emulation::Private => "private",
        Emulation::Host => "host",
    };
    manifest::Emulation {
        mode: name.to_owned(),
        emulated: mode != Emulation::Native,
        // with `host` it is the handler's interpreter, of which nothing is known
        qemu: containers
            .qemu
            .clone()
            .filter(|_| matches!(mode, Emulation::Register | Emulation::Private)),
    }
}

/// A nixpkgs by what it was locked to; a directory is known by its content alone.
fn nixpkgs(source: &BuildSource) -> Nixpkgs {
    let (release, url) = match &source.locked {
        Some(locked) => (locked.release.clone(), Some(without_secrets(&locked.url))),
        None => (None, None),
    };
    let name = source.nixpkgs.name();
    let sha256 = name.rsplit('-').next().unwrap_or_default().to_owned();
    Nixpkgs {
        release,
        url,
        sha256,
    }
}

/// An address without a password before the host and without what follows a question mark.
fn without_secrets(url: &str) -> String {
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = plain.split_once("://") else {
        return plain.to_owned();
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}/{path}")
}

/// All but what Nix makes of it.
pub(super) fn origin(
    plan: &Plan,
    containers: &Containers,
    source: &BuildSource,
    digest: [u8; 32],
) -> manifest::Provenance {
    manifest::Provenance {
        system: plan.settings.system.to_string(),
        emulation: emulation(plan.base.emulation, containers),
        nix: containers.nix.clone(),
        registrar: containers.registrar.clone(),
        builder: containers.builder.clone(),
        nixpkgs: nixpkgs(source),
        configuration: manifest::Configuration {
            file: source.configuration.file().to_owned(),
            sha256: hex::encode(digest),
        },
        result: manifest::Built::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::system::Architecture;

    #[test]
    fn an_address_tells_no_secret() {
        for (url, plain) in [
            ("https://a.example/b.tar.xz", "https://a.example/b.tar.xz"),
            (
                "https://me:secret@a.example/b?token=1#x",
                "https://a.example/b",
            ),
            ("https://token@a.example", "https://a.example/"),
        ] {
            assert_eq!(without_secrets(url), plain);
        }
    }

    #[test]
    fn the_locks_tell_what_emulates_and_what_builds() {
        let registrar = Definition::registrar(Architecture::X86_64, None).unwrap();
        let builder = Definition::builder(Architecture::X86_64, None).unwrap();
        let own = Containers::new(Some(&registrar), Some(&builder), "");
        let qemu = emulation(Emulation::Register, &own).qemu.unwrap();
        assert_eq!(qemu.package_sha256.len(), 64);
        assert!(qemu.program_sha256.is_some());
        assert!(own.nix.is_some() && own.builder.definition_sha256.is_some());
        let foreign = Containers::new(None, None, "nixos/nix@sha256:00");
        assert_eq!(foreign.builder.reference, "nixos/nix@sha256:00");
        assert_eq!((foreign.nix, foreign.qemu), (None, None));
        assert_eq!(emulation(Emulation::Host, &own).qemu, None);
    }
}
