//! `sdbuild boot`: resolve, find QEMU, boot, report.

use crate::boot::{self, Architecture, Login, Request};
use crate::cli;
use crate::failure::Failure;
use crate::pipeline::Context;
use crate::settings::{self, Environment, System};

/// Boots the image; what `--run` gave goes to standard output.
pub async fn run(args: &cli::Boot, env: &Environment, context: &Context) -> Result<(), Failure> {
    let request = request(settings::Boot::resolve(args, env)?);
    boot::boot(&request, (&context.cancel, &context.events)).await
}

/// What the settings ask for, in the words of the room that does it.
pub(super) fn request(settings: settings::Boot) -> Request {
    Request {
        image: settings.image,
        scratch: settings.common.cache_dir,
        architecture: match settings.system {
            System::Aarch64Linux => Architecture::Aarch64,
            System::X8664Linux => Architecture::X86_64,
        },
        firmware: settings.firmware,
        memory_mib: settings.memory_mib,
        port: settings.port,
        path: settings.path,
        login: settings.login.map(|login| Login {
            key: login.key,
            user: login.user,
            timeout: login.timeout,
            command: login.command,
        }),
    }
}
