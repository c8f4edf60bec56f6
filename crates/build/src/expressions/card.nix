# The file systems of nixpkgs' SD card, by each of the names under which a running board knows them: `nixos-generate-config` writes
# the UUIDs, which are the same for every card (make-ext4-fs.nix, `firmwarePartitionID`).
let
  anyOf = pattern: device: builtins.isString device && builtins.match pattern device != null;
in
{
  root = "/dev/disk/by-label/NIXOS_SD";
  isRoot = anyOf "/dev/disk/by-label/NIXOS_SD|/dev/disk/by-uuid/44444444-4444-4444-8888-888888888888|/dev/mmcblk[0-9]p2";
  firmware = "/dev/disk/by-label/FIRMWARE";
  isFirmware = anyOf "/dev/disk/by-label/FIRMWARE|/dev/disk/by-uuid/2178-694E|/dev/mmcblk[0-9]p1";
}
