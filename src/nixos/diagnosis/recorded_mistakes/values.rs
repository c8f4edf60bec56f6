//! Values in another form than their option takes, as Nix reports them.

use super::*;

#[test]
fn values_that_nix_does_not_place_are_corrected() {
    for (nix, error, hint) in [
        (
            "{ security.sudo.wheelNeedsPassword = \"false\"; }",
            "expected a Boolean but found a string: \"false\"",
            "pi/c.nix:1: write the value without quotes: security.sudo.wheelNeedsPassword = false;",
        ),
        (
            "{ imports = modulesPath + \"/x/sd-image.nix\"; }",
            "expected a list but found a string: \"/nix/var/modules/x/sd-image.nix\"",
            "pi/c.nix:1: imports is a list: imports = [ (modulesPath + \"/x/sd-image.nix\") ];",
        ),
        (
            "{ imports = \"${modulesPath}/x/sd-image.nix\"; }",
            "expected a list but found a string: \"/nix/var/modules/x/sd-image.nix\"",
            "pi/c.nix:1: imports is a list: imports = [ \"${modulesPath}/x/sd-image.nix\" ];",
        ),
        (
            "{ a = with pkgs; [ vim ] ++ pkgs.git; }",
            "expected a list but found a set: { type = \"derivation\"; all = «thunk»; «14 attributes elided» }",
            "pi/c.nix:1: `++` joins two lists. Write ++ [ pkgs.git ]",
        ),
        (
            "{ a = lib.mkIf { b = false; };\n c = lib.mkIf d { }; }",
            "expected a Boolean but found a set: { b = false; }",
            "pi/c.nix:1: mkIf takes a condition before the value: lib.mkIf CONDITION { … }",
        ),
        (
            "{ a = \"cost ${5}\"; }",
            "cannot coerce an integer to a string: 5",
            "pi/c.nix:1: make a string of the number: toString 5. For the characters ${ themselves, write \\${, or ''${ \
             in ''…''",
        ),
        (
            "{ port = 80; a = \"at \" + port; }",
            "cannot coerce an integer to a string: 80",
            "pi/c.nix:1: make a string of the number: toString port",
        ),
        (
            "{ a = \"${b}\"; }",
            "cannot coerce an integer to a string: 80",
            "make a string of a number with toString: \"${toString 80}\"",
        ),
        (
            "{ services.openssh = true; }",
            "The option path `services.openssh' is an attribute set of options, but it's defined to not be an attribute set in `/c'.",
            "pi/c.nix:1: write services.openssh.enable = true;",
        ),
    ] {
        let hints = failure(nix, &without_place(error), "").hints;
        assert_eq!(hints, [hint], "{nix}");
    }
}

#[test]
fn joined_paths_and_other_systems_are_corrected() {
    for (nix, error, hint) in [
        (
            "{ nixpkgs.hostPlatform = \"aarch64\"; }",
            "system string 'aarch64' with 1 component is ambiguous",
            "pi/c.nix:1: \"aarch64\" is not a system of Nix. Write \"aarch64-linux\"",
        ),
        (
            "{ imports = [ (modulesPath ++ \"/x.nix\") ]; }",
            "expected a list but found a string: \"/nix/nixos/modules\"",
            "pi/c.nix:1: join a path and the rest of it with `+`: (modulesPath + \"/x.nix\")",
        ),
        (
            "{ imports = modulesPath ++ \"/x.nix\"; }",
            "expected a list but found a string: \"/nix/nixos/modules\"",
            "pi/c.nix:1: join a path and the rest of it with `+`: imports = [ (modulesPath + \"/x.nix\") ];",
        ),
        (
            "{ nixpkgs.hostPlatform = \"armv7l-linux\"; }",
            "a 'armv7l-linux' with features {} is required to build '/nix/store/x.drv', but I am a 'x86_64-linux'",
            "pi/c.nix:1: sdbuild makes images only for 64-bit ARM (aarch64) and for PCs (x86_64): nixpkgs.hostPlatform = \"aarch64-linux\";",
        ),
    ] {
        let hints = failure(nix, &without_place(error), "").hints;
        assert_eq!(hints, [hint], "{nix}");
    }
}

#[test]
fn paths_joined_beside_lists_and_twice_are_corrected() {
    let error = without_place("expected a list but found a string: \"/nix/nixos/modules\"");
    for (imports, instead) in [
        (
            "[ ] ++ modulesPath ++ \"/x.nix\"",
            "[ (modulesPath + \"/x.nix\") ]",
        ),
        (
            "[ ] ++ (modulesPath ++ \"/x.nix\")",
            "[ (modulesPath + \"/x.nix\") ]",
        ),
        (
            "[ (modulesPath ++ \"x.nix\") ]",
            "(modulesPath + \"/x.nix\")",
        ),
        ("[ (modulesPath ++ /x.nix) ]", "(modulesPath + \"/x.nix\")"),
        (
            "[ (modulesPath ++ \"/a\") (modulesPath ++ \"/b\") ]",
            "(modulesPath + \"/a\")",
        ),
    ] {
        let hints = failure(format!("{{ imports = {imports}; }}"), &error, "").hints;
        let end = format!("join a path and the rest of it with `+`: {instead}");
        assert!(hints.iter().all(|hint| hint.ends_with(&end)), "{hints:?}");
        assert_eq!(hints.len(), 1, "{imports}");
    }
    let nix = "{ imports = modulesPath ++ \"/a-\" + \"b.nix\"; }";
    let hints = failure(nix, &error, "").hints;
    assert!(!hints.concat().contains("with `+`"), "{hints:?}");
}

