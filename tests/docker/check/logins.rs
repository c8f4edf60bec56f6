//! Findings of `check` about who can log in and administer the machine.

use super::{IMAGE, check, ids};
use crate::support::*;

#[test]
fn users_who_cannot_become_root_are_found() {
    needs!(engine_ready());
    let user = TestUser::new();
    let (_, public) = key(&user);
    // The commonest lock-out: a user in wheel with a key and without a password.
    let pi = |more: &str| {
        let text = format!(
            "{{ {IMAGE} system.stateVersion = \"26.05\"; services.openssh.enable = true;\n  \
             users.users.pi = {{ isNormalUser = true; extraGroups = [ \"wheel\" ];\n    \
             openssh.authorizedKeys.keys = [ \"{public}\" ]; {more} }}"
        );
        ids(&check(&user, "pi.nix", &text))
    };
    assert_eq!(pi("};"), ["no-admin"]);
    assert_eq!(pi("}; security.sudo.wheelNeedsPassword = false;"), [""; 0]);
    let groups = "}; security.sudo.wheelNeedsPassword = false; users.users.root.extraGroups = [ \"video\" \"sudo\" ];";
    assert_eq!(pi(groups), ["unknown-group"]);
    assert_eq!(pi("password = \"guest\"; };"), ["open-password"]);
    assert_eq!(pi("hashedPassword = \"guest\"; };"), ["no-admin", "password-hash"]);
    let hash = "$6$salt$es/shCT2O7.jPrMnAaAzRJmE.oeNfmsEDRHNh1PNVW3mJtBAR1xT8IDVEVeBVE47jBCC8OtIj89H0pZRT7Ard.";
    let hashed = |hash: &str| pi(&format!("hashedPassword = \"{hash}\"; }};"));
    assert_eq!(hashed(hash), [""; 0]);
    let cut_off = hash.trim_end_matches("Ard.");
    assert_eq!(hashed(cut_off), ["no-admin", "password-hash"]);
    assert_eq!(hashed("$6$abc"), ["no-admin", "password-hash"]);
    assert_eq!(hashed("$new$abc"), [""; 0], "a method that is not known");
    user.write("id_ed25519", "-----BEGIN OPENSSH PRIVATE KEY-----\n");
    let keys = "password = \"guest\"; }; services.openssh.settings = { PasswordAuthentication = false; \
                KbdInteractiveAuthentication = false; };";
    assert_eq!(pi(keys), ["stored-password"]);
    let files = "openssh.authorizedKeys.keyFiles = [ ./id_ed25519 ]; };";
    assert_eq!(pi(files), ["no-admin", "private-key"]);
}

#[test]
fn logins_that_cannot_be_are_found() {
    needs!(engine_ready());
    let user = TestUser::new();
    let (_, public) = key(&user);
    let told = |more: &str| {
        let version = "system.stateVersion = \"26.05\"; services.openssh.enable = true;";
        let text = format!("{{ pkgs, ... }}: {{ {IMAGE}\n  {version}\n  {more}\n}}\n");
        check(&user, "pi.nix", &text)
    };
    let keys = format!("openssh.authorizedKeys.keys = [ \"{public}\" ];");
    let git = format!(
        "users.users.git = {{ isSystemUser = true; group = \"users\"; shell = pkgs.bash // {{ shellPath = \"/bin/nologin\"; }}; {keys} }};"
    );
    assert_eq!(ids(&told(&git)), ["no-shell"]);
    let root = format!("users.users.root.{keys}");
    assert_eq!(ids(&told(&format!("{git} {root}"))), [""; 0]);

    let checked = told(&format!(
        "{root} services.openssh.extraConfig = \"Match User ann\\n  AllowUsers ann\"; services.openssh.settings.AuthenticationMethods = \"publickey\";"
    ));
    assert_eq!(ids(&checked), ["ssh-unread"]);
    let all = "authenticationmethods, match, allowusers";
    assert!(checked.stdout.contains(all), "{}", checked.stdout);

    let unit = format!("{root} systemd.services.sshd.enable = false;");
    let checked = told(&unit).assert_exit_code(6);
    assert_eq!(ids(&checked), ["ssh-off"]);
    let socket = format!("{unit} services.openssh.startWhenNeeded = true;");
    assert_eq!(ids(&told(&socket)), [""; 0]);
    let socket = format!("{socket} systemd.sockets.sshd.enable = false;");
    assert_eq!(ids(&told(&socket)), ["ssh-off"]);

    let expired = root.replace("[ \"", "[ \"expiry-time=\\\"20200101\\\" ");
    assert_eq!(ids(&told(&expired)), ["nobody-gets-in"]);
    let authority = root.replace("[ \"", "[ \"cert-authority ");
    let checked = told(&authority).assert_exit_code(0);
    assert_eq!(ids(&checked), [""; 0]);
    assert!(checked.stdout.contains("root with a certificate"), "{}", checked.stdout);
    let bob = format!("{root} users.users.bob = {{ isNormalUser = true; shell = \"/bin/zsh\"; }};");
    assert_eq!(ids(&told(&bob)), ["no-shell"]);
}

#[test]
fn a_finding_names_the_line_of_its_option() {
    needs!(engine_ready());
    let user = TestUser::new();
    let text = format!(
        "{{ {IMAGE}\n  system.stateVersion = \"26.05\";\n  networking = {{\n    hostName = \"my_pi\"; }};\n}}\n"
    );
    let checked = check(&user, "pi.nix", &text).assert_exit_code(6);
    let told = checked.json();
    let findings = told["findings"].as_array().unwrap();
    let of = |id: &str| findings.iter().find(|finding| finding["id"] == id).unwrap();
    assert_eq!(of("host-name")["file"], "pi.nix");
    assert_eq!(of("host-name")["line"], 4);
    assert_eq!(of("ssh-off").get("line"), None);
}
