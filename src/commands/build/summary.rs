//! The summary of a finished image, and the next commands.

use std::path::Path;
use std::time::Duration;

use crate::commands::newest_image::is_newest_in_its_directory;
use crate::output::{Image, older_images};
use crate::ui;
use sdbuild_core::context::Context;
use sdbuild_core::event::{Event, ImageDone, LastLine};
use sdbuild_core::failure::Failure;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::shown_path::shown_path;
use sdbuild_image::image_format::ImageFormat;

/// How a command that builds presents the image.
pub(in crate::commands) struct BuildOutput<'a> {
    /// Writes the result of the command.
    pub(in crate::commands) write: &'a dyn Fn(&Image) -> Result<(), Failure>,
    /// Whether that is the path, in the same file as the lines about the run.
    pub(in crate::commands) path_follows: bool,
    /// If the command removes the image at the end: a hint how to keep one.
    pub(in crate::commands) keep_hint: Option<&'static str>,
    /// Whether a boot test is content with the prompt on the console where a login is not possible.
    pub(in crate::commands) or_until_prompt: bool,
}

/// The command that boots an image.
pub(in crate::commands) const BOOT: &str = "sdbuild boot";

/// Reports `image`. If it is tested afterwards, the next commands are printed after the test.
pub(super) fn tell_image(
    image: &Image,
    told: ImageDone,
    output: &BuildOutput<'_>,
    context: &Context,
) {
    if output.keep_hint.is_some() {
        let size = ui::words::human_bytes(image.raw_size);
        let text = format!("built an image of {size}");
        return context.events.notice(text);
    }
    context.events.emit(Event::ImageDone(ImageDone {
        path_follows: output.path_follows,
        ..told
    }));
}

/// Tells what to do after a test of an image that is kept.
pub(super) fn tell_next(
    next: Vec<(String, &'static str)>,
    output: &BuildOutput<'_>,
    context: &Context,
) {
    if output.keep_hint.is_none() && !next.is_empty() {
        context.events.emit(Event::Next(LastLine::Commands(next)));
    }
}

/// The commands that go on with the image at `path`, and what for.
pub(in crate::commands) fn next_commands(
    path: &Path,
    format: &ImageFormat,
) -> Vec<(String, &'static str)> {
    let shown = shown_path(path);
    // Without a name the commands take the newest image here.
    let is_newest_here = !shown.contains('/') && is_newest_in_its_directory(path);
    let named = |command: &str| {
        if is_newest_here && command.starts_with("sdbuild ") {
            command.to_owned()
        } else {
            format!("{command} {}", quoted(&shown))
        }
    };
    let next = format.next.iter();
    next.map(|(command, purpose)| (named(command), *purpose))
        .collect()
}

/// The summary of `image` for users, with the commands to run next.
pub(super) fn image_done(
    image: &Image,
    raw: &'static str,
    took: Duration,
    is_booted_next: bool,
    next: Vec<(String, &'static str)>,
) -> ImageDone {
    ImageDone {
        path: image.path.clone(),
        shown: shown_path(&image.path),
        size: image.size,
        raw_size: image.raw_size,
        raw,
        sha256: image.sha256.to_string(),
        took,
        is_booted_next,
        up_to_date: image.up_to_date,
        older: if image.up_to_date {
            Vec::new()
        } else {
            older_images(image)
        },
        path_follows: false,
        next,
    }
}
