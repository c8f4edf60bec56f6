//! What is said of an image that is missing where there is no other one that could be taken.

use crate::commands::newest_image::newest;
use crate::common::failure::Failure;
use crate::image::NEWEST_IS_TAKEN;
use crate::settings::{Environment, output_dir};

/// What to do without any image.
const BUILD_ONE: &str = "there is no image here; build one with `sdbuild build`, or name the file";

/// `failure` with the advice to build an image in place of that to take the newest one here, if there is none.
pub fn with_advice(mut failure: Failure, env: &Environment) -> Failure {
    let is_none = || output_dir(env).is_ok_and(|(here, output)| newest(&here, &output).is_none());
    let hints = failure.hints.iter_mut().chain(
        failure
            .others
            .iter_mut()
            .flat_map(|other| other.hints.iter_mut()),
    );
    for hint in hints {
        if hint == NEWEST_IS_TAKEN && is_none() {
            BUILD_ONE.clone_into(hint);
        }
    }
    failure
}
