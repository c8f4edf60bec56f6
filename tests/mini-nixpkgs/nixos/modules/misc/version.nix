{ config, lib, ... }:
let
  cfg = config.system.nixos;
  inherit (lib) types mkOption;
in
{
  options.system = {
    stateVersion = mkOption { type = types.str; default = lib.trivial.release; description = "The release that the system was first installed with."; };
    nixos = {
      release = mkOption { type = types.str; default = lib.trivial.release; readOnly = true; };
      version = mkOption { type = types.str; default = lib.version; };
      codeName = mkOption { type = types.str; default = "Miniature"; readOnly = true; };
      tags = mkOption { type = types.listOf types.str; default = [ ]; description = "Words in front of the version in the label."; };
      label = mkOption { type = types.strMatching "[a-zA-Z0-9:_.-]*"; default = lib.concatStringsSep "-" (lib.sort (a: b: a < b) cfg.tags ++ [ cfg.version ]); };
    };
  };
  config.environment.etc."os-release".text = ''
    NAME=NixOS
    ID=nixos
    VERSION="${cfg.version} (${cfg.codeName})"
    VERSION_ID="${cfg.release}"
    PRETTY_NAME="NixOS ${cfg.version} (${cfg.codeName})"
  '';
}
