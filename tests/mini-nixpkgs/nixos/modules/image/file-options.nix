# What the finished image is called, for every kind of image.
{ config, lib, ... }:
let
  cfg = config.image;
  inherit (lib) types mkOption;
in
{
  options.image = {
    baseName = mkOption {
      type = types.str;
      default = "nixos-image-${config.system.nixos.label}-${config.nixpkgs.hostPlatform.system}";
      description = "The image's name without its extension.";
    };
    extension = mkOption { type = types.str; description = "What follows the dot."; };
    fileName = mkOption { type = types.str; default = "${cfg.baseName}.${cfg.extension}"; description = "The file's whole name."; };
    filePath = mkOption { type = types.str; default = cfg.fileName; description = "Where the file is in the derivation's output."; };
  };
}
