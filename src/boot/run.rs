//! One boot from start to end.

use std::path::Path;
use std::time::Duration;

use crate::boot::container::ContainerOptions;
use crate::boot::copy_in::image_in_container;
use crate::boot::disk::{open_image, prepare};
use crate::boot::outcome::Reached;
use crate::boot::request::{BootMethod, BootRequest, DEFAULT_SSH_PORT, Login};
use crate::boot::seed_disk::SeedDisk;
use crate::boot::session::BootSession;
use crate::boot::start_files::StartFiles;
use crate::boot::tools::{self, BootTools};
use crate::boot::{console_session, disk_login, login_session, prompt_session};
use crate::common::board::Board;
use crate::common::cancel::Cancel;
use crate::common::context::Context;
use crate::common::failure::{Failure, OrFail as _};
use crate::image::{ImageFile, InstalledSystem};

/// The method by which `image` is booted, from its content.
pub fn boot_method_of(image: &Path) -> Result<BootMethod, Failure> {
    let (file, cancel) = (open_image(image)?, Cancel::new());
    let by_uefi = file.starts_by_uefi(&cancel);
    Ok(if by_uefi.map_err(|error| error.fail_on("open", image))? {
        BootMethod::Uefi
    } else {
        BootMethod::Firmware
    })
}

/// Refuses an image of another system than the one that `board` boots: its firmware would find nothing to start.
fn check_system(image: &Path, installed: &InstalledSystem, board: &Board) -> Result<(), Failure> {
    match installed.systems.first() {
        Some(system) if !installed.systems.contains(&board.system) => {
            let (image, title, other) = (image.display(), board.title, board.system);
            let text = format!("{image} is for {system}, but {title} boots {other}");
            Err(Failure::usage(text).hint(format!("--system {system}, without --board, boots it")))
        }
        Some(_) | None => Ok(()),
    }
}

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

/// Boots `image`, compressed or not, in QEMU on the host, or in a container: shows the console until the machine is switched off, or waits for a login, runs the command there and switches the machine off.
///
/// A failure of class [`Build`](crate::common::failure::Class::Build) is the image's: it does not boot or
/// refuses the login. To be awaited on the main thread: QEMU ends with the thread that started it.
pub async fn boot(
    image: &Path,
    request: &BootRequest,
    container: Option<&ContainerOptions>,
    context: &Context,
) -> Result<Reached, Failure> {
    let (file, mut tools) = open(image, request, container.is_none())?;
    let disk = prepare(file, image, &request.scratch, context).await?;
    let mut request = request.clone();
    let installed = disk.installed_system(context).await?;
    check_system(image, &installed, request.board)?;
    request.ssh_port = installed.ssh_port.unwrap_or(DEFAULT_SSH_PORT);
    disk_login::complete(&mut request, &mut tools.keys, &installed, context).await?;
    let request = &request;
    std::fs::create_dir_all(&request.scratch)
        .or_environment(format!("create {}", request.scratch.display()))?;
    let backing = match container {
        Some(_) => image_in_container(),
        None => disk.path(),
    };
    let start = Box::pin(StartFiles::take(&disk, backing, request, context)).await?;
    if !request.model.lacks.is_empty() {
        let (title, lacks) = (request.board.title, request.model.lacks);
        let text = format!("QEMU's model of a {title} lacks {lacks}");
        context.events.notice(text);
    }
    let seed = request.seed.as_deref();
    let seed = seed
        .map(|seed| SeedDisk::write(seed, &request.scratch))
        .transpose()?;
    let session = BootSession {
        request,
        disk: &disk,
        tools: &tools,
        start: start.as_ref(),
        seed: seed.as_ref(),
        container,
        context,
    };
    reach(session).await
}

/// Boots until what the request asks for.
async fn reach(session: BootSession<'_>) -> Result<Reached, Failure> {
    match goal(&session)? {
        Goal::Login(login) => Box::pin(login_session::run(session, login)).await,
        Goal::Prompt(limit) => Box::pin(prompt_session::run(session, limit)).await,
        Goal::Console => {
            let shown = Box::pin(console_session::run(session));
            shown.await.map(|()| Reached::End)
        }
    }
}

/// The condition that ends a boot.
enum Goal<'a> {
    /// A login over SSH.
    Login(&'a Login),
    /// The prompt of a login on the console, this long at most.
    Prompt(Duration),
    /// The end of the machine, whose console the user has.
    Console,
}

/// What the request asks for; the prompt in place of a login that is impossible, if the request allows that.
fn goal<'a>(session: &BootSession<'a>) -> Result<Goal<'a>, Failure> {
    let request = session.request;
    match (&request.login, request.prompt) {
        (None, None) => Ok(Goal::Console),
        (None, Some(limit)) => Ok(Goal::Prompt(limit)),
        (Some(login), None) => Ok(Goal::Login(login)),
        (Some(login), Some(limit)) => match session.no_login()? {
            None => Ok(Goal::Login(login)),
            Some(obstacle) => {
                session.explain_prompt(&obstacle);
                Ok(Goal::Prompt(limit))
            }
        },
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::board::generic_machine;
    use crate::common::system::System;

    #[test]
    fn an_image_of_another_system_is_refused() {
        let board = generic_machine(System::X8664Linux);
        let check = |systems: &[System]| {
            let installed = InstalledSystem {
                systems: systems.iter().copied().collect(),
                ..InstalledSystem::default()
            };
            check_system(Path::new("a.img"), &installed, board)
        };
        let refused = check(&[System::Aarch64Linux]).unwrap_err();
        assert_eq!(
            refused.hints,
            ["--system aarch64-linux, without --board, boots it"]
        );
        let text = refused.to_string();
        assert!(text.contains("a.img is for aarch64-linux, but "), "{text}");
        check(&[System::Aarch64Linux, System::X8664Linux]).unwrap();
        check(&[]).unwrap();
    }
}
