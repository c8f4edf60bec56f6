{ lib, ... }:
{
  options = {
    assertions = lib.mkOption { type = lib.types.listOf lib.types.unspecified; default = [ ]; description = "Conditions that must hold, each with a message."; };
    warnings = lib.mkOption { type = lib.types.listOf lib.types.str; default = [ ]; description = "Messages shown when the system is evaluated."; };
  };
}
