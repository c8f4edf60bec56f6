//! What goes into an image, as data for its manifest: without any path of the user's machine.

use std::ffi::OsStr;
use std::path::Path;

use crate::common::build_mode::EmulationChoice;
use crate::nixos::build_source::{BuildSource, ResolvedNixpkgs};
use crate::nixos::builder::BuildResult;
use crate::output::ImageOwnerId;
use crate::output::manifest;
use crate::output::manifest::{Built, ContainerImage, Nixpkgs, Program, Provenance};
use crate::pipeline::emulation::Emulation;
use crate::pipeline::plan::Plan;
use crate::pipeline::steps::container_images::ContainerImages;
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::http_url::without_secrets;
use sdbuild_core::plain_file;
use sdbuild_engine::oci::Definition;
use sdbuild_image::image_format::Format;
use sdbuild_nix::reports::FlakeReport;

/// The Debian package of the emulator.
const QEMU: &str = "qemu-user";
/// The Debian package of Nix.
const NIX: &str = "nix-bin";

/// Bytes of a machine's identity (machine-id(5)): 32 digits and a newline.
const MAX_MACHINE_ID_BYTES: u64 = 64;
/// Hexadecimal digits of a configuration's id.
const ID_CHARS: usize = 32;

/// What the manifest says of a source, noted before the builder takes it.
#[derive(Debug)]
pub(super) struct SourceRecord {
    /// Its name, without any path of this machine.
    name: String,
    nixpkgs: Option<Nixpkgs>,
    overridden_inputs: Vec<String>,
}

impl SourceRecord {
    /// The record of `source`.
    pub(super) fn of(source: &BuildSource) -> Self {
        Self {
            name: source.public_name(),
            nixpkgs: nixpkgs(source),
            overridden_inputs: source.overridden_inputs(),
        }
    }
}

/// What went into the image `built` from `source`, whose programs ran by `mode`.
pub(super) fn provenance(
    plan: &Plan,
    images: &ContainerImages,
    mode: Emulation,
    source: SourceRecord,
    built: &BuildResult,
) -> Provenance {
    let registrar = plan.engine_plan.registrar.as_ref();
    let builder = plan.engine_plan.builder.own();
    let report = built.flake.clone();
    Provenance {
        format: plan.request.target.format.clone(),
        system: plan.request.target.system.to_string(),
        emulation: emulation(mode, registrar),
        nix: builder.and_then(|definition| program(definition, NIX)),
        registrar: registrar.map(container_image),
        builder: builder_image(builder, images.builder.reference()),
        nixpkgs: source.nixpkgs,
        configuration: manifest::Configuration {
            file: source.name,
            sha256: built.configuration_sha256.to_string(),
            id: image_owner_id(plan),
            evaluation: built.evaluation,
            flake: report.map(|report| flake(report, source.overridden_inputs)),
        },
        result: Built {
            store_path: built.out_path.clone(),
            derivation: built.derivation.clone(),
        },
    }
}

/// Tells one configuration, host and format from others without naming its path.
pub(super) fn configuration_id(plan: &Plan) -> String {
    let host = plan.request.source.host_name.as_deref();
    id_of(
        &plan.source.source.identity(),
        host.unwrap_or_default(),
        plan,
    )
}

/// The same as the images have it: with and without the name of a flake's only configuration.
pub(super) fn image_owner_id(plan: &Plan) -> ImageOwnerId {
    let (place, name) = plan.source.source.place_and_name();
    let id = ImageOwnerId::new(id_of(&place, "", plan), name.as_deref());
    id.with_host(plan.request.source.host_name.as_deref())
}

/// A hash of `source`, host and format; it also has the identity of this machine in it, so that it cannot be guessed.
fn id_of(source: &OsStr, host: &str, plan: &Plan) -> String {
    let machine = plain_file::read_text(Path::new("/etc/machine-id"), MAX_MACHINE_ID_BYTES);
    let format = &plan.request.target.format;
    // An id is the same as before there were others.
    let format = Some(format).filter(|format| **format != Format::default());
    let text = [
        machine.unwrap_or_default().trim(),
        &source.to_string_lossy(),
        host,
        &plan.request.target.system.to_string(),
    ]
    .join("\0");
    let text = format.map_or(text.clone(), |format| format!("{text}\0{format}"));
    let mut id = Sha256Hash::of(text.as_bytes()).to_string();
    id.truncate(ID_CHARS);
    id
}

