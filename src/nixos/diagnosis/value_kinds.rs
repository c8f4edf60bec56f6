//! What a text is by its form, where the form tells it for certain. Pure.

/// Directives with which the configuration of a site of Caddy begins.
const CADDY: [&str; 6] = [
    "encode",
    "file_server",
    "redir",
    "respond",
    "reverse_proxy",
    "root",
];
/// Ends of the names of systemd's units.
const UNITS: [&str; 9] = [
    ".automount",
    ".device",
    ".mount",
    ".path",
    ".service",
    ".slice",
    ".socket",
    ".target",
    ".timer",
];
/// What the addresses of flakes begin with that no other addresses begin with.
const FLAKES: [&str; 6] = [
    "flake:",
    "git+",
    "github:",
    "gitlab:",
    "path:",
    "sourcehut:",
];
/// The days of a week as systemd takes them, which also has the whole words.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Words for times of systemd.
const TIMES: [&str; 6] = ["daily", "hourly", "minutely", "monthly", "weekly", "yearly"];

pub(super) fn is_any(_: &str) -> bool {
    true
}

/// A name of letters, digits and a few signs.
pub(super) fn is_word(text: &str) -> bool {
    let is_sign = |c: char| c.is_alphanumeric() || "._-".contains(c);
    !text.is_empty() && text.chars().all(is_sign)
}

pub(super) fn is_path(text: &str) -> bool {
    text.starts_with('/')
}

pub(super) fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// The address of a channel of NixOS.
pub(super) fn is_channel(text: &str) -> bool {
    is_url(text) && text.contains("channels")
}

pub(super) fn is_flake(text: &str) -> bool {
    FLAKES.iter().any(|start| text.starts_with(start)) && !text.contains(char::is_whitespace)
}

/// A host and its port: `localhost:8123`.
pub(super) fn is_server(text: &str) -> bool {
    let server = text.rsplit_once(':');
    server.is_some_and(|(host, port)| is_word(host) && port.parse::<u16>().is_ok())
}

/// A time of systemd (systemd.time(7)), as `weekly`, `04:40`, `*-*-1` and `Mon..Fri 03:00 Europe/Berlin`.
pub(super) fn is_time(text: &str) -> bool {
    let words = || text.split_whitespace();
    let is_part = |word: &str| is_date(word) || are_days(word) || is_zone(word);
    let has_date = words().any(|word| is_date(word) && (word.contains(':') || word.contains("*-")));
    TIMES.contains(&text) || has_date && words().all(is_part)
}

/// The numbers of a date or of a time of day, or `*` for any, with what systemd takes between them.
fn is_date(word: &str) -> bool {
    let longest = if word.contains(':') { 2 } else { 4 };
    let is_digits = |number: &str| number.bytes().all(|byte| byte.is_ascii_digit());
    let is_number =
        |number: &str| number == "*" || (1..=longest).contains(&number.len()) && is_digits(number);
    let word = word.replace("..", ",");
    word.split(['-', ':', ',', '/', '~']).all(is_number)
}

/// Days of a week: `Mon`, `Sat,Sun` and `Mon..Fri`.
fn are_days(word: &str) -> bool {
    let is_day = |name: &str| {
        let name = name.to_ascii_lowercase();
        let is_long = || name.len() > 3 && name.ends_with("day");
        DAYS.contains(&name.as_str()) || DAYS.iter().any(|day| name.starts_with(day)) && is_long()
    };
    word.replace("..", ",").split(',').all(is_day)
}

/// An age of generations, as `30d`.
pub(super) fn is_age(text: &str) -> bool {
    let days = text.strip_suffix('d').unwrap_or_default();
    !days.is_empty() && days.bytes().all(|byte| byte.is_ascii_digit())
}

pub(super) fn is_flags(text: &str) -> bool {
    text.starts_with("--")
}

