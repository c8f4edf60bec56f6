//! Step: the image is copied out of the builder into the output directory.

use std::path::Path;
use std::time::SystemTime;

use crate::build_mode::EmulationChoice;
use crate::build_source::{BuildSource, ResolvedNixpkgs, Source};
use crate::builder::{BuildJob, BuildResult, NoConfiguration};
use crate::container_images::ContainerImages;
use crate::emulation::Emulation;
use crate::flake::Flake;
use crate::output;
use crate::output::manifest;
use crate::output::manifest::{Built, ContainerImage, Nixpkgs, Program, Provenance};
use crate::output::{CopyRequest, Image, ImagerUrl, OutputSettings, UnchangedImage};
use crate::plan::Plan;
use crate::request::BuildRequest;
use crate::run_context::RunContext;
use crate::series::Series;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Class, Failure, OrFail as _};
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::http_url::without_secrets;
use sdbuild_core::plain_file;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::shown_path::shown_path;
use sdbuild_core::timings::Timings;
use sdbuild_engine::oci::Definition;
use sdbuild_image::board::BoardName;
use sdbuild_image::image_name::Sidecar;
use sdbuild_nix::reports::FlakeReport;

/// Where the image goes.
pub(super) fn describe(plan: &Plan) -> Vec<(&'static str, String)> {
    let request = &plan.request;
    let dir = request.output.dir.display();
    let replaces = if request.output.force {
        ", replacing one of the same name"
    } else {
        ""
    };
    let board = request.target.board.as_ref();
    let board = board.map(|board| ("board", board.to_string()));
    let mut lines = vec![("format", request.target.format.to_string())];
    lines.extend(board);
    lines.push(("image into", format!("{dir}{replaces}")));
    lines
}

/// Copies the image of a finished build, with its sidecars.
pub(crate) async fn copy_out(
    run: &RunContext<'_>,
    built: &BuildResult,
    origin: Provenance,
    timings: &Timings,
    configuration_read: SystemTime,
) -> Result<Image, Failure> {
    let request = request(run, origin, timings, configuration_read);
    let copy = output::copy_out(&built.container, &built.out_path, &request, run.context);
    let asks = run.plan.request.questions.replacing;
    let copy = async {
        let copied = copy.await;
        // What it came to is the size.
        let events = &run.context.events;
        events.detail(Phase::CopyOut, "");
        copied
            .map_err(|failure| with_configuration(failure, built.as_it_is.as_ref()).asked_if(asks))
    };
    let image = run.context.phase(Phase::CopyOut, copy).await?;
    if let Some(imager) = &request.settings.imager {
        run.context
            .events
            .notice(imager_advice(imager, &image.path));
    }
    Ok(image)
}

/// How Raspberry Pi Imager takes the list beside the image at `path`.
fn imager_advice(imager: &ImagerUrl, path: &Path) -> String {
    let list = Sidecar::ImagerList.path(path);
    let shown = shown_path(&list);
    let taken = match imager {
        ImagerUrl::OutputDir => shown.clone(),
        ImagerUrl::Below(base) => output::imager_url(
            base,
            &list.file_name().unwrap_or_default().to_string_lossy(),
        ),
    };
    format!(
        "the list for Raspberry Pi Imager is {shown}: rpi-imager --repo {}",
        quoted(&taken)
    )
}

/// `failure` with a configuration to build instead, if what was built is none and the flake has one.
fn with_configuration(failure: Failure, as_it_is: Option<&NoConfiguration>) -> Failure {
    let first = as_it_is.and_then(|flake| flake.configuration.as_deref());
    match first.filter(|_| failure.class == Class::Build) {
        Some(first) => failure.hint(format!(
            "a configuration of the flake has one: sdbuild build {}",
            quoted(first)
        )),
        None => failure,
    }
}

fn request(
    run: &RunContext<'_>,
    origin: Provenance,
    timings: &Timings,
    configuration_read: SystemTime,
) -> CopyRequest {
    CopyRequest {
        settings: output_settings(&run.plan.request),
        origin,
        timings: timings.clone(),
        configuration_read,
    }
}

