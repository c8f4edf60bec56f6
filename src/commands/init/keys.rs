//! The SSH keys that `init` writes.

use super::questions::{Prompter, Question};
use crate::commands::confirm::confirm;
use crate::pipeline;
use crate::settings;
use crate::settings::Environment;
use crate::template;
use crate::template::PublicKey;
use sdbuild_core::failure::Failure;

/// The keys that the user named; without any, those of this machine.
pub(super) async fn choose(
    settings: &settings::Init,
    env: &Environment,
    asker: &Prompter<'_>,
) -> Result<Vec<PublicKey>, Failure> {
    let named: Result<Vec<_>, _> = settings
        .key_files
        .iter()
        .map(|f| template::key_in(f))
        .collect();
    let mut keys = named?;
    if let Some(url) = &settings.github {
        let common = settings::common_without_file(env)?;
        let text = pipeline::fetch_text(url, &common, asker.context).await?;
        let listed = template::keys_listed(&text);
        confirm_keys(&listed, url, settings.yes, asker).await?;
        keys.extend(listed);
    }
    if settings.key_files.is_empty() && settings.github.is_none() {
        return of_this_machine(settings, asker).await;
    }
    Ok(template::sorted(keys))
}

/// The keys of this machine that the user chooses; without an answer the best one.
async fn of_this_machine(
    settings: &settings::Init,
    asker: &Prompter<'_>,
) -> Result<Vec<PublicKey>, Failure> {
    let dir = settings.home.as_ref().map(|home| home.join(".ssh"));
    let in_files = dir.as_deref().map(template::public_keys);
    let in_agent = settings.agent.as_deref().map(template::agent_keys);
    let found = [in_files, in_agent].into_iter().flatten().flatten();
    let found = template::sorted(found.collect());
    if found.len() < 2 {
        return Ok(found);
    }
    let events = &asker.context.events;
    if asker.asks {
        for (index, key) in found.iter().enumerate() {
            asker
                .ui
                .explain(&format!("key {}: {}", index + 1, key.shown()));
        }
    }
    let question = Question {
        text: "Keys that may log in: numbers, or all",
        given: None,
        default: "1",
    };
    let answer = asker.ask(question, |answer| selected(answer, &found).map(drop));
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
        asker.ui.explain(&format!("{url} has: {}", key.line));
    }
    let question = "Let the owners of these keys log in as root?";
    match confirm(question, asker.ui, asker.context).await? {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::declined("nothing was written: the answer was no")),
        None => Err(
            Failure::usage("the question about these keys was not answered on a terminal")
                .hint("give --yes if they are"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
