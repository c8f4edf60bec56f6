//! What recorded errors of Nix mean: the place and the rows of each.

use serde_json::json;

use super::*;

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn recorded_errors_have_their_place_and_their_rows() {
    let expected: &[(&str, &str, &[Row])] = &[
        ("address-as-string", "pi/c.nix:4:47", &[Row::OfType]),
        ("address-with-prefix", "", &[Row::NoValue]),
        ("assertion", "", &[]),
        ("call-in-list", "pi/c.nix:4:32", &[Row::CallInList]),
        ("colon", "pi/c.nix:3:10", &[Row::Definition]),
        ("comma-for-semicolon", "pi/c.nix:3:33", &[Row::Comma]),
        ("conflict", "", &[Row::KeepOne]),
        ("defined-by-image", "pi/c.nix:5:14", &[Row::ByImage]),
        ("defined-twice", "pi/c.nix:6:3", &[Row::DefinedTwice]),
        ("double-equals", "pi/c.nix:3:27", &[Row::Definition]),
        ("else-missing", "pi/c.nix:4:39", &[Row::Keywords]),
        ("equals-missing", "pi/c.nix:4:17", &[Row::Definition]),
        ("extra-bracket", "pi/c.nix:4", &[Row::ClosedTooEarly]),
        ("fetch-wrong-hash", "pi/c.nix:3", &[Row::WrongHash]),
        ("file-above", "pi/c.nix:3:78", &[Row::MissingFile]),
        ("file-missing", "pi/c.nix:3:78", &[Row::MissingFile]),
        ("flake-absolute-path", "pi/flake.nix:1", &[Row::ImpurePath]),
        (
            "flake-byte-order-mark",
            "pi/flake.nix:1:1",
            &[Row::Encoding],
        ),
        ("flake-cut-short", "pi/flake.nix:2", &[Row::NotClosed]),
        ("flake-empty", "pi/flake.nix:1:1", &[Row::EmptyFile]),
        ("flake-function", "", &[Row::FlakeForm]),
        ("flake-input-attribute", "pi/flake.nix:2", &[Row::Similar]),
        ("flake-module-argument", "", &[Row::SpecialArgs]),
        ("flake-modules-function", "", &[Row::OfType]),
        (
            "flake-nixpkgs-file",
            "pi/flake.nix:1:155",
            &[Row::NotInNixpkgs],
        ),
        ("flake-outputs", "pi/flake.nix:3:13", &[Row::NoEllipsis]),
        ("flake-outputs-set", "pi/flake.nix:3:3", &[Row::FlakeForm]),
        (
            "flake-undefined-input",
            "pi/flake.nix:3:30",
            &[Row::InOutputs],
        ),
        (
            "flake-url-interpolated",
            "pi/flake.nix:1:3",
            &[Row::FlakeForm],
        ),
        ("flake-without-outputs", "pi/flake.nix:3", &[Row::Similar]),
        ("host-name", "pi/c.nix:4:25", &[Row::OfType]),
        ("imports-string", "pi/c.nix:4:13", &[Row::WriteValue]),
        (
            "indented-string-not-closed",
            "pi/c.nix:1",
            &[Row::NotClosed],
        ),
        ("kernel-name", "pi/c.nix:4:25", &[Row::OfType]),
        ("key-without-quotes", "pi/c.nix:5:5", &[Row::CheckName]),
        ("latin-1", "pi/c.nix:3", &[Row::Encoding]),
        (
            "library-function",
            "pi/c.nix:4:29",
            &[Row::LibraryFunction, Row::ModuleArgument],
        ),
        ("list-without-with", "pi/c.nix:4:34", &[Row::CheckName]),
        ("lists-plus", "", &[Row::JoinLists]),
        ("missing-attribute", "pi/c.nix:3:34", &[Row::CheckAttribute]),
        (
            "missing-attribute-package",
            "pi/c.nix:4:34",
            &[Row::NoSuchPackage],
        ),
        (
            "missing-module-argument",
            "pi/c.nix:1",
            &[Row::NoSpecialArgs],
        ),
        ("missing-quote", "pi/c.nix:4", &[Row::NotClosed]),
        ("missing-semicolon", "pi/c.nix:4", &[Row::Semicolon]),
        ("module-elsewhere", "pi/c.nix:4:16", &[Row::MovedModule]),
        ("name-server-string", "pi/c.nix:4:28", &[Row::WriteValue]),
        ("nixpkgs-file", "pi/c.nix:3:31", &[Row::NotInNixpkgs]),
        ("no-ellipsis", "pi/c.nix:1:1", &[Row::NoEllipsis]),
        ("no-sd-image", "", &[Row::ImportImage]),
        ("no-sd-image-option", "pi/c.nix:3", &[Row::ImportImage]),
        ("open-bracket", "pi/c.nix:4:32", &[Row::NotClosed]),
        ("open-list", "pi/c.nix:4", &[Row::NotClosed]),
        ("option-gone", "", &[]),
        ("option-import", "pi/c.nix:3", &[Row::CheckAttribute]),
        ("option-misspelt", "pi/c.nix:4", &[Row::Similar]),
        (
            "option-of-home-manager",
            "pi/c.nix:3",
            &[Row::ForeignModule],
        ),
        (
            "option-without-openssh",
            "pi/c.nix:3",
            &[Row::CheckAttribute],
        ),
        ("package-renamed", "", &[Row::Replaced]),
        ("quoted-import", "pi/c.nix:4:15", &[Row::PathInQuotes]),
        ("quoted-path", "pi/c.nix:3:15", &[Row::PathInQuotes]),
        ("recursion-config", "pi/c.nix:3:13", &[Row::ImportsNeed]),
        ("recursion-other", "pi/c.nix:4:25", &[Row::OwnValue]),
        ("recursion-pkgs", "pi/c.nix:3:13", &[Row::ImportsNeed]),
        (
            "recursion-special-args",
            "pi/c.nix:3:13",
            &[Row::NoSpecialArgs],
        ),
        ("search-path", "pi/c.nix:3", &[Row::NoSearchPath]),
        (
            "search-path-home-manager",
            "pi/c.nix:3",
            &[Row::NoSearchPath],
        ),
        ("set-unknown-option", "", &[Row::CheckAttribute]),
        ("set-wrong-value", "", &[Row::WriteValue]),
        ("shell-variable", "pi/c.nix:4:23", &[Row::ShellVariable]),
        ("single-quotes", "pi/c.nix:4:25", &[Row::StraightQuotes]),
        ("throw", "pi/c.nix:4", &[]),
        (
            "undefined-modules-path",
            "pi/c.nix:7:16",
            &[Row::ModuleArgument],
        ),
        ("undefined-pkgs", "pi/c.nix:4:34", &[Row::ModuleArgument]),
        ("undefined-variable", "pi/c.nix:3:43", &[Row::CheckName]),
        (
            "undefined-without-arguments",
            "pi/c.nix:3:34",
            &[Row::ModuleArgument],
        ),
        ("unfree", "", &[Row::Unfree]),
        ("unknown-option", "", &[Row::Similar]),
        (
            "unknown-option-nested",
            "pi/c.nix:6",
            &[Row::CheckAttribute],
        ),
        ("untracked", "", &[Row::Untracked]),
        ("utf-16", "pi/c.nix:1:1", &[Row::Encoding]),
        ("value-missing", "pi/c.nix:4:18", &[Row::Definition]),
        ("with-parentheses", "pi/c.nix:4:45", &[Row::NotAFunction]),
        ("wrong-type", "pi/c.nix:4:29", &[Row::WriteValue]),
        ("wrong-type-list", "pi/c.nix:4:32", &[Row::OfType]),
        (
            "wrong-type-list-without-brackets",
            "pi/c.nix:4:32",
            &[Row::OfType],
        ),
    ];
    let mut wrong = Vec::new();
    for (name, place, rows) in expected {
        let set = match *name {
            "set-undefined" => "environment.systemPackages=[ htopp ]",
            "set-unknown-option" => "services.opensh.enable=true",
            "set-wrong-value" => "time.timeZone=5",
            _ => "",
        };
        let shown = recorded(name, set);
        assert_eq!(shown.failure.class, Class::Usage, "{name}");
        if (shown.place.as_str(), shown.rows.as_slice()) != (*place, *rows) {
            wrong.push(format!("{name}: {} {:?}", shown.place, shown.rows));
        }
        // No value of a row is missing.
        for hint in &shown.failure.hints {
            let mut parts = hint
                .split('{')
                .skip(1)
                .filter_map(|part| part.split_once('}'));
            let is_name =
                |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase());
            assert!(!parts.any(|(name, _)| is_name(name)), "{name}: {hint}");
        }
        assert!(
            !shown.failure.to_string().contains("/build/"),
            "{}",
            shown.failure
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_excerpt_marks_the_place() {
    let shown = recorded("library-function", "");
    assert_eq!(
        shown.failure.log_tail,
        [
            "3|   imports = [ <nixpkgs/nixos/modules/installer/sd-card/sd-image-aarch64.nix> ];",
            "4|   services.openssh.enable = mkForce false;",
            " |                             ^",
            "5| }",
        ]
    );
    assert!(recorded("assertion", "").failure.log_tail.is_empty());
    assert!(recorded("unfree", "").failure.log_tail.is_empty());
}

#[test]
fn a_message_has_no_advice_that_cannot_be_followed() {
    for (name, words) in [
        ("unfree", "export NIXPKGS_ALLOW_UNFREE"),
        ("conflict", "lib.mkForce"),
        ("search-path", "$NIX_PATH"),
        ("flake-absolute-path", "--impure"),
    ] {
        let text = recorded(name, "").failure.to_string();
        assert!(!text.contains(words), "{text}");
    }
}

/// A private key in place of a public one is in Nix's message and in the user's file.
#[test]
fn a_private_key_is_not_printed() {
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\\nb3BlbnNzaC1rZXktdjE\\n-----END OPENSSH PRIVATE KEY-----";
    let option = "users.users.root.openssh.authorizedKeys.keys";
    let message = format!(
        "A definition for option `{option}.\\\"[definition 1-entry 1]\\\"' is not of type `single-line string'. Definition \
         values:\\n- In `/build/config/c.nix': \\\"{key}\\\""
    );
    let stream = format!(
        r#"@nix {{"action":"msg","column":null,"file":null,"level":0,"line":null,"msg":"error: {message}","raw_msg":"{message}"}}"#
    );
    let nix = format!(
        "{{ {option} = [ ''-----BEGIN OPENSSH PRIVATE KEY-----\n b3BlbnNzaC1rZXktdjE\n'' ]; }}"
    );
    let shown = shown(nix, &stream, "");
    let text = format!(
        "{:#} {:?} {:?}",
        shown.failure.error, shown.failure.hints, shown.failure.log_tail
    );
    assert_eq!(shown.rows, [Row::PrivateKey]);
    assert!(!text.contains("b3BlbnNzaC1rZXktdjE"), "{text}");
}

#[test]
fn a_secret_value_is_not_printed() {
    let message = "A definition for option `networking.wireless.networks.Home.psk' is not of type `null or string'. Definition \
                   values:\\n- In `/build/config/c.nix': 12345678";
    let stream = format!(
        r#"@nix {{"action":"msg","column":null,"file":null,"level":0,"line":null,"msg":"error: {message}","raw_msg":"{message}"}}"#
    );
    let shown = shown(
        "{ networking.wireless.networks.Home.psk = 12345678; }",
        &stream,
        "",
    );
    let text = format!(
        "{:#} {:?} {:?}",
        shown.failure.error, shown.failure.hints, shown.failure.log_tail
    );
    assert_eq!(shown.place, "pi/c.nix:1:43");
    assert!(!text.contains("12345678"), "{text}");
}

#[test]
fn a_variable_of_the_environment_is_named_where_its_value_is_wrong() {
    let stream = String::from_utf8(recording("assertion.log")).unwrap();
    let rows = |nix: &str| shown(nix, &stream, "").rows;
    let read = "{ networking.hostName = builtins.getEnv \"PI_NAME\"; }";
    assert_eq!(rows(read), [Row::EmptyVariable]);
    assert_eq!(rows("{ } # builtins.getEnv \"PI_NAME\""), []);
    let syntax = String::from_utf8(recording("colon.log")).unwrap();
    let rows = shown(read, &syntax, "").rows;
    assert!(!rows.contains(&Row::EmptyVariable), "{rows:?}");
}

/// The user wrote none of the lines of a module that sdbuild brought in.
#[test]
fn only_the_image_of_an_imported_module_asks_for_less() {
    let name = "defined-by-image";
    let recorded = String::from_utf8(recording(&format!("{name}.log"))).unwrap();
    let rows = |attribute: &str| {
        let choice = json!({ "attribute": attribute, "chosen_by": "sdbuild", "file": null });
        let trace = json!({ "msg": format!("trace: sdbuild: image choice: {choice}") });
        let line = format!("@nix {trace}");
        shown(
            recording(&format!("{name}.nix")),
            &format!("{line}\n{recorded}"),
            "",
        )
        .rows
    };
    assert_eq!(rows("config.system.build.sdImage"), [Row::ByImage]);
    assert_eq!(rows("config.system.build.images.sd-card"), [Row::ByVariant]);
}

/// An error whose message Nix reports at `position`, its file and line.
fn message(text: &str, position: Option<(&str, u32)>) -> String {
    let (file, line) = position.unzip();
    let column = line.map(|_| 1);
    let event = json!({ "action": "msg", "level": 0, "file": file, "line": line, "column": column, "msg": text, "raw_msg": text });
    format!("@nix {event}")
}

#[test]
fn an_option_that_nixos_no_longer_has_is_found_where_it_is_read() {
    let text = "The option `boot.loader.raspberryPi' can no longer be used since it's been removed. See x.";
    let nix = "{ config, ... }: {\n  system.nixos.tags = [ config.boot.loader.raspberryPi.bootloader ];\n}";
    let found = shown(nix, &message(text, None), "");
    assert_eq!(
        (found.place.as_str(), found.rows),
        ("pi/c.nix:2:25", vec![Row::RaspberryPiLoader])
    );
}

#[test]
fn a_name_that_others_wrote_gets_no_advice() {
    let text = "attribute 'pandoc-cli' missing";
    let rows = |file: &str| shown("{ }", &message(text, Some((file, 1))), "").rows;
    assert_eq!(rows("/nix/store/0123-source/pkgs/top-level/x.nix"), []);
    assert_eq!(rows("/build/config/c.nix"), [Row::CheckAttribute]);
}

#[test]
fn the_outputs_of_an_input_are_not_those_of_the_user() {
    let user = "{\n  outputs = { self, nixpkgs }: { };\n}";
    let text = "function 'outputs' called with unexpected argument 'agenix'";
    let rows = |file: &str| shown(user, &message(text, Some((file, 2))), "").rows;
    assert_eq!(rows("/build/config/flake.nix"), [Row::NoEllipsis]);
    assert_eq!(rows("/nix/store/0123-source/flake.nix"), []);
}
