//! One run on the machine's engine, for tests of single modules.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::{Event, Events};
use sdbuild_core::failure::Failure;
use sdbuild_engine::binfmt::{
    HandlerKind, HandlerName, Lease, Registrar, RegistrarImage, RegistrarOptions, probe,
};
use sdbuild_engine::{Engine, Role, RunId};

use crate::registrar::registrar_image;
use crate::support::*;

/// The limit for what takes milliseconds on an idle machine.
pub const AT_ONCE: Duration = Duration::from_secs(3);

/// One run on the machine's engine, with the events that it emitted.
pub struct SingleRun {
    pub engine: Engine,
    pub image: RegistrarImage,
    pub run: RunId,
    pub cancel: Cancel,
    pub events: Events,
    pub heard: Arc<Mutex<Vec<Event>>>,
}

impl SingleRun {
    pub async fn new() -> Self {
        Self::of(RunId::random().unwrap()).await
    }

    pub async fn of(run: RunId) -> Self {
        let engine = crate::registrar::engine().await;
        let image = registrar_image(&engine).await;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&heard);
        let events = Events::new(move |event| sink.lock().unwrap().push(event));
        Self { engine, image, run, cancel: Cancel::new(), events, heard }
    }

    pub fn options(&self) -> RegistrarOptions {
        RegistrarOptions::new(&self.engine, &self.image, &self.run)
    }

    pub async fn registrar(&self) -> Registrar {
        Registrar::start(self.options(), &self.cancel, &self.events).await.unwrap()
    }

    pub async fn lease(&self) -> Lease {
        let lease = self.registrar().await.hold(&self.cancel).await.unwrap();
        assert!(self.is_registered(), "held, and in the table");
        lease
    }

    /// Runs an emulated program in a container, which needs a registered handler.
    pub async fn probe(&self) -> Result<(), Failure> {
        let (engine, image) = (&self.engine, &self.image);
        let kind = HandlerKind::Registered;
        let probed = probe(engine, image, kind, &self.run, &self.cancel).await;
        probed.map_err(|refused| refused.failure)
    }

    pub fn handler(&self) -> String {
        HandlerName::new(self.image.emulates, &self.run).to_string()
    }

    pub fn is_registered(&self) -> bool {
        handlers().contains_key(&self.handler())
    }

    pub fn container(&self) -> String {
        Role::Registrar.container_name(&self.run)
    }

    /// Asserts that nothing of this run is on the machine.
    #[track_caller]
    pub fn left_nothing(&self) {
        assert!(!self.is_registered(), "the handler is gone");
        let of_run = format!("label=dev.sdbuild.run={}", self.run);
        let left = docker(&["ps", "--all", "--quiet", "--filter", &of_run]);
        assert_eq!(left, "", "no container is left");
    }

    pub fn warned(&self, part: &str) -> bool {
        let heard = self.heard.lock().unwrap();
        heard.iter().any(|event| matches!(event, Event::Warning(text) if text.contains(part)))
    }

    /// Removes the container of a killed client, which the next run would sweep. Another build may have done so.
    pub fn remove_container(&self) {
        let name = self.container();
        run(Command::new("docker").args(["rm", "--force", &name]));
        assert!(!docker_lines(&["ps", "--all", "--format", "{{.Names}}"]).contains(&name));
    }
}
