//! `build --dry-run` predicts what Nix does, and changes only what an evaluation needs.

use crate::support::*;

/// The rest of the line of the plan that begins with `name`.
fn said<'a>(told: &'a Outcome, name: &str) -> &'a str {
    let lines = told.stdout.lines();
    let mut found = lines.filter_map(|line| line.strip_prefix(name));
    found
        .next()
        .unwrap_or_else(|| panic!("no {name} in\n{}{}", told.stdout, told.stderr))
        .trim_start()
}

fn dry(user: &TestUser, more: &[&str]) -> Outcome {
    run(user.build(more).arg("--dry-run"))
}

#[test]
fn dry_run_predicts_the_build() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    // From here on the store has everything but the product itself.
    user.build_of(&product(SMALL_IMAGE), &[]).assert_exit_code(0);
    user.write("sd-card.nix", &product(&fresh(SMALL_IMAGE)));
    let told = dry(&user, &["--force"]).assert_exit_code(0);
    assert_eq!(said(&told, "Nix fetches"), "nothing");
    assert_eq!(said(&told, "Nix builds"), "1 derivation, under emulation");
    // First what would be done, by name, then how.
    let name = said(&told, "namely");
    let line = said(&told, "derivation");
    assert!(line.ends_with(&format!("-{name}.drv")), "{name} {line}");
    assert!(told.stdout.starts_with("Nix fetches"), "{}", told.stdout);
    let memory = said(&told, "evaluation");
    assert!(memory.ends_with(" of memory"), "{memory}");
    let changed = said(&told, "changed");
    assert!(changed.starts_with("only what an evaluation needs"));
    assert!(!told.stderr.contains("Emulation: done"), "{}", told.stderr);
    // What `check` finds in it is told when it is evaluated, once.
    let errors = told.stderr.matches("warning: services.openssh.enable = false");
    assert_eq!(errors.count(), 1, "{}", told.stderr);
    runs.assert_nothing_left();

    let done = run(&mut user.build(&["--force"])).assert_exit_code(0);
    assert_eq!(std::fs::read_to_string(done.image()).unwrap(), "small\n");
    assert!(done.stderr.contains("to build: 1 derivation"));
    assert_eq!(done.manifest()["result"]["derivation"], said(&told, "derivation"));

    let told = dry(&user, &["--force"]).assert_exit_code(0);
    assert_eq!(said(&told, "Nix builds"), "nothing: the store has it");
    let evaluated = |line: &str| line.starts_with("evaluation");
    assert!(!told.stdout.lines().any(evaluated), "it is remembered");
    runs.assert_nothing_left();
}

/// Asserts that the plan for the configuration of `user`, whose packages the store has for native glue and for emulation, counts
/// what is emulated with each: little, and nearly everything.
pub fn counts_what_is_emulated(user: &TestUser) {
    let runs = user.track_runs();
    let counts = |glue: &str| -> (u64, u64) {
        let told = dry(user, &["--glue", glue]).assert_exit_code(0);
        let line = said(&told, "Nix builds");
        let numbers = line.split(' ').filter_map(|word| word.parse().ok());
        match numbers.collect::<Vec<_>>().as_slice() {
            [build, emulate] => (*build, *emulate),
            [build] => (*build, 0),
            _ => panic!("{line}"),
        }
    };
    let (native, of_these) = counts("native");
    assert!(of_these * 2 < native, "{of_these} of {native}");
    // Derivations of Nix's own builders are never emulated.
    let (emulated, nearly_all) = counts("emulated");
    assert!(nearly_all * 4 > emulated * 3, "{nearly_all} of {emulated}");
    runs.assert_nothing_left();
}

#[test]
fn import_from_derivation_needs_a_build() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    let script = fresh("    echo '{ time.timeZone = \"Asia/Tokyo\"; }' > $out");
    let made = format!("pkgs.runCommand \"settings.nix\" {{ }} ''\n{script}\n  ''");
    // Not in `imports`, on which `pkgs` depends.
    let set = format!("time.timeZone = (import ({made})).time.timeZone;");
    user.write("sd-card.nix", &configuration(&format!("  {set}")));
    let told = "it imports a derivation that must be built first";
    dry(&user, &["--glue", "emulated"]).assert_exit_code(2).assert_stderr_contains(&[told]);
    let mini = mini_nixpkgs();
    let mut check = user.sdbuild(&["check", "--nixpkgs"]);
    run(check.arg(mini)).assert_exit_code(2).assert_stderr_contains(&[told, "sdbuild build"]);
    runs.assert_nothing_left();
}

/// One changed package, and what is made from it.
#[test]
fn an_overlay_is_named_with_its_place_and_what_it_costs() {
    needs!(engine_ready());
    let user = TestUser::new();
    let id = nonce();
    let change =
        format!("(_: prev: {{ htop = prev.htop.overrideAttrs {{ changed = \"{id}\"; }}; }})");
    let made = format!(
        "(name: pkgs.runCommand \"made-{id}-${{name}}\" {{ }} \"ln -s ${{pkgs.htop}} $out\")"
    );
    let body = |count: u8, overlay: &str| {
        format!(
            "  environment.systemPackages = map {made} (map toString (lib.genList (n: n) {count}));\n  \
               nixpkgs.overlays = [ {overlay} ];"
        )
    };
    // The plain package is in the store.
    user.build_of(&configuration(&body(1, "(_: _: { })")), &["--glue", "emulated"])
        .assert_exit_code(0);
    let text = configuration(&body(40, &change));
    let line = text.lines().position(|line| line.contains("overlays")).unwrap() + 1;
    user.write("sd-card.nix", &text);
    let told = dry(&user, &["--glue", "emulated", "--force"]).assert_exit_code(0);
    let because = said(&told, "because");
    assert!(because.contains(&format!("changes htop (sd-card.nix:{line})")), "{because}");
    let count = |text: &str| text.split(' ').next().unwrap().parse::<u32>().unwrap();
    let (with, without) = (said(&told, "Nix builds"), said(&told, "without that"));
    // The package, and the first thing made from it.
    assert_eq!(count(with), count(without) + 2, "{with}, {without}");
}
