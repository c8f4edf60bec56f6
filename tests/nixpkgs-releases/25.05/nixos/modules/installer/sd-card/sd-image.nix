# The SD card image of 25.05.
{ config, lib, pkgs, ... }:
let
  root = import ./root-file-system.nix { inherit pkgs lib; cfg = config.sdImage; };
  fileName = "${config.image.baseName}.${config.image.extension}";
in
{
  imports = [
    ./card.nix
    ../../image/file-options.nix
    (lib.mkRenamedOptionModule [ "sdImage" "imageBaseName" ] [ "image" "baseName" ])
    (lib.mkRenamedOptionModule [ "sdImage" "imageName" ] [ "image" "fileName" ])
  ];

  image.extension = if config.sdImage.compressImage then "img.zst" else "img";
  image.filePath = "sd-image/${config.image.fileName}";
  system.nixos.tags = [ "sd-card" ];
  system.build.image = config.system.build.sdImage;
  system.build.sdImage = pkgs.callPackage (import ./make-sd-image.nix {
    cfg = config.sdImage // { rootFilesystemImage = root; preBuildCommands = ""; };
    inherit fileName;
    inherit (config.image) filePath;
  }) { };
}
