# <nixpkgs/nixos>: a configuration's file → its pkgs, config and options.
{
  configuration ? (let file = builtins.getEnv "NIXOS_CONFIG"; in if file == "" then <nixos-config> else /. + file),
  system ? builtins.currentSystem,
}:
let
  eval = import ./lib/eval-config.nix { inherit system; modules = [ configuration ]; };
in
{
  inherit (eval) pkgs config options;
  system = eval.config.system.build.toplevel;
}
