//! A first configuration: the repository's example `sd-card.nix` with values of this machine.
//!
//! Guarantees: the result differs from the example only in keys, host name, time zone, locale and wireless
//! network, account and board; every value is a quoted Nix string; a file is written completely or not at all.

mod board;
mod ci;
mod host;
mod keys;
mod miniature;
mod name;

pub use board::check_board;
pub use ci::{CiService, workflow};
pub use host::{
    Wifi, check_locale, check_time_zone, check_user_name, host_name, locale, time_zone,
};
pub use keys::{PublicKey, agent_keys, key_in, keys_listed, public_keys, sorted};
pub use miniature::unpack_miniature;
pub use name::TemplateName;
use sdbuild_core::new_file::Access;
use sdbuild_core::nix_string::nix_string;
use sdbuild_core::system::System;
use sdbuild_image::board::Board;

/// The templates, and the texts in all of them that are replaced.
const EXAMPLE: &str = include_str!("../../sd-card.nix");
const INSTALLER: &str = include_str!("installer-cloud-init.nix");
const VM: &str = include_str!("vm.nix");
const SERVER: &str = include_str!("server.nix");
const AMAZON: &str = include_str!("amazon.nix");
const CONTAINER: &str = include_str!("container.nix");
/// The administrator in the template of a server.
const ADMINISTRATOR: &str = "admin";
const KEY: &str = "    \"ssh-ed25519 REPLACE-ME-WITH-YOUR-PUBLIC-KEY\"\n";
const KEY_COMMENT: &str =
    "  # Who may log in: your public key, the one line in ~/.ssh/id_ed25519.pub\n";
const WHO_CHOSEN: &str =
    "  # Who may log in: public keys, each the one line of a .pub file in ~/.ssh\n";
const TO_DO: &str = "Put your key in, change what you like, then run";
const DONE: &str = "Change what you like, then run";
const ARGUMENTS: &str = "{ lib, pkgs";
const PROGRAMS: &str = "  # Programs that you want to have there.\n";
const PLATFORM: &str = "nixpkgs.hostPlatform = \"aarch64-linux\";";
/// In the comment that says how to change the platform.
const OTHER_SYSTEM: &str = "\"x86_64-linux\" here";
const HOST_NAME: &str = "networking.hostName = \"nixos-sd\";";
const LOCALE: &str = "i18n.defaultLocale = \"en_US.UTF-8\";";
const TIME_ZONE: &str = "time.timeZone = \"Europe/Berlin\";";
/// The file beside a configuration for Raspberry Pi Imager, and the module in it.
pub const PRESEED_FILE: &str = "rpi-preseed.nix";
pub const PRESEED: &str = include_str!("rpi-preseed.nix");

/// The values that replace those of the example.
#[derive(Clone, Debug)]
pub struct TemplateValues {
    /// Keys that may log in as root; when empty, the placeholder stays.
    pub keys: Vec<PublicKey>,
    /// The new machine's host name.
    pub host_name: String,
    /// An account with the same keys that may become root without a password.
    pub user: Option<String>,
    /// The configuration that is filled in.
    pub template: TemplateName,
    /// What the machine's programs are for.
    pub system: System,
    /// The board that the image is for.
    pub board: &'static Board,
    /// A name of the tz database; the example's when `None`.
    pub time_zone: Option<String>,
    /// A glibc locale; the example's when `None`.
    pub locale: Option<String>,
    /// The wireless network to join.
    pub wifi: Option<Wifi>,
    /// Whether Raspberry Pi Imager names the machine, its time zone and its network, by the module in [`PRESEED_FILE`].
    pub preseed: bool,
}

/// A `flake.nix` that builds the `configuration.nix` beside it as the configuration `host_name`, with nixpkgs of the NixOS
/// `release`.
pub fn flake(host_name: &str, release: &str) -> String {
    let name = nix_string(host_name);
    format!(
        "{{\n  inputs.nixpkgs.url = \"github:NixOS/nixpkgs/nixos-{release}\";\n\n  \
         outputs = {{ nixpkgs, ... }}: {{\n    # `sdbuild build` builds its SD card image, as long as it is the only one.\n    \
         nixosConfigurations.{name} = nixpkgs.lib.nixosSystem {{ modules = [ ./configuration.nix ]; }};\n  }};\n}}\n"
    )
}

