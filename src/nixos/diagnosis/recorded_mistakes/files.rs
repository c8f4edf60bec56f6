//! Files and downloads that the configuration asks for.

use super::*;

#[test]
fn another_search_path_is_replaced_by_a_download() {
    let hardware = recorded("search-path");
    let write = "Write (builtins.fetchTarball \"https://github.com/NixOS/nixos-hardware/archive/master.tar.gz\" + \
     \"/raspberry-pi/4\") instead of <nixos-hardware/raspberry-pi/4>";
    assert_hint(&hardware, "not found in the Nix search path", write);
    let home = recorded("search-path-home-manager");
    assert_hint(
        &home,
        "home-manager/nixos",
        "nix-community/home-manager/archive/master.tar.gz",
    );
    let line = "pi/c.nix:3 names <home-manager/nixos>, but ";
    assert!(home.hints[0].starts_with(line), "{:?}", home.hints);
}

#[test]
fn a_source_download_is_distinguished_from_a_cache() {
    for (failure, message) in [
        (
            recorded("fetch-unresolved"),
            "which failed: Could not resolve host: github.nosuch.invalid",
        ),
        (
            recorded("fetch-refused"),
            "which failed: Failed to connect to 127.0.0.1 port 9",
        ),
        (
            recorded("fetch-git"),
            "Could not resolve host: github.nosuch.invalid",
        ),
        (
            recorded("fetch-url"),
            "which failed: Could not resolve host",
        ),
    ] {
        assert_eq!(failure.class, Class::Environment, "{failure}");
        let text = failure.to_string();
        assert!(
            text.contains("evaluate the configuration: pi/c.nix:3: the configuration fetches http"),
            "{text}"
        );
        assert!(text.contains(message), "{text}");
        let hints = failure.hints.join(" ");
        assert!(
            hints.contains("the network, and the DNS") && !hints.contains("cache"),
            "{hints}"
        );
    }
    let not_found = recorded("fetch-not-found");
    assert_hint(
        &not_found,
        "which failed: HTTP error 404",
        "check the address",
    );
    let text = not_found.to_string();
    assert!(
        text.contains("pi/c.nix:3: the configuration fetches http://"),
        "{text}"
    );
}

#[test]
fn a_wrong_hash_in_the_configuration_is_replaced() {
    let failure = recorded("fetch-wrong-hash");
    let hint =
        "write sha256:0bk2zxzmhrlx9r13h8h56idz89xh3ngvlg2djl9qnxl6qxvk9nyx instead of sha256:0000";
    let message = "pi/c.nix:3: hash mismatch in file downloaded from";
    assert_hint(&failure, message, hint);
}

#[test]
fn a_file_that_the_builder_lacks_is_explained() {
    let ignored = recorded("file-missing");
    assert_hint(
        &ignored,
        "path 'pi/wifi.nix' does not exist",
        "Put the line !/wifi.nix into .sdbuildignore",
    );
    let above = recorded("file-above");
    assert_hint(&above, "/common.nix' does not exist", "/common.nix");
    let hint = &above.hints[0];
    let (_, path) = hint.split_once(" names ").unwrap_or(("", hint));
    let (path, _) = path.split_once(" is outside ").unwrap();
    let path = path.strip_suffix(", which").unwrap_or(path);
    let message = format!("path '{path}' does not exist");
    assert!(above.to_string().contains(&message), "{above}");
    let absolute = recorded("file-absolute-read");
    assert_hint(
        &absolute,
        "opening file '/home/me/name'",
        "/home/me/name, which does not exist on this machine either. Put the file next to c.nix and write ./name",
    );
}

#[test]
fn a_path_of_the_machine_to_build_is_a_string() {
    let log = recording("file-absolute-read", "log");
    let hint = |text: &str| failure(text, &log, "").hints.concat();
    assert_eq!(
        hint("{\n  users.users.me.home = /home/me/name;\n}"),
        "pi/c.nix:2: Nix looks for a path without quotes where it builds. If /home/me/name is a path on the machine \
         that the image is for, put it in quotes: users.users.me.home = \"/home/me/name\";"
    );
    for file in [
        "imports = [ /home/me/name ];",
        "environment.etc.x.source = /home/me/name;",
    ] {
        let told = hint(&format!("{{ {file} }}"));
        let put =
            "does not exist on this machine either. Put the file next to c.nix and write ./name";
        assert!(told.ends_with(put), "{told}");
    }
}

