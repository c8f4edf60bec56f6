//! The repository's own `flake.nix`, evaluated by the builder's Nix over a nixpkgs that records what it is asked for.

use std::fs;
use std::process::Command;

use crate::support::*;

/// A nixpkgs whose packages are their arguments.
const NIXPKGS: &str = r#"{
  outputs = { self }: let
    lib = {
      genAttrs = names: make: builtins.listToAttrs (map (name: { inherit name; value = make name; }) names);
      importTOML = file: builtins.fromTOML (builtins.readFile file);
      optionalString = condition: text: if condition then text else "";
      licenses = { mit = "MIT"; asl20 = "Apache-2.0"; };
      platforms.linux = [ "x86_64-linux" "aarch64-linux" ];
    };
    overridable = args: args // { overrideAttrs = more: overridable (args // more); };
    packages = system: rec {
      inherit lib;
      stdenv = { hostPlatform.system = system; buildPlatform.canExecute = _: true; };
      rustPlatform.buildRustPackage = overridable;
      installShellFiles = "installShellFiles";
      callPackage = file: more: import file ({ inherit lib stdenv rustPlatform installShellFiles; } // more);
      mkShell = args: args;
      clippy = 1; rustfmt = 1; cargo-nextest = 1; shellcheck = 1; jq = 1; nixfmt = "nixfmt";
    };
  in {
    inherit lib;
    legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] packages;
  };
}
"#;

const EVALUATE: &str = r"
  nix --extra-experimental-features 'nix-command flakes' eval --json --no-write-lock-file --no-use-registries \
    path:/tool/user#outputs
";

/// A flake that uses it: what its outputs are for each system.
const USER: &str = r#"{
  inputs.flake.url = "path:/tool/flake";
  inputs.flake.inputs.nixpkgs.url = "path:/tool/nixpkgs";
  outputs = { flake, self }: let of = system: {
  inherit (flake.packages.${system}.default) pname version doCheck;
  same = flake.packages.${system}.sdbuild.version;
  crates = builtins.length (builtins.fromTOML (builtins.readFile flake.packages.${system}.default.cargoLock.lockFile)).package > 100;
  program = flake.packages.${system}.default.meta.mainProgram;
  tested = flake.checks.${system}.sdbuild.doCheck;
  shell = builtins.length flake.devShells.${system}.default.packages > 3;
  formatter = flake.formatter.${system};
  }; in { outputs = [ (of "x86_64-linux") (of "aarch64-linux") ]; };
}
"#;

#[test]
fn flake_of_the_tool_evaluates() {
    needs!(engine_ready());
    let user = TestUser::new();
    user.write("sd-card.nix", &product(&fresh(SMALL_IMAGE)));
    // Loads the builder's image.
    run(&mut user.build(&["--force"])).assert_exit_code(0);
    let dir = tempfile::tempdir().unwrap();
    for (part, text) in [("flake", ""), ("nixpkgs", NIXPKGS), ("user", USER)] {
        fs::create_dir(dir.path().join(part)).unwrap();
        fs::write(dir.path().join(part).join("flake.nix"), text).unwrap();
    }
    let mut copy = Command::new("cp");
    copy.args(["-r", "--parents", "flake.nix", "packaging/nix", "Cargo.toml", "Cargo.lock"]);
    copy.arg(dir.path().join("flake")).current_dir(root());
    run(&mut copy).assert_exit_code(0);
    run(Command::new("chmod").args(["-R", "a+rX"]).arg(dir.path())).assert_exit_code(0);

    let volume = format!("{}:/tool:ro", dir.path().display());
    let outcome = in_builder(STORE, &[&volume], EVALUATE, &[]).assert_exit_code(0);
    let outputs = outcome.json();
    let version = env!("CARGO_PKG_VERSION");
    let expected = serde_json::json!({
        "pname": "sdbuild", "version": version, "same": version, "doCheck": false, "crates": true,
        "program": "sdbuild", "tested": true, "shell": true, "formatter": "nixfmt",
    });
    assert_eq!(outputs, serde_json::json!([expected, expected]));
}
