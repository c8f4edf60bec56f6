//! The end of a boot: its result, and what to do with the image.

use std::path::Path;
use std::time::Duration;

use crate::commands::build::{BOOT, next_commands};
use crate::ui;
use sdbuild_boot::Reached;
use sdbuild_image::image_format;
use sdbuild_image::image_format::{ImageFormat, extension_of};

/// The result of a boot that took this long.
pub(super) fn done_in(reached: Reached, took: Duration) -> String {
    let how = match reached {
        Reached::Login => ", and you can log in over SSH",
        Reached::Prompt => ": its console asks for a login",
        Reached::End => "",
    };
    format!("the image boots{how} · {}", ui::words::duration(took))
}

/// The commands that go on with `image`: those of the format that its name has, or of the first one whose files have such names.
pub(super) fn next_commands_after_boot(image: &Path) -> Vec<(String, &'static str)> {
    let name = image.file_name().unwrap_or_default().to_string_lossy();
    let has_name =
        |row: &&ImageFormat| extension_of(&name, row.extensions.iter().copied()).is_some();
    let formats: Vec<_> = image_format::all().filter(has_name).collect();
    let named = formats.iter().find(|row| name.contains(row.name));
    let Some(format) = named.or(formats.first()) else {
        return Vec::new();
    };
    let mut next = next_commands(image, format);
    next.retain(|(command, _)| !command.starts_with(BOOT));
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_of_a_boot_says_how_far_it_came() {
        let took = Duration::from_secs(15);
        assert_eq!(
            done_in(Reached::Login, took),
            "the image boots, and you can log in over SSH · 15 s"
        );
        assert!(done_in(Reached::Prompt, took).contains("asks for a login · "));
    }

    #[test]
    fn an_image_that_has_booted_is_written() {
        let next = |image: &str| {
            let next = next_commands_after_boot(Path::new(image));
            let commands = next.into_iter().map(|(command, _)| command);
            commands.collect::<Vec<_>>()
        };
        assert_eq!(next("/x/pi.img.zst"), ["sdbuild flash /x/pi.img.zst"]);
        assert_eq!(next("/x/pi.qcow2"), [""; 0]);
        let amazon = "/x/nixos-pi-amazon-26.05.img";
        assert_eq!(next(amazon), [format!("sdbuild publish aws {amazon}")]);
        assert_eq!(next("/x/pi"), [""; 0]);
    }
}
