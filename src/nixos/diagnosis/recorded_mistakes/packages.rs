//! Names that may be those of packages.

use super::*;

#[test]
fn a_name_inside_with_pkgs_is_no_package() {
    let failure = recorded("undefined-in-with");
    let hint = "nixpkgs has no package htopp. Find its name: https://search.nixos.org/packages?query=htopp";
    assert_hint(&failure, "pi/c.nix:4:49: undefined variable 'htopp'", hint);
}

#[test]
fn a_program_leads_to_its_package() {
    let named = |kind| recording("undefined-in-with", kind).replace("htopp", "lsusb");
    assert_hint(
        &failure(named("nix"), &named("log"), ""),
        "undefined variable 'lsusb'",
        "write usbutils, which has the program lsusb",
    );
}

#[test]
fn a_program_selected_from_pkgs_leads_to_its_package() {
    let named = |kind| recording("missing-attribute-package", kind).replace("htopp", "pip");
    assert_hint(
        &failure(named("nix"), &named("log"), ""),
        "attribute 'pip' missing",
        "pip is a package of Python. For a Python that has it, write (pkgs.python3.withPackages (ps: [ ps.pip ]))",
    );
    let other = named("nix").replace("pkgs.pip", "pkgs.pip-x");
    let hints = failure(other, &named("log"), "").hints.concat();
    assert!(!hints.contains("python3Packages"), "{hints}");
}

#[test]
fn a_package_selected_from_pkgs_names_a_similar_one() {
    // Nix itself proposes nothing.
    let named = |kind| {
        let text = recording("missing-attribute-package", kind).replace("Did you mean", "-");
        text.replace("htopp", "hellp")
    };
    let packages = r#"@nix {"action":"msg","msg":"trace: sdbuild: packages: hello vim"}"#;
    let log = format!("{packages}\n{}", named("log"));
    let hints = failure(named("nix"), &log, "").hints.concat();
    let hint = "nixpkgs has no package hellp. Did you mean hello?";
    assert!(hints.starts_with(hint), "{hints}");
    for (name, hint) in [
        ("build-essential", "write gcc and gnumake"),
        ("golang", "golang is called go in nixpkgs"),
        (
            "numpy",
            "numpy is a package of Python. For a Python that has it, write (pkgs.python3.withPackages (ps: [ ps.numpy ]))",
        ),
    ] {
        let with_name = |kind| named(kind).replace("hellp", name);
        let hints = failure(with_name("nix"), &with_name("log"), "")
            .hints
            .concat();
        assert!(hints.starts_with(hint), "{hints}");
    }
}

#[test]
fn a_missing_package_names_what_nix_proposes() {
    let failure = recorded("missing-attribute-package");
    assert_hint(&failure, "attribute 'htopp' missing", "did you mean htop?");
}

#[test]
fn packages_of_unstable_need_its_archive() {
    let error = "undefined variable 'unstable'";
    let get = "let unstable = import (builtins.fetchTarball \"https://github.com/NixOS/nixpkgs/archive/nixos-unstable.tar.gz\") \
               { inherit (pkgs.stdenv.hostPlatform) system; }; in";
    for line in [
        "{ a.packages = [ unstable.vim ]; }",
        "{ a.packages = with pkgs; [ unstable.vim ]; }",
    ] {
        let column = line.find("unstable").unwrap() + 1;
        let hints = hints_of_line(line, column, error).concat();
        assert!(hints.ends_with(get), "{hints}");
    }
    let flake = "{ nixosConfigurations.a = { b = unstable.vim; }; }";
    let column = flake.find("unstable").unwrap() + 1;
    let stream = reported("/build/config/flake.nix", (1, column), error, "");
    let hints = failure(flake, &stream, "").hints.concat();
    assert!(!hints.contains("specialArgs"), "{hints}");
    // An input of the flake, in a file of it.
    let stream = reported("/build/config/flake.nix", (1, 31), error, "");
    let flake = "{ outputs = { self, ... }: { a = unstable.vim; }; }";
    let hints = failure(flake, &stream, "").hints.concat();
    assert!(!hints.contains("fetchTarball"), "{hints}");
}

#[test]
fn packages_and_options_are_told_apart_in_lists_and_flakes() {
    let flake = "{ outputs = { self, ... }: { m = { a = services.x; }; }; }";
    let error = "undefined variable 'services'";
    let stream = reported("/build/config/flake.nix", (1, 40), error, "");
    let hints = failure(flake, &stream, "").hints;
    assert_eq!(
        hints,
        [
            "to read another option, write config.services.x, in a module that begins with { config, ... }:"
        ]
    );
    for (line, name) in [
        ("{ a = [ htop ]; }", "htop"),
        (
            "{ environment.systemPackages = [ networkmanager ]; }",
            "networkmanager",
        ),
        (
            "{ environment.systemPackages = [ systemd.out ]; }",
            "systemd",
        ),
    ] {
        let column = line.find(name).unwrap() + 1;
        let hints = hints_of_line(line, column, &format!("undefined variable '{name}'"));
        assert!(hints[0].contains(&format!("pkgs.{name}")), "{hints:?}");
    }
}

