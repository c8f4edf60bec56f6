//! Builds that failed for real, as Nix told of them: `tests/streams` holds its standard error.

use super::super::build_log::BuildLog;
use super::super::log::Log;
use super::*;

/// The failure of a build whose log was `stream` and whose exit status was `code`.
fn failure(stream: &str, code: i64) -> Failure {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = BuildLog::create(&dir.path().join("log")).unwrap();
    let mut log = Log::default();
    for line in stream.lines() {
        if let Some(event) = log.line(line) {
            journal.note(&event, log.take_error());
        }
    }
    let (findings, trouble) = journal.finish();
    assert!(trouble.is_none());
    let ending = ExitContext {
        code,
        emulated: true,
        store: "sdbuild-store",
        shown_dir: "pi/",
        file: "c.nix",
        ..ExitContext::default()
    };
    diagnose(&ending, &findings)
}

macro_rules! stream {
    ($name:literal) => {
        include_str!(concat!("../../../tests/streams/", $name, ".log"))
    };
}

/// Asserts the class, the message and the first hint.
#[track_caller]
fn tells(failure: &Failure, class: Class, (message, hint): (&str, &str)) {
    assert_eq!(failure.class, class, "{failure}");
    assert!(failure.to_string().contains(message), "{failure}");
    let first = failure.hints.first().map_or("no hint", String::as_str);
    assert!(first.contains(hint), "{first}");
}

#[test]
fn no_image_is_described() {
    let failure = failure(stream!("no-sd-image"), 1);
    tells(
        &failure,
        Class::Usage,
        (
            "pi/c.nix: attribute 'sdImage' in selection path 'config.system.build.sdImage' not found",
            "import <nixpkgs/nixos/modules/installer/sd-card/sd-image-aarch64.nix>",
        ),
    );
}

#[test]
fn an_unfree_package() {
    let failure = failure(stream!("unfree"), 1);
    tells(
        &failure,
        Class::Usage,
        (
            "Refusing to evaluate package 'secret-1.37.0'",
            "nixpkgs.config.allowUnfreePredicate = pkg: builtins.elem (lib.getName pkg) [ \"secret\" ];",
        ),
    );
    assert!(!failure.to_string().contains("nix-env"), "{failure}");
    assert!(failure.log_tail.is_empty(), "{:?}", failure.log_tail);
}

#[test]
fn an_option_that_is_gone() {
    let failure = failure(stream!("option-gone"), 1);
    let message = "`sdImage.bootSize' in `pi/c.nix' no longer has any effect; please remove it. The boot files";
    tells(&failure, Class::Usage, (message, "take the option out"));
}

#[test]
fn an_option_that_never_was() {
    let failure = failure(stream!("unknown-option"), 1);
    let message = "The option `networking.hotsName' does not exist";
    tells(
        &failure,
        Class::Usage,
        (message, "perhaps networking.hostName is meant"),
    );
}

#[test]
fn a_package_of_another_name() {
    let failure = failure(stream!("package-renamed"), 1);
    let message = "'_1password' has been renamed to/replaced by '_1password-cli'";
    tells(
        &failure,
        Class::Usage,
        (message, "write _1password-cli in its place"),
    );
}

#[test]
fn a_package_that_is_not_there() {
    let failure = failure(stream!("missing-attribute"), 1);
    let message = "pi/c.nix:3:34: attribute 'nosuchthing' missing";
    tells(
        &failure,
        Class::Usage,
        (message, "search.nixos.org/packages"),
    );
}

#[test]
fn a_name_that_nobody_defined() {
    let failure = failure(stream!("undefined-variable"), 1);
    let message = "pi/c.nix:3:43: undefined variable 'htop'";
    tells(&failure, Class::Usage, (message, "write pkgs.htop"));
}

#[test]
fn a_syntax_error_shows_its_line() {
    let failure = failure(stream!("syntax"), 1);
    let message = "pi/c.nix:4:27: syntax error, unexpected '=', expecting ';'";
    tells(&failure, Class::Usage, (message, "a `;` is missing"));
    let lines: Vec<&str> = failure.log_tail.iter().map(|line| line.trim()).collect();
    assert!(
        lines.contains(&"3|   networking.hostName = \"x\""),
        "{lines:?}"
    );
    assert!(
        lines.contains(&"4|   services.openssh.enable = true;"),
        "{lines:?}"
    );
}

