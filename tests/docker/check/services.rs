//! Findings of `check` about files in `/etc` and services of the user's own.

use serde_json::Value;

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

/// Files that something makes, or that are no links to nothing, and services that something starts: each by itself.
const FINE: [&str; 19] = [
    "environment.etc.a.source = \"/home/a/foo.conf\";",
    "environment.etc.b.source = \"/home/b/foo.conf\";",
    "systemd.tmpfiles.rules = [ \"f /home/a/foo.conf\" \"C /home/b - - - - ${./pi.nix}\" ];",
    "environment.etc.c.source = \"/home/c/foo.conf\"; systemd.tmpfiles.settings.a.\"/home/c\".d.user = \"root\";",
    "environment.etc.d.source = \"/home/d/foo.conf\"; systemd.mounts = [ { where = \"/home/d\"; what = \"/dev/sda1\"; } ];",
    "environment.etc.e.source = ./pi.nix;",
    "environment.etc.f.source = \"${pkgs.hello or pkgs.dropbear}/bin\";",
    "environment.etc.mtab.source = \"/proc/mounts\";",
    "systemd.services.wanted = { script = \"true\"; wantedBy = [ \"multi-user.target\" ]; };",
    "systemd.services.daily = { script = \"true\"; startAt = \"daily\"; };",
    "systemd.services.timed.script = \"true\"; systemd.timers.timed = { wantedBy = [ \"timers.target\" ]; timerConfig.OnBootSec = 60; };",
    "systemd.services.of-timer.script = \"true\"; systemd.timers.a = { wantedBy = [ \"timers.target\" ]; timerConfig.Unit = \"of-timer.service\"; };",
    "systemd.services.on-failure.script = \"true\"; systemd.services.b.onFailure = [ \"on-failure.service\" ];",
    "systemd.services.of-target.script = \"true\"; systemd.targets.a.unitConfig.Wants = \"of-target.service b.service\";",
    "systemd.services.of-script.script = \"true\"; systemd.services.c = { script = \"systemctl start of-script\"; wantedBy = [ \"x.target\" ]; };",
    "systemd.services.changed.serviceConfig.ExecStart = [ \"\" \"${pkgs.busybox}/bin/true\" ];",
    "systemd.services.\"instance@\".script = \"true\";",
    "systemd.services.off-again = { script = \"true\"; enable = false; };",
    "systemd.services.no-program.serviceConfig.User = \"root\";",
];

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

    // Beside one of which nothing is known, so that the rules are seen to look.
    let lone = "environment.etc.lone.source = \"/home/lone/foo.conf\"; systemd.services.lone.script = \"true\";";
    let fine = FINE.join("\n");
    let checked = told(&format!("{lone}\n{fine}"));
    assert_eq!(
        ids(&checked),
        ["idle-service", "link-to-nothing"],
        "{}",
        checked.stdout
    );
    for finding in report(&checked)["findings"].as_array().unwrap() {
        assert!(finding.to_string().contains("lone"), "{finding}");
    }
    // What commands of the user's own may do is not known: none of these has a finding, whatever else there is.
    for makes in [
        "system.activationScripts.a = \"mkdir -p /home/me\";",
        "sdImage.populateRootCommands = lib.mkAfter \"cp ${./pi.nix} ./files/home/me/foo.conf\";",
    ] {
        let made = format!("{link} {makes}");
        assert_eq!(ids(&told(&made)), [""; 0], "{makes}");
    }
    for fine in [
        "services.udev.extraRules = \"ENV{SYSTEMD_WANTS}+=a\";",
        "services.cron.systemCronJobs = [ \"* * * * * root systemctl start hello\" ];",
        "system.activationScripts.a = \"systemctl start hello\";",
    ] {
        let fine = format!("systemd.services.hello.script = \"true\"; {fine}");
        assert_eq!(ids(&told(&fine)), [""; 0], "{fine}");
    }
}

/// Settings of services with the program that systemd does not find: of files, no two in one directory.
const STARTS_NOTHING: [(&str, &str); 4] = [
    ("ExecStart = \"python3 -m http.server\";", "python3"),
    ("ExecStart = [ \"/usr/bin/node a.js\" ];", "/usr/bin/node"),
    (
        "ExecStart = \"${pkgs.busybox}/bin/sh -e /home/me/a.sh\";",
        "/home/me/a.sh",
    ),
    ("ExecStartPre = \"/home/you/a.sh\";", "/home/you/a.sh"),
];

/// Settings of services whose program is there, or may be: of files, no two in one directory. `systemd.tmpfiles` makes `/home/made/a.sh`.
const STARTS_SOMETHING: [&str; 8] = [
    "serviceConfig.ExecStart = \"systemctl --version\";",
    "serviceConfig = { ExecStart = \"python3\"; ExecSearchPath = \"/x\"; };",
    "serviceConfig.ExecStart = \"-@python3 web x\";",
    "serviceConfig.ExecStart = \"${./a.sh}\";",
    "serviceConfig.ExecStart = \"%h/a.sh\";",
    "serviceConfig.ExecStart = \"/home/copied/a.sh\"; preStart = \"cp x /home/copied/a.sh\";",
    "serviceConfig.ExecStart = \"/home/made/a.sh\";",
    "serviceConfig.ExecStart = \"${pkgs.busybox}/bin/sh a.sh\";",
];

