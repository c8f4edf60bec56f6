//! Reads the closure of a system that was built from the store volume.

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::builder::{BuilderImage, ClosureProgram, Containers, Part};
use crate::clients;
use crate::container_images::provide_ours;
use crate::request::BuildRequest;
use crate::store_run::in_own_run;
use sdbuild_core::context::Context;
use sdbuild_core::failure::Failure;
use sdbuild_engine::oci::Definition;

/// Chunks that wait for their reader.
const CHUNKS: usize = 16;
/// Bytes of a description: ten thousand paths with their references have less.
const MAX_LIST_BYTES: usize = 64 << 20;

/// The closure of a system on the store volume.
#[derive(Clone, Copy, Debug)]
pub struct ClosureExport<'a> {
    /// The settings of the build.
    pub request: &'a BuildRequest,
    /// The store path that [`build_system`](crate::build_system) returned.
    pub result: &'a str,
}

impl ClosureExport<'_> {
    /// The description of the closure, as `containers/builder/export-closure` writes it. Untrusted.
    pub async fn list(&self, context: &Context) -> Result<String, Failure> {
        let (sender, mut receiver) = mpsc::channel::<Bytes>(CHUNKS);
        let read = async {
            let mut list = Vec::new();
            while let Some(chunk) = receiver.recv().await {
                list.extend_from_slice(&chunk);
                if list.len() > MAX_LIST_BYTES {
                    return Err(Failure::environment(
                        "the description of the system does not end",
                    ));
                }
            }
            Ok(list)
        };
        let (written, list) = tokio::join!(Box::pin(self.run(Part::List, sender, context)), read);
        written?;
        String::from_utf8(list?)
            .map_err(|_| Failure::environment("the description of the system is not a text"))
    }

    /// Writes the archives (NAR) of `paths` to `output`, in this order and one behind the other. If the receiver goes away, it ends
    /// without a failure.
    pub async fn archives(
        &self,
        paths: &[String],
        output: mpsc::Sender<Bytes>,
        context: &Context,
    ) -> Result<(), Failure> {
        Box::pin(self.run(Part::Archives(paths), output, context)).await
    }

    async fn run(
        &self,
        part: Part<'_>,
        output: mpsc::Sender<Bytes>,
        context: &Context,
    ) -> Result<(), Failure> {
        let cancel = &context.cancel;
        let common = &self.request.common;
        let engine = clients::connect(common, cancel).await?;
        let image = provide_ours(&engine, common, Definition::builder, context).await?;
        let image = BuilderImage::ours(image);
        let export = async |containers: Containers<'_>| {
            let program = ClosureProgram {
                containers,
                store: &common.store,
                result: self.result,
            };
            Box::pin(program.run(part, output, context)).await
        };
        Box::pin(in_own_run(&engine, common, &image, cancel, export)).await
    }
}
