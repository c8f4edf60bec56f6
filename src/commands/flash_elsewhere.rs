//! `sdbuild flash` on systems other than Linux, whose disks sdbuild does not know: it refuses.

use crate::cli;
use crate::settings::Environment;
use crate::ui::Ui;
use sdbuild_core::context::Context;
use sdbuild_core::failure::Failure;

/// Refuses, and names programs that write the image here.
pub async fn run(_: &cli::Flash, _: &Environment, _: &Ui, _: &Context) -> Result<(), Failure> {
    let failure = Failure::environment("sdbuild flash works on Linux only");
    Err(failure.hint("write the image with Raspberry Pi Imager or balenaEtcher"))
}