#[test]
fn a_file_of_json_is_no_configuration() {
    let error = "syntax error, unexpected ':', expecting '.' or '='";
    let hints = hints_of_line("{ 'a': { 'b': 1 } }".replace('\'', "\"").as_str(), 6, error);
    assert!(
        hints[0].starts_with("the file is JSON, but a configuration is Nix. "),
        "{hints:?}"
    );
    let hints = hints_of_line("{ 'a': { b = 1; } }".replace('\'', "\"").as_str(), 6, error);
    assert_eq!(hints.len(), 1);
    assert!(!hints[0].contains("JSON"), "{hints:?}");
}

#[test]
fn a_string_beside_a_list_becomes_one() {
    for (nix, error, hint) in [
        (
            "{ environment.systemPackages = [ a ] ++ \"htop\"; }",
            "expected a list but found a string: \"htop\"",
            "pi/c.nix:1: write a list: [ pkgs.htop ]\n    Also begin the file with { pkgs, ... }:",
        ),
        (
            "{ a = \"x\" ++ [ b ]; }",
            "expected a list but found a string: \"x\"",
            "pi/c.nix:1: write a list: [ \"x\" ]",
        ),
        (
            "{ a = \"x\" ++ b; }",
            "expected a list but found a string: \"x\"",
            "pi/c.nix:1: join two strings with `+`",
        ),
    ] {
        let hints = failure(nix, &without_place(error), "").hints;
        assert_eq!(hints, [hint], "{nix}");
    }
}

#[test]
fn values_that_may_be_others_are_left() {
    for (nix, error) in [
        (
            "{ a = \"false\"; b = \"false\"; }",
            "expected a Boolean but found a string: \"false\"",
        ),
        (
            "{ a = \"no\"; }",
            "expected a Boolean but found a string: \"no\"",
        ),
        (
            "{ a = x (modulesPath ++ \"/a.nix\");\n b = modulesPath ++ \"/b.nix\"; }",
            "expected a list but found a string: \"/nix/nixos/modules\"",
        ),
        (
            "{ a = [ ] ++ pkgs.a ++ pkgs.b; }",
            "expected a list but found a set: { type = \"derivation\"; all = «thunk» }",
        ),
    ] {
        let hints = failure(nix, &without_place(error), "").hints;
        assert_eq!(hints, [""; 0], "{nix}");
    }
}

#[test]
fn the_content_of_a_package_is_left_out() {
    let error = "expected a list but found a set: { type = \"derivation\"; all = «thunk»; «14 attributes elided» }";
    let failure = failure("{ }", &without_place(error), "");
    let text = failure.to_string();
    assert!(
        text.ends_with("expected a list but found a package"),
        "{text}"
    );
}

#[test]
fn a_switch_beside_other_options_is_named() {
    let nix = "{\n  services.openssh = true;\n  services.openssh.ports = [ 1 ];\n}";
    let error = "attribute 'services.openssh' already defined at /build/config/c.nix:2:3";
    let stream = reported("/build/config/c.nix", (3, 3), error, "");
    let hints = failure(nix, &stream, "").hints;
    assert_eq!(hints, ["write services.openssh.enable = true; in line 2"]);
}

#[test]
fn a_text_in_etc_and_a_shell_are_corrected() {
    for (option, kind, value, hint) in [
        (
            "environment.etc.motd",
            "submodule",
            "\"hello\"",
            "write environment.etc.motd.text = \"hello\";",
        ),
        (
            "environment.etc.motd.enable",
            "boolean",
            "\"yes\"",
            "write environment.etc.motd.enable = true;",
        ),
        (
            "users.users.ann.home",
            "absolute path",
            "\"home/ann\"",
            "begin the path with a slash: users.users.ann.home = \"/…\";",
        ),
        (
            "services.openssh.ports",
            "list of 16 bit unsigned integer; between 0 and 65535 (both inclusive)",
            "2222",
            "write a list: services.openssh.ports = [ 2222 ];",
        ),
        (
            "users.users.root.shell",
            "null or package or absolute path",
            "\"zsh\"",
            "write pkgs.zsh, without quotes, and programs.zsh.enable = true;",
        ),
    ] {
        let error = format!(
            "A definition for option `{option}' is not of type `{kind}'. Definition values:\n- In `/build/config/c.nix': {value}"
        );
        let nix = format!("{{ {option} = {value}; }}");
        let hints = failure(nix, &without_place(&error), "").hints;
        assert_eq!(hints, [hint], "{option}");
    }
}

