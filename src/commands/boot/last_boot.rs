//! How long the boot of an image took when it was last booted in the same way, for an expectation of the next boots.

use std::path::{Path, PathBuf};

use crate::boot::BootRequest;
use crate::common::context::Context;
use crate::common::event::{Phase, PhaseTimes};
use crate::common::timings::Timings;
use crate::pipeline;

/// The times of boots of one image in one way.
pub(super) struct LastBoot {
    state_dir: PathBuf,
    image: String,
    /// What the time depends on beside the image.
    way: String,
    /// What this boot takes.
    timings: Timings,
}

impl LastBoot {
    pub(super) fn new(
        state_dir: &Path,
        image: &Path,
        request: &BootRequest,
        in_engine: bool,
    ) -> Self {
        let name = image.file_name().unwrap_or_default().to_string_lossy();
        let (board, is_login) = (request.board.name, request.login.is_some());
        let (method, kvm) = (request.method, request.kvm);
        Self {
            state_dir: state_dir.to_owned(),
            image: name.into_owned(),
            way: format!("{board} {method:?} {kvm} {is_login} {in_engine}"),
            timings: Timings::default(),
        }
    }

    /// How long the phases of the last one took, as far as that is known.
    pub(super) fn phases(&self) -> PhaseTimes {
        pipeline::last_boot(&self.state_dir, &self.image, &self.way)
    }

    /// `context`, whose events tell what this boot takes.
    pub(super) fn listening(&self, context: &Context) -> Context {
        Context {
            events: self.timings.listen(&context.events),
            ..context.clone()
        }
    }

    /// Notes what this boot took, if it has booted.
    pub(super) fn note(&self) {
        let phases = self.timings.in_millis();
        if phases.contains_key(&Phase::Boot) {
            // Without it the next boot has no expectation.
            pipeline::note_boot(&self.state_dir, &self.image, &self.way, phases).ok();
        }
    }
}
