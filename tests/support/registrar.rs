//! The registrar's own container image, for tests of single rooms.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use sdbuild::artifact::{Cache, Fetcher, Network};
use sdbuild::binfmt::RegistrarImage;
use sdbuild::cancel::Cancel;
use sdbuild::engine::Engine;
use sdbuild::event::Events;
use sdbuild::oci::{Architecture, Definition, Images};
use sdbuild::settings;

/// Sees to it that `engine` holds it, by the tests' shared cache.
pub async fn registrar_image(engine: &Engine) -> RegistrarImage {
    // Done already by the test before it in this process.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let architecture = match engine.facts().architecture.as_str() {
        "aarch64" => Architecture::Arm64,
        _ => Architecture::Amd64,
    };
    // The settings of a person without wishes: mirrors and locks as the test run's environment says.
    let wishes = sdbuild::cli::Clean {
        dry_run: true,
        yes: true,
    };
    let settings = settings::Clean::resolve(&wishes, &settings::Environment::read()).unwrap();
    let settings::Common { mirrors, locks, .. } = settings.common;
    let definition = Definition::registrar(architecture, locks.as_deref()).unwrap();
    let cache = Cache::open(concat!(env!("CARGO_TARGET_TMPDIR"), "/cache")).unwrap();
    let fetcher = Fetcher::new(cache, Network::default(), Events::none()).unwrap();
    let images = Images::new(fetcher, mirrors, Events::none());
    images
        .ensure(engine, &[&definition], &Cancel::new())
        .await
        .unwrap();
    RegistrarImage {
        reference: definition.reference(),
    }
}
