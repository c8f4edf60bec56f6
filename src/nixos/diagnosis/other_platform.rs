//! A package that nixpkgs refuses because the configuration is for a platform that no image is for, which the message does not name.

use std::path::Path;

use super::evidence::ExitContext;
use crate::nixos::log::NixError;
use crate::nixos::nix_definitions::definitions;
use sdbuild_core::system::System;
use sdbuild_image::board::ONLY_64_BIT;

/// The options with the platform.
const OPTIONS: [&str; 3] = [
    "nixpkgs.hostPlatform",
    "nixpkgs.hostPlatform.system",
    "nixpkgs.system",
];

/// What the names of nixpkgs' modules for images of 32-bit ARM begin with: they are not for another platform.
const MODULES_FOR_32_BIT: [&str; 2] = ["/sd-image-armv7l", "/sd-image-raspberrypi"];

/// What to define in place of the platform, if the configuration itself has the only definition of one.
pub(super) fn hint(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let summary = error.summary.as_str();
    // The first is that of nixpkgs since 26.05.
    let is_refused = summary.starts_with("Refusing to evaluate package '")
        || summary.contains(", refusing to evaluate");
    if !is_refused || context.is_flake {
        return None;
    }
    let (place, (option, platform)) = context.files?.only_place(platforms)?;
    let (file, _) = place.rsplit_once(':')?;
    let is_other = platform.ends_with("-linux") && platform.parse::<System>().is_err();
    // Another file of the directory may be part of another configuration.
    let is_certain = is_other && Path::new(context.source).ends_with(file);
    is_certain.then(|| {
        let shown_dir = context.shown_dir;
        format!("{shown_dir}{place}: {ONLY_64_BIT}: {option} = \"aarch64-linux\";")
    })
}

/// The definitions of a platform in `text`: the line of each, the option that is defined as a whole, and the platform.
fn platforms(text: &str) -> Vec<(usize, (String, String))> {
    if MODULES_FOR_32_BIT.iter().any(|name| text.contains(name)) {
        return Vec::new();
    }
    let found = definitions(text).into_iter().filter_map(|definition| {
        let path = definition.path.join(".");
        let is_meant = OPTIONS.contains(&path.as_str()) && !definition.is_conditional;
        let platform = definition.literal.filter(|_| is_meant)?;
        let option = path.replace("hostPlatform.system", "hostPlatform");
        let platform = platform.trim_matches('"').to_owned();
        Some((definition.line, (option, platform)))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_platforms_of_a_file_are_found_in_every_form() {
        let found = |text: &str| {
            let found = platforms(&text.replace('\'', "\"")).into_iter();
            let found = found.map(|(_, (option, platform))| format!("{option} {platform}"));
            found.collect::<Vec<_>>().join(", ")
        };
        for (text, platform) in [
            (
                "{ nixpkgs.hostPlatform = 'armv7l-linux'; }",
                "nixpkgs.hostPlatform armv7l-linux",
            ),
            (
                "{ nixpkgs.hostPlatform = lib.mkDefault 'armv7l-linux'; }",
                "nixpkgs.hostPlatform armv7l-linux",
            ),
            (
                "{ nixpkgs.hostPlatform = { system = 'armv6l-linux'; }; }",
                "nixpkgs.hostPlatform armv6l-linux",
            ),
            (
                "{ nixpkgs = { system = 'armv7l-linux'; }; }",
                "nixpkgs.system armv7l-linux",
            ),
            (
                "{ nixpkgs.hostPlatform = if a then 'armv7l-linux' else 'x'; }",
                "",
            ),
            (
                "{ imports = [ (m + '/sd-image-armv7l-x.nix') ]; nixpkgs.system = 'armv7l-linux'; }",
                "",
            ),
        ] {
            assert_eq!(found(text), platform, "{text}");
        }
    }
}