#[test]
fn a_file_that_git_does_not_track() {
    let failure = failure(stream!("untracked"), 1);
    tells(
        &failure,
        Class::Usage,
        ("new.nix' does not exist", "git add new.nix"),
    );
}

#[test]
fn a_hash_that_is_wrong_comes_with_the_right_one() {
    let failure = failure(stream!("hash-mismatch"), 102);
    tells(
        &failure,
        Class::Build,
        (
            "hash mismatch in fixed-output derivation",
            "write sha256-7Qi6jzsUYY8Pu32Ipgm1CyTxAe1d4aMWWjskSf6a0D0= in place of \
             sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ),
    );
}

#[test]
fn a_program_of_a_foreign_architecture() {
    let failure = failure(stream!("exec-format"), 100);
    tells(
        &failure,
        Class::Environment,
        ("handler vanished", "systemd-binfmt"),
    );
    assert_eq!(
        failure.log_tail,
        ["error: executing '/cfg/arm': Exec format error"]
    );
}

#[test]
fn a_server_that_cannot_be_found() {
    let failure = failure(stream!("unreachable"), 1);
    let message = "could not reach a server that it needs: unable to download 'https://cache.nosuch.invalid/x'";
    tells(&failure, Class::Environment, (message, "check the network"));
}

#[test]
fn a_certificate_that_has_expired_or_is_not_valid_yet() {
    for stream in [stream!("certificate"), stream!("certificate-expired")] {
        let failure = failure(stream, 1);
        let message =
            "the certificate of a server does not hold: unable to download 'https://localhost:443";
        tells(&failure, Class::Environment, (message, "clock"));
    }
}

#[test]
fn a_download_that_stands_still() {
    let failure = failure(stream!("download-stalled"), 1);
    let message =
        "does not answer: unable to download 'http://localhost:4433/x': Timeout was reached (28)";
    tells(&failure, Class::Environment, (message, "run it again"));
}

/// Rows that are no [`Symptom`] and no [`Mistake`]: what they say is known by other means.
const OTHERS: [&str; 3] = ["OutOfMemory", "Stopped", "Warning"];

#[test]
fn every_condition_is_documented_and_tested() {
    let documented = table_rows(include_str!("../../../docs/errors.md"));
    let tested = table_rows(include_str!("../../../tests/errors.md"));
    let conditions = |rows: &[Vec<&'static str>]| -> Vec<&'static str> {
        rows.iter().map(|row| row[0]).collect()
    };
    assert_eq!(conditions(&documented), conditions(&tested));
    let sources = sources();
    for row in &tested {
        for test in row[1].split(", ") {
            let test = test.trim_matches('`');
            assert!(
                sources.contains(&format!("fn {test}(")),
                "there is no test {test}: {row:?}"
            );
        }
    }
    let known = KnownError::ALL.map(|s| format!("{s:?}")).into_iter();
    let known = known.chain(EvalError::ALL.map(|m| format!("{m:?}")));
    for condition in known.chain(OTHERS.map(str::to_owned)) {
        let name = format!("`{condition}`");
        let count = documented.iter().filter(|row| row[2] == name).count();
        assert_eq!(count, 1, "rows of {name} in docs/errors.md");
    }
}

/// The cells of every table row of `markdown`, without head rows.
fn table_rows(markdown: &'static str) -> Vec<Vec<&'static str>> {
    let is_row = |line: &&str| {
        line.starts_with("| ") && !line.starts_with("| what") && !line.starts_with("| --")
    };
    let cells = |line: &'static str| line.trim_matches('|').split(" | ").map(str::trim).collect();
    markdown.lines().filter(is_row).map(cells).collect()
}

/// All that is in `src` and `tests`, where a row's test may be.
fn sources() -> String {
    let mut dirs = ["src", "tests"]
        .map(|f| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(f))
        .to_vec();
    let mut text = String::new();
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                text.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    text
}
