//! The wireless network that `init` writes.

use std::path::Path;

use super::questions::{Prompter, Question};
use crate::settings;
use crate::settings::Environment;
use crate::template;
use crate::template::Wifi;
use crate::ui;
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::plain_file;
use sdbuild_core::shell_word::quoted;

/// Bytes that are read of a passphrase file at most; a passphrase has up to 63 characters.
const MAX_PASSPHRASE_BYTES: u64 = 4096;

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
    if settings.wifi.is_some() {
        refuse_path(&name)?;
    }
    match (name.is_empty(), file) {
        (true, _) => Ok(None),
        (false, Some(file)) => {
            let phrase = read_first_line(file, asker.context).await?;
            Wifi::new(&name, &phrase).map(Some)
        }
        (false, None) => {
            let note = note_on_colon(&name).filter(|_| settings.wifi.is_some());
            if let Some(note) = note {
                asker.context.events.notice(note);
            }
            asker.network(&name).await
        }
    }
}

/// Refuses the path of a file or a directory in place of the `name` of a network. A name may have slashes too.
fn refuse_path(name: &str) -> Result<(), Failure> {
    let path = Path::new(name);
    let is_relative = name.starts_with("./") || name.starts_with("../");
    let exists = name.contains('/') && path.exists();
    if !exists && !is_relative {
        return Ok(());
    }
    let what = if path.is_dir() { "directory" } else { "file" };
    let text = format!("{name} is the path of a {what}, but --wifi takes the name of the network");
    let path = quoted(name);
    Err(Failure::usage(text).hint(if what == "file" && exists {
        format!("to read the passphrase from that file: --wifi NAME --wifi-password-file {path}")
    } else {
        "--wifi NAME asks for the passphrase, or reads it from --wifi-password-file FILE".to_owned()
    }))
}

/// What is said of a `name` that may be a network and its passphrase; it can also be a network with a colon in its name.
fn note_on_colon(name: &str) -> Option<String> {
    let (network, rest) = name.split_once(':')?;
    let is_meant = !network.is_empty() && !rest.is_empty();
    is_meant.then(|| {
        format!(
            "--wifi takes only the name of the network. If the passphrase is after the colon, write --wifi {}, and \
             sdbuild asks for it",
            quoted(network)
        )
    })
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

/// The first line of `file`, which may be a pipe: its writer is waited for, until a signal ends that.
async fn read_first_line(file: &Path, context: &Context) -> Result<String, Failure> {
    let file = file.to_owned();
    let read = tokio::task::spawn_blocking(move || first_line(&file));
    context.cancel.race(read).await?.or_internal("read")?
}

fn first_line(file: &Path) -> Result<String, Failure> {
    plain_file::first_line_of_file_or_pipe(file, MAX_PASSPHRASE_BYTES)
        .or_usage(format!("read the passphrase in {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::first_line;
    use super::named;
    use super::note_on_colon;
    use super::refuse_path;

    #[test]
    fn a_path_is_no_network() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("phrase");
        std::fs::write(&file, "secret").unwrap();
        let file = file.to_str().unwrap().to_owned();
        let at = format!("--wifi NAME --wifi-password-file {file}");
        let asks = "--wifi NAME asks for the passphrase";
        for (name, told) in [
            (file.as_str(), at.as_str()),
            (dir.path().to_str().unwrap(), asks),
            ("./none", asks),
        ] {
            let refused = refuse_path(name).unwrap_err();
            assert!(refused.hints.concat().contains(told), "{refused:?}");
        }
        for name in ["Home", "/no/such/network", "a/b", "src"] {
            assert!(refuse_path(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_passphrase_is_not_part_of_the_name() {
        let note = note_on_colon("at home:secret").unwrap();
        assert!(
            note.ends_with("write --wifi 'at home', and sdbuild asks for it"),
            "{note}"
        );
        for name in ["Home", ":a", "a:"] {
            assert_eq!(note_on_colon(name), None, "{name}");
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