#[test]
fn names_that_are_no_packages_are_told_apart() {
    for (line, name, hint) in [
        (
            "{ services.openssh.enable = yes; }",
            "yes",
            "write true. An option that is on or off takes true or false",
        ),
        (
            "{ users.users.me.extraGroups = [ wheel ]; }",
            "wheel",
            "put the name of a group in double quotes: \"wheel\"",
        ),
        (
            "{ console.keyMap = no; }",
            "no",
            "write false for an option that is on or off, or \"no\" for one that takes a string",
        ),
        (
            "{ a = [ on ]; }",
            "on",
            "put a string in double quotes: \"on\"",
        ),
        (
            "{ lib, ... }: { a = lib.mkDefault services.x.port; }",
            "services",
            "to read another option, write config.services.x.port, and { lib, config, ... }: in line 1",
        ),
        (
            "{ config, ... }: { a = time.zone; }",
            "time",
            "to read another option, write config.time.zone",
        ),
        (
            "{ imports = [ hello.nix ]; }",
            "hello",
            "for the file hello.nix, write ./hello.nix",
        ),
    ] {
        let column = line.rfind(name).unwrap() + 1;
        let error = format!("undefined variable '{name}'");
        assert_eq!(hints_of_line(line, column, &error), [hint], "{line}");
    }
}

#[test]
fn words_for_on_and_off_and_the_system_are_told() {
    for (line, name, hint) in [
        (
            "{ services.openssh.enable = ture; }",
            "ture",
            "write true. An option that is on or off takes true or false",
        ),
        (
            "{ networking.firewall.allowPing = disabled; }",
            "disabled",
            "write false for an option that is on or off, or \"disabled\" for one that takes a string",
        ),
        (
            "{ services.openssh = enabled; }",
            "enabled",
            "write services.openssh.enable = true;",
        ),
        (
            "{ programs.git = yes; }",
            "yes",
            "write programs.git.enable = true;",
        ),
        (
            "{ services.x.package = fale; }",
            "fale",
            "packages are attributes of pkgs. Write pkgs.fale",
        ),
        (
            "{ networking.firewall.allowedTCPPorts = [ http ]; }",
            "http",
            "a port is a number, such as 22 for SSH, 80 for HTTP and 443 for HTTPS",
        ),
        (
            "{ a = tree; }",
            "tree",
            "put a string in quotes: \"tree\". If it is a package, write pkgs.tree",
        ),
        (
            "{ a = if enabled then 1 else 2; }",
            "enabled",
            "if it is a package, write pkgs.enabled. Otherwise check its spelling",
        ),
        (
            "{ pkgs, ... }: { a = [ x.packages.${system}.default ]; }",
            "system",
            "write pkgs.stdenv.hostPlatform.system for the system of the packages, such as \"aarch64-linux\"",
        ),
        ("{ a = readDir ./x; }", "readDir", "write builtins.readDir"),
    ] {
        let column = line.rfind(name).unwrap() + 1;
        let error = format!("undefined variable '{name}'");
        assert_eq!(hints_of_line(line, column, &error), [hint], "{line}");
    }
}

#[test]
fn the_system_is_not_read_from_packages_that_are_not_there() {
    for (line, name, hint) in [
        (
            "{ a = f { inherit system; }; }",
            "system",
            "inherit takes the value of a variable, but none has this name. Write system = …;",
        ),
        (
            "{ imports = [ x.modules.${system}.default ]; }",
            "system",
            "nothing has the name system there. Write the system itself in quotes, such as \"aarch64-linux\"",
        ),
        (
            "{ nixpkgs.overlays = [ x.overlays.${system}.y ]; }",
            "system",
            "nothing has the name system there. Write the system itself in quotes, such as \"aarch64-linux\"",
        ),
    ] {
        let column = line.rfind(name).unwrap() + 1;
        let error = format!("undefined variable '{name}'");
        assert_eq!(hints_of_line(line, column, &error), [hint], "{line}");
    }
}

