//! Names that are not bound, and recursion through the arguments of modules.

use super::*;

#[test]
fn an_argument_that_was_not_asked_for_names_the_line() {
    let pkgs = recorded("undefined-pkgs");
    assert_hint(
        &pkgs,
        "pi/c.nix:4:34: undefined variable 'pkgs'",
        "add pkgs to the { … }: of line 1",
    );
    let nix = recording("undefined-pkgs", "nix").replacen("lib, ...", "lib", 1);
    assert!(nix.starts_with("{ lib }:"), "{nix}");
    let closed = failure(&nix, &recording("undefined-pkgs", "log"), "");
    let message = "undefined variable 'pkgs'";
    assert_hint(&closed, message, "add pkgs and ... to the { … }: of line 1");
    let path = recorded("undefined-modules-path");
    assert_hint(
        &path,
        "undefined variable 'modulesPath'",
        "add modulesPath to the { … }: of line 5",
    );
    let none = recorded("undefined-without-arguments");
    assert_hint(
        &none,
        "undefined variable 'pkgs'",
        "begin the file with the module's arguments: { pkgs, ... }:",
    );
}

#[test]
fn a_module_without_arguments_is_told_all_that_it_uses() {
    let hint = |name: &str, column: usize, text: &str| {
        hints_of_line(text, column, &format!("undefined variable '{name}'")).concat()
    };
    let text = "{ imports = [ (modulesPath + \"/x.nix\") ]; a = [ pkgs.vim ]; b = lib.mkForce 1; config = { }; }";
    let header = "begin the file with the module's arguments: { lib, pkgs, modulesPath, ... }:";
    for (name, column) in [("modulesPath", 16), ("pkgs", 48), ("lib", 65)] {
        assert_eq!(hint(name, column, text), header);
    }
    let function = "{ a = mkForce [ pkgs.vim ]; }";
    let expected =
        "write lib.mkForce, and begin the file with the module's arguments: { lib, pkgs, ... }:";
    assert_eq!(hint("mkForce", 7, function), expected);
}

#[test]
fn a_missing_attribute_is_searched_where_it_belongs() {
    let log = recording("missing-attribute", "log");
    for (set, searched) in [("config", "options"), ("pkgs.x", "packages")] {
        let text =
            format!("{{ ... }}:\n{{\n  environment.systemPackages = [ {set}.nosuchthing ];\n}}\n");
        assert_hint(
            &failure(text, &log, ""),
            "pi/c.nix:3:34: attribute 'nosuchthing' missing",
            &format!("https://search.nixos.org/{searched}"),
        );
    }
}

#[test]
fn infinite_recursion_names_its_cause() {
    let message = "infinite recursion encountered";
    let pkgs = recorded("recursion-pkgs");
    assert_hint(&pkgs, message, "the imports in pi/c.nix:3 use pkgs");
    // Not those inside nixpkgs.
    assert!(
        pkgs.log_tail[1].starts_with("3|   imports = "),
        "{:?}",
        pkgs.log_tail
    );
    let config = recorded("recursion-config");
    assert_hint(
        &config,
        message,
        "the imports in pi/c.nix:3 depend on config",
    );
    let inputs = recorded("recursion-special-args");
    assert_hint(&inputs, message, "pi/c.nix asks for the argument inputs");
    let own = recorded("recursion-other");
    assert_hint(
        &own,
        message,
        "pi/c.nix:4 defines networking.hostName by its own value. Write a value instead of config.networking.hostName",
    );
    let log = recording("recursion-other", "log");
    let several = "{ config, ... }: { a = config.a; b = config.b; }";
    assert_hint(
        &failure(several, &log, ""),
        message,
        "an option is defined by its own value",
    );
}