/// As in `lib.mkForce "80"`: what is around the value stays.
#[test]
fn a_value_with_a_priority_keeps_it() {
    let ports = "list of 16 bit unsigned integer; between 0 and 65535 (both inclusive)";
    for (option, kind, value, hint) in [
        (
            "networking.firewall.allowedTCPPorts",
            ports,
            "\"80\"",
            "write [ 80 ] instead of \"80\"",
        ),
        (
            "sdImage.firmwareSize",
            "signed integer",
            "\"256M\"",
            "write 256 instead of \"256M\" (its unit is MiB)",
        ),
        (
            "environment.etc.motd",
            "submodule",
            "\"hello\"",
            "write { text = \"hello\"; } instead of \"hello\"",
        ),
        (
            "networking.hosts",
            "attribute set of list of string",
            "\"10.0.0.2 nas\"",
            "write { \"10.0.0.2\" = [ \"nas\" ]; } instead of \"10.0.0.2 nas\"",
        ),
        (
            "environment.systemPackages",
            "list of package",
            "\"vim htop\"",
            "write (with pkgs; [ vim htop ]) instead of \"vim htop\"",
        ),
        (
            "boot.kernelModules",
            "list of string",
            "\"i2c-dev\"",
            "write [ \"i2c-dev\" ] instead of \"i2c-dev\"",
        ),
        (
            "services.openssh",
            "submodule",
            "true",
            "write { enable = true; } instead of true",
        ),
    ] {
        let error = format!(
            "A definition for option `{option}' is not of type `{kind}'. Definition values:\n- In `/build/config/c.nix': {value}"
        );
        let force = format!("{{ lib, ... }}: {{ {option} = lib.mkForce {value}; }}");
        let condition = format!("{{ {option} = if true then {value} else {value}; }}");
        for nix in [force.as_str(), &condition, "{ }"] {
            let hints = failure(nix, &without_place(&error), "").hints;
            assert_eq!(hints, [hint], "{nix}");
        }
    }
}

#[test]
fn a_channel_of_unstable_is_downloaded() {
    let error =
        "file 'nixos-unstable' was not found in the Nix search path (add it using $NIX_PATH or -I)";
    let hints = failure("{ }", &without_place(error), "").hints.concat();
    let write = "only <nixpkgs> exists here. Write import (builtins.fetchTarball \
     \"https://github.com/NixOS/nixpkgs/archive/nixos-unstable.tar.gz\") { inherit (pkgs.stdenv.hostPlatform) system; } \
     instead of import <nixos-unstable> { }";
    assert_eq!(hints, write);
}

#[test]
fn only_existing_modules_of_images_are_proposed() {
    let of_boards = "<nixpkgs/nixos/modules/installer/sd-card/sd-image-aarch64.nix>";
    for (dir, name, hint) in [
        (
            "sd-card",
            "sd-image-raspberrypi4.nix",
            format!(". The module for a Raspberry Pi 3 or 4 is {of_boards}"),
        ),
        (
            "cd-dvd",
            "sd-image-raspberrypi4.nix",
            format!(". The module for a Raspberry Pi 3 or 4 is {of_boards}"),
        ),
        (
            "sd-card",
            "sd-image-aarch64-new-kernel.nix",
            format!(". Its module for SD card images is {of_boards}"),
        ),
        (
            "sd-card",
            "sd-image-aarch64.nix",
            ". Give --nixpkgs a whole nixpkgs".to_owned(),
        ),
    ] {
        let error = format!("path '<nixpkgs>/nixos/modules/installer/{dir}/{name}' does not exist");
        let hints = failure("{ }", &without_place(&error), "").hints;
        let file = match dir {
            "sd-card" => name.to_owned(),
            dir => format!("nixos/modules/installer/{dir}/{name}"),
        };
        assert_eq!(hints, [format!("nixpkgs has no file {file}{hint}")]);
    }
}

#[test]
fn a_download_of_a_module_is_no_input_of_a_flake() {
    let error = "unable to download 'https://example.org/x.tar.gz': HTTP error 404";
    let hints = |nix: &str| failure(nix, &without_place(error), "").hints.concat();
    let module = hints("{ }");
    assert!(module.starts_with("check the address"), "{module}");
    assert!(!module.contains("input"), "{module}");
    let flake = hints("{ outputs = { self }: { nixosConfigurations = { }; }; }");
    assert!(flake.contains("--git-inputs NAME"), "{flake}");
}

/// The second form is that of nixpkgs, the first one that of the miniature.
#[test]
fn a_line_break_at_the_end_of_a_value_is_named() {
    let nix = recording("host-name", "nix").replace("\"my pi\"", "builtins.readFile ./name.txt");
    let log = recording("host-name", "log");
    let hint = "ends with a line break. If it is read from a file, write lib.fileContents instead of builtins.readFile";
    for value in [r#" \"pi\\n\""#, r"\n    ''\n      pi\n    ''"] {
        let log = log.replace(r#" \"my pi\""#, value);
        let failure = failure(&nix, &log, "");
        assert_hint(&failure, "networking.hostName", hint);
    }
    let inside = log.replace(r#" \"my pi\""#, r"\n    ''\n      my\n      pi''");
    let failure = failure(&nix, &inside, "");
    assert!(!failure.hints.concat().contains("readFile"), "{failure:?}");
}
