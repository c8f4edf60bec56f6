//! `sdbuild` alone, in a directory with a configuration: what to do next.

use crate::commands::newest_image::newest;
use crate::common::failure::Failure;
use crate::common::shell_word::quoted;
use crate::common::shown_path::shown_path;
use crate::settings::{Environment, configuration_here, output_dir};
use crate::ui::Ui;
use crate::ui::layout::labelled;

/// Whether there is a configuration here, so that [`run`] has something to say.
pub fn is_known() -> bool {
    configuration_here().is_some()
}

/// Names the configuration and the newest image, and the commands to go on with.
pub fn run(env: &Environment, ui: &Ui) -> Result<(), Failure> {
    let Some(configuration) = configuration_here() else {
        return Err(Failure::usage("there is no configuration here")
            .hint("`sdbuild init` writes one; `sdbuild help` lists the commands"));
    };
    let (here, output) = output_dir(env)?;
    let image = newest(&here, &output).map(|image| shown_path(&image));
    let columns = ui.result_columns();
    ui.result(&steps(configuration, image.as_deref(), columns).join("\n"))
}

/// The commands for `configuration` and the newest `image`, each with its purpose.
/// In lines of `columns` columns.
fn steps(configuration: &str, image: Option<&str>, columns: usize) -> Vec<String> {
    let step = |command: &str, purpose: &str| {
        let full = format!("  {command:<16}   {purpose}");
        // A command must stay one line.
        let fits = full.len() <= columns;
        if fits { full } else { format!("  {command}") }
    };
    let mut lines = labelled(
        "",
        0,
        &format!("The configuration is {configuration}. Next:"),
        columns,
    );
    lines.extend([
        step("sdbuild check", "finds what would lock you out"),
        step("sdbuild build", "builds the image"),
    ]);
    if let Some(image) = image {
        let text = format!("The newest image is {}. Next:", quoted(image));
        lines.extend(labelled("", 0, &text, columns));
        lines.extend([
            step("sdbuild boot", "boots it in a virtual machine"),
            step("sdbuild flash", "lists the cards that it can be written to"),
        ]);
    }
    lines.push("`sdbuild help` lists all commands.".to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_with_what_can_be_done_with_it() {
        let without = steps("sd-card.nix", None, 80).join("\n");
        assert!(without.contains("sdbuild build") && !without.contains("sdbuild flash"));
        let with = steps("sd-card.nix", Some("out/my pi.img"), 80).join("\n");
        let narrow = steps("sd-card.nix", Some("out/my pi.img"), 40);
        assert!(narrow.iter().all(|line| line.len() <= 40), "{narrow:#?}");
        assert!(
            with.contains("'out/my pi.img'") && with.contains("sdbuild flash"),
            "{with}"
        );
    }
}
