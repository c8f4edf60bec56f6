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

/// A host and its port: `localhost:8123`.
pub(super) fn is_server(text: &str) -> bool {
    let server = text.rsplit_once(':');
    server.is_some_and(|(host, port)| is_word(host) && port.parse::<u16>().is_ok())
}

/// A time of systemd, as `weekly`, `04:40` and `*-*-1`.
pub(super) fn is_time(text: &str) -> bool {
    let is_sign = |c: char| c.is_ascii_alphanumeric() || " *-:,/.~".contains(c);
    let is_calendar = text.chars().all(is_sign) && text.contains([':', '*']);
    TIMES.contains(&text) || is_calendar
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

/// A command of a shell, and no name of a unit.
pub(super) fn is_command(text: &str) -> bool {
    text.contains(['/', ' ', '\n'])
}

/// An image of a container, with its registry or its tag.
pub(super) fn is_image(text: &str) -> bool {
    text.contains([':', '/'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_of_a_kind_only_if_that_is_certain() {
        type Row = (
            fn(&str) -> bool,
            &'static [&'static str],
            &'static [&'static str],
        );
        let table: [Row; 14] = [
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
            (
                is_time,
                &["weekly", "04:40", "*-*-1", "Mon *-*-* 03:00:00"],
                &["30d", "nixos-25.11", "backup.service"],
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
            (is_command, &["/bin/a", "echo a"], &["a.service"]),
            (is_image, &["nginx:latest", "a/b"], &["web"]),
            (is_tree, &["bcm2711-rpi-4-b.dtb"], &["rpi4"]),
            (is_wireguard_key, &[], &["1.2.3.4:51820"]),
            (is_device_id, &[], &["laptop"]),
        ];
        for (is_kind, of_it, others) in table {
            for text in of_it {
                assert!(is_kind(text), "{text}");
            }
            for text in others {
                assert!(!is_kind(text), "{text}");
            }
        }
    }
}