#[test]
fn an_option_that_depends_on_itself_is_found() {
    let log = recording("recursion-other", "log");
    let hint = |body: &str| {
        let text = format!("{{ config, lib, ... }}:\n{{\n{body}\n}}\n");
        failure(text, &log, "").hints.concat()
    };
    assert_eq!(
        hint("services.openssh.enable = config.services.openssh.enable;"),
        "pi/c.nix:3 defines services.openssh.enable by its own value. Write a value instead of \
         config.services.openssh.enable, or remove the line"
    );
    assert_eq!(
        hint("a.b =\n  config.a.b ++ [ 1 ];"),
        "pi/c.nix:4 defines a.b by its own value. Write only what you add, without config.a.b. NixOS joins the \
         definitions of all modules, but leaves out the default, so write that too if you want to keep it"
    );
    assert_eq!(
        hint("services.x = lib.mkIf config.services.x.enable {\n  enable = true;\n};"),
        "pi/c.nix:3 makes the definition of services.x.enable in line 4 depend on its own value. Move that definition \
         out of what depends on config.services.x.enable"
    );
}

#[test]
fn an_argument_of_a_flake_is_named() {
    let failure = recorded("missing-module-argument");
    assert_hint(
        &failure,
        "attribute 'inputs' missing",
        "which only a flake passes (specialArgs)",
    );
}

#[test]
fn a_module_without_an_ellipsis_names_the_line() {
    let failure = recorded("no-ellipsis");
    assert_hint(
        &failure,
        "pi/c.nix:1:1: function",
        "Write { lib, pkgs, ... }: in line 1",
    );
}

#[test]
fn a_function_of_the_library_is_no_package() {
    let failure = recorded("library-function");
    let add = "write lib.mkForce, and add lib to the { … }: of line 1, which then reads { pkgs, lib, ... }:";
    assert_hint(&failure, "undefined variable 'mkForce'", add);
    let hint = |text: &str| hints_of_line(text, 23, "undefined variable 'mkForce'").concat();
    let asked = "{ lib, ... }: { a.b = mkForce 1; c = mkIf true 1; }";
    assert_eq!(hint(asked), "write lib.mkForce and lib.mkIf");
}

#[test]
fn outputs_without_an_ellipsis_are_written_out() {
    let outputs = recorded("flake-outputs");
    assert_hint(
        &outputs,
        "pi/flake.nix:3:13: function 'outputs' called with unexpected argument 'self'",
        "Write { self, nixpkgs, ... }: in line 3",
    );
    // Of another flake in the store, whose line is another one.
    let nix = recording("flake-outputs", "nix").replace("outputs = ", "outputs  = ");
    let other = failure(&nix, &recording("flake-outputs", "log"), "");
    let place = other.log_tail.first().map_or("", String::as_str);
    assert!(place.starts_with("at /nix/store/"), "{other:?}");
    assert!(other.hints.is_empty(), "{:?}", other.hints);
}

#[test]
fn a_flake_without_outputs_is_mended() {
    let renamed = recorded("flake-without-outputs");
    let hint = "rename output to outputs in pi/flake.nix:3";
    assert_hint(&renamed, "lacks attribute 'outputs'", hint);
    let log = recording("flake-without-outputs", "log");
    let none = failure("{ inputs = { }; }", &log, "");
    let add = "write in flake.nix: outputs = { self, nixpkgs, ... }: { nixosConfigurations.pi = nixpkgs.lib.nixosSystem { modules = [ ./configuration.nix ]; }; };";
    assert_eq!(none.hints, [add]);
    let empty = failure("{ }\n", &log, "");
    let instead = " or remove the file and run `sdbuild init --flake`, which writes a whole flake";
    assert_eq!(empty.hints, [add.to_owned() + instead]);
    let remote = log.replace("path:/build/config", "github:me/data");
    let input = failure("{ outputs = { self }: { }; }", &remote, "");
    assert!(input.hints[0].contains("flake = false"), "{input:?}");
    // A local input, or a set that is not plain.
    for text in [
        "{ outputs = { self }: { }; }",
        "rec { outputs = { self }: { }; }",
    ] {
        let other = failure(text, &log, "");
        assert!(other.hints.is_empty(), "{other:?}");
    }
}

