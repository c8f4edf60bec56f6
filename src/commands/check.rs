//! `sdbuild check`: what in a configuration must be fixed, because the machine would not boot or nobody could log in, for example.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::cli;
use crate::commands::Session;
use crate::commands::json_output::{VERSION, print_json};
use crate::commands::several;
use crate::commands::several::One;
use crate::template;
use crate::template::PublicKey;
use crate::ui::failure_fields;
use crate::ui::layout::list_item;
use sdbuild_build::Checked;
use sdbuild_core::counted::counted;
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::shown_path::shown_path;
use sdbuild_core::text::listed;
use sdbuild_nix::check::{Finding, Place, Severity};

/// Evaluates the configuration and prints the findings; fails when one of them is an error.
pub async fn run(args: &cli::Check, session: Session<'_>) -> Result<(), Failure> {
    let one = async |one| Box::pin(run_one(one, args.json, session)).await;
    let all = Box::pin(several::chosen(args.each(), args.all, session)).await;
    if let Err(failure) = &all
        && args.json
    {
        print_json(&object(None, Some(failure), None), session.ui).ok();
    }
    Box::pin(several::run(all?, args.all, session, one)).await
}

/// The same for one configuration; what to say of it in a table.
async fn run_one(one: One, as_json: bool, session: Session<'_>) -> Result<String, Failure> {
    let Session { ui, context, .. } = session;
    let home = one.settings.request.common.home.clone();
    let outcome = sdbuild_build::check(one.settings.request.clone(), context).await;
    let print = |mut object: Value| {
        if let (Some(name), Some(fields)) = (&one.name, object.as_object_mut()) {
            fields.insert("configuration".to_owned(), name.as_str().into());
        }
        print_json(&object, ui)
    };
    if let Err(failure) = &outcome
        && as_json
    {
        // The failure comes first, also where the object cannot be written.
        print(object(None, Some(failure), None)).ok();
    }
    outcome?.finish("the check is done", |checked| {
        let key = own_key(home.as_deref());
        let key = key.as_ref().map(|key| key.line.as_str());
        if as_json {
            print(object(Some(&checked), checked.failure.as_ref(), key))?;
        } else {
            one.head(ui)?;
            let lines = as_lines(&checked, key, ui.result_columns(), ui.is_quiet());
            if !lines.is_empty() {
                ui.result(&lines)?;
            }
        }
        let is_right = checked.findings.is_empty() && checked.failure.is_none();
        if is_right && !as_json && one.name.is_none() {
            context
                .events
                .notice("next: `sdbuild build`, with the same flags");
        }
        let said = verdict_on_success(&checked).unwrap_or_default();
        let has_no_image = checked.image.is_none() && checked.failure.is_none();
        let verdict = verdict(&checked.findings, checked.failure);
        verdict.map(|()| said).map_err(|mut failure| {
            failure.has_no_image |= has_no_image;
            failure
        })
    })
}

/// The user's own public key, the best of several.
fn own_key(home: Option<&Path>) -> Option<PublicKey> {
    let keys = template::public_keys(&home?.join(".ssh"));
    keys.into_iter().next()
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
    let ids: Vec<&str> = BTreeSet::from_iter(errors).into_iter().collect();
    let text = format!("{problems} must be fixed: {}", ids.join(", "));
    Err(Failure::message(Class::CheckFailed, text))
}

/// The object of `--json` about what was `checked`, and about the `failure`, which may come before anything is known of what the
/// configuration sets. `key` is the user's own public key, if there is one.
fn object(checked: Option<&Checked>, failure: Option<&Failure>, key: Option<&str>) -> Value {
    let findings = checked.into_iter().flat_map(|it| &it.findings);
    let findings = findings.map(|one| finding_fields(one, key));
    let evaluates = failure.map_or(Some(true), |failure| {
        // What this machine or the engine fails at says nothing about the configuration.
        let is_of_configuration = matches!(failure.class, Class::Usage | Class::Build);
        (checked.is_some() || is_of_configuration).then_some(false)
    });
    json!({
        "version": VERSION,
        "evaluates": evaluates,
        "errors": failure.map(failure_fields).unwrap_or_default(),
        "image": checked.map(|it| &it.image),
        "findings": findings.collect::<Vec<_>>(),
        "lets_in": checked.map_or(&[][..], |it| it.ways_in.as_slice()),
        "looked_at": checked.map_or(&[][..], |it| it.looked_at.as_slice()),
    })
}

