//! Warnings of a boot test that will hardly log in, while the image is not built yet.

use super::BootPlan;
use super::PreparedBoot;
use sdbuild_boot::KeyCheck;
use sdbuild_core::context::Context;
use sdbuild_core::event::{Event, Events};
use sdbuild_core::failure::Failure;

impl BootPlan {
    /// Warns where the login can hardly succeed, while an image that takes hours is not built yet.
    pub(in crate::commands) async fn warn_of_keys(
        &mut self,
        context: &Context,
    ) -> Result<(), Failure> {
        let Some(keys) = KeyCheck::of(&self.request) else {
            return Ok(());
        };
        if let Some(failure) = keys.before_build(&context.cancel).await? {
            warn_of_login(&failure, &context.events);
            self.is_warned = true;
        }
        Ok(())
    }
}

impl PreparedBoot {
    /// Passes events on to `events`, with a warning as soon as it is known that the image accepts no key that the login can use.
    pub(in crate::commands) fn watch_keys(&self, events: &Events) -> Events {
        let Some(keys) = KeyCheck::of(&self.request).filter(|_| !self.is_warned) else {
            return events.clone();
        };
        let events = events.clone();
        Events::new(move |event| {
            if let Event::AuthorizedKeys(accepted) = &event {
                let (keys, accepted, events) = (keys.clone(), accepted.clone(), events.clone());
                let look = move || {
                    if let Some(failure) = keys.with_accepted(&accepted) {
                        warn_of_login(&failure, &events);
                    }
                };
                // A sink returns at once, and OpenSSH's programs take a moment. Without a thread there is no warning.
                std::thread::Builder::new().spawn(look).ok();
            }
            events.emit(event);
        })
    }
}

/// Warns of a boot test that will hardly log in.
fn warn_of_login(failure: &Failure, events: &Events) {
    events.warn(format!("the boot test may be unable to log in: {failure}"));
    for hint in &failure.hints {
        events.notice(format!("hint: {hint}"));
    }
}