#[test]
fn the_option_tells_a_string_from_a_package() {
    for (line, name, hint) in [
        (
            "{ boot.kernelPackages = linuxPackages_latest; }",
            "linuxPackages_latest",
            "packages are attributes of pkgs. Write pkgs.linuxPackages_latest",
        ),
        (
            "{ users.users.pi.password = raspberry; }",
            "raspberry",
            "put a string in quotes: \"raspberry\"",
        ),
        (
            "{ fonts.fonts = [ noto ]; }",
            "noto",
            "write pkgs.noto, or `with pkgs;` before the list: with pkgs; [ noto … ]",
        ),
        (
            "{ x.y = unknown; }",
            "unknown",
            "put a string in quotes: \"unknown\". If it is a package, write pkgs.unknown",
        ),
        (
            "{ x.script = \"${python3}/bin/python\"; }",
            "python3",
            "packages are attributes of pkgs. Write ${pkgs.python3}",
        ),
        (
            "{ x.script = \"${HOME}/x\"; }",
            "HOME",
            "for a shell variable, write \\${HOME}",
        ),
        (
            "{ x.script = \"cat ${file}\"; }",
            "file",
            "${file} stands for a value of Nix, but file has none there. Check its spelling, or for a shell variable, write \\${file}",
        ),
        (
            "{ a.packages = [ (writeShellScriptBin \"b\" \"${C}\") ]; }",
            "C",
            "for a shell variable, write \\${C}",
        ),
        (
            "{ x.text = \"${HOME}\"; }",
            "HOME",
            "${HOME} stands for a value of Nix, but HOME has none there. Check its spelling, or for a shell variable, write \\${HOME}",
        ),
        (
            "{ x.domain = \"${user}.lan\"; }",
            "user",
            "${user} stands for a value of Nix, but user has none there. Check its spelling, or for these characters, write \\${user}",
        ),
    ] {
        let column = line.find(name).unwrap() + 1;
        let error = format!("undefined variable '{name}'");
        assert_eq!(hints_of_line(line, column, &error), [hint], "{line}");
    }
}

#[test]
fn a_name_beside_a_quote_or_a_number_is_no_package() {
    for (name, hint) in [
        (
            "inner-quotes",
            "write a quote inside a string as \\\": services.getty.greetingLine = \"say \\\"hi\\\"\";",
        ),
        (
            "number-with-unit",
            "a number has no unit. Write size = 1024; (its unit is MiB)",
        ),
        (
            "script-without-quotes",
            "write shell commands as a string: script = ''echo …'';",
        ),
    ] {
        assert_hint(&recorded(name), "undefined variable", hint);
    }
}

#[test]
fn a_text_without_quotes_is_distinguished_from_a_package() {
    let text = recorded("text-without-quotes");
    assert_hint(&text, "undefined variable 'kitchen'", "kitchen");
    let hint = "put a string in quotes: \"kitchen\"";
    assert_eq!(text.hints, [hint]);
    let list = recorded("list-without-with");
    let hint = "write pkgs.vim, or `with pkgs;` before the list: with pkgs; [ vim … ]";
    assert_hint(&list, "undefined variable 'vim'", hint);
}

#[test]
fn a_list_of_strings_without_brackets_and_quotes_is_written() {
    let hint = |line: &str, column: usize| {
        hints_of_line(line, column, "undefined variable 'nix-command'").concat()
    };
    let list = "{ nix.settings.experimental-features = nix-command flakes; }";
    let written = "write a list of strings: nix.settings.experimental-features = [ \"nix-command\" \"flakes\" ];";
    assert_eq!(hint(list, 40), written);
    let elements = "{ nix.settings.experimental-features = [ nix-command ]; }";
    let quoted = "put a string in quotes: \"nix-command\"";
    assert_eq!(hint(elements, 42), quoted);
    let other = "{ a.b = nix-command flakes; }";
    let quoted = "put text in double quotes: \"nix-command …\"";
    assert_eq!(hint(other, 9), quoted);
}

#[test]
fn only_units_and_commands_are_taken_for_such() {
    let hint = |line: &str, column: usize, name: &str| {
        hints_of_line(line, column, &format!("undefined variable '{name}'")).concat()
    };
    let mode = hint("{ x.mode = 1920x1080; }", 16, "x1080");
    assert_eq!(mode, "that is not a number. Write the string \"1920x1080\"");
    let size = hint("{ x.size = 1.5G; }", 15, "G");
    assert!(size.ends_with("or write the string \"1.5G\""), "{size}");
    let function = hint("{ x.ExecStart = getExe pkgs.foo; }", 17, "getExe");
    assert!(!function.contains("script"), "{function}");
    let path = hint("{ x.source = ./my file.txt; }", 19, "file");
    assert_eq!(path, "write a path with a space as ./. + \"/my file…\"");
    for line in ["{ x = f ./a.nix file; }", "{ x = [ ./a.nix file ]; }"] {
        let other = hint(line, 17, "file");
        assert!(!other.contains("space"), "{line}: {other}");
    }
    let module = hints_of_line("pkgs: { x = pkgs.vim; }", 13, "attribute 'vim' missing").concat();
    assert_eq!(
        module,
        "a module begins with { pkgs, ... }:, not with pkgs:"
    );
    let element = hint("{ x = [ \"a\"b ]; }", 12, "b");
    assert!(!element.contains("a quote inside"), "{element}");
}
