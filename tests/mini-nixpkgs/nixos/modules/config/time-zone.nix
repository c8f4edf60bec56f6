{ config, lib, pkgs, ... }:
let
  zone = config.time.timeZone;
  # One file of Debian's 2 MB. A zone that does not exist fails here, by its name.
  file = pkgs.runCommandLocal "zoneinfo" { inherit zone; } ''
    cp -L ${pkgs.tzdata}/share/zoneinfo/$zone $out || { echo "there is no time zone $zone"; exit 1; }
  '';
in
{
  options.time.timeZone = lib.mkOption { type = lib.types.nullOr lib.types.str; default = null; example = "Europe/Berlin"; description = "The time zone; UTC when null."; };
  config.environment.etc = lib.mkIf (zone != null) { localtime.source = file; };
}