/// A keymap by its country, as `de` and `de-latin1`.
pub(super) fn is_keymap(text: &str) -> bool {
    let country = text.split('-').next().unwrap_or_default();
    country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// A locale, as `de_DE.UTF-8`.
pub(super) fn is_locale(text: &str) -> bool {
    let is_pair = |part: &str, is_part: fn(&u8) -> bool| {
        part.len() == 2 && part.bytes().all(|byte| is_part(&byte))
    };
    let name = text.split('.').next().unwrap_or_default();
    name.split_once('_').is_some_and(|(language, country)| {
        is_pair(language, u8::is_ascii_lowercase) && is_pair(country, u8::is_ascii_uppercase)
    })
}

/// A time zone, as `Europe/Berlin`.
pub(super) fn is_zone(text: &str) -> bool {
    let is_part = |part: &str| part.starts_with(|c: char| c.is_ascii_uppercase());
    text == "UTC" || text.contains('/') && text.split('/').all(is_part)
}

/// A compiled device tree.
pub(super) fn is_tree(text: &str) -> bool {
    text.rsplit('.').next() == Some("dtb")
}

/// The source of a device tree beside the configuration.
pub(super) fn is_source(text: &str) -> bool {
    text.starts_with("./") && text.rsplit('.').next() == Some("dts")
}

pub(super) fn is_wireguard_key(text: &str) -> bool {
    text.len() == 44 && text.ends_with('=')
}

/// What Syncthing calls a device: eight groups of letters and digits.
pub(super) fn is_device_id(text: &str) -> bool {
    text.split('-').count() == 8 && text.len() == 63
}

/// Directives of nginx.
pub(super) fn is_directives(text: &str) -> bool {
    text.contains(';')
}

/// The configuration of a site of Caddy.
pub(super) fn is_caddyfile(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    CADDY.contains(&first)
}

/// Rules of udev.
pub(super) fn is_rules(text: &str) -> bool {
    text.contains("==")
}

/// A command of a shell, and no name, description or directive of a unit.
pub(super) fn is_command(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    let is_other = first.contains('=')
        || first.starts_with(|c: char| c.is_ascii_uppercase() || c == '[')
        || UNITS.iter().any(|end| text.trim_end().ends_with(end));
    text.contains(['/', ' ', '\n']) && !is_other
}

/// An image of a container, with its registry or its tag.
pub(super) fn is_image(text: &str) -> bool {
    let is_sign = |c: char| c.is_ascii_alphanumeric() || "._-:/@".contains(c);
    let last = text.rsplit('/').next().unwrap_or_default();
    let name = last.split([':', '@']).next().unwrap_or_default();
    let is_named = name.contains(|c: char| c.is_ascii_alphabetic());
    let is_whole = text.starts_with(|c: char| c.is_ascii_alphanumeric()) && !text.contains("//");
    text.contains([':', '/']) && text.chars().all(is_sign) && is_whole && is_named
}

#[cfg(test)]
mod tests {
    use super::*;

    type Row = (
        fn(&str) -> bool,
        &'static [&'static str],
        &'static [&'static str],
    );

    /// Each kind has the first texts, and has not the others.
    fn assert_kinds(table: &[Row]) {
        for (is_kind, of_it, others) in table {
            for text in *of_it {
                assert!(is_kind(text), "{text}");
            }
            for text in *others {
                assert!(!is_kind(text), "{text}");
            }
        }
    }

    #[test]
    fn a_text_is_of_a_kind_only_if_that_is_certain() {
        assert_kinds(&[
            (
                is_keymap,
                &["de", "de-latin1"],
                &["ttyS0", "tty1", "dvorak"],
            ),
            (
                is_zone,
                &["Europe/Berlin", "UTC"],
                &["pool.ntp.org", "de/x"],
            ),
            (is_age, &["30d"], &["d", "daily", "30"]),
            (is_locale, &["de_DE.UTF-8", "en_US"], &["UTF-8", "de"]),
            (
                is_server,
                &["localhost:80", "10.0.0.1:9100"],
                &["node", "a:b"],
            ),
            (is_caddyfile, &["reverse_proxy :80"], &["127.0.0.1:80"]),
            (is_directives, &["proxy_pass http://a;"], &["a"]),
            (is_rules, &["KERNEL==\"i2c-1\""], &["gpio"]),
            (is_tree, &["bcm2711-rpi-4-b.dtb"], &["rpi4"]),
            (is_wireguard_key, &[], &["1.2.3.4:51820"]),
            (is_device_id, &[], &["laptop"]),
        ]);
    }

    #[test]
    fn times_and_addresses_are_told_apart() {
        assert_kinds(&[
            (
                is_time,
                &[
                    "weekly",
                    "04:40",
                    "*-*-1",
                    "*:0/15",
                    "Mon *-*-* 03:00:00",
                    "Mon..Fri,Sunday 03:00 Europe/Berlin",
                ],
                &[
                    "30d",
                    "nixos-25.11",
                    "backup.service",
                    "github:me/flake",
                    "https://nixos.org/channels/nixos-unstable",
                    "keep 5 generations: 30d",
                    "10.0.0.1:80",
                    "a:b",
                    "8080:80",
                    "Monkey 04:40",
                    "*",
                    ":",
                ],
            ),
            (
                is_flake,
                &["github:me/flake", "git+ssh://h.example/x"],
                &["https://h.example/x", "nixos-25.11", "github: me"],
            ),
            (
                is_channel,
                &["https://nixos.org/channels/nixos-unstable"],
                &["https://github.com/me/flake", "channels"],
            ),
        ]);
    }

    #[test]
    fn commands_and_images_are_no_other_words() {
        assert_kinds(&[
            (
                is_command,
                &["/bin/a", "echo a", "echo A=b"],
                &[
                    "a.service",
                    "/etc/systemd/system/a.service",
                    "Restart=always RestartSec=5",
                    "After=network.target Wants=foo",
                    "[Service]\nRestart=always",
                    "The sensor of the garden",
                ],
            ),
            (
                is_image,
                &["nginx:latest", "a/b", "10.0.0.1:5000/web", "a/b@sha256:0"],
                &[
                    "web",
                    "docker run nginx:latest",
                    "https://h.example/a",
                    "/srv/web",
                    "8080:80",
                ],
            ),
        ]);
    }
}
