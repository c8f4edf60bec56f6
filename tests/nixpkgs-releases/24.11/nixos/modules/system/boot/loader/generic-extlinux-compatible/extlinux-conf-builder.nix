# Writes the boot menu, made by the builder that 25.05 replaced by replaceVarsWith.
{ pkgs, ... }:
pkgs.substituteAll {
  src = ./extlinux-conf-builder.sh;
  isExecutable = true;
  inherit (pkgs) bash;
}
