//! Mistakes that people make, each with what the answer must say. A run without `SDBUILD_MISTAKES` tries some of those that the
//! miniature nixpkgs can show, others with each commit; `scripts/mistakes` tries all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use serde::Deserialize;

use crate::support::*;

/// Mistakes that a run without `SDBUILD_MISTAKES` tries: half a minute.
const AT_A_TIME: usize = 30;
/// Each evaluates on one core.
const PARALLEL: usize = 3;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Collection {
    mistake: Vec<Mistake>,
}

/// A public key whose private half nobody has.
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFy+bCifu/AsWAceS9G5YQ5JuFlrBFSpGEnO/J1m6rXa";

/// What a user writes, in exactly one of `nix`, `file`, `flake` and `run`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mistake {
    name: String,
    /// Lines in a configuration that is right.
    nix: Option<String>,
    /// A whole `sd-card.nix`.
    file: Option<String>,
    /// A whole `flake.nix`.
    flake: Option<String>,
    /// The arguments of `sdbuild`, beside a configuration that is right.
    run: Option<Vec<String>>,
    /// Other files, by their names.
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// What the output contains outside the excerpt of the file, white space apart.
    says: Vec<String>,
    /// What it does not contain there.
    #[serde(default)]
    not: Vec<String>,
    /// Secrets, which it contains nowhere.
    #[serde(default)]
    hides: Vec<String>,
}

/// A configuration that is right, with `lines` from line 9 on.
fn with_lines(lines: &str) -> String {
    format!(
        "{{ config, lib, pkgs, modulesPath, ... }}:\n{{\n  \
         imports = [ \"${{modulesPath}}/installer/sd-card/sd-image-aarch64.nix\" ];\n  \
         nixpkgs.hostPlatform = \"aarch64-linux\";\n  system.stateVersion = lib.trivial.release;\n  \
         networking.hostName = \"pi\";\n  services.openssh.enable = true;\n  \
         users.users.ann = {{ isNormalUser = true; extraGroups = [ \"wheel\" ]; openssh.authorizedKeys.keys = [ \"{KEY}\" ]; }}; security.sudo.wheelNeedsPassword = false;\n\
         {lines}\n}}\n"
    )
}

/// `answer` without the user's own lines, which would contain much of what is expected.
fn without_excerpt(answer: &str) -> String {
    let is_excerpt = |line: &&str| {
        let line = line.trim_start().strip_prefix("> ");
        let number = line.map(|line| {
            line.trim_start()
                .trim_start_matches(|c: char| c.is_ascii_digit())
        });
        number.is_some_and(|line| line.trim_start().starts_with('|'))
    };
    let lines: Vec<&str> = answer.lines().filter(|line| !is_excerpt(line)).collect();
    lines.join("\n")
}

/// Text on one line, with one blank between words: terminals wrap.
fn on_one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

impl Mistake {
    /// How often one of the forms is given, which is right once.
    fn forms(&self) -> usize {
        let texts = [&self.nix, &self.file, &self.flake];
        let texts = texts.into_iter().flatten().count();
        texts + usize::from(self.run.is_some())
    }

    /// What sdbuild says to it, with the packages of `nixpkgs`.
    fn answer(&self, nixpkgs: &Path) -> String {
        let nixpkgs = nixpkgs.to_str().unwrap();
        let user = TestUser::new();
        for (name, text) in &self.files {
            user.write(name, text);
        }
        let mut command = if let Some(text) = &self.flake {
            user.write("flake.nix", text);
            user.sdbuild(&["check", ".", "--override-input", "nixpkgs", nixpkgs])
        } else {
            let own = self.file.clone();
            let text = own.unwrap_or_else(|| with_lines(self.nix.as_deref().unwrap_or_default()));
            user.write("sd-card.nix", &text);
            let words = self.run.clone().unwrap_or_else(|| vec!["check".to_owned()]);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let mut command: Command = user.sdbuild(&words);
            command.env("SDBUILD_NIXPKGS", nixpkgs);
            command
        };
        let outcome = run(&mut command);
        outcome.stdout + &outcome.stderr
    }

