//! The wireless network that `init` writes.

use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use super::questions::{Prompter, Question};
use crate::common::failure::{Class, Failure};
use crate::common::plain_file;
use crate::settings::{self, Environment};
use crate::template::{self, Wifi};
use crate::ui;

/// Bytes that are read of a passphrase file at most; a passphrase has up to 63 characters.
const MAX_PASSPHRASE_BYTES: u64 = 4096;
/// What to do about a pipe, which could make `init` wait for ever.
const NO_PIPE: &str = "a pipe is not read: write the passphrase into a file, or leave the flag out to be asked for it";

/// The wireless network with its passphrase, from flags, a file or answers.
pub(super) async fn choose(
    settings: &settings::Init,
    env: &Environment,
    asker: &Prompter<'_>,
) -> Result<Option<Wifi>, Failure> {
    let (name, file) = match &settings.wifi {
        Some((name, file)) => (name.clone(), file.as_deref()),
        None => (ask_name(env, asker).await?, None),
    };
    match (name.is_empty(), file) {
        (true, _) => Ok(None),
        (false, Some(file)) => Wifi::new(&name, &first_line(file)?).map(Some),
        (false, None) => asker.network(&name).await,
    }
}

/// The name of the network, chosen from those that this machine has seen or typed; empty for none.
async fn ask_name(env: &Environment, asker: &Prompter<'_>) -> Result<String, Failure> {
    let mut seen = Vec::new();
    if asker.asks {
        let path = env.program_path();
        let networks = template::wireless_networks(&path);
        seen = asker.context.cancel.race(networks).await?;
    }
    for (index, name) in seen.iter().enumerate() {
        let name = ui::sanitize_line(name);
        let text = format!("network {}: {name}", index + 1);
        asker.context.events.notice(text);
    }
    let question = Question {
        text: if seen.is_empty() {
            "Wireless network to join (empty for none)"
        } else {
            "Wireless network to join: number or name (empty for none)"
        },
        given: None,
        default: "",
    };
    let answer = asker.ask(question, |answer| match answer {
        "" => Ok(()),
        answer => Wifi::check(named(answer, &seen)),
    });
    Ok(named(&answer.await?, &seen).to_owned())
}

/// The network in `seen` that `answer` gives the number of, from 1; otherwise `answer` is a name.
fn named<'a>(answer: &'a str, seen: &'a [String]) -> &'a str {
    let index = answer.parse::<usize>().ok();
    let index = index.and_then(|number| number.checked_sub(1));
    let chosen = index.and_then(|index| seen.get(index));
    chosen.map_or(answer, String::as_str)
}

fn first_line(file: &Path) -> Result<String, Failure> {
    let shown = file.display();
    let text = plain_file::read_text(file, MAX_PASSPHRASE_BYTES).map_err(|error| {
        let is_pipe = fs::metadata(file).is_ok_and(|meta| meta.file_type().is_fifo());
        let failure =
            Failure::new(Class::Usage, error).context(format!("read the passphrase in {shown}"));
        if is_pipe {
            failure.hint(NO_PIPE)
        } else {
            failure
        }
    })?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{NO_PIPE, first_line, named};

    #[test]
    fn a_pipe_with_a_passphrase_is_refused_with_a_way() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(first_line(&pipe).unwrap_err().hints, [NO_PIPE]);
        assert!(first_line(dir.path()).unwrap_err().hints.is_empty());
        let file = dir.path().join("file");
        std::fs::write(&file, "secret\nmore\n").unwrap();
        assert_eq!(first_line(&file).unwrap(), "secret");
    }

    #[test]
    fn networks_are_chosen_by_number_or_name() {
        let seen = ["Home".to_owned(), "9".to_owned()];
        for (answer, name) in [
            ("1", "Home"),
            ("2", "9"),
            ("3", "3"),
            ("0", "0"),
            ("Home", "Home"),
            ("Attic", "Attic"),
        ] {
            assert_eq!(named(answer, &seen), name, "{answer}");
        }
    }
}
