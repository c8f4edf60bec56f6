//! `sdbuild init`: writes a first configuration from the keys, time zone and locale of this machine.

use std::path::Path;

use crate::commands::confirm::{confirm, read_line};
use crate::common::context::Context;
use crate::common::failure::{Failure, OrFail as _};
use crate::common::plain_file;
use crate::pipeline;
use crate::settings::{self, Common, Environment, InitArgs};
use crate::template::{self, PublicKey, TemplateValues, Wifi};
use crate::ui::{self, Hidden, Ui};

/// Bytes that are read of a passphrase file at most; a passphrase has up to 63 characters.
const MAX_PASSPHRASE_BYTES: u64 = 4096;

/// Writes the configuration, reports what it contains, and prints its path.
pub async fn run(
    args: &InitArgs,
    env: &Environment,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let settings = settings::Init::resolve(args, env)?;
    let own_name = nix::unistd::gethostname().unwrap_or_default();
    let chosen = settings.host_name.as_deref();
    let host_name = template::host_name(chosen, &own_name.to_string_lossy()).ok_or_else(|| {
        Failure::usage(format!(
            "`{}` is not a valid host name",
            chosen.unwrap_or_default()
        ))
        .hint("host names have letters, digits and, inside, `-`; at most 63 characters")
    })?;
    template::is_free(&settings.config)?;
    let values = TemplateValues {
        keys: Box::pin(keys(&settings, env, ui, context)).await?,
        host_name,
        time_zone: template::time_zone(Path::new("/etc")),
        locale: settings.locale.as_deref().and_then(template::locale),
        wifi: wifi(&settings, ui, context).await?,
    };
    if args.dir.is_some() {
        template::make_dir(&settings.config, settings.owner)?;
    }
    template::write(&settings.config, &template::render(&values), settings.owner)?;
    report(&values, context);
    ui.result(&ui::sanitize(&settings.config.to_string_lossy()).replace('\n', "\\n"))
}

/// The keys that the user named; without any, those of this machine.
async fn keys(
    settings: &settings::Init,
    env: &Environment,
    ui: &Ui,
    context: &Context,
) -> Result<Vec<PublicKey>, Failure> {
    let named: Result<Vec<_>, _> = settings
        .key_files
        .iter()
        .map(|f| template::key_in(f))
        .collect();
    let mut keys = named?;
    if let Some(url) = &settings.github {
        let text = pipeline::fetch_text(url, &Common::without_file(env)?, context).await?;
        let listed = template::keys_listed(&text);
        confirm_keys(&listed, url, settings.yes, ui, context).await?;
        keys.extend(listed);
    }
    if settings.key_files.is_empty() && settings.github.is_none() {
        keys.extend(
            settings
                .keys
                .as_deref()
                .map(template::public_keys)
                .unwrap_or_default(),
        );
        keys.extend(
            settings
                .agent
                .as_deref()
                .map(template::agent_keys)
                .unwrap_or_default(),
        );
    }
    Ok(template::sorted(keys))
}

/// Lets the user confirm keys from the network: their owners will be able to log in as root.
async fn confirm_keys(
    keys: &[PublicKey],
    url: &str,
    yes: bool,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    if keys.is_empty() {
        return Err(Failure::usage(format!("{url} has no SSH key"))
            .hint("check the name of the account, or give --ssh-key FILE"));
    }
    if yes {
        return Ok(());
    }
    for key in keys {
        context.events.notice(format!("{url} has: {}", key.line));
    }
    let question = "Let the owners of these keys log in as root?";
    match confirm(question, ui, context).await? {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::usage("nothing was written")),
        None => Err(
            Failure::usage("standard input is not a terminal to confirm these keys on")
                .hint("give --yes if they are the right ones"),
        ),
    }
}

/// The wireless network with its passphrase, from a file or from the user.
async fn wifi(
    settings: &settings::Init,
    ui: &Ui,
    context: &Context,
) -> Result<Option<Wifi>, Failure> {
    let Some((name, file)) = &settings.wifi else {
        return Ok(None);
    };
    Wifi::check(name)?;
    let phrase = match file {
        Some(file) => first_line(file),
        None => ask_passphrase(name, ui, context).await,
    };
    Wifi::new(name, &phrase?).map(Some)
}

fn first_line(file: &Path) -> Result<String, Failure> {
    let shown = file.display();
    let text = plain_file::read_text(file, MAX_PASSPHRASE_BYTES);
    let text = text.or_usage(format!("read the passphrase in {shown}"))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Asks for the passphrase of `network` on a terminal that does not show it.
async fn ask_passphrase(network: &str, ui: &Ui, context: &Context) -> Result<String, Failure> {
    let hidden = Hidden::begin()?.ok_or_else(|| {
        Failure::usage("standard input is not a terminal to read the passphrase from")
            .hint("give --wifi-password-file FILE")
    })?;
    let question = format!("Passphrase of {}: ", ui::sanitize(network));
    let answer = read_line(question, ui, context).await;
    // After an interrupt as well: the terminal must show what is typed again.
    drop(hidden);
    answer
}

/// Reports what the configuration contains.
fn report(values: &TemplateValues, context: &Context) {
    let events = &context.events;
    let zone = values.time_zone.as_deref();
    let zone = zone.unwrap_or("unknown: check time.timeZone");
    let locale = values.locale.as_ref();
    let locale = locale.map(|locale| format!(", locale {locale}"));
    let locale = locale.unwrap_or_default();
    events.notice(format!(
        "host name {}, time zone {zone}{locale}",
        values.host_name
    ));
    for key in &values.keys {
        events.notice(format!("can log in as root: {}", key.line));
    }
    if values.keys.is_empty() {
        events.warn(
            "no public SSH key was found in ~/.ssh: create one with `ssh-keygen -t ed25519`, and replace REPLACE-ME in the \
             file with the contents of ~/.ssh/id_ed25519.pub",
        );
    }
    if values.wifi.is_some() {
        events.warn(
            "the key of the wireless network is in the file, and will be in the image and in the Nix store, where anyone \
             who can read them can read it; a comment in the file explains how to avoid that",
        );
    }
}
