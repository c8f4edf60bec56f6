//! NixOS's containers: systems of their own within the system.

use super::{ready, said_inside};
use crate::support::*;

/// In a builder: what the systems of containers are evaluated with, for every way to define them. `seen` has a line of each module:
/// whose `pkgs` it got, or that it is the one which the glue adds.
const DEFINED: &str = r#"
cat >/tmp/imported.nix <<'NIX'
{ pkgs, ... }: { seen = [ "imported: ${pkgs}" ]; }
NIX
NIX_PATH=nixpkgs=/nixpkgs nix-instantiate --eval --strict --json --expr '
let
  lib = import /nixpkgs/lib;
  changed = import /glue/user_modules.nix {
    inherit lib;
    change = arguments: arguments // { pkgs = "users"; };
    ofContainers = [ { key = "ours"; seen = [ "added" ]; } ];
  };
  # As NixOS has it.
  container = {
    options.config = lib.mkOption { type = lib.types.raw // { merge = _: defs: evaluated (map (def: def.value) defs); }; };
    options.path = lib.mkOption { type = lib.types.str; };
  };
  system = {
    options.seen = lib.mkOption { type = lib.types.listOf lib.types.str; default = [ ]; };
    options.containers = lib.mkOption { type = lib.types.attrsOf (lib.types.submodule container); default = { }; };
  };
  evaluated = modules: (lib.evalModules { specialArgs.pkgs = "images"; modules = [ system ] ++ modules; }).config;
  inner = { pkgs, ... }: { seen = [ "inner: ${pkgs}" ]; };
  web.config = inner;
in
builtins.mapAttrs (_: module: builtins.sort builtins.lessThan (evaluated [ (changed module) ]).containers.web.config.seen) {
  plain = { containers = { inherit web; }; };
  whole = lib.mkIf true { containers = { inherit web; }; };
  function = { lib, ... }: { config = { containers.web = lib.mkIf true web; }; };
  conditions = { config = lib.mkIf true (lib.mkMerge [ { containers = lib.mkForce { web = lib.mkMerge [ web ]; }; } ]); };
  imported = { imports = [ { containers.web.config.imports = [ /tmp/imported.nix ]; } ]; };
  twice = { imports = [ { containers = { inherit web; }; } ]; containers.web.config = lib.mkIf true { seen = [ "more" ]; }; };
  nested = { containers.web.config = { config, ... }: { containers = { inherit web; }; seen = config.containers.web.config.seen; }; };
} // {
  path = (evaluated [ (changed { containers.web.path = "/path"; }) ]).containers.web.path;
  others = (evaluated [ { containers = { inherit web; }; } ]).containers.web.config.seen;
}'
"#;

#[test]
fn containers_are_systems_with_the_glue_and_users_modules() {
    needs!(engine_ready());
    ready();
    let said: serde_json::Value = serde_json::from_str(&said_inside(STORE, DEFINED, &[])).unwrap();
    let expected = serde_json::json!({
        "plain": ["added", "inner: users"],
        "whole": ["added", "inner: users"],
        "function": ["added", "inner: users"],
        "conditions": ["added", "inner: users"],
        "imported": ["added", "imported: users"],
        "twice": ["added", "inner: users", "more"],
        "nested": ["added", "added", "inner: users"],
        "path": "/path",
        "others": ["inner: images"],
    });
    assert_eq!(said, expected);
}