#[test]
fn a_function_of_the_library_is_not_in_pkgs() {
    let of = |text: &str, name: &str| {
        let column = 1 + text.find("pkgs.").unwrap();
        hints_of_line(text, column, &format!("attribute '{name}' missing")).concat()
    };
    let write = "mkForce is a function of lib. Write lib.mkForce";
    let add = ", and add lib to the { … }: of line 1, which then reads { pkgs, lib, ... }:";
    for text in [
        "{ pkgs, ... }: { a = pkgs.mkForce 1; }",
        "{ pkgs, ... }: { a = pkgs.mkForce(1); }",
    ] {
        assert_eq!(of(text, "mkForce"), format!("{write}{add}"), "{text}");
    }
    let with_lib = "{ lib, pkgs, ... }: { a = pkgs.mkForce 1; }";
    assert_eq!(of(with_lib, "mkForce"), write);
    let other = "{ pkgs, ... }: { a = pkgs.mkOther 1; }";
    assert!(of(other, "mkOther").contains("search.nixos.org/packages"));
}

#[test]
fn a_key_without_quotes_is_no_package() {
    let failure = recorded("key-without-quotes");
    let hint = "put the key in double quotes: \"ssh-ed25519 …\"";
    assert_hint(&failure, "undefined variable 'ssh-ed25519'", hint);
}

#[test]
fn blanks_of_another_kind_are_named() {
    let error = "syntax error, unexpected invalid token";
    let hint = "line 1 has the character U+00A0, which looks like a space. Replace it with a space";
    let line = "{ networking.hostName\u{a0}= \"x\"; }";
    assert_eq!(hints_of_line(line, 22, error), [hint]);
    let quotes = hints_of_line("{ a = \u{201c}x\u{201d}; }", 7, error);
    assert!(quotes[0].contains("double quotes"), "{quotes:?}");
}

#[test]
fn a_system_by_another_name_is_explained() {
    let system = recorded("platform-arm64");
    assert_hint(
        &system,
        "system string 'arm64'",
        "pi/c.nix:4: \"arm64\" is not a system of Nix. Write \"aarch64-linux\"",
    );
}

#[test]
fn nothing_and_what_is_inherited_are_corrected() {
    let hint = |text: &str, name: &str| {
        let column = text.find(name).unwrap() + 1;
        hints_of_line(text, column, &format!("undefined variable '{name}'")).concat()
    };
    let null = "write null where there is no value";
    assert_eq!(hint("{ a = None; }", "None"), null);
    assert_eq!(hint("{ a = nullptr; }", "nullptr"), null);
    let server = hint("{ programs.x.package = nil; }", "nil");
    assert!(server.contains("Write pkgs.nil"), "{server}");
    let or_string = format!("{null}, or \"none\" for that string");
    assert_eq!(hint("{ a = none; }", "none"), or_string);
    let write =
        "inherit takes the value of a variable, but none has this name. Write isNormalUser = …;";
    let set = "{ users.users.ann = { inherit isNormalUser; }; }";
    assert_eq!(hint(set, "isNormalUser"), write);
    let of_set = hint("{ a = { inherit (isNormalUser) b; }; }", "isNormalUser");
    assert!(!of_set.starts_with("inherit"), "{of_set}");
}

#[test]
fn time_zones_locales_and_switches_are_written_out() {
    for (line, name, hint) in [
        (
            "{ time.timeZone = UTC+1; }",
            "UTC",
            "a time zone is a string with a name of the tz database, such as \"Europe/Berlin\". For UTC+1 in summer and \
             winter, write time.timeZone = \"Etc/GMT-1\"; (the names in Etc have the opposite sign)",
        ),
        (
            "{ time.timeZone = MEZ; }",
            "MEZ",
            "a time zone is a string with a name of the tz database, such as \"Europe/Berlin\"",
        ),
        (
            "{ i18n.extraLocaleSettings.LC_TIME = de_DE; }",
            "de_DE",
            "write the locale as a string: i18n.extraLocaleSettings.LC_TIME = \"de_DE.UTF-8\";",
        ),
        (
            "{ services = [ nginx.enable ]; }",
            "nginx",
            "set the switch of each one: services.nginx.enable = true;",
        ),
    ] {
        let column = line.find(name).unwrap() + 1;
        let error = format!("undefined variable '{name}'");
        assert_eq!(hints_of_line(line, column, &error), [hint], "{line}");
    }
}
