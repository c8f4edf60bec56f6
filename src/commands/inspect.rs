//! `sdbuild inspect`: reads an image and shows what is on it; `ls` and `cat` read files inside.

mod view;

use std::path::Path;

use self::view::Directory;
use crate::cli;
use crate::cli::InspectCommand;
use crate::commands::Session;
use crate::commands::newest_image::named_or_newest;
use crate::settings;
use crate::ui::Ui;
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_image as image;
use sdbuild_image::report::ImagePath;
use sdbuild_image::report::Layout;
use sdbuild_image::{Error, FileSystem, OpenOptions, OpenedImage};

/// Reads the image and shows the report, a directory or a file.
pub async fn run(args: &cli::Inspect, session: Session<'_>) -> Result<(), Failure> {
    let Session { env, ui, context } = session;
    let options = OpenOptions {
        spool: settings::common_without_file(env)?.cache_dir,
        hash: args.look.is_none(),
    };
    let image = named_or_newest(args.image.as_deref(), session)?;
    let reader = Reader {
        image: &image,
        options,
        context,
    };
    match &args.look {
        None => {
            let image = image.clone();
            let report = reader.read(move |opened| image::examine(&image, opened));
            view::report(&report.await?, ui, args.json)
        }
        Some(InspectCommand::Ls { path }) => {
            let path = path.clone();
            let listed =
                reader.read(move |opened| list(&Layout::read(&opened.disk)?, path.as_deref()));
            match listed.await? {
                Listing::Directory(dir) => view::directory(&dir, session, args.json),
                Listing::Roots(roots) => view::roots(&roots, ui, args.json),
            }
        }
        Some(InspectCommand::Cat { path }) => {
            let (path, ui) = (path.clone(), ui.clone());
            let copied = reader.read(move |opened| copy(&Layout::read(&opened.disk)?, &path, &ui));
            copied.await?
        }
    }
}

/// Opens the image on a thread for blocking reads.
struct Reader<'a> {
    image: &'a Path,
    options: OpenOptions,
    context: &'a Context,
}

impl Reader<'_> {
    /// The result of `work` on the opened image. A signal ends the wait, also for a slow disk.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&OpenedImage) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Failure> {
        let (image, options) = (self.image.to_owned(), self.options.clone());
        let context = self.context.clone();
        let work = move || work(&image::open(&image, &options, &context)?);
        let work = tokio::task::spawn_blocking(work);
        let result = self.context.cancel.race(work).await?;
        let result = result.or_internal("read the image")?;
        result.map_err(|error| error.fail_on("inspect", self.image))
    }
}

/// The listing that `ls` shows.
enum Listing {
    /// The directory that was asked for.
    Directory(Directory),
    /// The root directory of each file system that can be read.
    Roots(Vec<Directory>),
}

fn list(layout: &Layout, path: Option<&str>) -> Result<Listing, Error> {
    if let Some(path) = path {
        let place = ImagePath::find(path, layout)?;
        return directory(place, layout).map(Listing::Directory);
    }
    let volumes = layout.volumes.iter();
    let readable = volumes.filter(|volume| !matches!(volume.fs, FileSystem::Other(_)));
    let roots = readable.map(|volume| {
        let place = ImagePath {
            partition: volume.number,
            path: "/".to_owned(),
        };
        directory(place, layout)
    });
    roots.collect::<Result<_, _>>().map(Listing::Roots)
}

fn directory(place: ImagePath, layout: &Layout) -> Result<Directory, Error> {
    let fs = &place.volume(layout)?.fs;
    Ok(Directory {
        entries: fs.list(&place.path)?,
        file_system: view::kind_and_label(&fs.summary()?),
        place,
    })
}

/// Writes the file at `path` to standard output. Errors are those of the image; a failure is that of standard output.
fn copy(layout: &Layout, path: &str, ui: &Ui) -> Result<Result<(), Failure>, Error> {
    let path = ImagePath::find(path, layout)?;
    let mut copied = Ok(());
    let mut write = |bytes: &[u8]| {
        let written = ui.data(bytes);
        Ok(written.unwrap_or_else(|failure| {
            copied = Err(failure);
            false
        }))
    };
    let fs = &path.volume(layout)?.fs;
    fs.allow_copy();
    fs.copy(&path.path, &mut write)?;
    Ok(copied)
}
