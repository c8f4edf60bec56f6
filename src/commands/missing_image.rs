//! What is said of an image that is missing: the images that there are, or how to make one.

use crate::commands::newest_image::names_of_images;
use crate::settings::{Environment, output_dir};
use sdbuild_core::failure::Failure;
use sdbuild_image::NEWEST_IS_TAKEN;

/// What to do without any image.
const BUILD_ONE: &str = "there is no image here; build one with `sdbuild build`, or name the file";
/// Images that a hint lists; the rest is counted.
const MAX_IMAGES: usize = 5;

/// `failure` with the images here in the advice to take the newest one, or with the advice to build one if there is none.
pub fn with_advice(mut failure: Failure, env: &Environment) -> Failure {
    let hints = failure.hints.iter_mut().chain(
        failure
            .others
            .iter_mut()
            .flat_map(|other| other.hints.iter_mut()),
    );
    for hint in hints.filter(|hint| *hint == NEWEST_IS_TAKEN) {
        if let Ok((here, output)) = output_dir(env) {
            *hint = advice(&names_of_images(&here, &output));
        }
    }
    failure
}

/// What to do where the images `names` exist.
fn advice(names: &[String]) -> String {
    let listed: Vec<&str> = names.iter().take(MAX_IMAGES).map(String::as_str).collect();
    let listed = listed.join(", ");
    match names.len().checked_sub(MAX_IMAGES) {
        _ if names.is_empty() => BUILD_ONE.to_owned(),
        None | Some(0) => format!("{NEWEST_IS_TAKEN}. Images here: {listed}"),
        Some(more) => format!("{NEWEST_IS_TAKEN}. Images here: {listed} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_five_images_are_listed() {
        let advice = |count: usize| {
            let names: Vec<String> = (1..=count).map(|i| format!("{i}.img")).collect();
            advice(&names)
        };
        assert_eq!(advice(0), BUILD_ONE);
        let five = ". Images here: 1.img, 2.img, 3.img, 4.img, 5.img";
        assert_eq!(advice(5), format!("{NEWEST_IS_TAKEN}{five}"));
        assert_eq!(advice(7), format!("{NEWEST_IS_TAKEN}{five} and 2 more"));
    }
}