pub(super) fn container_image(definition: &Definition) -> ContainerImage {
    ContainerImage {
        reference: definition.reference(),
        definition_sha256: Some(definition.digest().to_string()),
    }
}

/// Our own builder image; a foreign one has only its `reference`.
fn builder_image(own: Option<&Definition>, reference: &str) -> ContainerImage {
    own.map_or_else(
        || ContainerImage {
            reference: reference.to_owned(),
            definition_sha256: None,
        },
        container_image,
    )
}

/// The pinned version of `package` in a container image.
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

fn emulation(mode: Emulation, registrar: Option<&Definition>) -> manifest::EmulationRecord {
    // With `host` it is the interpreter of another program's handler, about which nothing is known.
    let is_ours = matches!(mode, Emulation::Register | Emulation::Private);
    let registrar = registrar.filter(|_| is_ours);
    manifest::EmulationRecord {
        mode: match mode {
            Emulation::Builders => "builders".to_owned(),
            Emulation::Native | Emulation::Register | Emulation::Private | Emulation::Host => {
                EmulationChoice::from(mode).to_string()
            }
        },
        emulated: mode.uses_handler(),
        qemu: registrar.and_then(|definition| program(definition, QEMU)),
    }
}

/// The version of the QEMU that `mode` runs, without Debian's additions: `10.0.8`; `None` if it is not known.
pub(super) fn qemu_version(mode: Emulation, registrar: Option<&Definition>) -> Option<String> {
    let version = emulation(mode, registrar).qemu?.version;
    let upstream = version.split_once(':').map_or(&*version, |(_, rest)| rest);
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    Some(upstream.chars().take_while(|c| is_number(*c)).collect())
}

/// nixpkgs by its lock entry; a local directory only has a digest.
fn nixpkgs(source: &BuildSource) -> Option<Nixpkgs> {
    let ResolvedNixpkgs { nixpkgs, locked } = source.nixpkgs.as_ref()?;
    let (release, url) = match locked {
        Some(locked) => (locked.release.clone(), Some(without_secrets(&locked.url))),
        None => (None, None),
    };
    Some(Nixpkgs {
        release,
        url,
        sha256: nixpkgs.sha256(),
    })
}

/// The flake of a finished build. `overridden_inputs` of it were replaced.
fn flake(report: FlakeReport, overridden_inputs: Vec<String>) -> manifest::Flake {
    let substituters = report.caches.substituters.iter();
    let substituters = substituters.filter(|_| report.uses_caches);
    manifest::Flake {
        nar_hash: report.nar_hash,
        revision: report.revision,
        lock_sha256: report.lock,
        overridden_inputs,
        caches: substituters.map(|url| without_secrets(url)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_core::system::Architecture;

    #[test]
    fn manifest_names_pinned_emulator_and_nix() {
        let registrar = Definition::registrar(Architecture::X86_64, None).unwrap();
        let builder = Definition::builder(Architecture::X86_64, None).unwrap();
        let qemu = emulation(Emulation::Register, Some(&registrar));
        assert_eq!(qemu.mode, "register");
        let version = qemu_version(Emulation::Register, Some(&registrar)).unwrap();
        assert!(
            version.split('.').all(|n| n.parse::<u32>().is_ok()),
            "{version}"
        );
        let qemu = qemu.qemu.unwrap();
        assert_eq!(qemu.package_sha256.len(), 64);
        assert!(qemu.program_sha256.is_some());
        assert!(program(&builder, NIX).is_some());
        let own = builder_image(Some(&builder), "");
        assert!(own.definition_sha256.is_some());
        let foreign = builder_image(None, "nixos/nix@sha256:00");
        assert_eq!(foreign.reference, "nixos/nix@sha256:00");
        assert_eq!(foreign.definition_sha256, None);
        assert_eq!(emulation(Emulation::Native, None).mode, "none");
        let builders = emulation(Emulation::Builders, None);
        assert_eq!(
            (builders.mode.as_str(), builders.emulated),
            ("builders", false)
        );
        assert_eq!(emulation(Emulation::Native, None).qemu, None);
        assert_eq!(emulation(Emulation::Host, Some(&registrar)).qemu, None);
    }
}
