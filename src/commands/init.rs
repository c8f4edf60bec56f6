//! `sdbuild init`: a first configuration out of what this machine knows.

use std::path::Path;

use crate::cli;
use crate::failure::Failure;
use crate::pipeline::Context;
use crate::settings::{self, Environment};
use crate::template::{self, Blanks};
use crate::ui::{self, Ui};

/// Writes it, says what is in it, and prints its path.
pub fn run(
    args: &cli::Init,
    env: &Environment,
    (ui, context): (&Ui, &Context),
) -> Result<(), Failure> {
    let settings = settings::Init::resolve(args, env)?;
    let here = nix::unistd::gethostname().unwrap_or_default();
    let chosen = settings.host_name.as_deref();
    let host_name = template::host_name(chosen, &here.to_string_lossy()).ok_or_else(|| {
        Failure::usage(format!("`{}` is no host name", chosen.unwrap_or_default()))
            .hint("it has letters, digits and `-` inside, 63 at most")
    })?;
    let keys = settings.keys.as_deref().map(template::public_keys);
    let blanks = Blanks {
        keys: keys.unwrap_or_default(),
        host_name,
        time_zone: template::time_zone(Path::new("/etc")),
    };
    template::write(&settings.config, &template::fill(&blanks), settings.owner)?;
    tell(&blanks, context);
    ui.result(&ui::sanitize(&settings.config.to_string_lossy()).replace('\n', "\\n"))
}

fn tell(blanks: &Blanks, context: &Context) {
    let events = &context.events;
    let zone = blanks.time_zone.as_deref();
    let zone = zone.unwrap_or("not known here: look at time.timeZone");
    events.notice(format!("host name {}, time zone {zone}", blanks.host_name));
    for key in &blanks.keys {
        events.notice(format!("may log in as root: {}", key.line));
    }
    if blanks.keys.is_empty() {
        events.warn(
            "no public SSH key was found in ~/.ssh: make one with `ssh-keygen -t ed25519` and put the text of \
             ~/.ssh/id_ed25519.pub where the file says REPLACE-ME",
        );
    }
}
