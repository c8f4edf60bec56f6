# Nix on the machine. Unlike nixpkgs', it is off unless it is asked for: it would make every image much larger.
# There is no daemon: only root builds.
{ config, lib, pkgs, ... }:
let
  inherit (lib) types mkOption;
  cfg = config.nix;
  builders = map (n: "nixbld${toString n}") (lib.range 1 4);
  value = v: if lib.isBool v then lib.boolToString v else toString v;
  # Debian's Nix looks for a shell of Debian's outside the store.
  defaults = { sandbox-paths = [ "/bin/sh=${pkgs.bash}/bin/bash" ]; };
  line = name: v: "${name} = ${value v}\n";
in
{
  options.nix = mkOption {
    default = { };
    type = types.submodule {
      freeformType = types.attrsOf types.anything;
      options = {
        enable = mkOption { type = types.bool; default = false; };
        package = mkOption { type = types.package; default = pkgs.nix; };
        settings = mkOption { type = types.attrsOf types.anything; default = { }; };
      };
    };
  };
  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package pkgs.nixos-rebuild pkgs.flock ];
    environment.etc."nix/nix.conf".text = lib.concatMapAttrsStringSep "" line (defaults // cfg.settings);
    users.groups.nixbld.gid = 30000;
    users.users = lib.genAttrs builders (name: { isSystemUser = true; group = "nixbld"; extraGroups = [ "nixbld" ]; });
  };
}
