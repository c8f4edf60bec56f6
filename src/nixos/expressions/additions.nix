# The module that sdbuild adds to every configuration: the definitions of the command line, and no compression of the image in
# Nix, which would run under emulation; sdbuild compresses the image itself. The configuration takes precedence: priority 1400
# is weaker than any definition in a module and stronger than an option's default (1500).
{ options, lib, ... }:
let
  uncompressed.sdImage.compressImage = lib.mkOverride 1400 false;
in
{
  imports = [ ./command-line.nix ];
  config =
    if options ? sdImage && options.sdImage ? compressImage then
      uncompressed
    # In the variants of an image these options exist only inside the variant.
    else
      lib.optionalAttrs (options ? image && options.image ? modules) { image.modules.sd-card = uncompressed; };
}
