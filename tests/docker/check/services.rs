//! Findings of `check` about files in `/etc` and services of the user's own.

use super::{IMAGE, check, ids, report};
use crate::support::*;

#[test]
fn files_and_services_without_effect_are_found() {
    if !engine_ready() {
        return;
    }
    let user = TestUser::new();
    let (_, public) = key(&user);
    let told = |more: &str| {
        let text = format!(
            "{{ pkgs, ... }}: {{ {IMAGE} system.stateVersion = \"26.05\"; services.openssh.enable = true;\n  \
             users.users.root.openssh.authorizedKeys.keys = [ \"{public}\" ];\n{more}\n}}\n"
        );
        check(&user, "pi.nix", &text).assert_exit_code(0)
    };
    let link = "environment.etc.\"foo.conf\".source = \"/home/me/foo.conf\";";
    let checked = told(&format!(
        "{link}\nsystemd.services.hello.script = \"true\";\nsystemd.services.other.wants = [ \"hello\" ];"
    ));
    assert_eq!(ids(&checked), ["idle-service", "link-to-nothing"]);
    let findings = report(&checked);
    let of = |id: &str| {
        let findings = findings["findings"].as_array().unwrap();
        findings.iter().find(|finding| finding["id"] == id).unwrap()["line"].clone()
    };
    assert_eq!(
        (of("link-to-nothing"), of("idle-service")),
        (3.into(), 4.into())
    );

    let made = format!("{link} systemd.tmpfiles.rules = [ \"f /home/me/foo.conf\" ];");
    for fine in [
        made.as_str(),
        "environment.etc.\"foo.conf\".source = ./pi.nix;",
        "environment.etc.\"foo.conf\".source = \"${pkgs.hello or pkgs.dropbear}/bin\";",
        "environment.etc.mtab.source = \"/proc/mounts\";",
        "systemd.services.hello = { script = \"true\"; wantedBy = [ \"multi-user.target\" ]; };",
        "systemd.services.hello = { script = \"true\"; startAt = \"daily\"; };",
        "systemd.services.hello.script = \"true\"; systemd.timers.hello.timerConfig.OnBootSec = 60;",
        "systemd.services.hello.script = \"true\"; systemd.timers.a.timerConfig.Unit = \"hello.service\";",
        "systemd.services.hello.script = \"true\"; systemd.services.a.onFailure = [ \"hello.service\" ];",
        "systemd.services.hello.script = \"true\"; systemd.targets.a.unitConfig.Wants = \"hello.service b.service\";",
        "systemd.services.\"hello@\".script = \"true\";",
        "systemd.services.hello = { script = \"true\"; enable = false; };",
        "systemd.services.hello.serviceConfig.User = \"a\";",
    ] {
        assert_eq!(ids(&told(fine)), [""; 0], "{fine}");
    }
}
