//! `sdbuild` alone: what to do next. Unlike the help, it fits a terminal of 24 rows.

use crate::commands::Session;
use crate::commands::newest_image::newest;
use crate::settings::{configuration_here, output_dir};
use sdbuild_core::failure::Failure;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::shown_path::shown_path;

/// The commands on the way to a card, each with its purpose.
const BEGIN: &str = "
There is no sd-card.nix or flake.nix in this directory. To begin with one:
  sdbuild doctor   checks that this machine can build
  sdbuild try      builds and boots a very small NixOS, as a test
  sdbuild init     asks a few questions and writes sd-card.nix";
const BUILD: &str = "  sdbuild check    finds what must be fixed
  sdbuild build    builds the image";
const USE_IMAGE: &str = "  sdbuild boot     starts the image in a virtual machine
  sdbuild flash    lists the SD cards, and writes it to one

`sdbuild help` lists all commands, `sdbuild help COMMAND` describes one.";

/// Shows the configuration and the newest image here, and the commands to go on with.
pub fn run(session: Session<'_>) -> Result<(), Failure> {
    let begin = match configuration_here() {
        Some(configuration) => format!("The configuration is {configuration}. Next:"),
        None => {
            concat!("sdbuild ", env!("CARGO_PKG_VERSION"), "\n").to_owned()
                + env!("CARGO_PKG_DESCRIPTION")
                + BEGIN
        }
    };
    // The first steps are the same beside settings that are wrong.
    let dirs = output_dir(session.env).ok();
    let image = dirs.and_then(|(here, output)| newest(&here, &output));
    let image = image.map_or_else(String::new, |image| {
        let shown = quoted(&shown_path(&image));
        format!("The newest image is {shown}. Next:\n")
    });
    let text = format!("{begin}\n{BUILD}\n{image}{USE_IMAGE}");
    session.ui.result(&text)
}