/// The template of `values`, filled in with them.
pub fn render(values: &TemplateValues) -> String {
    let mut text = match values.template {
        TemplateName::SdCard => board::for_board(EXAMPLE, values.board),
        TemplateName::InstallerCloudInit => INSTALLER.to_owned(),
        TemplateName::Vm => VM.to_owned(),
        TemplateName::Server => SERVER.to_owned(),
        TemplateName::Amazon => AMAZON.to_owned(),
        TemplateName::Container => CONTAINER.to_owned(),
    };
    if values.system != System::default() {
        text = for_system(&text, values.system);
    }
    if let Some(user) = &values.user {
        text = with_user(&text, user, values.template);
    }
    if values.preseed {
        text = with_preseed(&text);
    }
    let name = nix_string(&values.host_name);
    let wifi = values.wifi.as_ref().map(Wifi::lines).unwrap_or_default();
    text = text.replacen(
        HOST_NAME,
        &format!("networking.hostName = {name};{wifi}"),
        1,
    );
    if let Some(locale) = &values.locale {
        let locale = nix_string(locale);
        text = text.replacen(LOCALE, &format!("i18n.defaultLocale = {locale};"), 1);
    }
    if let Some(zone) = &values.time_zone {
        let zone = nix_string(zone);
        text = text.replacen(TIME_ZONE, &format!("time.timeZone = {zone};"), 1);
    }
    if values.keys.is_empty() {
        return text;
    }
    with_keys(&text, &values.keys)
}

/// The configuration `text` for `system`, without the comment that says how to change that.
fn for_system(text: &str, system: System) -> String {
    let is_advice = |line: &&str| !line.contains(OTHER_SYSTEM);
    let lines = text.split_inclusive('\n').filter(is_advice);
    let platform = format!("nixpkgs.hostPlatform = \"{system}\";");
    lines.collect::<String>().replacen(PLATFORM, &platform, 1)
}

/// The configuration `text` with the account `user`: that of a server's administrator, or one beside root.
fn with_user(text: &str, user: &str, template: TemplateName) -> String {
    if template == TemplateName::Server {
        let account = |name: &str| format!("users.users.{name}");
        return text.replace(&account(ADMINISTRATOR), &account(&nix_string(user)));
    }
    text.replacen(ARGUMENTS, "{ config, lib, pkgs", 1).replacen(
        PROGRAMS,
        &format!("{}{PROGRAMS}", user_lines(user)),
        1,
    )
}

/// The configuration `text` with the module in [`PRESEED_FILE`], and without the values that it sets.
fn with_preseed(text: &str) -> String {
    let import = format!(
        "{}    # Host name, user, SSH key, Wi-Fi and time zone as Raspberry Pi Imager asks for them.\n    ./{PRESEED_FILE}\n",
        board::IMPORT
    );
    text.replacen(board::IMPORT, &import, 1)
        .replacen(HOST_NAME, "networking.hostName = \"\";", 1)
        .replacen(TIME_ZONE, "time.timeZone = null;", 1)
}

/// Whether the configuration `text` has the line of the templates that a key takes the place of.
pub fn has_placeholder(text: &str) -> bool {
    text.contains(KEY)
}

/// The configuration `text` with `keys` in place of the placeholder of the templates.
pub fn with_keys(text: &str, keys: &[PublicKey]) -> String {
    let line = |key: &PublicKey| format!("    {}\n", nix_string(&key.line));
    let keys: String = keys.iter().map(line).collect();
    text.replacen(KEY, &keys, 1)
        .replacen(KEY_COMMENT, WHO_CHOSEN, 1)
        .replacen(TO_DO, DONE, 1)
}

/// The account `user`, with root's keys.
fn user_lines(user: &str) -> String {
    let name = nix_string(user);
    format!(
        "  # Your account. It has no password, so sudo must not ask for one.\n  \
           users.users.{name} = {{\n    \
             isNormalUser = true;\n    \
             extraGroups = [ \"wheel\" ];\n    \
             openssh.authorizedKeys.keys = config.users.users.root.openssh.authorizedKeys.keys;\n  \
           }};\n  \
           security.sudo.wheelNeedsPassword = false;\n\n"
    )
}

impl TemplateValues {
    /// The accounts that the keys log in to.
    pub fn logins(&self) -> Vec<&str> {
        let user = self.user.as_deref();
        match self.template {
            TemplateName::Server => vec![user.unwrap_or(ADMINISTRATOR)],
            TemplateName::SdCard
            | TemplateName::InstallerCloudInit
            | TemplateName::Vm
            | TemplateName::Amazon
            | TemplateName::Container => std::iter::once("root").chain(user).collect(),
        }
    }

