//! The registrar's own container image, for tests of single rooms.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use sdbuild::artifact::{Cache, Fetcher, Network};
use sdbuild::binfmt::RegistrarImage;
use sdbuild::cancel::Cancel;
use sdbuild::engine::connect::choose;
use sdbuild::engine::{EndpointInputs, Engine};
use sdbuild::event::Events;
use sdbuild::oci::{Architecture, Definition, Images};
use sdbuild::settings;

/// The settings of a person without wishes: engine, mirrors and locks as the environment says.
fn settings() -> settings::Common {
    let wishes = sdbuild::cli::Clean {
        dry_run: true,
        yes: true,
    };
    settings::Clean::resolve(&wishes, &settings::Environment::read())
        .unwrap()
        .common
}

/// The engine that the tests run on.
pub async fn engine() -> Engine {
    let settings = settings();
    let inputs = EndpointInputs {
        docker_host: settings.docker_host.as_deref(),
        docker_context: settings.docker_context.as_deref(),
        docker_config: settings.docker_config.clone(),
        runtime_dir: settings.runtime_dir.clone(),
    };
    Engine::connect(&choose(&inputs).unwrap()).await.unwrap()
}

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
    let settings::Common { mirrors, locks, .. } = settings();
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