#[test]
fn an_import_in_parentheses_is_put_into_a_list() {
    let log = recording("imports-string", "log");
    let log = log.replace(
        "./wifi.nix",
        "/nix/var/sdbuild/nixpkgs/tree/nixos/modules/installer/sd.nix",
    );
    let nix = "{ modulesPath, ... }:\n{\n  imports = (modulesPath + \"/installer/sd.nix\");\n}\n";
    let failed = failure(nix, &log, "");
    let hint =
        "pi/c.nix:3: imports is a list: imports = [ (modulesPath + \"/installer/sd.nix\") ];";
    assert_hint(&failed, "expected a list but found a string", hint);
}

#[test]
fn a_file_that_nixpkgs_lacks_names_the_line_and_a_near_one() {
    for (name, line) in [("nixpkgs-file", 3), ("nixpkgs-file-search", 4)] {
        let hint = format!(
            "pi/c.nix:{line} names sd-image-aarch65.nix, which this nixpkgs does not have. Did you mean \
             sd-image-aarch64.nix?"
        );
        let failure = recorded(name);
        assert_hint(&failure, "sd-image-aarch65.nix' ", &hint);
        let quoted = failure.log_tail.join("\n");
        let (_, line) = quoted.split_once(&format!("\n{line}| ")).unwrap();
        let mut lines = line.lines();
        let (source, caret) = (lines.next().unwrap(), lines.next().unwrap());
        let column = caret.find('^').unwrap() - " | ".len();
        let written = source.get(column..).unwrap();
        assert!(
            written.starts_with("/installer/sd-card/") || written.starts_with("nixpkgs/nixos/"),
            "{quoted}"
        );
    }
}

#[test]
fn a_wrong_directory_of_nixpkgs_is_corrected() {
    let slash =
        "a slash is missing. Write modulesPath + \"/installer/sd-card/sd-image-aarch64.nix\"";
    assert_hint(&recorded("modules-path-slash"), "modulesinstaller/", slash);
    let directory = "Did you mean <nixpkgs/nixos/modules/installer/sd-card/sd-image-aarch64.nix>?";
    assert_hint(&recorded("module-elsewhere"), "/cd-dvd/", directory);
}

#[test]
fn a_thrown_message_names_its_line() {
    let failure = recorded("throw");
    assert_eq!(
        failure.to_string(),
        "evaluate the configuration: pi/c.nix:4: boom"
    );
}

#[test]
fn imports_that_are_no_list_name_the_line() {
    let failed = recorded("imports-without-list");
    let message = "expected a list but found a path: pi/wifi.nix";
    let hint = "pi/c.nix:3: imports is a list: imports = [ ./wifi.nix ];";
    assert_hint(&failed, message, hint);
    let quoted = ["3|   imports = ./wifi.nix;", " |             ^"];
    assert_eq!(failed.log_tail.get(1..3).unwrap(), quoted);
    let log = recording("imports-without-list", "log");
    let hints = |nix: &str| failure(nix, &log, "").hints.concat();
    let written = hints("{\n  modules = ../a/wifi.nix;\n}");
    assert_eq!(
        written,
        "pi/c.nix:2: modules is a list: modules = [ ../a/wifi.nix ];"
    );
    for other in [
        "x = map f ./wifi.nix;",
        "imports = [ ./wifi.nix ];",
        "# imports = ./wifi.nix;",
    ] {
        assert_eq!(hints(other), "", "{other}");
    }
}

#[test]
fn a_file_in_another_encoding_is_recognised() {
    let hint = "the file is in UTF-16, which Nix does not read. Save it as UTF-8";
    assert_hint(&recorded("utf-16"), "syntax error", hint);
    assert_hint(&recorded("utf-16-without-mark"), "syntax error", hint);
}

#[test]
fn a_text_in_another_encoding_names_its_line() {
    let hint = "pi/c.nix:3 is not UTF-8. Save the file in that encoding";
    assert_hint(&recorded("latin-1"), "invalid UTF-8 byte", hint);
}

