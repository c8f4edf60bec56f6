# Writes an entry for each generation of the system, and makes that of the system $1 the default. Names of files
# and keys are those of nixpkgs' systemd-boot-builder, which also writes a date and the machine's id, and removes entries of generations
# that are gone.
set -e
grep -q ' /boot ' /proc/mounts || { echo "/boot is not mounted" >&2; exit 1; }

# Places a file of a system in the ESP, unless another generation has it there already.
place() {
  local file name
  file=$(readlink -f "$1")
  name=$(basename "$(dirname "$file")")-$(basename "$file").efi
  [ -e "/boot/EFI/nixos/$name" ] || cp "$file" "/boot/EFI/nixos/$name"
  echo "/EFI/nixos/$name"
}

default=
for link in /nix/var/nix/profiles/system-*-link; do
  number=${link##*/system-}
  number=${number%-link}
  system=$(readlink -f "$link")
  kernel=$(place "$system/kernel")
  initrd=$(place "$system/initrd")
  entry=nixos-generation-$number.conf
  cat >"/boot/loader/entries/$entry" <<END
title NixOS
sort-key nixos
version Generation $number $(cat "$system/nixos-version")
linux $kernel
initrd $initrd
options init=$system/init $(cat "$system/kernel-params")
END
  [ "$system" != "$1" ] || default=$entry
done
[ -n "$default" ] || { echo "$1 is no generation of the system" >&2; exit 1; }
grep -q '^default ' /boot/loader/loader.conf || { echo "loader.conf names no default" >&2; exit 1; }
sed -i "s/^default .*/default $default/" /boot/loader/loader.conf
sync
