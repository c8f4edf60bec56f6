//! The values of a first configuration: each from its flag, an answer on the terminal, or what this machine has.

use std::path::Path;

use crate::commands::Session;
use crate::commands::confirm::{agree, read_line};
use crate::settings;
use crate::template;
use crate::template::{PublicKey, TemplateName, TemplateValues, Wifi};
use crate::ui;
use crate::ui::Hidden;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::host_name;
use sdbuild_core::plain_file;
use sdbuild_core::system::System;
use sdbuild_image::board::{Board, BoardName, Start, boards_of};

/// The time zone where this machine has none.
const DEFAULT_ZONE: &str = "UTC";
/// The board whose card starts in most boards.
const DEFAULT_BOARD: &str = "rpi4";
/// The locale of the example.
const DEFAULT_LOCALE: &str = "en_US.UTF-8";

/// Every value, from its flag, an answer or its default.
pub(super) async fn values(
    settings: &settings::Init<'_>,
    asker: &Prompter<'_>,
) -> Result<TemplateValues, Failure> {
    let host_name = host_name(settings, asker).await?;
    let BoardName(board) = chosen_board(settings, asker).await?;
    if settings.args.rpi_preseed {
        check_preseed(settings.template, board)?;
    }
    let keys = Box::pin(choose_keys(settings, asker)).await?;
    let user = asker.ask(
        if settings.template == TemplateName::Server {
            "The administrator's account (empty for admin)"
        } else {
            "User besides root, with sudo (empty for none)"
        },
        settings.args.user.as_deref(),
        "",
        |name| match name {
            "" => Ok(()),
            name => template::check_user_name(name),
        },
    );
    let user = Some(user.await?).filter(|name| !name.is_empty());
    let (wifi, time_zone) = place(settings, asker).await?;
    let env = asker.session.env;
    let own_locale = env.text("LC_ALL").or_else(|| env.text("LANG"));
    let own_locale = own_locale.and_then(template::locale);
    let locale = asker.ask(
        "Language",
        settings.args.locale.as_deref(),
        own_locale.unwrap_or(DEFAULT_LOCALE),
        |name| template::check_locale(name).map(drop),
    );
    Ok(TemplateValues {
        keys,
        host_name,
        user,
        template: settings.template,
        system: settings.system,
        board,
        time_zone,
        locale: Some(template::check_locale(&locale.await?)?.to_owned()),
        wifi,
        preseed: settings.args.rpi_preseed,
    })
}

/// The host name; that of the directory where Raspberry Pi Imager gives each card one.
async fn host_name(settings: &settings::Init<'_>, asker: &Prompter<'_>) -> Result<String, Failure> {
    let dir = settings.config.parent().unwrap_or(Path::new("/"));
    let default = template::host_name(dir, settings.home.as_deref());
    if settings.args.rpi_preseed {
        return Ok(default);
    }
    let given = settings.args.hostname.as_deref();
    asker
        .ask("Host name", given, &default, host_name::check)
        .await
}

/// The wireless network and the time zone; none where Raspberry Pi Imager asks for them.
async fn place(
    settings: &settings::Init<'_>,
    asker: &Prompter<'_>,
) -> Result<(Option<Wifi>, Option<String>), Failure> {
    if settings.args.rpi_preseed {
        return Ok((None, None));
    }
    let wifi = Box::pin(choose_wifi(settings, asker)).await?;
    let zone = template::time_zone(Path::new("/etc"));
    let zone = asker.ask(
        "Time zone",
        settings.args.timezone.as_deref(),
        zone.as_deref().unwrap_or(DEFAULT_ZONE),
        template::check_time_zone,
    );
    Ok((wifi, Some(zone.await?)))
}

/// Refuses what Raspberry Pi Imager does not write.
fn check_preseed(template: TemplateName, board: &Board) -> Result<(), Failure> {
    if template == TemplateName::SdCard && matches!(board.start, Start::RaspberryPi(_)) {
        return Ok(());
    }
    let text = "--rpi-preseed is for cards of Raspberry Pis";
    Err(Failure::usage(text).hint("leave it out"))
}

