//! The values of a first configuration: each from its flag, an answer, or what this machine has.

use std::path::Path;

use super::keys;
use super::questions::{Prompter, Question};
use super::wifi;
use crate::common::template_name::TemplateName;
use crate::settings;
use crate::settings::Environment;
use crate::template;
use crate::template::TemplateValues;
use sdbuild_core::failure::Failure;
use sdbuild_core::host_name;
use sdbuild_core::system::System;
use sdbuild_image::board::{Board, BoardName, boards_of};

/// The time zone where this machine has none.
const DEFAULT_ZONE: &str = "UTC";
/// The board whose card starts in most boards.
const DEFAULT_BOARD: &str = "rpi4";
/// The locale of the example.
const DEFAULT_LOCALE: &str = "en_US.UTF-8";

/// Every value, from its flag, an answer or its default.
pub(super) async fn values(
    settings: &settings::Init,
    env: &Environment,
    asker: &Prompter<'_>,
) -> Result<TemplateValues, Failure> {
    let dir = settings.config.parent().unwrap_or(Path::new("/"));
    let default_name = template::host_name(dir, settings.home.as_deref());
    let host_name = Question {
        text: "Host name",
        given: settings.host_name.as_deref(),
        default: &default_name,
    };
    let host_name = asker.ask(host_name, host_name::check).await?;
    let BoardName(board) = chosen_board(settings, asker).await?;
    let keys = Box::pin(keys::choose(settings, env, asker)).await?;
    let user = Question {
        text: if settings.template == TemplateName::Server {
            "The administrator's account (empty for admin)"
        } else {
            "User besides root, with sudo (empty for none)"
        },
        given: settings.user.as_deref(),
        default: "",
    };
    let user = asker.ask(user, |name| match name {
        "" => Ok(()),
        name => template::check_user_name(name),
    });
    let user = Some(user.await?).filter(|name| !name.is_empty());
    let wifi = Box::pin(wifi::choose(settings, env, asker)).await?;
    let zone = template::time_zone(Path::new("/etc"));
    let time_zone = Question {
        text: "Time zone",
        given: settings.time_zone.as_deref(),
        default: zone.as_deref().unwrap_or(DEFAULT_ZONE),
    };
    let time_zone = asker.ask(time_zone, template::check_time_zone).await?;
    let own_locale = settings.locale.as_deref().and_then(template::locale);
    let locale = Question {
        text: "Language",
        given: settings.chosen_locale.as_deref(),
        default: own_locale.unwrap_or(DEFAULT_LOCALE),
    };
    let locale = asker.ask(locale, |name| template::check_locale(name).map(drop));
    Ok(TemplateValues {
        keys,
        host_name,
        user,
        template: settings.template,
        system: settings.system,
        board,
        time_zone: Some(time_zone),
        locale: Some(template::check_locale(&locale.await?)?.to_owned()),
        wifi,
    })
}

async fn chosen_board(
    settings: &settings::Init,
    asker: &Prompter<'_>,
) -> Result<BoardName, Failure> {
    if let Some(board) = settings.board {
        return Ok(board);
    }
    if settings.template.format().is_some() {
        return named_board(DEFAULT_BOARD);
    }
    if asker.asks {
        for line in board_choices() {
            asker.ui.explain(&line);
        }
    }
    let question = Question {
        text: "Board",
        given: None,
        default: DEFAULT_BOARD,
    };
    let answer = asker.ask(question, |answer| {
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
}
