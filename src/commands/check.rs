//! `sdbuild check`: what in a configuration must be fixed, because the machine would not boot or nobody could log in, for example.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cli;
use crate::commands::json_output::{VERSION, print_json};
use crate::nixos::check::{Finding, Severity};
use crate::pipeline;
use crate::pipeline::{Checked, Outcome};
use crate::settings;
use crate::settings::Environment;
use crate::template;
use crate::template::PublicKey;
use crate::ui::layout::list_item;
use crate::ui::{Ui, failure_fields};
use sdbuild_core::context::Context;
use sdbuild_core::counted::counted;
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::nix_string::nix_string;
use sdbuild_core::shell_word::command_line;
use sdbuild_core::shown_path::shown_path;

/// Evaluates the configuration and prints the findings; fails when one of them is an error.
pub async fn run(
    args: &cli::Check,
    env: &Environment,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let outcome = evaluated(args, env, context).await;
    if let Err(failure) = &outcome
        && args.json
    {
        // The failure comes first, also where the object cannot be written.
        print_json(&object_without_facts(failure), ui).ok();
    }
    let (outcome, home) = outcome?;
    outcome.finish("the check is done", |mut checked| {
        match own_key(home.as_deref()) {
            Some(key) => put_key(&mut checked.findings, &nix_string(&key.line), ""),
            None => put_key(&mut checked.findings, SOME_KEY, NO_KEY),
        }
        if args.json {
            print_json(&object(&checked), ui)?;
        } else {
            let lines = as_lines(&checked, ui.result_columns(), ui.is_quiet());
            if !lines.is_empty() {
                ui.result(&lines)?;
            }
        }
        let is_right = checked.findings.is_empty() && checked.failure.is_none();
        if is_right && !args.json {
            context
                .events
                .notice(format!("next: `{}`", next(env::args_os().skip(1))));
        }
        verdict(&checked.findings, checked.failure)
    })
}

/// What Nix says of the configuration, and the user's home directory.
async fn evaluated(
    args: &cli::Check,
    env: &Environment,
    context: &Context,
) -> Result<(Outcome<Checked>, Option<PathBuf>), Failure> {
    let settings = settings::Build::resolve(&args.build(), env)?;
    let home = settings.request.common.home.clone();
    Ok((pipeline::check(settings.request, context).await?, home))
}

/// The command that builds what the command line `words` checks, with the same flags.
fn next(words: impl Iterator<Item = OsString>) -> String {
    let words = words.map(|word| word.to_string_lossy().into_owned());
    // `build` prints another object.
    let mut words: Vec<String> = words.filter(|word| word != "--json").collect();
    if let Some(command) = words.iter_mut().find(|word| *word == "check") {
        "build".clone_into(command);
    }
    format!("sdbuild {}", command_line(words))
}

/// In place of a key, in lines to add.
const SOME_KEY: &str = "\"ssh-ed25519 …\"";

/// The comment behind such a line where the user has no key yet.
const NO_KEY: &str =
    " # the line that `cat ~/.ssh/id_ed25519.pub` prints; `ssh-keygen -t ed25519` makes that file";

/// The user's own public key, the best of several.
fn own_key(home: Option<&Path>) -> Option<PublicKey> {
    let keys = template::public_keys(&home?.join(".ssh"));
    keys.into_iter().next()
}

/// Puts the string `key`, and a `comment`, into the lines of those `findings` that lack one.
fn put_key(findings: &mut [Finding], key: &str, comment: &str) {
    // Whose private key was published makes a new pair first.
    let lacking = |finding: &&mut Finding| finding.id != "private-key";
    let lines = findings.iter_mut().filter(lacking).flat_map(|f| &mut f.add);
    for line in lines.filter(|line| line.contains(SOME_KEY)) {
        // One comment follows another.
        let comment = match comment.strip_prefix(" # ") {
            Some(more) if line.contains("; # ") => format!("; {more}"),
            _ => comment.to_owned(),
        };
        *line = format!("{}{comment}", line.replace(SOME_KEY, key));
    }
}

