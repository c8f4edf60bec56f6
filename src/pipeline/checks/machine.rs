//! What the checks judge: the settings, the engine and this machine, as far as they are known.

use crate::pipeline::checks::servers::Answers;
use crate::pipeline::emulation::Emulation;
use crate::pipeline::nixpkgs_archive::NixpkgsArchive;
use crate::pipeline::request::BuildRequest;
use sdbuild_core::kvm::Kvm;
use sdbuild_engine::oci::MissingImages;
use sdbuild_engine::{Endpoint, Engine, EngineFacts};

/// A build's settings and everything known about where it would run. A check that needs something which is
/// not known does not apply.
#[derive(Clone, Copy, Debug)]
pub(in crate::pipeline) struct Machine<'a> {
    /// The settings of the build.
    pub(in crate::pipeline) request: &'a BuildRequest,
    /// Whether derivations are built.
    pub(in crate::pipeline) builds: bool,
    /// Whether an image is written to the output directory.
    pub(in crate::pipeline) writes_image: bool,
    /// The engine; `None` when it does not answer.
    pub(in crate::pipeline) engine: Option<EngineView<'a>>,
    /// How programs of the image run; `None` when no way is possible, or no engine answers.
    pub(in crate::pipeline) emulation: Option<Emulation>,
    /// What the engine and the cache lack of the container images.
    pub(in crate::pipeline) missing: Option<&'a MissingImages>,
    /// Facts that only `doctor` collects.
    pub(in crate::pipeline) doctor: Option<&'a DoctorFacts>,
}

impl Machine<'_> {
    /// Whether programs of the image run under emulation, as far as that is known.
    pub(super) fn may_emulate(&self) -> bool {
        self.emulation.is_none_or(Emulation::uses_handler)
    }

    /// Whether this machine's kernel is the engine's. `doctor` takes it for that when no engine answers.
    pub(super) fn is_this_kernel(&self) -> bool {
        let is_doctor = self.doctor.is_some();
        self.engine
            .map_or(is_doctor && cfg!(target_os = "linux"), |engine| {
                engine.is_on_this_kernel
            })
    }
}

/// What the checks judge of an engine.
#[derive(Clone, Copy, Debug)]
pub(in crate::pipeline) struct EngineView<'a> {
    /// What it reported about itself and its machine.
    pub(in crate::pipeline) facts: &'a EngineFacts,
    /// Address of the engine.
    pub(in crate::pipeline) endpoint: &'a Endpoint,
    /// Whether it runs on this machine's kernel.
    pub(in crate::pipeline) is_on_this_kernel: bool,
}

impl<'a> From<&'a Engine> for EngineView<'a> {
    fn from(engine: &'a Engine) -> Self {
        Self {
            facts: engine.facts(),
            endpoint: engine.endpoint(),
            is_on_this_kernel: engine.is_on_this_kernel(),
        }
    }
}

/// What takes too long for every build to find out.
#[derive(Debug)]
pub(in crate::pipeline) struct DoctorFacts {
    /// Answers of the servers that a build needs.
    pub(in crate::pipeline) answers: Answers,
    /// The archive of nixpkgs that a build needs; `None` for a local directory.
    pub(in crate::pipeline) nixpkgs: Option<NixpkgsArchive>,
    /// Whether `boot` can use KVM.
    pub(in crate::pipeline) kvm: Kvm,
    /// What stale runs left, for instance `2 containers, 1 binfmt_misc entry`, or why that is not known.
    pub(in crate::pipeline) leftovers: Result<String, String>,
    /// Bytes of downloads.
    pub(in crate::pipeline) cache_size: u64,
}

#[cfg(test)]
pub(super) mod fixture {
    use super::*;

    /// A machine with an engine on another kernel that has `facts`.
    pub(in crate::pipeline::checks) fn machine<'a>(
        request: &'a BuildRequest,
        facts: &'a EngineFacts,
        endpoint: &'a Endpoint,
    ) -> Machine<'a> {
        Machine {
            request,
            builds: true,
            writes_image: true,
            engine: Some(EngineView {
                facts,
                endpoint,
                is_on_this_kernel: false,
            }),
            emulation: Emulation::choose(request.target.emulation, request.target.system, facts)
                .ok(),
            missing: None,
            doctor: None,
        }
    }
}
