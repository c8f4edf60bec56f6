//! How long the boot of an image took when it was last booted in the same way, for an expectation of the next boots.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::boot::BootRequest;
use crate::common::context::Context;
use crate::common::event::{Event, Events, Phase};
use crate::pipeline;

/// The times of boots of one image in one way.
pub(super) struct LastBoot {
    state_dir: PathBuf,
    image: String,
    /// What the time depends on beside the image.
    way: String,
    /// What this boot took.
    took: Arc<OnceLock<Duration>>,
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
            took: Arc::default(),
        }
    }

    /// How long the last one took, if that is known.
    pub(super) fn took(&self) -> Option<Duration> {
        pipeline::last_boot(&self.state_dir, &self.image, &self.way)
    }

    /// `context`, whose events tell what this boot takes.
    pub(super) fn listening(&self, context: &Context) -> Context {
        let (took, events) = (Arc::clone(&self.took), context.events.clone());
        Context {
            events: Events::new(move |event| {
                if let Event::Finished(Phase::Boot, time) = &event {
                    took.set(*time).ok();
                }
                events.emit(event);
            }),
            ..context.clone()
        }
    }

    /// Notes what this boot took, if it has booted.
    pub(super) fn note(&self) {
        if let Some(took) = self.took.get() {
            // Without it the next boot has no expectation.
            pipeline::note_boot(&self.state_dir, &self.image, &self.way, *took).ok();
        }
    }
}
