# The module that sdbuild adds to every configuration: the definitions of the command line, the host's name in the name of the
# image, and no or little compression of the image in Nix, which would run under emulation; sdbuild compresses the image itself.
# The configuration takes precedence: priority 1400 is weaker than any definition in a module and stronger than an option's
# default (1500).
#
# Of a variant of an image this module is a part, too: there, and nowhere else, the variant's own options exist.
{ config, options, lib, pkgs, modulesPath, ... }:
let
  format = import ./format.nix;
  weak = lib.mkOverride 1400;
  uncompressed.sdImage.compressImage = weak false;
  # A board that runs from a card has other names for the same file systems, which would contradict those of the card's module.
  card = import ./card.nix;
  renamed = path: isCards: device: lib.optionalAttrs (isCards (config.fileSystems.${path}.device or null)) { fileSystems.${path}.device = lib.mkOverride 49 device; };
  sdCard = lib.mkMerge [ uncompressed (renamed "/" card.isRoot card.root) (renamed "/boot/firmware" card.isFirmware card.firmware) ];
  # Level 19 of the default takes mksquashfs hours under emulation.
  squashfs.squashfsCompression = weak "zstd -Xcompression-level 3";
  ownsSdImage = format.foreignModules == [ ];
  fileOptions = "${modulesPath}/image/file-options.nix";

  # Images of several hosts can be in one directory. A host without a name of its own has NixOS's.
  host = config.networking.hostName;
  isNamed = host != "" && host != config.system.nixos.distroId or "nixos";
  named = value: lib.mkIf isNamed (weak value);
  # The variant that is made natively.
  isNative = format.module != null && options ? image && options.image ? modules;
  hasBaseName = options ? image && options.image ? baseName;
  # The module for ISOs defines a name itself, for every host the same.
  stronglyNamed = value: lib.mkIf isNamed (lib.mkOverride 99 value);
in
{
  # So that a configuration for a card gives images of other formats too: what it sets of `sdImage` has no effect on them, and
  # `image` is there as the module for cards has it.
  imports = [ ./command-line.nix ] ++ lib.optional (!ownsSdImage && builtins.pathExists fileOptions) fileOptions;
  disabledModules = format.foreignModules;
  options = lib.optionalAttrs (!ownsSdImage) {
    sdImage = lib.mkOption { type = lib.types.lazyAttrsOf lib.types.anything; default = { }; visible = false; };
  };
  config = lib.mkMerge [
    (
      if ownsSdImage && options ? sdImage && options.sdImage ? compressImage then
        uncompressed
      # In the variants of an image these options exist only inside the variant.
      else
        lib.optionalAttrs (options ? image && options.image ? modules) { image.modules.sd-card = sdCard; }
    )
    (lib.optionalAttrs hasBaseName {
      image.baseName = (if options ? isoImage then stronglyNamed else named) "nixos-${host}-${config.system.nixos.label}-${pkgs.stdenv.hostPlatform.system}";
    })
    (lib.optionalAttrs isNative { image.modules.${format.variant} = import (./. + "/${format.module}") { inherit config format options; }; })
    (lib.optionalAttrs (options ? isoImage) { isoImage = squashfs; })
    (lib.optionalAttrs (options ? netboot && options.netboot ? squashfsCompression) { netboot = squashfs; })
    # Before 25.05; NixOS adds label and system.
    (lib.optionalAttrs (ownsSdImage && !hasBaseName && options ? sdImage && options.sdImage ? imageBaseName) {
      sdImage.imageBaseName = named "nixos-${host}";
    })
  ];
}
