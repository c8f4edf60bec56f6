# The SD card image of 24.11.
{ config, lib, pkgs, ... }:
let
  inherit (lib) types mkOption;
  cfg = config.sdImage;
  root = import ./root-file-system.nix { inherit pkgs lib cfg; };
  fileName = "${cfg.imageName}${lib.optionalString cfg.compressImage ".zst"}";
in
{
  imports = [ ./card.nix ];

  options.sdImage = {
    imageName = mkOption {
      type = types.str;
      default = "${cfg.imageBaseName}-${config.system.nixos.label}-${pkgs.stdenv.hostPlatform.system}.img";
      description = "The file's name, before it is compressed.";
    };
    imageBaseName = mkOption { type = types.str; default = "nixos-sd-image"; description = "The beginning of the file's name."; };
  };

  config.system.build.sdImage = pkgs.callPackage (import ./make-sd-image.nix {
    cfg = cfg // { rootFilesystemImage = root; preBuildCommands = ""; };
    inherit fileName;
    filePath = "sd-image/${fileName}";
  }) { };
}
