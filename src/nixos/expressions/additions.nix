# The module that sdbuild adds to every configuration: the definitions of the command line, the host's name in the name of the
# image, and no compression of the image in Nix, which would run under emulation; sdbuild compresses the image itself. The
# configuration takes precedence: priority 1400 is weaker than any definition in a module and stronger than an option's
# default (1500).
{ config, options, lib, pkgs, ... }:
let
  weak = lib.mkOverride 1400;
  uncompressed.sdImage.compressImage = weak false;

  # Images of several hosts can be in one directory. A host without a name of its own has NixOS's.
  host = config.networking.hostName;
  isNamed = host != "" && host != config.system.nixos.distroId or "nixos";
  named = value: lib.mkIf isNamed (weak value);
  hasBaseName = options ? image && options.image ? baseName;
in
{
  imports = [ ./command-line.nix ];
  config = lib.mkMerge [
    (
      if options ? sdImage && options.sdImage ? compressImage then
        uncompressed
      # In the variants of an image these options exist only inside the variant.
      else
        lib.optionalAttrs (options ? image && options.image ? modules) { image.modules.sd-card = uncompressed; }
    )
    (lib.optionalAttrs hasBaseName {
      image.baseName = named "nixos-${host}-${config.system.nixos.label}-${pkgs.stdenv.hostPlatform.system}";
    })
    # Before 25.05; NixOS adds label and system.
    (lib.optionalAttrs (!hasBaseName && options ? sdImage && options.sdImage ? imageBaseName) {
      sdImage.imageBaseName = named "nixos-${host}";
    })
  ];
}