fn finding_fields(finding: &Finding, key: Option<&str>) -> Value {
    let mut fields = json!({
        "id": finding.id,
        "severity": finding.severity,
        "is": finding.statement(),
        "why": finding.why,
        "add": finding.lines(key),
    });
    if let Some(fields) = fields.as_object_mut() {
        let option = finding.option_name();
        fields.extend(option.map(|option| ("option".to_owned(), option.into())));
        if let Some(Place { file, line }) = &finding.place {
            fields.insert("file".to_owned(), file.as_str().into());
            fields.insert("line".to_owned(), (*line).into());
        }
    }
    fields
}

/// What is said of a configuration that evaluates; `None` if something must be fixed, which the error says.
fn verdict_on_success(checked: &Checked) -> Option<String> {
    let findings = &checked.findings;
    if findings.iter().any(|f| f.severity == Severity::Error) {
        return None;
    }
    Some(match findings.len() {
        0 => format!(
            "evaluates, and no problem was found in {}",
            listed(&checked.looked_at)
        ),
        n => format!("evaluates, with {}", counted(n, "warning", "warnings")),
    })
}

/// The findings as lines of at most `columns` columns, with what is right unless it `is_quiet`. `key` is the user's own public key.
fn as_lines(checked: &Checked, key: Option<&str>, columns: usize, is_quiet: bool) -> String {
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
        let texts = [&format!("{place}{}", finding.statement()), &*finding.why];
        let changes = finding.lines(key);
        lines.extend(list_item(sign, finding.id, &texts, &changes, columns));
    }
    // What is read without an evaluation says nothing about a system that there will not be.
    let says_what_is_right = checked.failure.is_none() && !is_quiet;
    if says_what_is_right && !checked.ways_in.is_empty() {
        let text = format!("possible over SSH: {}", checked.ways_in.join(", "));
        lines.extend(list_item('✓', "login", &[&text], &[], columns));
    }
    if let Some(text) = verdict_on_success(checked).filter(|_| says_what_is_right) {
        lines.extend(list_item('✓', "configuration", &[&text], &[], columns));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::layout::COLUMNS;
    use sdbuild_nix::attribute_path;
    use sdbuild_nix::check::{Change, Value as NixValue};

    fn path(text: &str) -> Vec<String> {
        attribute_path::parse(text).unwrap()
    }

    fn finding(severity: Severity) -> Finding {
        let option = path("services.openssh.enable");
        let change = Change {
            option: option.clone(),
            value: NixValue::Source("true".into()),
            note: None,
            replaces: None,
        };
        Finding {
            id: "ssh-off",
            severity,
            option: Some(option),
            value: Some("false".into()),
            detail: String::new(),
            why: "it cannot be reached".into(),
            fix: vec![change],
            place: None,
            flag: None,
        }
    }

    fn checked(findings: Vec<Finding>) -> Checked {
        Checked {
            findings,
            image: None,
            ways_in: vec!["root with a key".into()],
            looked_at: vec!["logins".into(), "the network".into()],
            failure: None,
        }
    }

    fn lines(checked: &Checked, is_quiet: bool) -> String {
        as_lines(checked, None, COLUMNS, is_quiet)
    }

    #[test]
    fn a_finding_is_listed_with_its_place_and_its_line() {
        let mut placed = finding(Severity::Error);
        placed.place = Some(Place {
            file: "pi/sd-card.nix".into(),
            line: 12,
        });
        let found = checked(vec![placed, finding(Severity::Warning)]);
        let text = lines(&found, false);
        for part in [
            "✗ ssh-off         pi/sd-card.nix:12: services.openssh.enable = false\n",
            "it cannot be reached\n",
            "→ services.openssh.enable = true;",
            "! ssh-off         services.openssh",
            "✓ login           possible over SSH: root with a key",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(!lines(&found, true).contains('✓'), "{text}");
        let object = object(Some(&found), found.failure.as_ref(), None);
        assert_eq!(
            object["findings"],
            json!([
                {
                    "id": "ssh-off", "severity": "error", "is": "services.openssh.enable = false",
                    "why": "it cannot be reached", "add": ["services.openssh.enable = true;"],
                    "option": "services.openssh.enable", "file": "pi/sd-card.nix", "line": 12,
                },
                {
                    "id": "ssh-off", "severity": "warning", "is": "services.openssh.enable = false",
                    "why": "it cannot be reached", "add": ["services.openssh.enable = true;"],
                    "option": "services.openssh.enable",
                },
            ])
        );
    }

    #[test]
    fn what_is_right_is_said_unless_it_is_quiet() {
        let right =
            "✓ configuration   evaluates, and no problem was found in logins and the network";
        assert!(lines(&checked(Vec::new()), false).contains(right));
        assert_eq!(lines(&checked(Vec::new()), true), "");
        let warned = lines(&checked(vec![finding(Severity::Warning)]), false);
        assert!(warned.ends_with("✓ configuration   evaluates, with 1 warning"));
        let broken = Checked {
            failure: Some(Failure::usage("undefined variable")),
            ..checked(vec![finding(Severity::Warning)])
        };
        assert!(!lines(&broken, false).contains('✓'));
    }

    #[test]
    fn the_users_own_key_is_in_the_line() {
        let mut finding = finding(Severity::Error);
        finding.fix[0].value = NixValue::OwnKey;
        let object = object(
            Some(&checked(vec![finding])),
            None,
            Some("ssh-ed25519 AAAA me"),
        );
        let line = object["findings"][0]["add"][0].as_str().unwrap();
        assert!(line.contains("[ \"ssh-ed25519 AAAA me\" ]"), "{line}");
    }

    #[test]
    fn an_error_is_in_the_object_too() {
        let told = object(
            None,
            Some(&Failure::usage("no such option").hint("remove it")),
            None,
        );
        assert_eq!(told["evaluates"], false);
        assert_eq!(told["errors"][0]["class"], "usage");
        assert_eq!(told["errors"][0]["message"], "no such option");
        assert_eq!(told["errors"][0]["hints"][0], "remove it");
        assert_eq!(told["findings"], json!([]));
        let of_machine = object(None, Some(&Failure::environment("no engine")), None);
        assert_eq!(of_machine["evaluates"], Value::Null);
        assert_eq!(of_machine["errors"][0]["class"], "environment");
        let right = object(Some(&checked(Vec::new())), None, None);
        assert_eq!(right["errors"], json!([]));
        assert_eq!(right["looked_at"], json!(["logins", "the network"]));
    }

    #[test]
    fn fails_on_errors_and_first_on_those_of_the_evaluation() {
        assert!(verdict(&[finding(Severity::Warning)], None).is_ok());
        let error = [finding(Severity::Error)];
        assert_eq!(verdict(&error, None).unwrap_err().class, Class::CheckFailed);
        let other = Finding {
            id: "no-root",
            ..finding(Severity::Error)
        };
        let several = [finding(Severity::Error), other, finding(Severity::Error)];
        let text = verdict(&several, None).unwrap_err().to_string();
        assert!(text.ends_with(": no-root, ssh-off"), "{text}");
        let broken = verdict(&error, Some(Failure::usage("no such option"))).unwrap_err();
        assert_eq!(broken.class, Class::Usage);
    }
}
