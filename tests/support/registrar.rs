//! The registrar's container image for tests of single rooms.

use sdbuild::binfmt::RegistrarImage;

use super::docker;

/// Loads it into the engine.
pub fn registrar_image() -> RegistrarImage {
    let reference = std::env::var("SDBUILD_TEST_REGISTRAR");
    let reference = reference.unwrap_or_else(|_| "engine-dev-registrar:1".into());
    docker(&["image", "inspect", &reference]);
    RegistrarImage { reference }
}
