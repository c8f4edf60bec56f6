//! Addresses in another form than their options take.

use super::*;

const LIST: &str = "networking.interfaces.end0.ipv4.addresses";

#[test]
fn addresses_are_written_as_their_options_take_them() {
    let whole = |length: u8| {
        format!("write {LIST} = [ {{ address = \"192.168.1.5\"; prefixLength = {length}; }} ];")
    };
    let guess = format!("{} (most home networks have 24)", whole(24));
    for (name, hint) in [
        ("address-without-prefix", format!("pi/c.nix:4: {guess}")),
        ("address-with-prefix", format!("pi/c.nix:4: {}", whole(16))),
        ("address-singular", guess),
        ("address-of-family", format!("pi/c.nix:4: {}", whole(24))),
        (
            "address-as-string",
            "write { address = \"192.168.1.5\"; prefixLength = 24; } instead of \"192.168.1.5/24\"".to_owned(),
        ),
        (
            "name-server-string",
            "write networking.nameservers = [ \"1.1.1.1\" ];".to_owned(),
        ),
        (
            "gateway-with-prefix",
            "pi/c.nix:4: this option takes the address without a prefix length: defaultGateway = \"192.168.1.1\";"
                .to_owned(),
        ),
    ] {
        let failure = recorded(name);
        assert_eq!(failure.hints, [hint], "{name}");
        assert!(!failure.to_string().contains("TypeError"), "{failure}");
    }
}

#[test]
fn addresses_that_are_not_known_get_an_example() {
    let example = format!(
        "write each address as a set with its prefix length, such as {LIST} = [ {{ address = \"192.168.1.5\"; \
         prefixLength = 24; }} ];"
    );
    // What nixpkgs 25.05 says.
    let stream = recording("address-without-prefix", "log").replace(
        "was accessed but has no value defined. Try setting the option.",
        "is used but not defined.",
    );
    for nix in [
        "{ networking.interfaces.end0.ipv4.addresses = [ { address = ip; } ]; }",
        "{ networking.interfaces.end0.ipv4.addresses = [ { address = \"10.0.0.1\"; } { address = \"10.0.0.2\"; } ]; }",
    ] {
        assert_eq!(failure(nix, &stream, "").hints, [example.as_str()], "{nix}");
    }
    let stream = recording("address-singular", "log").replace("192.168.1.5", "dhcp");
    assert_eq!(failure("{ }", &stream, "").hints, [example.as_str()]);
    let six = recording("address-as-string", "log").replace("192.168.1.5/24", "fd00::5/64");
    let other = "write networking.interfaces.end0.ipv6.addresses = [ { address = \"fd00::5\"; prefixLength = 64; } ];";
    assert_eq!(failure("{ }", &six, "").hints, [other]);
    // The same words of nixpkgs may be about something else.
    let slash = recording("gateway-with-prefix", "log");
    assert_eq!(failure("{ }", &slash, "").hints, [""; 0]);
    let servers = recording("name-server-string", "log");
    let two = servers.replace("1.1.1.1", "1.1.1.1, 8.8.8.8");
    let hint = "write networking.nameservers = [ \"1.1.1.1\" \"8.8.8.8\" ];";
    assert_eq!(failure("{ }", &two, "").hints, [hint]);
}

/// As Nix says it where a module reads the list before its type is known.
#[test]
fn an_address_in_place_of_the_list_is_its_element() {
    let error = "expected a list but found a string: \\\"192.168.1.5/24\\\"";
    let stream = reported("/nix/store/x/lib/lists.nix", (1, 1), error, "");
    let hints = |nix: &str| failure(nix, &stream, "").hints.concat();
    let hint = format!(
        "pi/c.nix:1: write {LIST} = [ {{ address = \"192.168.1.5\"; prefixLength = 24; }} ];"
    );
    assert_eq!(hints(&format!("{{ {LIST} = \"192.168.1.5/24\"; }}")), hint);
    let other = hints("{ x.y = \"192.168.1.5/24\"; }");
    assert_eq!(other, "pi/c.nix:1: write a list: [ \"192.168.1.5/24\" ]");
}

#[test]
fn a_platform_without_images_is_why_packages_are_refused() {
    let error =
        "error: Refusing to evaluate package 'efivar-39' in /nix/x.nix:46 because it has problems:";
    let stream = format!(
        r#"@nix {{"action":"msg","level":0,"msg":"{error}","raw_msg":"{}"}}"#,
        error.trim_start_matches("error: ")
    );
    let nix = |platform: &str| format!("{{ nixpkgs.hostPlatform = \"{platform}\"; }}");
    let hints = failure(nix("armv7l-linux"), &stream, "").hints;
    let line = "pi/c.nix:1: sdbuild makes images only for 64-bit ARM (aarch64) and for PCs (x86_64): nixpkgs.hostPlatform = \"aarch64-linux\";";
    assert_eq!(hints, [line]);
    // Where everything is evaluated, Nix says it of the first derivation.
    let required =
        "Cannot build '/nix/store/x.drv'. Required system: 'armv7l-linux' with features {}";
    let of_builder = stream.replace(error.trim_start_matches("error: "), required);
    assert_eq!(failure(nix("armv7l-linux"), &of_builder, "").hints, [line]);
    let hints = failure(nix("aarch64-linux"), &stream, "").hints;
    assert!(!hints.concat().contains("there are images"), "{hints:?}");
}
