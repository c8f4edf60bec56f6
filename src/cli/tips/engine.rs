//! The engine, which other programs take as a flag.

use sdbuild_core::shell_word::quoted;

/// Names of engines, with the sockets that these have without further settings.
const SOCKETS: [(&str, &str); 2] = [
    ("docker", "unix:///var/run/docker.sock"),
    ("podman", "unix://$XDG_RUNTIME_DIR/podman/podman.sock"),
];

/// The address in a line for an engine whose address is not known.
const SOME_ADDRESS: &str = "ssh://me@pc";

/// The command line of `words` with the engine in a variable in place of `flag`, which names it.
pub(super) fn line(flag: &str, words: &[String]) -> String {
    // `--podman` takes no value.
    let by_flag = socket(flag.trim_start_matches('-'));
    let (mut value, mut line) = (None, Vec::new());
    let mut given = words.iter();
    while let Some(word) = given.next() {
        if word == flag && by_flag.is_none() {
            value = given.next().map(String::as_str);
        } else if let Some(joined) = joined_value(word, flag) {
            value = Some(joined);
        } else if word != flag {
            line.push(quoted(word));
        }
    }
    let address = by_flag.map(str::to_owned).or_else(|| address(value?));
    let address = address.unwrap_or_else(|| SOME_ADDRESS.to_owned());
    format!("DOCKER_HOST={address} sdbuild {}", line.join(" "))
}

/// The value of `flag` in the same `word`: `--host=pc`, `-Hpc`.
fn joined_value<'a>(word: &'a str, flag: &str) -> Option<&'a str> {
    let value = word.strip_prefix(flag)?;
    let is_short = flag.starts_with('-') && !flag.starts_with("--") && !value.is_empty();
    let behind_sign = value.strip_prefix('=');
    behind_sign.or_else(|| is_short.then_some(value))
}

fn socket(name: &str) -> Option<&'static str> {
    let row = SOCKETS.iter().find(|(engine, _)| *engine == name);
    row.map(|(_, socket)| *socket)
}

/// The address of the engine that `value` names, if that is known and has no password.
fn address(value: &str) -> Option<String> {
    if let Some(socket) = socket(value) {
        return Some(socket.to_owned());
    }
    let (_, machine) = value.split_once("://")?;
    let user = machine.rsplit_once('@').map_or("", |(user, _)| user);
    (!user.contains(':')).then(|| quoted(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_of_a_flag_is_in_a_variable() {
        for (flag, given, expected) in [
            (
                "-H",
                "build -H tcp://pc:2375 a.nix",
                "tcp://pc:2375 sdbuild build a.nix",
            ),
            ("-H", "build -Htcp://pc:2375", "tcp://pc:2375 sdbuild build"),
            (
                "--host",
                "check --host=ssh://me@pc -v",
                "ssh://me@pc sdbuild check -v",
            ),
            (
                "--host",
                "try --host tcp://me:secret@pc",
                "ssh://me@pc sdbuild try",
            ),
            ("--host", "try --host pc", "ssh://me@pc sdbuild try"),
            ("--host", "try --host", "ssh://me@pc sdbuild try"),
            (
                "--engine",
                "build --engine podman",
                "unix://$XDG_RUNTIME_DIR/podman/podman.sock sdbuild build",
            ),
            (
                "--docker",
                "build --docker a.nix",
                "unix:///var/run/docker.sock sdbuild build a.nix",
            ),
        ] {
            let words: Vec<String> = given.split(' ').map(str::to_owned).collect();
            assert_eq!(
                line(flag, &words),
                format!("DOCKER_HOST={expected}"),
                "{given}"
            );
        }
    }
}