#[test]
fn upgrades_without_a_configuration_are_found() {
    if !engine_ready() {
        return;
    }
    let user = TestUser::new();
    let (_, public) = key(&user);
    let told = |more: &str| {
        let upgrade = "system.autoUpgrade.enable = true;";
        told(&user, &public, &format!("{upgrade}\n{more}"))
    };
    for wrong in ["", "system.autoUpgrade.flags = [ \"-L\" \"-I x\" ];"] {
        let checked = told(wrong);
        assert_eq!(ids(&checked), ["no-upgrade"], "{wrong}");
        assert_eq!(report(&checked)["findings"][0]["line"], 3);
    }
    for fine in [
        "system.autoUpgrade.flake = \"github:me/config\";",
        "system.autoUpgrade.flags = [ \"-I nixos-config=/srv/pi.nix\" ];",
        "system.autoUpgrade.flags = [ \"--file\" \"/srv\" ];",
        "environment.etc.\"nixos/configuration.nix\".source = ./pi.nix;",
        "systemd.tmpfiles.rules = [ \"C /etc/nixos - - - - ${./.}\" ];",
        "systemd.services.nixos-upgrade = { startAt = \"daily\"; script = lib.mkForce \"nixos-rebuild switch -f /srv/pi\"; };",
        "fileSystems.\"/etc/nixos\" = { device = \"/srv/c\"; fsType = \"none\"; options = [ \"bind\" \"nofail\" ]; };",
        "systemd.services.get = { script = \"cp -r /srv/c /etc/nixos\"; startAt = \"daily\"; };",
        "sdImage.populateRootCommands = lib.mkAfter \"cp ${./pi.nix} ./files/etc/nixos/\";",
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
    let modules = STARTS_NOTHING.iter().enumerate().map(|(n, (service, _))| {
        format!(
            "systemd.services.web{n} = {{ serviceConfig = {{\n{service} }}; wantedBy = [ \"multi-user.target\" ]; }};"
        )
    });
    let modules: Vec<String> = modules.collect();
    let checked = told(&modules.join("\n"));
    assert_eq!(ids(&checked), ["no-program"; 4], "{}", checked.stdout);
    let findings = report(&checked);
    let findings = findings["findings"].as_array().unwrap();
    for (n, (service, path)) in STARTS_NOTHING.iter().enumerate() {
        let of_service = format!("systemd.services.web{n}.");
        let is = |finding: &Value| finding["is"].as_str().unwrap().to_owned();
        let mut of_service = findings.iter().filter(|f| is(f).starts_with(&of_service));
        let finding = of_service.next().unwrap();
        let is = is(finding);
        assert!(is.ends_with(&format!(" starts \"{path}\"")), "{is}");
        // Each is written in two lines, the first of them in the third one.
        assert_eq!(finding["line"], 4 + 2 * n, "{service}");
    }

    // Beside a list of programs with one line for all, so that the rule is seen to look.
    user.write("a.sh", "");
    let list = "systemd.services.list = { startAt = \"daily\"; serviceConfig.ExecStart = [ \"python3 a\" \"${pkgs.busybox}/bin/sh b\" \"node c\" ]; };";
    let fine = STARTS_SOMETHING
        .iter()
        .enumerate()
        .map(|(n, what)| format!("systemd.services.web{n} = {{ {what} startAt = \"daily\"; }};"));
    let fine: Vec<String> = fine.collect();
    let rules = "systemd.tmpfiles.rules = [ \"f /home/made/a.sh\" ];";
    let reset = "systemd.services.x = { startAt = \"daily\"; serviceConfig.ExecStart = [ \"\" \"python3 a\" ]; };";
    let checked = told(&format!("{list}\n{reset}\n{}\n{rules}", fine.join("\n")));
    assert_eq!(ids(&checked), ["no-program"; 2], "{}", checked.stdout);
    let line = "systemd.services.list.serviceConfig.ExecStart = [ \"${pkgs.python3}/bin/python3 …\" \"${pkgs.nodejs}/bin/node …\" ]; \
                # and the other commands of the list";
    let reset =
        "systemd.services.x.serviceConfig.ExecStart = [ \"\" \"${pkgs.python3}/bin/python3 …\" ];";
    let findings = report(&checked)["findings"].clone();
    assert_eq!(findings[0]["add"][0], line);
    assert_eq!(findings[1]["add"][0], reset);
}

/// Scripts of a service, each with the programs that it does not find.
const SCRIPTS: [(&str, &[&str]); 10] = [
    ("set -e\ncd /srv\npython3 app.py", &["python3"]),
    (
        "# it's a comment\nwhile true; do\n  curl -s \"$URL\" || true\n  curl x\n  sleep 60\ndone\njq",
        &["curl"],
    ),
    ("exec node a.js", &["node"]),
    ("bash <<EOF\npython3\nEOF", &["bash"]),
    ("ip link set dev wlan0 up\n", &["ip"]),
    (
        "git -C /srv pull\npython3 -c \"\nwget\n\"",
        &["git", "python3"],
    ),
    (
        "curl x || true\ngit pull || :\njq a || echo \"no: $?\" >&2\nwget x || exit 1\n",
        &["curl", "git", "jq", "wget"],
    ),
    ("mkdir -p /x\ndate +%s > /x/y", &[]),
    ("${pkgs.busybox}/bin/wget x", &[]),
    (
        "/bin/sh a\n/usr/bin/env b\n/usr/bin/python3 a.py\n/sbin/ifconfig",
        &["/usr/bin/python3", "/sbin/ifconfig"],
    ),
];

/// What follows from scripts that is not certain, or that is as it should be.
const FINE_SCRIPTS: [&str; 24] = [
    "script = \"test -x /x &&\\n  curl x\";",
    "script = \"test -x /x || # or\\ncurl x\";",
    "script = \"curl x || ${pkgs.busybox}/bin/wget x\";",
    "script = \"curl x || echo no && ${pkgs.busybox}/bin/wget x\";",
    "script = \"export PATH=$PATH:/x\\ncurl x\";",
    "script = \"command -v curl || exit 0\\ncurl x\";",
    "script = \"if test -x /x; then\\ncurl x\\nfi\";",
    "script = \"cat <<EOF\\ncurl x\\nEOF\";",
    "script = \"echo 'a\\ncurl x\\n'\";",
    "script = \"echo \\\"a'b\\\" 'c\\ncurl x\\n'\";",
    "script = \"echo a \\\\\\ncurl x\";",
    "script = \"curl () {\\ntrue\\n}\\ncurl x\";",
    "script = \". /etc/env\\ncurl x\";",
    "script = \"a=( \\ncurl\\n)\";",
    "script = \"curl x\"; path = [ pkgs.busybox ];",
    "script = \"curl x\"; environment.PATH = \"/run/current-system/sw/bin\";",
    "script = \"curl x\"; serviceConfig.EnvironmentFile = \"/etc/env\";",
    "script = \"curl x\"; enable = false;",
    "script = \"/usr/bin/made a\"; preStart = \"ln -s /x /usr/bin/made\";",
    "script = \"test -x /usr/bin/a &&\\n  /usr/bin/a\";",
    "script = \"cd /opt/app && source venv/bin/activate\\npython main.py\";",
    "script = \"set -a; . /etc/env\\ncurl x\";",
    "script = \"true && eval \\\"$X\\\"\\ncurl x\";",
    "script = \"curl x\"; serviceConfig.ExecStart = lib.mkForce \"${pkgs.busybox}/bin/true\";",
];

#[test]
fn programs_that_a_script_does_not_find_are_told() {
    if !engine_ready() {
        return;
    }
    let user = TestUser::new();
    let (_, public) = key(&user);
    let service = |n: usize, what: &str| {
        format!("systemd.services.s{n} = {{ startAt = \"daily\"; {what} }};")
    };
    let scripts = SCRIPTS.iter().enumerate();
    let scripts = scripts.map(|(n, (script, _))| service(n, &format!("script = ''{script}'';")));
    // As NixOS has it.
    let of_nixos = "/nix/store/00000000000000000000000000000000-coreutils-9.8/bin:/nix/store/00000000000000000000000000000000-systemd-260/sbin";
    let of_nixos = format!("script = \"curl x\"; environment.PATH = \"{of_nixos}\";");
    let all: Vec<String> = scripts.chain([service(99, &of_nixos)]).collect();
    let checked = told(&user, &public, &all.join("\n"));
    let findings = report(&checked);
    let found = findings["findings"].as_array().unwrap().iter();
    let mut found: Vec<&str> = found.map(|one| one["is"].as_str().unwrap()).collect();
    found.sort_unstable();
    let expected = SCRIPTS.iter().enumerate().filter_map(|(n, (_, programs))| {
        let programs = programs.iter();
        let named: Vec<String> = programs.map(|name| format!("\"{name}\"")).collect();
        let named = match named.as_slice() {
            [first, middle @ .., last] if !middle.is_empty() => {
                format!("{first}, {} and {last}", middle.join(", "))
            }
            _ => named.join(" and "),
        };
        (!named.is_empty()).then(|| format!("systemd.services.s{n}.script runs {named}"))
    });
    let of_nixos = "systemd.services.s99.script runs \"curl\"".to_owned();
    let expected: Vec<String> = expected.chain([of_nixos]).collect();
    assert_eq!(found, expected);

    let fine = FINE_SCRIPTS.iter().enumerate();
    let fine: Vec<String> = fine.map(|(n, what)| service(n, what)).collect();
    let checked = told(&user, &public, &fine.join("\n"));
    assert_eq!(ids(&checked), [""; 0], "{}", checked.stdout);
}