async fn chosen_board(
    settings: &settings::Init<'_>,
    asker: &Prompter<'_>,
) -> Result<BoardName, Failure> {
    if let Some(board) = settings.args.board {
        return Ok(board);
    }
    if settings.template.format().is_some() {
        return named_board(DEFAULT_BOARD);
    }
    if asker.asks {
        for line in board_choices() {
            asker.session.ui.explain(&line);
        }
    }
    let answer = asker.ask("Board", None, DEFAULT_BOARD, |answer| {
        template::check_board(named_board(answer)?.0)
    });
    named_board(&answer.await?)
}

/// The lines above the question for the board: the usual boards with their titles, the others by name.
fn board_choices() -> Vec<String> {
    let (usual, others): (Vec<&Board>, Vec<&Board>) =
        boards_of(System::Aarch64Linux).partition(|board| board.name.starts_with("rpi"));
    let usual = usual.iter();
    let mut lines: Vec<String> = usual
        .map(|board| format!("  {:<6} {}", board.name, board.title))
        .collect();
    let others: Vec<&str> = others.iter().map(|board| board.name).collect();
    lines.push(format!("  {}", others.join(", ")));
    lines.push("A card for rpi3, rpi4 or rpi02 starts in all three. `sdbuild boards` describes the others.".to_owned());
    lines
}

/// The board whose name was typed.
fn named_board(answer: &str) -> Result<BoardName, Failure> {
    answer.to_lowercase().parse().map_err(Failure::usage)
}

/// The keys that the user named; without any, those of this machine.
pub(super) async fn choose_keys(
    settings: &settings::Init<'_>,
    asker: &Prompter<'_>,
) -> Result<Vec<PublicKey>, Failure> {
    let files = settings.args.ssh_key.iter();
    let named: Result<Vec<_>, _> = files.map(|file| template::key_in(file)).collect();
    let mut keys = named?;
    if let Some(url) = &settings.github {
        let common = settings::common_without_file(asker.session.env)?;
        let text = sdbuild_build::fetch_text(url, &common, asker.session.context).await?;
        let listed = template::keys_listed(&text);
        confirm_keys(&listed, url, settings.args.yes, asker).await?;
        keys.extend(listed);
    }
    if settings.args.ssh_key.is_empty() && settings.github.is_none() {
        return of_this_machine(settings, asker).await;
    }
    Ok(template::sorted(keys))
}

/// The keys of this machine that the user chooses; without an answer the best one.
async fn of_this_machine(
    settings: &settings::Init<'_>,
    asker: &Prompter<'_>,
) -> Result<Vec<PublicKey>, Failure> {
    let dir = settings.home.as_ref().map(|home| home.join(".ssh"));
    let in_files = dir.as_deref().map(template::public_keys);
    let env = asker.session.env;
    let in_agent = match env.path("SSH_AUTH_SOCK") {
        Some(socket) => Some(template::agent_keys(&socket, &env.program_path()).await),
        None => None,
    };
    let found = [in_files, in_agent].into_iter().flatten().flatten();
    let found = template::sorted(found.collect());
    if found.len() < 2 {
        return Ok(found);
    }
    let events = &asker.session.context.events;
    if asker.asks {
        for (index, key) in found.iter().enumerate() {
            asker
                .session
                .ui
                .explain(&format!("key {}: {}", index + 1, key.shown()));
        }
    }
    let answer = asker.ask(
        "Keys that may log in: numbers, or all",
        None,
        "1",
        |answer| selected(answer, &found).map(drop),
    );
    let chosen = selected(&answer.await?, &found)?;
    if !asker.asks {
        for key in found.iter().filter(|key| !chosen.contains(key)) {
            events.notice(format!(
                "not added (--ssh-key FILE adds it): {}",
                key.shown()
            ));
        }
    }
    Ok(chosen)
}

/// The keys that `answer` selects: numbers from 1, or `all`.
fn selected(answer: &str, found: &[PublicKey]) -> Result<Vec<PublicKey>, Failure> {
    if answer.eq_ignore_ascii_case("all") {
        return Ok(found.to_vec());
    }
    let words = answer.split([',', ' ']).filter(|word| !word.is_empty());
    let numbered = |word: &str| {
        let index = word.parse::<usize>().ok()?.checked_sub(1)?;
        found.get(index).cloned()
    };
    let chosen: Option<Vec<_>> = words.map(numbered).collect();
    chosen.filter(|keys| !keys.is_empty()).ok_or_else(|| {
        Failure::usage(format!(
            "answer with numbers from 1 to {}, or `all`",
            found.len()
        ))
    })
}