    /// Who may read the file with these values.
    pub fn access(&self) -> Access {
        match self.wifi {
            Some(_) => Access::Owner,
            None => Access::Everybody,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;
    use sdbuild_image::board::BoardName;

    fn named(name: &str) -> &'static Board {
        let BoardName(board) = name.parse().unwrap();
        board
    }

    fn example_values() -> TemplateValues {
        TemplateValues {
            keys: Vec::new(),
            host_name: "nixos-sd".into(),
            user: None,
            template: TemplateName::SdCard,
            system: System::default(),
            board: named("rpi4"),
            time_zone: Some("Europe/Berlin".into()),
            locale: Some("en_US.UTF-8".into()),
            wifi: None,
            preseed: false,
        }
    }

    #[test]
    fn its_own_values_yield_the_example() {
        for blank in [
            KEY,
            KEY_COMMENT,
            TO_DO,
            ARGUMENTS,
            board::PLAIN,
            PROGRAMS,
            HOST_NAME,
            TIME_ZONE,
            LOCALE,
        ] {
            assert_eq!(EXAMPLE.matches(blank).count(), 1, "{blank}");
        }
        assert_eq!(render(&example_values()), EXAMPLE);
    }

    #[test]
    fn every_template_has_the_same_values() {
        for template in TemplateName::value_variants() {
            let rendered = |name: &str, user: Option<&str>| {
                render(&TemplateValues {
                    template: *template,
                    host_name: name.into(),
                    user: user.map(str::to_owned),
                    ..example_values()
                })
            };
            let text = rendered("nixos-sd", None);
            for blank in [
                KEY,
                KEY_COMMENT,
                TO_DO,
                ARGUMENTS,
                PROGRAMS,
                HOST_NAME,
                TIME_ZONE,
                LOCALE,
            ] {
                assert_eq!(text.matches(blank).count(), 1, "{template:?}: {blank}");
            }
            let text = rendered("live", Some("ann"));
            assert!(text.contains("networking.hostName = \"live\";"), "{text}");
            let account = text.contains("users.users.\"ann\" = {");
            let sudo = text.matches("wheelNeedsPassword = false;").count();
            assert!(
                account && sudo == 1 && !text.contains("admin = {"),
                "{text}"
            );
        }
    }

    #[test]
    fn an_installer_has_cloud_init_and_no_card() {
        let text = render(&TemplateValues {
            template: TemplateName::InstallerCloudInit,
            ..example_values()
        });
        assert!(text.contains("image.modules.iso-installer = {"), "{text}");
        assert!(!text.contains("sdImage"), "{text}");
    }

    #[test]
    fn a_user_gets_the_keys_and_a_sudo_that_works() {
        let text = render(&TemplateValues {
            user: Some("ann".into()),
            ..example_values()
        });
        for part in [
            "{ config, lib, pkgs, modulesPath, ... }:\n",
            "  users.users.\"ann\" = {\n    isNormalUser = true;\n    extraGroups = [ \"wheel\" ];\n",
            "  security.sudo.wheelNeedsPassword = false;\n\n  # Programs that",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn what_imager_sets_is_left_out() {
        let text = render(&TemplateValues {
            preseed: true,
            ..example_values()
        });
        for part in [
            "sd-image-aarch64.nix\")\n    # Host name",
            "    ./rpi-preseed.nix\n  ];\n",
            "networking.hostName = \"\";",
            "time.timeZone = null;",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn another_board_has_other_words_only() {
        let text = render(&TemplateValues {
            board: named("other"),
            ..example_values()
        });
        assert!(text.contains("U-Boot"), "{text}");
        assert!(!text.contains("Raspberry Pi 3"), "{text}");
        assert!(text.contains("nixpkgs.hostPlatform = \"aarch64-linux\";"));
    }

    #[test]
    fn writes_one_line_per_key() {
        let key = |line: &str| PublicKey { line: line.into() };
        let keys = vec![key("ssh-ed25519 AAAA a\"b"), key("ssh-rsa BBBB")];
        let text = render(&TemplateValues {
            keys,
            ..example_values()
        });
        assert!(
            text.contains("keys = [\n    \"ssh-ed25519 AAAA a\\\"b\"\n    \"ssh-rsa BBBB\"\n  ];"),
            "{text}"
        );
        assert!(!text.contains("REPLACE-ME"));
        assert!(!text.contains("Put your key in"), "it is there: {text}");
        assert!(!text.contains("id_ed25519"), "another key: {text}");
    }
}
