//! `sdbuild init`: a first configuration out of what this machine knows.

use std::path::Path;

use crate::cli;
use crate::common::context::Context;
use crate::common::failure::{Failure, OrFail as _};
use crate::common::plain_file;
use crate::pipeline;
use crate::settings::{self, Common, Environment};
use crate::template::{self, PublicKey, TemplateValues, Wifi};
use crate::ui::{self, Hidden, Ui};

/// A passphrase has 63 characters.
const LONGEST: u64 = 4096;

/// Writes it, says what is in it, and prints its path.
pub async fn run(
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
    template::is_free(&settings.config)?;
    let blanks = TemplateValues {
        keys: Box::pin(keys(&settings, env, (ui, context))).await?,
        host_name,
        time_zone: template::time_zone(Path::new("/etc")),
        locale: settings.locale.as_deref().and_then(template::locale),
        wifi: Box::pin(wifi(&settings, (ui, context))).await?,
    };
    if args.dir.is_some() {
        template::make_dir(&settings.config, settings.owner)?;
    }
    template::write(&settings.config, &template::render(&blanks), settings.owner)?;
    tell(&blanks, context);
    ui.result(&ui::sanitize(&settings.config.to_string_lossy()).replace('\n', "\\n"))
}

/// The keys that were named, else those that are found.
async fn keys(
    settings: &settings::Init,
    env: &Environment,
    (ui, context): (&Ui, &Context),
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
        confirmed(&listed, (url, settings.yes), (ui, context)).await?;
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

/// Whoever has one of these keys gets in as root: the user says that they are the right ones.
async fn confirmed(
    keys: &[PublicKey],
    (url, yes): (&str, bool),
    (ui, context): (&Ui, &Context),
) -> Result<(), Failure> {
    if keys.is_empty() {
        return Err(Failure::usage(format!("{url} lists no SSH key"))
            .hint("look whether the name is right, or give --ssh-key FILE"));
    }
    if yes {
        return Ok(());
    }
    for key in keys {
        context.events.notice(format!("{url} has: {}", key.line));
    }
    let (ui, question) = (ui.clone(), "Let whoever has these keys log in as root?");
    let asked = tokio::task::spawn_blocking(move || ui.confirm(question));
    match context.cancel.race(asked).await?.or_internal("ask")?? {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::usage("nothing was written")),
        None => Err(
            Failure::usage("there is nobody to ask whether these keys are the right ones")
                .hint("give --yes when they are"),
        ),
    }
}

/// The network with its passphrase, out of a file or asked for.
async fn wifi(
    settings: &settings::Init,
    (ui, context): (&Ui, &Context),
) -> Result<Option<Wifi>, Failure> {
    let Some((name, file)) = &settings.wifi else {
        return Ok(None);
    };
    Wifi::check(name)?;
    let phrase = match file {
        Some(file) => first_line(file),
        None => Box::pin(asked(name, (ui, context))).await,
    };
    Wifi::new(name, &phrase?).map(Some)
}

fn first_line(file: &Path) -> Result<String, Failure> {
    let shown = file.display();
    let text = plain_file::read_text(file, LONGEST);
    let text = text.or_usage(format!("read the passphrase in {shown}"))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// The passphrase of `network`, typed on a terminal that does not show it.
async fn asked(network: &str, (ui, context): (&Ui, &Context)) -> Result<String, Failure> {
    // Shown again also when nobody answers.
    let hidden = Hidden::begin()?.ok_or_else(|| {
        Failure::usage("there is nobody to ask for the passphrase")
            .hint("give --wifi-password-file FILE")
    })?;
    let question = format!("Passphrase of {}: ", ui::sanitize(network));
    let ui = ui.clone();
    let asked = tokio::task::spawn_blocking(move || ui.line(&question));
    let answer = context.cancel.race(asked).await;
    drop(hidden);
    answer?.or_internal("ask")?
}

fn tell(blanks: &TemplateValues, context: &Context) {
    let events = &context.events;
    let zone = blanks.time_zone.as_deref();
    let zone = zone.unwrap_or("not known here: look at time.timeZone");
    let locale = blanks.locale.as_ref();
    let locale = locale.map(|locale| format!(", locale {locale}"));
    let locale = locale.unwrap_or_default();
    events.notice(format!(
        "host name {}, time zone {zone}{locale}",
        blanks.host_name
    ));
    for key in &blanks.keys {
        events.notice(format!("may log in as root: {}", key.line));
    }
    if blanks.keys.is_empty() {
        events.warn(
            "no public SSH key was found in ~/.ssh: make one with `ssh-keygen -t ed25519` and put the text of \
             ~/.ssh/id_ed25519.pub where the file says REPLACE-ME",
        );
    }
    if blanks.wifi.is_some() {
        events.warn(
            "the key of the wireless network is in the file, and will be in the image and in the Nix store for \
             whoever can read them; the file says how to keep it out",
        );
    }
}
