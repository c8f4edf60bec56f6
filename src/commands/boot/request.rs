//! What a boot is asked for, from its settings.

use std::sync::Arc;

use crate::settings;
use sdbuild_boot as boot;
use sdbuild_boot::{BootMethod, BootRequest, Login};
use sdbuild_core::failure::Failure;
use sdbuild_image::board::{BOARDS, Wiring};
use sdbuild_image::seed;

/// The user of a login where nothing names one.
const USER: &str = "root";

/// The boot that `settings` ask for. Refuses what QEMU's model of the board does not have.
pub(super) fn request(settings: settings::Boot) -> Result<BootRequest, Failure> {
    let board = settings.board;
    let model = board.qemu.as_ref().ok_or_else(|| {
        let text = format!(
            "QEMU has no model of the board {} ({})",
            board.name, board.title
        );
        let with_model = BOARDS.iter().filter(|board| board.0.qemu.is_some());
        let names: Vec<&str> = with_model.map(|board| board.0.name).collect();
        Failure::usage(text)
            .hint("without --board the image boots on QEMU's virtual machine")
            .hint(format!("QEMU has models for --board {}", names.join(", ")))
    })?;
    if !model.has_network() && (settings.login.is_some() || settings.port.is_some()) {
        let text = format!("QEMU's model of a {} has no network", board.title);
        return Err(Failure::usage(text).hint(
            "wait for the prompt on its serial console: --until-login; or log in on --board rpi3",
        ));
    }
    if let Some(path) = settings
        .seed
        .as_ref()
        .filter(|_| model.wiring != Wiring::Virtio)
    {
        let (seed, title) = (path.display(), board.title);
        let text = format!("QEMU's model of a {title} has no second disk for the seed {seed}");
        return Err(Failure::usage(text).hint("leave out --board; QEMU's virtual machine has one"));
    }
    let seed = settings.seed.as_deref().map(seed::read).transpose()?;
    let first = seed.as_ref().and_then(|seed| seed.logins.first());
    let is_default_user = first.is_none();
    let user = first.map_or_else(|| USER.to_owned(), |login| login.user.clone());
    Ok(BootRequest {
        seed: seed.map(Arc::new),
        scratch: settings.common.cache_dir,
        home: settings.common.home,
        board,
        model,
        firmware: settings.firmware,
        method: BootMethod::default(),
        kvm: settings.kvm,
        memory_mib: model.fixed_memory_mib().unwrap_or(settings.memory_mib),
        port: settings.port,
        ssh_port: boot::DEFAULT_SSH_PORT,
        path: settings.path,
        prompt: settings.prompt,
        login: settings.login.map(|login| Login {
            key: login.key,
            is_default_user: login.user.is_none() && is_default_user,
            user: login.user.unwrap_or(user),
            timeout: login.timeout,
            command: login.command,
        }),
    })
}