/// The image that an earlier build made of the same configuration, nixpkgs and settings, if it is still there. Nix is not
/// asked: the key of the evaluation of `job` says that it would answer the same.
pub(crate) async fn unchanged(
    run: &RunContext<'_>,
    job: &BuildJob,
    configuration_read: SystemTime,
) -> Result<Option<UnchangedImage>, Failure> {
    let (plan, cancel) = (run.plan, &run.context.cancel);
    let Some(builder) = plan.engine_plan.builder.content_reference() else {
        return Ok(None);
    };
    let job = job.clone();
    let settings = output_settings(&plan.request);
    let mut origin = Provenance::default();
    origin.configuration.id = image_owner(plan);
    let registrar = plan.engine_plan.registrar.as_ref();
    origin.registrar = registrar.map(container_image);
    let token = cancel.clone();
    let find = move || {
        origin.configuration.evaluation = job.evaluation_key(&builder)?;
        Ok::<_, Failure>(output::unchanged(
            &settings,
            &origin,
            configuration_read,
            &token,
        ))
    };
    let found = cancel.race(tokio::task::spawn_blocking(find)).await?;
    found.or_internal("look for an earlier image")?
}

fn output_settings(request: &BuildRequest) -> OutputSettings {
    OutputSettings {
        board: request.target.board.map(|BoardName(board)| board),
        format: request.target.format.clone(),
        dir: request.output.dir.clone(),
        force: request.output.force,
        kept: request
            .series
            .as_ref()
            .map_or_else(Vec::new, Series::images),
        owner: request.output.owner,
        is_private: request.source.choice.is_private(),
        compression: request.output.compress,
        imager: request.output.imager.clone(),
        created: request
            .output
            .source_date_epoch
            .unwrap_or_else(jiff::Timestamp::now),
    }
}

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
        let overridden = source.flake().map(Flake::overridden_inputs);
        let overridden = overridden.into_iter().flatten();
        Self {
            name: source.source.public_name(),
            nixpkgs: nixpkgs(source),
            overridden_inputs: overridden.map(str::to_owned).collect(),
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
            id: image_owner(plan),
            evaluation: built.evaluation,
            flake: report.map(|report| flake(report, source.overridden_inputs)),
        },
        choice: built.image.clone(),
        result: Built {
            store_path: built.out_path.clone(),
            derivation: Some(built.derivation.clone()),
        },
    }
}

/// Tells one configuration, host, system and format from others without naming its path.
pub(super) fn configuration_id(plan: &Plan) -> String {
    configuration_id_of(&plan.source.source, plan)
}

/// The same for another `source`.
pub(super) fn configuration_id_of(source: &Source, plan: &Plan) -> String {
    let host = plan.request.source.host_name.as_deref();
    id_of(&source.identity().to_string_lossy(), host, plan)
}

/// The owner of an image as manifests have it: `ID-NAME-HOST`, with the name of a flake's configuration and the host name where the
/// command line or the settings have them (see `output::earlier`).
fn image_owner(plan: &Plan) -> String {
    let (place, name) = match &plan.source.source {
        Source::Flake(flake) => (flake.place(), flake.configuration_name()),
        other @ Source::Module(_) => (other.identity().to_string_lossy().into_owned(), None),
    };
    let part = |text: Option<&str>| text.map(short_hash).unwrap_or_default();
    let host = plan.request.source.host_name.as_deref();
    let id = id_of(&place, None, plan);
    format!("{id}-{}-{}", part(name.as_deref()), part(host))
}

/// A hash of `source`, `host`, system and format. It also has the identity of this machine in it, so that it cannot be guessed.
fn id_of(source: &str, host: Option<&str>, plan: &Plan) -> String {
    let target = &plan.request.target;
    let machine = plain_file::read_text(Path::new("/etc/machine-id"), MAX_MACHINE_ID_BYTES);
    let text = [
        machine.unwrap_or_default().trim(),
        source,
        host.unwrap_or_default(),
        &target.system.to_string(),
        &target.format.to_string(),
    ]
    .join("\0");
    short_hash(&text)
}

fn short_hash(text: &str) -> String {
    let mut hash = Sha256Hash::of(text.as_bytes()).to_string();
    hash.truncate(ID_CHARS);
    hash
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