/// Fails when an error was found. That the configuration cannot be evaluated takes precedence.
fn verdict(findings: &[Finding], failure: Option<Failure>) -> Result<(), Failure> {
    let errors = findings.iter().filter(|f| f.severity == Severity::Error);
    let errors: Vec<&str> = errors.map(|finding| finding.id).collect();
    let problems = match (failure, errors.len()) {
        (Some(failure), _) => return Err(failure),
        (None, 0) => return Ok(()),
        (None, 1) => "1 problem".to_owned(),
        (None, n) => format!("{n} problems"),
    };
    let mut ids: Vec<&str> = Vec::new();
    for id in errors {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let text = format!("{problems} must be fixed: {}", ids.join(", "));
    Err(Failure::message(Class::CheckFailed, text))
}

fn object(checked: &Checked) -> Value {
    json!({
        "version": VERSION,
        "evaluates": checked.failure.is_none(),
        "errors": checked.failure.as_ref().map(failure_fields).unwrap_or_default(),
        "findings": checked.findings,
        "lets_in": checked.ways_in,
    })
}

/// The object for a `failure` before anything is known of what the configuration sets.
fn object_without_facts(failure: &Failure) -> Value {
    let is_of_configuration = matches!(failure.class, Class::Usage | Class::Build);
    json!({
        "version": VERSION,
        // What this machine or the engine fails at says nothing about the configuration.
        "evaluates": is_of_configuration.then_some(false),
        "errors": failure_fields(failure),
        "findings": [],
        "lets_in": [],
    })
}

/// What is said of a configuration that evaluates; `None` if something must be fixed, which the error says.
fn verdict_on_success(findings: &[Finding]) -> Option<String> {
    if findings.iter().any(|f| f.severity == Severity::Error) {
        return None;
    }
    Some(match findings.len() {
        0 => "evaluates, and no problem was found".to_owned(),
        n => format!("evaluates, with {}", counted(n, "warning", "warnings")),
    })
}

/// The findings as lines of at most `columns` columns, with what is right unless it `is_quiet`.
fn as_lines(checked: &Checked, columns: usize, is_quiet: bool) -> String {
    let mut lines: Vec<String> = Vec::new();
    for finding in &checked.findings {
        let sign = match finding.severity {
            Severity::Error => '✗',
            Severity::Warning => '!',
        };
        let place = finding.place.as_ref().map(|place| {
            let file = shown_path(Path::new(&place.file));
            format!("{file}:{}: ", place.line)
        });
        let place = place.unwrap_or_default();
        // Messages of NixOS are sentences.
        let is = finding.is.trim_end_matches('.');
        let texts = [&format!("{place}{is}"), &*finding.why];
        lines.extend(list_item(sign, finding.id, &texts, &finding.add, columns));
    }
    // What is read without an evaluation says nothing about a system that there will not be.
    let says_what_is_right = checked.failure.is_none() && !is_quiet;
    if says_what_is_right && !checked.ways_in.is_empty() {
        let text = format!("possible over SSH: {}", checked.ways_in.join(", "));
        lines.extend(list_item('✓', "login", &[&text], &[], columns));
    }
    if let Some(text) = verdict_on_success(&checked.findings).filter(|_| says_what_is_right) {
        lines.extend(list_item('✓', "configuration", &[&text], &[], columns));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nixos::check::Place;
    use crate::ui::layout::COLUMNS;

    #[test]
    fn the_next_command_has_the_same_flags() {
        let words = ["-v", "check", "a b", "--set", "x=y", "--json"].map(OsString::from);
        assert_eq!(next(words.into_iter()), "sdbuild -v build 'a b' --set x=y");
    }

    fn finding(severity: Severity) -> Finding {
        Finding {
            id: "ssh-off",
            severity,
            is: "services.openssh.enable = false".into(),
            why: "it cannot be reached".into(),
            add: vec!["services.openssh.enable = true;".into()],
            place: None,
        }
    }

    fn checked(findings: Vec<Finding>) -> Checked {
        Checked {
            findings,
            ways_in: vec!["root with a key".into()],
            failure: None,
        }
    }

    #[test]
    fn trap_is_listed_with_line_to_add() {
        let lines = as_lines(&checked(vec![finding(Severity::Error)]), COLUMNS, false);
        assert_eq!(
            lines,
            "✗ ssh-off         services.openssh.enable = false\n                  it cannot be reached\n                  \
             → services.openssh.enable = true;\n✓ login           possible over SSH: root with a key"
        );
        let quiet = as_lines(&checked(vec![finding(Severity::Error)]), COLUMNS, true);
        assert!(
            quiet.starts_with("✗ ssh-off") && !quiet.contains('✓'),
            "{quiet}"
        );
        assert_eq!(as_lines(&checked(Vec::new()), COLUMNS, true), "");
        let sentence = Finding {
            is: "It must be set.".into(),
            add: Vec::new(),
            ..finding(Severity::Error)
        };
        let lines = as_lines(&checked(vec![sentence]), COLUMNS, false);
        assert!(
            lines.contains("It must be set\n                  it cannot"),
            "{lines}"
        );
        let lines = as_lines(&checked(Vec::new()), COLUMNS, false);
        assert!(
            lines.contains("✓ configuration   evaluates, and no problem was found"),
            "{lines}"
        );
        let warned = as_lines(&checked(vec![finding(Severity::Warning)]), COLUMNS, false);
        assert!(
            warned.ends_with("✓ configuration   evaluates, with 1 warning"),
            "{warned}"
        );
    }

    #[test]
    fn a_finding_begins_with_its_place() {
        let placed = Finding {
            place: Some(Place {
                file: "pi/sd-card.nix".into(),
                line: 12,
            }),
            ..finding(Severity::Error)
        };
        let found = checked(vec![placed, finding(Severity::Warning)]);
        let lines = as_lines(&found, COLUMNS, true);
        let first = "✗ ssh-off         pi/sd-card.nix:12: services.openssh.enable = false\n";
        assert!(lines.starts_with(first), "{lines}");
        assert!(
            lines.contains("! ssh-off         services.openssh"),
            "{lines}"
        );
        let told = object(&found);
        assert_eq!(told["findings"][0]["file"], "pi/sd-card.nix");
        assert_eq!(told["findings"][0]["line"], 12);
        assert_eq!(told["findings"][1].get("file"), None);
    }

    /// The line stays whole: a key that is broken in two is not a key.
    #[test]
    fn the_users_own_key_is_in_the_line_to_add() {
        let key = format!("ssh-ed25519 {} me@here", "A".repeat(68));
        let line = "keys = [ \"ssh-ed25519 …\" ];";
        let with_line = |id| Finding {
            id,
            add: vec![line.to_owned()],
            ..finding(Severity::Error)
        };
        let mut findings = vec![with_line("key-is-none"), with_line("private-key")];
        put_key(&mut findings, &nix_string(&key), "");
        assert_eq!(findings[0].add, [format!("keys = [ \"{key}\" ];")]);
        assert_eq!(findings[1].add, [line]);
        let mut without_a_key = vec![with_line("nobody-gets-in")];
        put_key(&mut without_a_key, SOME_KEY, NO_KEY);
        assert_eq!(without_a_key[0].add, [format!("{line}{NO_KEY}")]);
        let replacing = format!("{line} # replaces that list");
        without_a_key[0].add = vec![replacing.clone()];
        put_key(&mut without_a_key, SOME_KEY, NO_KEY);
        let both = format!("{replacing}; the line that");
        assert!(without_a_key[0].add[0].starts_with(&both));
        let lines = as_lines(&checked(findings), COLUMNS, false);
        assert!(lines.contains(&format!("\"{key}\"")), "{lines}");
    }

    #[test]
    fn nothing_is_good_about_what_does_not_evaluate() {
        let broken = Checked {
            failure: Some(Failure::usage("undefined variable")),
            ..checked(vec![finding(Severity::Warning)])
        };
        let lines = as_lines(&broken, COLUMNS, false);
        assert!(
            !lines.contains('✓') && lines.contains("! ssh-off"),
            "{lines}"
        );
    }

    #[test]
    fn an_error_is_in_the_object_too() {
        let told = object_without_facts(&Failure::usage("no such option").hint("remove it"));
        assert_eq!(told["evaluates"], false);
        assert_eq!(told["errors"][0]["class"], "usage");
        assert_eq!(told["errors"][0]["message"], "no such option");
        assert_eq!(told["errors"][0]["hints"][0], "remove it");
        assert_eq!(told["findings"], json!([]));
        let of_machine = object_without_facts(&Failure::environment("no engine"));
        assert_eq!(of_machine["evaluates"], Value::Null);
        assert_eq!(of_machine["errors"][0]["class"], "environment");
        assert_eq!(object(&checked(Vec::new()))["errors"], json!([]));
    }

    #[test]
    fn fails_on_traps_and_first_on_evaluation_errors() {
        assert!(verdict(&[finding(Severity::Warning)], None).is_ok());
        let error = [finding(Severity::Error)];
        assert_eq!(verdict(&error, None).unwrap_err().class, Class::CheckFailed);
        let text = |findings: &[Finding]| verdict(findings, None).unwrap_err().to_string();
        assert_eq!(text(&error), "1 problem must be fixed: ssh-off");
        let other = Finding {
            id: "broken-key",
            ..finding(Severity::Error)
        };
        let several = [finding(Severity::Error), other, finding(Severity::Error)];
        let told = "3 problems must be fixed: ssh-off, broken-key";
        assert_eq!(text(&several), told);
        let broken = verdict(&error, Some(Failure::usage("no such option"))).unwrap_err();
        assert_eq!(broken.class, Class::Usage);
    }
}
