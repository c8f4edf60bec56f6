//! Findings of `check` about files in `/etc` and services of the user's own.

use super::{IMAGE, check, ids, report};
use crate::support::*;

/// What `check` tells of a configuration without mistakes and these definitions, which begin in line 3.
fn told(user: &TestUser, public: &str, more: &str) -> Outcome {
    let text = format!(
        "{{ lib, pkgs, ... }}: {{ {IMAGE} system.stateVersion = \"26.05\"; services.openssh.enable = true;\n  \
         users.users.root.openssh.authorizedKeys.keys = [ \"{public}\" ];\n{more}\n}}\n"
    );
    check(user, "pi.nix", &text).assert_exit_code(0)
}

#[test]
fn files_and_services_without_effect_are_found() {
    if !engine_ready() {
        return;
    }
    let user = TestUser::new();
    let (_, public) = key(&user);
    let told = |more: &str| told(&user, &public, more);
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

#[test]
fn programs_that_no_service_can_start_are_found() {
    if !engine_ready() {
        return;
    }
    let user = TestUser::new();
    let (_, public) = key(&user);
    let told = |more: &str| told(&user, &public, more);
    for (service, path) in [
        ("ExecStart = \"python3 -m http.server\";", "python3"),
        ("ExecStart = \"-@python3 web x\";", "python3"),
        ("ExecStart = [ \"/usr/bin/node a.js\" ];", "/usr/bin/node"),
        (
            "ExecStart = \"${pkgs.busybox}/bin/sh -e /home/me/a.sh\";",
            "/home/me/a.sh",
        ),
        ("ExecStartPre = \"+/home/me/a.sh\";", "/home/me/a.sh"),
    ] {
        let module = format!(
            "systemd.services.web = {{ serviceConfig = {{\n{service} }}; wantedBy = [ \"multi-user.target\" ]; }};"
        );
        let checked = told(&module);
        assert_eq!(ids(&checked), ["no-program"], "{service}");
        let finding = &report(&checked)["findings"][0];
        let is = finding["is"].as_str().unwrap();
        assert!(is.ends_with(&format!(" starts \"{path}\"")), "{is}");
        assert_eq!(finding["line"], 4, "{service}");
    }
    for fine in [
        "systemd.services.web = { serviceConfig.ExecStart = \"systemctl --version\"; startAt = \"daily\"; };",
        "systemd.services.web = { serviceConfig = { ExecStart = \"python3\"; ExecSearchPath = \"/x\"; }; startAt = \"daily\"; };",
        "systemd.services.web = { serviceConfig.ExecStart = \"%h/a.sh\"; startAt = \"daily\"; };",
        "systemd.services.web = { serviceConfig.ExecStart = \"/home/me/a.sh\"; preStart = \"cp x /home/me/a.sh\"; startAt = \"daily\"; };",
        "systemd.services.web = { serviceConfig.ExecStart = \"/home/me/a.sh\"; startAt = \"daily\"; }; systemd.tmpfiles.rules = [ \"f /home/me/a.sh\" ];",
        "systemd.services.web = { serviceConfig.ExecStart = \"${pkgs.busybox}/bin/sh a.sh\"; startAt = \"daily\"; };",
    ] {
        assert_eq!(ids(&told(fine)), [""; 0], "{fine}");
    }
}
