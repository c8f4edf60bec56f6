//! One boot from start to end.

use std::path::Path;

use crate::boot::container::ContainerOptions;
use crate::boot::disk::{open_image, prepare};
use crate::boot::request::BootRequest;
use crate::boot::session::BootSession;
use crate::boot::tools::{self, BootTools};
use crate::boot::{console_session, login_session};
use crate::common::context::Context;
use crate::common::failure::{Failure, OrFail as _};
use crate::image::ImageFile;

/// Checks everything that booting needs besides the image; with `on_host` QEMU on the host too.
pub fn check_tools(request: &BootRequest, on_host: bool) -> Result<(), Failure> {
    tools::find(request, on_host).map(drop)
}

/// Checks everything that booting needs, the image included; with `on_host` QEMU on the host too.
pub fn check_requirements(
    image: &Path,
    request: &BootRequest,
    on_host: bool,
) -> Result<(), Failure> {
    open(image, request, on_host).map(drop)
}

/// Boots `image`, compressed or not, in QEMU on the host, or in a container: shows the console until the machine
/// is switched off, or waits for a login, runs the command there and switches the machine off.
///
/// A failure of class [`Build`](crate::common::failure::Class::Build) is the image's: it does not boot or
/// refuses the login. To be awaited on the main thread: QEMU ends with the thread that started it.
pub async fn boot(
    image: &Path,
    request: &BootRequest,
    container: Option<&ContainerOptions>,
    context: &Context,
) -> Result<(), Failure> {
    let (file, tools) = open(image, request, container.is_none())?;
    let session = BootSession {
        request,
        tools: &tools,
        container,
        context,
    };
    let disk = prepare(file, image, &request.scratch, context).await?;
    std::fs::create_dir_all(&request.scratch)
        .or_environment(format!("create {}", request.scratch.display()))?;
    match &request.login {
        Some(login) => Box::pin(login_session::run(session, &disk, login)).await,
        None => Box::pin(console_session::run(session, &disk)).await,
    }
}

/// The open image and the tools; all that is missing is one failure.
fn open(
    image: &Path,
    request: &BootRequest,
    on_host: bool,
) -> Result<(ImageFile, BootTools), Failure> {
    match (open_image(image), tools::find(request, on_host)) {
        (Ok(image), Ok(tools)) => Ok((image, tools)),
        (Ok(_), Err(failure)) | (Err(failure), Ok(_)) => Err(failure),
        (Err(mut failure), Err(mut other)) => {
            let more = std::mem::take(&mut other.others);
            failure.others.push(other);
            failure.others.extend(more);
            Err(failure)
        }
    }
}
