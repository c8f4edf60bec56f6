# What registers the store paths of an image on its first start, and makes the system its first generation, so that `nixos-rebuild`
# works there: the same commands as in nixpkgs' own sd-image.nix.
#
# The image has the list of `closureInfo` at the path `file`.
{ config, lib }:
let
  nix = config.nix.package or null;
  registers = lib.isDerivation nix && config.nix.enable or true;
in
rec {
  file = "/nix-path-registration";
  commands = ''
    if [ -f ${file} ]; then
      ${lib.optionalString registers ''
        ${lib.getBin nix}/bin/nix-store --load-db <${file}
        touch /etc/NIXOS
        ${lib.getBin nix}/bin/nix-env -p /nix/var/nix/profiles/system --set /run/current-system
      ''}
      rm -f ${file}
    fi
  '';
}
