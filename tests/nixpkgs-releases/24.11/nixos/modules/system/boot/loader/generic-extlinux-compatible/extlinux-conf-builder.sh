#!@bash@/bin/bash
# Writes the boot menu: -c SYSTEM -d DIRECTORY -t TENTHS [-r], as in the miniature.
set -e
own_tree=
while [ $# -gt 0 ]; do
  case $1 in
    -c) system=$2 ;;
    -d) target=$2 ;;
    -t) timeout=$2 ;;
    -r) own_tree=1; shift; continue ;;
  esac
  shift 2
done
mkdir -p "$target/nixos" "$target/extlinux"
put() {
  local path name
  path=$(readlink -f "$1")
  name=${path#/nix/store/}
  name=${name//\//-}
  cp -r "$path" "$target/nixos/$name"
  echo "../nixos/$name"
}
kernel=$(put "$system/kernel")
initrd=$(put "$system/initrd")
cat >"$target/extlinux/extlinux.conf" <<CONF
DEFAULT nixos-default
MENU TITLE ------------------------------------------------------------
TIMEOUT $timeout
LABEL nixos-default
  MENU LABEL NixOS - Default
  LINUX $kernel
  INITRD $initrd
  APPEND init=$(readlink -f "$system")/init $(cat "$system/kernel-params")
CONF
if [ -z "$own_tree" ] && [ -d "$system/dtbs" ]; then
  echo "  FDTDIR $(put "$system/dtbs")" >>"$target/extlinux/extlinux.conf"
fi
