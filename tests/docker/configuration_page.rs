//! docs/configuration.md: what it recommends evaluates.

use std::fs;

use crate::support::*;

/// The blocks of Nix in the page.
fn snippets() -> Vec<String> {
    let page = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let blocks = page.split("```nix\n").skip(1);
    let blocks = blocks.map(|block| block.split("\n```").next().unwrap().to_owned());
    blocks.collect()
}

#[test]
fn recipes_of_the_documentation_evaluate_together() {
    needs!(engine_ready());
    let user = TestUser::new();
    let (files, recipes): (Vec<String>, Vec<String>) =
        snippets().into_iter().partition(|snippet| snippet.starts_with('{'));
    assert!(recipes.len() >= 20 && !files.is_empty());
    let mut imports = String::new();
    for (number, recipe) in recipes.iter().enumerate() {
        let name = format!("recipe-{number}.nix");
        // The page has two keys for the same network.
        let recipe = recipe.replace("Home network", &format!("Home network {number}"));
        user.write(&name, &format!("{{ pkgs, ... }}:\n{{\n{recipe}\n}}\n"));
        imports = format!("{imports} ./{name}");
    }
    user.write(
        "sd-card.nix",
        &configuration("  services.openssh.enable = true;").replacen(
            "imports = [",
            &format!("imports = [{imports}"),
            1,
        ),
    );
    let mini = mini_nixpkgs();
    let checked = run(user.sdbuild(&["check", "--json", "--nixpkgs"]).arg(mini));
    let checked = checked.assert_exit_code(0);
    let report = checked.json();
    assert_eq!(report["evaluates"], true, "{}", checked.stdout);
    assert_eq!(report["lets_in"][0], "ada with a key", "{}", checked.stdout);
    // Flakes have inputs that are not here.
    for file in files {
        let parsed = in_builder(STORE, &[], "nix-instantiate --parse -E \"$1\"", &[&file]);
        parsed.assert_exit_code(0);
    }
}

/// Nix refuses a second definition of an option in a file.
#[test]
fn recipes_repeat_nothing_that_init_wrote() {
    needs!(engine_ready());
    let pasted = snippets().into_iter().filter(|snippet| {
        let is_file = snippet.starts_with('{');
        !is_file && !snippet.starts_with("# in the file already")
    });
    let (accounts, others): (Vec<String>, Vec<String>) =
        pasted.partition(|recipe| recipe.contains("isNormalUser") || recipe.contains("sudo"));
    assert!(accounts.len() == 2 && others.len() >= 15);
    let user = TestUser::new();
    let (private, _) = key(&user);
    let home = private.parent().unwrap();
    for (name, recipes) in [("root", accounts), ("ada", others)] {
        let mut init = user.sdbuild(&["init", name, "--ssh-key", "key.pub"]);
        if name != "root" {
            init.args(["--user", name]);
        }
        run(&mut init).assert_exit_code(0);
        let written = fs::read_to_string(home.join(name).join("sd-card.nix")).unwrap();
        let start = written.trim_end().strip_suffix('}').unwrap();
        let files = recipes.iter().map(|recipe| format!("({start}{recipe}\n}})\n"));
        let list = format!("[ {} ]", files.collect::<String>());
        in_builder(STORE, &[], "nix-instantiate --parse -E \"$1\"", &[&list]).assert_exit_code(0);
    }
}

#[test]
fn boards_with_a_common_file_evaluate() {
    needs!(engine_ready());
    let user = TestUser::new();
    let files = snippets();
    let file = |text: &str| files.iter().find(|file| file.contains(text)).unwrap();
    user.write("common.nix", file("sd-image-aarch64.nix"));
    for board in ["kitchen", "garage"] {
        let name = format!("{board}.nix");
        let host =
            format!("{{\n  imports = [ ./common.nix ];\n  networking.hostName = \"{board}\";");
        user.write(&name, file(&host));
        let mini = mini_nixpkgs();
        run(user.sdbuild(&["check", &name, "--nixpkgs"]).arg(&mini)).assert_exit_code(0);
    }
    user.write("flake.nix", file("nixosConfigurations.garage"));
    let mut check = user.sdbuild(&["check", ".#garage", "--override-input", "nixpkgs"]);
    run(check.arg(mini_nixpkgs())).assert_exit_code(0);
}
