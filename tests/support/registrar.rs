//! The container images, for tests of single modules.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use sdbuild::settings;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::Events;
use sdbuild_core::system::Architecture;
use sdbuild_engine::artifact::{Cache, Fetcher, Network};
use sdbuild_engine::binfmt::RegistrarImage;
use sdbuild_engine::connect::choose;
use sdbuild_engine::oci::{Definition, Images};
use sdbuild_engine::{EndpointInputs, Engine};

/// The default settings, with engine, mirrors and locks from the environment.
fn settings() -> sdbuild_build::Common {
    settings::common_without_file(&settings::Environment::read()).unwrap()
}

/// The engine that the tests run on.
pub async fn engine() -> Engine {
    let settings = settings();
    let inputs = EndpointInputs {
        docker_host: settings.docker_host.as_deref(),
        docker_context: settings.docker_context.as_deref(),
        docker_config: settings.docker_config.clone(),
        docker_tls_verify: settings.docker_tls_verify,
        docker_cert_path: settings.docker_cert_path.clone(),
        runtime_dir: settings.runtime_dir.clone(),
    };
    Engine::connect(&choose(&inputs).unwrap()).await.unwrap()
}

/// Provides the registrar's image for the architecture of `engine`.
pub async fn registrar_image(engine: &Engine) -> RegistrarImage {
    let architecture = engine.facts().architecture.supported().unwrap();
    let locks = settings().locks;
    let definition = Definition::registrar(architecture, locks.as_deref()).unwrap();
    RegistrarImage::new(provided(engine, &definition).await, architecture)
}

/// Provides the builder's image for the architecture of `engine`; returns its reference.
pub async fn builder_image(engine: &Engine) -> String {
    let architecture = engine.facts().architecture.supported().unwrap();
    let locks = settings().locks;
    let definition = Definition::builder(architecture, locks.as_deref()).unwrap();
    provided(engine, &definition).await
}

/// Provides both images for 64-bit ARM hosts on `engine`; returns their references.
pub async fn arm64_images(engine: &Engine) -> (String, String) {
    let locks = settings().locks;
    let registrar = Definition::registrar(Architecture::Aarch64, locks.as_deref()).unwrap();
    let builder = Definition::builder(Architecture::Aarch64, locks.as_deref()).unwrap();
    (provided(engine, &registrar).await, provided(engine, &builder).await)
}

/// Assembles and loads the image unless the engine has it, with the tests' shared cache; returns its reference.
async fn provided(engine: &Engine, definition: &Definition) -> String {
    // Fails when an earlier test in this process has done it.
    rustls::crypto::ring::default_provider().install_default().ok();
    let cache = Cache::open(concat!(env!("CARGO_TARGET_TMPDIR"), "/cache/sdbuild")).unwrap();
    let fetcher = Fetcher::new(cache, Network::default(), Events::none()).unwrap();
    let images = Images::new(fetcher, settings().mirrors, Events::none());
    if images.held(engine, definition).await.unwrap().is_none() {
        let cancel = Cancel::new();
        images.provide(engine, definition, &cancel).await.unwrap();
    }
    definition.reference()
}
