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
            "{{ lib, pkgs, ... }}: {{ {IMAGE} system.stateVersion = \"26.05\"; services.openssh.enable = true;\n  \
             users.users.root.openssh.authorizedKeys.keys = [ \"{public}\" ];\n{more}\n}}\n"
        );
        check(&user, "pi.nix", &text).assert_exit_code(0)
    };
    let link = "environment.etc.\"foo.conf\".source = \"/home/me/foo.conf\";";
    let checked = told(&format!(
        "{link}\nsystemd.services.hello.script = \"true\";\nsystemd.services.other.wants = [ \"hello\" ];\n\
         systemd.services.off = {{ enable = false; wants = [ \"hello.service\" ]; }};"
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

    for makes in [
        "systemd.tmpfiles.rules = [ \"f /home/me/foo.conf\" ];",
        "systemd.tmpfiles.rules = [ \"C /home/me - - - - ${./pi.nix}\" ];",
        "systemd.tmpfiles.settings.a.\"/home/me\".d.user = \"root\";",
        "system.activationScripts.a = \"mkdir -p /home/me\";",
        "sdImage.populateRootCommands = lib.mkAfter \"cp ${./pi.nix} ./files/home/me/foo.conf\";",
        "systemd.mounts = [ { where = \"/home/me\"; what = \"/dev/sda1\"; } ];",
    ] {
        let made = format!("{link} {makes}");
        assert_eq!(ids(&told(&made)), [""; 0], "{makes}");
    }
    for fine in [
        "environment.etc.\"foo.conf\".source = ./pi.nix;",
        "environment.etc.\"foo.conf\".source = \"${pkgs.hello or pkgs.dropbear}/bin\";",
        "environment.etc.mtab.source = \"/proc/mounts\";",
        "systemd.services.hello = { script = \"true\"; wantedBy = [ \"multi-user.target\" ]; };",
        "systemd.services.hello = { script = \"true\"; startAt = \"daily\"; };",
        "systemd.services.hello.script = \"true\"; systemd.timers.hello.timerConfig.OnBootSec = 60;",
        "systemd.services.hello.script = \"true\"; systemd.timers.a.timerConfig.Unit = \"hello.service\";",
        "systemd.services.hello.script = \"true\"; systemd.services.a.onFailure = [ \"hello.service\" ];",
        "systemd.services.hello.script = \"true\"; systemd.targets.a.unitConfig.Wants = \"hello.service b.service\";",
        "systemd.services.hello.script = \"true\"; services.udev.extraRules = \"ENV{SYSTEMD_WANTS}+=a\";",
        "systemd.services.hello.script = \"true\"; services.cron.systemCronJobs = [ \"* * * * * root systemctl start hello\" ];",
        "systemd.services.hello.script = \"true\"; system.activationScripts.a = \"systemctl start hello\";",
        "systemd.services.hello.script = \"true\"; systemd.services.a = { script = \"systemctl start hello\"; wantedBy = [ \"x.target\" ]; };",
        "systemd.services.hello.serviceConfig.ExecStart = [ \"\" \"/bin/x\" ];",
        "systemd.services.\"hello@\".script = \"true\";",
        "systemd.services.hello = { script = \"true\"; enable = false; };",
        "systemd.services.hello.serviceConfig.User = \"a\";",
    ] {
        assert_eq!(ids(&told(fine)), [""; 0], "{fine}");
    }
}