    /// What is wrong with `answer`; nothing if it is as expected.
    fn faults(&self, answer: &str) -> Vec<String> {
        let told = on_one_line(&without_excerpt(answer));
        let has = |part: &&String| told.contains(&on_one_line(part));
        let missing = self.says.iter().filter(|part| !has(part));
        let missing = missing.map(|part| format!("does not say: {part}"));
        let shown = self.hides.iter().filter(|secret| answer.contains(*secret));
        let unwanted = self.not.iter().filter(has).chain(shown);
        missing
            .chain(unwanted.map(|part| format!("says: {part}")))
            .collect()
    }
}

/// The mistakes of `tests/mistakes/KIND`, each with the name of its file.
fn mistakes(kind: &str) -> Vec<(String, Mistake)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/mistakes")
        .join(kind);
    let mut mistakes = Vec::new();
    for name in file_names(&dir) {
        let text = fs::read_to_string(dir.join(&name)).unwrap();
        let read: Collection = toml::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        mistakes.extend(read.mistake.into_iter().map(|one| (name.clone(), one)));
    }
    mistakes
}

/// The mistakes to try, and the nixpkgs with which they are tried.
fn selected() -> (Vec<(String, Mistake)>, PathBuf) {
    if let Ok(nixpkgs) = std::env::var("SDBUILD_MISTAKES_NIXPKGS") {
        return (mistakes("nixpkgs"), nixpkgs.into());
    }
    let mut all = mistakes("miniature");
    if std::env::var("SDBUILD_MISTAKES").is_err() {
        let seed = std::env::var("SDBUILD_FAULTS_SEED").ok();
        let seed: usize = seed.map_or(1, |seed| seed.parse().unwrap());
        let first = seed.wrapping_mul(AT_A_TIME) % all.len();
        all.rotate_left(first);
        all.truncate(AT_A_TIME);
    }
    (all, mini_nixpkgs())
}

/// Appends an answer to the file that `SDBUILD_MISTAKES_ANSWERS` names.
fn record(name: &str, answer: &str) {
    if let Ok(file) = std::env::var("SDBUILD_MISTAKES_ANSWERS") {
        let file = fs::File::options().create(true).append(true).open(file);
        writeln!(file.unwrap(), "== {name}\n{answer}").unwrap();
    }
}

#[test]
fn mistakes_have_the_expected_answers() {
    if !engine_ready() {
        return;
    }
    let (mistakes, nixpkgs) = selected();
    let tried = mistakes.len();
    let waiting = Mutex::new(mistakes);
    let wrong = Mutex::new(Vec::new());
    let next = || waiting.lock().unwrap().pop();
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL {
            scope.spawn(|| {
                while let Some((file, mistake)) = next() {
                    let name = format!("{file}: {}", mistake.name);
                    let answer = mistake.answer(&nixpkgs);
                    record(&name, &answer);
                    let faults = mistake.faults(&answer);
                    if !faults.is_empty() {
                        let faults = faults.join("\n  ");
                        let fault = format!("{name}\n  {faults}\n{answer}");
                        wrong.lock().unwrap().push(fault);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    let right = tried - wrong.len();
    eprintln!("{right} of {tried} mistakes have the expected answer");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_mistake_is_written_once_and_has_an_answer() {
    for kind in ["miniature", "nixpkgs"] {
        let mut names = BTreeSet::new();
        for (file, mistake) in mistakes(kind) {
            let name = format!("{file}: {}", mistake.name);
            assert_eq!(mistake.forms(), 1, "{name}");
            assert!(!mistake.says.is_empty(), "{name}");
            assert!(names.insert(name.clone()), "{name} is there twice");
        }
        assert!(!names.is_empty(), "no mistakes in {kind}");
    }
}
