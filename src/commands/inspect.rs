//! `sdbuild inspect`: reads an image and shows what is on it; `ls` and `cat` read files inside.

mod view;

use std::path::Path;

use self::view::Directory;
use crate::cli::{self, InspectCommand};
use crate::commands::newest_image::meant_or_newest;
use crate::common::context::Context;
use crate::common::failure::{Failure, OrFail as _};
use crate::common::image_name::is_image;
use crate::common::shell_word::quoted;
use crate::common::shown_path::shown_path;
use crate::image::nearby::Nearby;
use crate::image::place::ImagePath;
use crate::image::report::Layout;
use crate::image::{self, Error, FileSystem, OpenOptions, OpenedImage};
use crate::settings::{self, Environment};
use crate::ui::Ui;

/// Reads the image and shows the report, a directory or a file.
pub async fn run(
    args: &cli::Inspect,
    env: &Environment,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let options = OpenOptions {
        spool: settings::common_without_file(env)?.cache_dir,
        hash: args.look.is_none(),
    };
    refuse_image_behind_command(args)?;
    let image = meant_or_newest(args.image.as_deref(), env, context)?;
    let reader = Reader {
        image: &image,
        options,
        context,
    };
    match &args.look {
        None => {
            let image = image.clone();
            let report = reader.read(move |opened| Ok(image::examine(&image, opened)?));
            view::report(&report.await?, ui, args.json)
        }
        Some(InspectCommand::Ls { path }) => {
            let path = path.clone();
            let listed = reader.read(move |opened| {
                at(opened, path.as_deref(), |layout| {
                    list(layout, path.as_deref())
                })
            });
            match listed.await? {
                Listing::Directory(dir) => view::directory(&dir, ui, context, args.json),
                Listing::Roots(roots) => view::roots(&roots, ui, args.json),
            }
        }
        Some(InspectCommand::Cat { path }) => {
            let (path, ui) = (path.clone(), ui.clone());
            let copied = reader
                .read(move |opened| at(opened, Some(&path), |layout| copy(layout, &path, &ui)));
            copied.await?.into_result()
        }
    }
}

/// Refuses an image of this machine as the path in an image that nothing names.
fn refuse_image_behind_command(args: &cli::Inspect) -> Result<(), Failure> {
    let (command, path) = match &args.look {
        Some(InspectCommand::Ls { path: Some(path) }) => ("ls", path),
        Some(InspectCommand::Cat { path }) => ("cat /PATH", path),
        Some(InspectCommand::Ls { path: None }) | None => return Ok(()),
    };
    let is_image = is_image(path) && Path::new(path).is_file();
    if args.image.is_some() || !is_image {
        return Ok(());
    }
    Err(
        Failure::usage(format!("{path} is a file; give the image first"))
            .hint(format!("sdbuild inspect {} {command}", quoted(path))),
    )
}

/// Opens the image on a thread for blocking reads.
struct Reader<'a> {
    image: &'a Path,
    options: OpenOptions,
    context: &'a Context,
}

/// Why something of an image cannot be shown, and what can be in place of it.
struct Refusal {
    error: Error,
    instead: Option<Nearby>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let instead = None;
        Self { error, instead }
    }
}

impl Reader<'_> {
    /// The result of `work` on the opened image. A signal ends the wait, also for a slow disk.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&OpenedImage) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Failure> {
        let (image, options) = (self.image.to_owned(), self.options.clone());
        let context = self.context.clone();
        let work = move || work(&image::open(&image, &options, &context)?);
        let work = tokio::task::spawn_blocking(work);
        let result = self.context.cancel.race(work).await?;
        let result = result.or_internal("read the image")?;
        result.map_err(|refusal| {
            let failure = refusal.error.fail_on("inspect", self.image);
            match refusal.instead {
                Some(instead) => failure.hint(self.hint(&instead)),
                None => failure,
            }
        })
    }

    /// The command that shows `instead`.
    fn hint(&self, instead: &Nearby) -> String {
        let image = quoted(&shown_path(self.image));
        match instead {
            Nearby::Directory(path) => {
                format!(
                    "`sdbuild inspect {image} ls {}` lists what is there",
                    quoted(path)
                )
            }
            Nearby::Source(path) => format!(
                "NixOS takes it from its system: `sdbuild inspect {image} cat {}`",
                quoted(path)
            ),
        }
    }
}

/// The result of `look` at the layout of an image. A refusal has what is there in place of `path`.
fn at<T>(
    opened: &OpenedImage,
    path: Option<&str>,
    look: impl FnOnce(&Layout) -> Result<T, Error>,
) -> Result<T, Refusal> {
    let layout = Layout::read(&opened.disk)?;
    look(&layout).map_err(|error| {
        let path = path.filter(|_| matches!(error, Error::Refused(_)));
        let instead = path.and_then(|path| Nearby::find(path, &layout));
        Refusal { error, instead }
    })
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

/// How writing a file of the image to standard output ended.
enum Copied {
    /// All of it was written, or the reader has closed standard output.
    Done,
    /// Standard output failed.
    OutputFailed(Failure),
}

impl Copied {
    fn into_result(self) -> Result<(), Failure> {
        match self {
            Self::Done => Ok(()),
            Self::OutputFailed(failure) => Err(failure),
        }
    }
}

/// Writes the file at `path` to standard output. Errors are those of the image.
fn copy(layout: &Layout, path: &str, ui: &Ui) -> Result<Copied, Error> {
    let path = ImagePath::find(path, layout)?;
    let mut copied = Copied::Done;
    let mut write = |bytes: &[u8]| {
        Ok(match ui.data(bytes) {
            Ok(is_open) => is_open,
            Err(failure) => {
                copied = Copied::OutputFailed(failure);
                false
            }
        })
    };
    path.volume(layout)?.fs.copy(&path.path, &mut write)?;
    Ok(copied)
}