/// Lets the user confirm keys from the network: their owners will be able to log in as root.
async fn confirm_keys(
    keys: &[PublicKey],
    url: &str,
    yes: bool,
    asker: &Prompter<'_>,
) -> Result<(), Failure> {
    if keys.is_empty() {
        return Err(Failure::usage(format!("{url} has no SSH key"))
            .hint("check the name of the account, or give --ssh-key FILE"));
    }
    if yes {
        return Ok(());
    }
    for key in keys {
        asker
            .session
            .ui
            .explain(&format!("{url} has: {}", key.line));
    }
    let question = "Let the owners of these keys log in as root?";
    let unasked = Failure::usage("the question about these keys was not answered on a terminal")
        .hint("give --yes to accept them");
    let declined = "nothing was written: the answer was no";
    let Session { ui, context, .. } = asker.session;
    agree(question, declined, unasked, ui, context).await
}

/// Bytes that are read of a passphrase file at most; a passphrase has up to 63 characters.
const MAX_PASSPHRASE_BYTES: u64 = 4096;

/// The wireless network with its passphrase, from flags, a file or answers.
async fn choose_wifi(
    settings: &settings::Init<'_>,
    asker: &Prompter<'_>,
) -> Result<Option<Wifi>, Failure> {
    let valid = |name: &str| match name {
        "" => Ok(()),
        name => Wifi::check(name),
    };
    let name = asker
        .ask(
            "Wireless network to join (empty for none)",
            settings.args.wifi.as_deref(),
            "",
            valid,
        )
        .await?;
    match (name.is_empty(), &settings.args.wifi_password_file) {
        (true, _) => Ok(None),
        (false, Some(file)) => {
            // It may be a pipe, whose writer is waited for until a signal ends that.
            let file = file.to_owned();
            let read = tokio::task::spawn_blocking(move || first_line(&file));
            let phrase = asker
                .session
                .context
                .cancel
                .race(read)
                .await?
                .or_internal("read")??;
            Wifi::new(&name, &phrase).map(Some)
        }
        (false, None) => asker.network(&name).await,
    }
}

fn first_line(file: &Path) -> Result<String, Failure> {
    plain_file::first_line_of_file_or_pipe(file, MAX_PASSPHRASE_BYTES)
        .or_usage(format!("read the passphrase in {}", file.display()))
}

/// Asks questions if there is a terminal to ask on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prompter<'a> {
    /// Whether to ask; otherwise every default is taken.
    pub(super) asks: bool,
    pub(super) session: Session<'a>,
}

