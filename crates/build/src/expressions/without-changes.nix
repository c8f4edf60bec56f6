# A module with nixpkgs' packages as binary caches have them: for the system itself, and without what the configuration changes of
# existing packages. What is new in its overlays stays, because the configuration needs it.
#
# The priority is that of a definition that wins over nixpkgs' own one and loses to that of the glue.
{ evaluation, system }:
let
  inherit (evaluation) pkgs;
  inherit (pkgs) lib;
  onlyNew = overlay: final: prev: lib.filterAttrs (name: _: !(prev ? ${name})) (overlay final prev);
  plain = import pkgs.path {
    localSystem = system;
    inherit (pkgs) config;
    overlays = map onlyNew (pkgs.overlays or [ ]);
  };
in
{
  # The glue treats it as nixpkgs' own package set.
  _file = "${toString pkgs.path}/nixos/modules/misc/nixpkgs.nix";
  _module.args.pkgs = lib.mkOverride 70 plain;
}
