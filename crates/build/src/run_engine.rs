//! What a command that is no build needs in an engine: a container image of ours there, and a run lock.

use std::path::{Path, PathBuf};

use crate::clients;
use crate::container_images::provide_ours;
use crate::request::Common;
use crate::run_lock::{RunLock, RunLocks};
use crate::sweep::Sweep;
use sdbuild_core::context::Context;
use sdbuild_core::failure::Failure;
use sdbuild_core::system::Architecture;
use sdbuild_engine::oci::Definition;
use sdbuild_engine::{Endpoint, Engine, RunId};

/// An engine with a container image of ours. While this value lives no other run removes what the run creates there.
#[derive(Debug)]
pub struct RunEngine {
    /// The engine.
    pub engine: Engine,
    /// The run.
    pub run: RunId,
    /// Reference of the container image, which the engine holds.
    pub image: String,
    run_lock: Option<RunLock>,
}

impl RunEngine {
    /// An engine that can boot an image. With `needs_port`, an engine on another machine is refused.
    pub async fn to_boot(
        settings: &Common,
        needs_port: bool,
        context: &Context,
    ) -> Result<Self, Failure> {
        Self::prepare(settings, needs_port, Definition::emulator, context).await
    }

    /// An engine that can put files into file systems.
    pub async fn to_put(settings: &Common, context: &Context) -> Result<Self, Failure> {
        Self::prepare(settings, false, Definition::card, context).await
    }

    /// Connects, removes what stale runs left on the engine, and fetches, assembles and loads the image that `define` gives where the
    /// engine lacks it.
    async fn prepare(
        settings: &Common,
        needs_port: bool,
        define: fn(Architecture, Option<&Path>) -> Result<Definition, Failure>,
        context: &Context,
    ) -> Result<Self, Failure> {
        let engine = clients::connect(settings, &context.cancel).await?;
        if needs_port {
            reachable(engine.endpoint())?;
        }
        let run = RunId::random()?;
        let run_locks = RunLocks::new(&settings.state_dir, engine.endpoint());
        let run_lock = run_locks.acquire(&run)?;
        let sweep = Sweep {
            engine: &engine,
            run_locks: &run_locks,
            own: &run,
        };
        let image = async {
            // A boot that was killed while it copied left a container as large as the unpacked image.
            sweep.clear(None, context).await?;
            provide_ours(&engine, settings, define, context).await
        };
        match image.await {
            Ok(image) => Ok(Self {
                engine,
                run,
                image,
                run_lock: Some(run_lock),
            }),
            Err(failure) => {
                let failed = Err(failure);
                run_lock.end(&failed);
                failed
            }
        }
    }

    /// The engine's directory of containers, when it is a directory of this machine.
    pub fn disk(&self) -> Option<PathBuf> {
        let dir = PathBuf::from(&self.engine.facts().root_dir);
        (self.engine.is_on_this_kernel() && dir.is_absolute()).then_some(dir)
    }

    /// Ends the run with its `outcome`. When it left something behind, the run counts as stale, so that the next run removes it.
    pub fn ended<T>(mut self, outcome: &Result<T, Failure>) {
        if let Some(run_lock) = self.run_lock.take() {
            run_lock.end(outcome);
        }
    }
}

impl Drop for RunEngine {
    fn drop(&mut self) {
        if let Some(run_lock) = self.run_lock.take() {
            run_lock.release();
        }
    }
}

/// Refuses an engine on another machine: the machine's port would be open there, not here.
fn reachable(endpoint: &Endpoint) -> Result<(), Failure> {
    if endpoint.publishes_ports_here() {
        return Ok(());
    }
    Err(Failure::environment(format!(
        "the engine at {endpoint} is on another machine, where the booted image's SSH port would be too"
    ))
    .hint("install QEMU on this machine, or boot without --until-ssh, --run and --port to see the console"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_on_another_machine_is_refused() {
        let tcp = |address: &str| Endpoint::Tcp(address.to_owned());
        for here in ["127.0.0.1:2375", "localhost:1", "[::1]:2375", "127.8.9.1:5"] {
            reachable(&tcp(here)).unwrap();
        }
        let unix = Endpoint::Unix("/run/docker.sock".into());
        reachable(&unix).unwrap();
        for there in ["192.0.2.7:2375", "engine.lan:2375", "[2001:db8::1]:2375"] {
            let failure = reachable(&tcp(there)).unwrap_err();
            assert!(failure.to_string().contains("on another machine"));
        }
    }
}