impl Prompter<'_> {
    /// The answer to `question`; `default` for an empty line, and where nothing is asked. The value of its flag, if one is `given`,
    /// was checked already. An answer that `check` refuses is asked for again.
    async fn ask(
        &self,
        question: &str,
        given: Option<&str>,
        default: &str,
        check: impl Fn(&str) -> Result<(), Failure>,
    ) -> Result<String, Failure> {
        if given.is_some() || !self.asks {
            return Ok(given.unwrap_or(default).to_owned());
        }
        let shown = match default {
            "" => String::new(),
            default => format!(" [{}]", ui::sanitize(default)),
        };
        let prompt = format!("{question}{shown}: ");
        let read = async || self.line(prompt.clone()).await;
        let valid = |answer: &str| {
            let answer = match answer.trim() {
                "" => default,
                answer => answer,
            };
            check(answer).map(|()| answer.to_owned())
        };
        self.until_valid(read, valid).await
    }

    /// The wireless network `name` with a passphrase that is not shown while it is typed, and therefore asked for twice; `None`
    /// for an empty one.
    async fn network(&self, name: &str) -> Result<Option<Wifi>, Failure> {
        // There is a terminal, or the first question fails.
        let name_shown = ui::sanitize(name);
        let question = format!("Passphrase of {name_shown} (empty for no wireless network): ");
        loop {
            let read = async || self.passphrase(&question).await;
            let valid = |phrase: &str| {
                let network = Some(phrase).filter(|phrase| !phrase.is_empty());
                let network = network.map(|phrase| Wifi::new(name, phrase)).transpose()?;
                Ok((phrase.to_owned(), network))
            };
            let (phrase, network) = self.until_valid(read, valid).await?;
            if phrase.is_empty() {
                let text = format!("no passphrase: {name_shown} is not in the configuration");
                self.session.ui.explain(&text);
                return Ok(None);
            }
            if self.passphrase("Passphrase again: ").await? == phrase {
                return Ok(network);
            }
            self.session
                .ui
                .explain("the two passphrases differ; enter both again");
        }
    }

    /// A line that the user types. The end of the input is not an answer: Ctrl-D means that the user wants to leave.
    async fn line(&self, prompt: String) -> Result<String, Failure> {
        let line = read_line(prompt, self.session.ui, self.session.context).await?;
        line.ok_or_else(|| {
            Failure::usage("nothing was written: the input ended before the last question")
                .hint("an empty line takes the default; --yes takes all of them")
        })
    }

    async fn passphrase(&self, question: &str) -> Result<String, Failure> {
        let hidden = Hidden::begin()?.ok_or_else(|| {
            Failure::usage("standard input is not a terminal to read the passphrase from")
                .hint("give --wifi-password-file FILE")
        })?;
        let answer = self.line(question.to_owned()).await;
        // After an interrupt as well: the terminal must show what is typed again.
        drop(hidden);
        answer
    }

    /// What `check` makes of the first answer that it does not refuse; a refused one is explained. There is no last attempt, which
    /// would lose all earlier answers: Ctrl-C and Ctrl-D end the questions.
    async fn until_valid<T>(
        &self,
        read: impl AsyncFn() -> Result<String, Failure>,
        check: impl Fn(&str) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        loop {
            match check(&read().await?) {
                Ok(value) => return Ok(value),
                Err(refused) => {
                    let hints = refused.hints.iter().map(|hint| format!(": {hint}"));
                    self.session
                        .ui
                        .explain(&format!("{refused}{}", hints.collect::<String>()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_image::board::BOARDS;

    #[test]
    fn the_question_lists_every_board_that_it_accepts() {
        let listed = board_choices().join(" ").replace(',', " ");
        for BoardName(board) in &BOARDS {
            let is_listed = listed.split_whitespace().any(|word| word == board.name);
            let is_accepted = template::check_board(board).is_ok();
            assert_eq!(is_listed, is_accepted, "{}", board.name);
        }
        // Broken, they would lose their columns.
        let choices = board_choices();
        let mut usual = choices.iter().filter(|line| line.starts_with("  rpi"));
        assert!(usual.all(|line| line.chars().count() <= 40));
    }

    #[test]
    fn keys_are_selected_by_number() {
        let key = |line: &str| PublicKey { line: line.into() };
        let found = [key("a"), key("b"), key("c")];
        let lines = |answer| {
            let keys = selected(answer, &found).ok()?;
            Some(keys.into_iter().map(|key| key.line).collect::<String>())
        };
        assert_eq!(lines("1").as_deref(), Some("a"));
        assert_eq!(lines("3, 1").as_deref(), Some("ca"));
        assert_eq!(lines("ALL").as_deref(), Some("abc"));
        for bad in ["", "0", "4", "-1", "1 x", ",", "99999999999999999999"] {
            assert_eq!(lines(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_passphrase_is_read_from_a_file_or_a_pipe() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::write(pipe, "piped\n").unwrap()
        });
        assert_eq!(first_line(&pipe).unwrap(), "piped");
        writer.join().unwrap();
        let refused = first_line(dir.path()).unwrap_err().to_string();
        assert!(
            refused.ends_with("it is neither a plain file nor a pipe"),
            "{refused}"
        );
        let file = dir.path().join("file");
        std::fs::write(&file, "secret\nmore\n").unwrap();
        assert_eq!(first_line(&file).unwrap(), "secret");
    }
}
