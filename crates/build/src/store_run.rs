//! A run that only reads the store volume.

use crate::builder::{BuilderImage, Containers};
use crate::request::Common;
use crate::run_lock::RunLocks;
use crate::sweep::Sweep;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::failure::Failure;
use sdbuild_engine::{Engine, Role, RunId};

/// Does `work` in a run of its own, with what its containers of `image` are made of.
pub(crate) async fn in_own_run<T>(
    engine: &Engine,
    common: &Common,
    image: &BuilderImage,
    cancel: &Cancel,
    work: impl AsyncFnOnce(Containers<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let run = RunId::random()?;
    // Without it another run would take the container for one that was left.
    let locks = RunLocks::new(&common.state_dir, engine.endpoint());
    let lock = locks.acquire(&run)?;
    let work = async {
        cancel.race(sweep(engine, &locks, &run)).await??;
        let containers = Containers {
            engine,
            run: &run,
            image,
        };
        work(containers).await
    };
    let done = Box::pin(work).await;
    lock.end(&done);
    done
}

/// Removes the builders and exports of killed runs; the next build removes what else they left.
async fn sweep(engine: &Engine, run_locks: &RunLocks, own: &RunId) -> Result<(), Failure> {
    let sweep = Sweep {
        engine,
        run_locks,
        own,
    };
    let mut stale = sweep.find(&[]).await?;
    stale.narrow(|one| one.role == Role::Builder);
    let leftovers = sweep.remove(&stale, None).await.leftovers;
    if leftovers.is_empty() {
        return Ok(());
    }
    Err(
        Failure::environment("sdbuild could not remove everything that killed runs left")
            .with_teardown(leftovers),
    )
}
