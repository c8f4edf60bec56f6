//! What `flash` puts onto a card after the image, and the engine that does it.

use std::fs::File;
use std::path::Path;

use crate::commands::personalise::tools_of;
use crate::commands::put_files::PutFiles;
use crate::commands::{Session, blocking};
use crate::settings::common_of_boot;
use sdbuild_build::RunEngine;
use sdbuild_card::Plan;
use sdbuild_core::compression::Compression;
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_image::disk::Section;
use sdbuild_image::flash::{DiskBlock, FlashSource};
use sdbuild_image::{DiskForm, Error};
use tokio::runtime::Handle;
use tokio::sync::OnceCell;

/// The disk in an image and its length in bytes: one that is compressed is unpacked once, into a file without a name.
pub(super) type ImageDisk = OnceCell<(File, u64)>;

/// The files, and the engine that puts them onto the card.
pub(super) struct PutOnto {
    files: PutFiles,
    engine: RunEngine,
}

impl PutOnto {
    /// Checks that `files` can be put onto a card with `image`, whose disk is `disk`, and prepares an engine; `None` if there are none.
    /// Nothing is written.
    pub(super) async fn prepare(
        files: PutFiles,
        image: &Path,
        disk: &ImageDisk,
        session: Session<'_>,
    ) -> Result<Option<Self>, Failure> {
        let Session { env, context, .. } = session;
        if files.is_empty() {
            return Ok(None);
        }
        let common = common_of_boot(env)?;
        let (from, spool) = (image.to_owned(), common.cache_dir.clone());
        let open = || blocking(context, move |context| open(&from, &spool, context));
        let (file, size) = disk.get_or_try_init(open).await?;
        let file = file.try_clone().or_environment("read the image")?;
        let disk = Section::whole(file, *size, &context.cancel);
        let check = move |_: &Context| {
            Plan::new(&disk, files.puts.clone(), files.wifi.as_ref()).map(|_| files)
        };
        let files = blocking(context, check).await?;
        let engine = RunEngine::to_put(&common, context).await?;
        Ok(Some(Self { files, engine }))
    }

    /// The blocks of `disk` that change. Blocks its thread.
    pub(super) fn changes(
        &self,
        disk: &Section,
        context: &Context,
    ) -> Result<Vec<DiskBlock>, Failure> {
        let plan = Plan::new(disk, self.files.puts.clone(), self.files.wifi.as_ref())?;
        let tools = tools_of(&self.engine);
        let changes = plan.changes(&tools, context);
        Ok(Handle::current().block_on(changes)?.blocks)
    }

    /// Ends the run of the engine with its `outcome`.
    pub(super) fn ended<T>(self, outcome: &Result<T, Failure>) {
        self.engine.ended(outcome);
    }
}

/// Opens the disk in `image`, which is unpacked into the directory `spool` if it is compressed.
fn open(image: &Path, spool: &Path, context: &Context) -> Result<(File, u64), Failure> {
    let source = FlashSource::open(image)?;
    let opened = source.image();
    let read = |error: Error| error.fail_on("read", image);
    if opened.disk_form(&context.cancel).map_err(read)? != DiskForm::Raw {
        let shown = image.display();
        let text = format!("files cannot be put into {shown}, which is no image of a card");
        return Err(Failure::usage(text));
    }
    if opened.compression == Compression::None {
        let file = opened.file().try_clone().or_environment("read the image")?;
        return Ok((file, opened.size));
    }
    let Context { cancel, events } = context;
    let progress = |done| events.bytes(Phase::Unpack, done, Some(opened.size));
    let unpack = || opened.unpack(spool, false, cancel, &progress);
    let unpacked = context.blocking_phase(Phase::Unpack, unpack);
    unpacked
        .map(|unpacked| (unpacked.file, unpacked.size))
        .map_err(read)
}
