{ lib, ... }:
let
  inherit (lib) types mkOption;
in
{
  options = {
    assertions = mkOption { type = types.listOf types.unspecified; default = [ ]; description = "Conditions that must hold, each with a message."; };
    warnings = mkOption { type = types.listOf types.str; default = [ ]; description = "Messages shown when the system is evaluated."; };
  };
}