#[test]
fn a_function_in_a_list_of_modules_is_found() {
    let failure = recorded("import-fn");
    assert_hint(
        &failure,
        "cannot coerce a set to a string",
        "pi/c.nix:3: a module in a list is only its path. Write (modulesPath + \"/profiles/minimal.nix\") without `import`",
    );
    assert!(failure.log_tail[1].starts_with("3|"), "{failure:?}");
}

/// Nix reads a string in place of a set of options as the path of a module.
#[test]
fn a_device_in_place_of_a_set_is_no_missing_file() {
    let stream = |path: &str| {
        let error = format!("path '{path}' does not exist");
        reported("/nix/store/x/lib/modules.nix", (1, 1), &error, "")
    };
    let hints = |nix: &str, path: &str| failure(nix, &stream(path), "").hints.concat();
    assert_eq!(
        hints("{ swapDevices = [ \"/swapfile\" ]; }", "/swapfile"),
        "pi/c.nix:1: each element of swapDevices is a set. Write { device = \"/swapfile\"; size = 2048; } instead of \
         \"/swapfile\""
    );
    assert_eq!(
        hints("{ fileSystems.\"/data\" = \"/dev/sda1\"; }", "/dev/sda1"),
        "pi/c.nix:1: fileSystems.\"/data\" is a set. Write { device = \"/dev/sda1\"; fsType = \"…\"; } instead of \
         \"/dev/sda1\""
    );
    let other = hints("{ imports = [ \"/dev/sda1\" ]; }", "/dev/sda1");
    assert!(!other.contains("is a set"), "{other}");
}

#[test]
fn a_text_for_etc_is_no_module() {
    let hints = |file: &str, nix: &str| {
        let stream = reported(file, (1, 1), "undefined variable 'hello'", "");
        failure(nix, &stream, "").hints.concat()
    };
    let motd = "{\n  environment.etc.\"motd\" = ./motd;\n}";
    assert_eq!(
        hints("/build/config/motd", motd),
        "pi/c.nix:2: Nix read that file as the set environment.etc.\"motd\". Write environment.etc.\"motd\".source = \
         ./motd;"
    );
    let other = hints(
        "/build/config/motd",
        "{ imports = [ ./motd ]; x.y = ./motd; }",
    );
    assert!(!other.contains("source"), "{other}");
}

/// As `imports = [ ./b.nix ];` has it called.
#[test]
fn a_package_among_the_modules_is_called() {
    let error = "function 'anonymous lambda' called with unexpected argument 'config'";
    let told = |nix: &str| {
        let stream = reported("/build/config/c.nix", (1, 1), error, "");
        failure(nix, &stream, "").hints.join(" ")
    };
    let package = told("{ stdenv }: stdenv.mkDerivation { }");
    let call = "c.nix is a package, not a module. Remove it from imports, and write environment.systemPackages = [ (pkgs.callPackage ./c.nix { }) ];";
    assert!(package.starts_with(call), "{package}");
    let module = told("{ pkgs }: { }");
    assert!(
        module.starts_with("a module gets more arguments"),
        "{module}"
    );
}

#[test]
fn a_module_of_nixos_in_quotes_is_in_its_directory() {
    let name = "installer/sd-card/sd-image-aarch64.nix";
    let nix = format!("{{ ... }}: {{ imports = [ \"{name}\" ]; }}");
    let error = format!("string '{name}' doesn't represent an absolute path");
    let stream = format!(
        r#"@nix {{"action":"msg","column":null,"file":null,"level":0,"line":null,"msg":"error: {error}","raw_msg":"{error}"}}"#
    );
    assert_hint(
        &failure(nix, &stream, ""),
        "absolute path",
        "Write \"${modulesPath}/installer/sd-card/sd-image-aarch64.nix\"",
    );
}

#[test]
fn three_quotes_are_none_of_nix() {
    let error = "attempt to call something which is not a function but a string: \\\"\\\"";
    let hints = hints_of_line("{ a = \"\"\" b \"\"\"; }", 7, error);
    assert!(hints[0].contains("begins and ends with `''`"), "{hints:?}");
}
