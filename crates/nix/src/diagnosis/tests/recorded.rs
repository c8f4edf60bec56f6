//! What recorded errors of Nix mean: the place and the rows of each.

use serde_json::json;

use super::*;

/// The recordings, each with the place and the rows.
const RECORDED: &str = "
    address-as-string pi/c.nix:4:47 OfType
    address-with-prefix - NoValue
    assertion -
    call-in-list pi/c.nix:4:32 CallInList
    colon pi/c.nix:3:10 Definition
    comma-for-semicolon pi/c.nix:3:33 Comma
    conflict - KeepOne
    defined-by-image pi/c.nix:5:14 ByImage
    defined-twice pi/c.nix:6:3 DefinedTwice
    double-equals pi/c.nix:3:27 Definition
    else-missing pi/c.nix:4:39 Keywords
    equals-missing pi/c.nix:4:17 Definition
    extra-bracket pi/c.nix:4 ClosedTooEarly
    fetch-wrong-hash pi/c.nix:3 WrongHash
    file-above pi/c.nix:3:78 MissingFile
    file-missing pi/c.nix:3:78 MissingFile
    flake-absolute-path pi/flake.nix:1 ImpurePath
    flake-byte-order-mark pi/flake.nix:1:1 Encoding
    flake-cut-short pi/flake.nix:2 NotClosed
    flake-empty pi/flake.nix:1:1 EmptyFile
    flake-function - FlakeForm
    flake-input-attribute pi/flake.nix:2 Similar
    flake-module-argument - SpecialArgs
    flake-modules-function - OfType
    flake-nixpkgs-file pi/flake.nix:1:155 NotInNixpkgs
    flake-outputs pi/flake.nix:3:13 NoEllipsis
    flake-outputs-set pi/flake.nix:3:3 FlakeForm
    flake-undefined-input pi/flake.nix:3:30 InOutputs
    flake-url-interpolated pi/flake.nix:1:3 FlakeForm
    flake-without-outputs pi/flake.nix:3 Similar
    host-name pi/c.nix:4:25 OfType
    imports-string pi/c.nix:4:13 WriteValue
    indented-string-not-closed pi/c.nix:1 NotClosed
    kernel-name pi/c.nix:4:25 OfType
    key-without-quotes pi/c.nix:5:5 CheckName
    latin-1 pi/c.nix:3 Encoding
    library-function pi/c.nix:4:29 LibraryFunction ModuleArgument
    list-without-with pi/c.nix:4:34 CheckName
    lists-plus - JoinLists
    missing-attribute pi/c.nix:3:34 CheckAttribute
    missing-attribute-package pi/c.nix:4:34 NoSuchPackage
    missing-module-argument pi/c.nix:1 NoSpecialArgs
    missing-quote pi/c.nix:4 NotClosed
    missing-semicolon pi/c.nix:4 Semicolon
    module-elsewhere pi/c.nix:4:16 MovedModule
    name-server-string pi/c.nix:4:28 WriteValue
    nixpkgs-file pi/c.nix:3:31 NotInNixpkgs
    no-ellipsis pi/c.nix:1:1 NoEllipsis
    no-sd-image - ImportImage
    no-sd-image-option pi/c.nix:3 ImportImage
    open-bracket pi/c.nix:4:32 NotClosed
    open-list pi/c.nix:4 NotClosed
    option-gone -
    option-import pi/c.nix:3 CheckAttribute
    option-misspelt pi/c.nix:4 Similar
    option-of-home-manager pi/c.nix:3 ForeignModule
    option-without-openssh pi/c.nix:3 CheckAttribute
    package-renamed - Replaced
    quoted-import pi/c.nix:4:15 PathInQuotes
    quoted-path pi/c.nix:3:15 PathInQuotes
    recursion-config pi/c.nix:3:13 ImportsNeed
    recursion-other pi/c.nix:4:25 OwnValue
    recursion-pkgs pi/c.nix:3:13 ImportsNeed
    recursion-special-args pi/c.nix:3:13 NoSpecialArgs
    search-path pi/c.nix:3 NoSearchPath
    search-path-home-manager pi/c.nix:3 NoSearchPath
    set-unknown-option - CheckAttribute
    set-wrong-value - WriteValue
    shell-variable pi/c.nix:4:23 ShellVariable
    single-quotes pi/c.nix:4:25 StraightQuotes
    throw pi/c.nix:4
    undefined-modules-path pi/c.nix:7:16 ModuleArgument
    undefined-pkgs pi/c.nix:4:34 ModuleArgument
    undefined-variable pi/c.nix:3:43 CheckName
    undefined-without-arguments pi/c.nix:3:34 ModuleArgument
    unfree - Unfree
    unknown-option - Similar
    unknown-option-nested pi/c.nix:6 CheckAttribute
    untracked - Untracked
    utf-16 pi/c.nix:1:1 Encoding
    value-missing pi/c.nix:4:18 Definition
    with-parentheses pi/c.nix:4:45 NotAFunction
    wrong-type pi/c.nix:4:29 WriteValue
    wrong-type-list pi/c.nix:4:32 OfType
    wrong-type-list-without-brackets pi/c.nix:4:32 OfType
";

#[test]
fn recorded_errors_have_their_place_and_their_rows() {
    let mut wrong = Vec::new();
    for expected in RECORDED.trim().lines().map(str::trim) {
        let name = expected.split(' ').next().unwrap();
        let set = match name {
            "set-unknown-option" => "services.opensh.enable=true",
            "set-wrong-value" => "time.timeZone=5",
            _ => "",
        };
        let shown = recorded(name, set);
        assert_eq!(shown.failure.class, Class::Usage, "{name}");
        let place = Some(shown.place.as_str()).filter(|place| !place.is_empty());
        let rows = shown.rows.iter().map(|row| format!(" {row:?}"));
        let found = format!(
            "{name} {}{}",
            place.unwrap_or("-"),
            rows.collect::<String>()
        );
        if found != expected {
            wrong.push(found);
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
