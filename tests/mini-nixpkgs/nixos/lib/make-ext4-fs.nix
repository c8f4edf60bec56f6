# An ext4 file system with a store, as one file. Takes what nixpkgs' function of this name takes.
{
  lib,
  stdenv,
  closureInfo,
  e2fsprogs,
  fakeroot,
  zstd,
  storePaths,
  compressImage ? false,
  populateImageCommands ? "",
  volumeLabel,
  uuid ? "44444444-4444-4444-8888-888888888888",
}:
let
  sdClosureInfo = closureInfo { rootPaths = storePaths; };
in
stdenv.mkDerivation {
  name = "ext4-fs.img${lib.optionalString compressImage ".zst"}";
  nativeBuildInputs = [ e2fsprogs fakeroot ] ++ lib.optional compressImage zstd;
  buildCommand = ''
    img=${if compressImage then "temp.img" else "$out"}
    mkdir -p ./files ./rootImage/nix/store
    ${populateImageCommands}

    # Without keeping hard links: a store that has identical files once must give the same image as one that has not.
    cp -RpP $(cat ${sdClosureInfo}/store-paths) ./rootImage/nix/store/
    cp -a ./files/. ./rootImage/
    cp ${sdClosureInfo}/registration ./rootImage/nix-path-registration
    chmod u+w ./rootImage ./rootImage/nix/store
    find ./rootImage -exec touch -h -d @1 {} +

    # A tenth more than what files, directories and inodes take, and room for what the first boot writes. Counted from the
    # files' lengths: what `du` says depends on the builder's own file system, and with it the image would.
    files=$(find ./rootImage -type f -exec stat -c %s {} + | awk '{ n += int(($1 + 4095) / 4096) } END { print n }')
    directories=$(find ./rootImage -type d | wc -l)
    inodes=$(($(find ./rootImage | wc -l) + 4096))
    mib=$(((files + directories + inodes / 16) * 11 / 10 / 256 + 24))
    truncate -s ''${mib}M $img

    # The files become root's; every random number and time that mkfs would take is given.
    export E2FSPROGS_FAKE_TIME=1
    fakeroot mkfs.ext4 -q -b 4096 -L ${volumeLabel} -U ${uuid} -E hash_seed=${uuid} -N $inodes -d ./rootImage $img
    fsck.ext4 -n -f $img

    ${lib.optionalString compressImage "zstd -T$NIX_BUILD_CORES --no-progress temp.img -o $out"}
  '';
}
