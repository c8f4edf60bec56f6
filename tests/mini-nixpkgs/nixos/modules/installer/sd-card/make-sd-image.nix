# The disk: partition table, firmware, root file system. Called a second time by callPackage, so that its tools can be
# replaced by `override` as in nixpkgs.
{ cfg, fileName, filePath }:
{ stdenv, dosfstools, mtools, libfaketime, util-linux, zstd, e2fsprogs }:
stdenv.mkDerivation {
  name = fileName;
  nativeBuildInputs = [ dosfstools e2fsprogs libfaketime mtools util-linux ] ++ (if cfg.compressImage then [ zstd ] else [ ]);
  inherit (cfg) compressImage;
  buildCommand = ''
    mkdir -p $out/nix-support $out/sd-image
    result=$out/sd-image/${fileName}
    export img=${if cfg.compressImage then "$PWD/disk.img" else "$result"}
    echo "${stdenv.buildPlatform.system}" >$out/nix-support/system
    echo "file sd-image $result" >$out/nix-support/hydra-build-products

    root_fs=${cfg.rootFilesystemImage}
    ${if cfg.compressImage then ''
      echo "Decompressing rootfs image"
      zstd -d --no-progress $root_fs -o ./root-fs.img
      root_fs=./root-fs.img
    '' else ""}
    ${cfg.preBuildCommands}

    gap=${toString cfg.firmwarePartitionOffset}
    rootSizeBlocks=$(( ($(stat -L -c %s $root_fs) + 511) / 512 ))
    firmwareSizeBlocks=$((${toString cfg.firmwareSize} * 1024 * 1024 / 512))
    truncate -s $((gap * 1024 * 1024 + (firmwareSizeBlocks + rootSizeBlocks) * 512)) $img

    sfdisk --no-reread --no-tell-kernel $img <<EOF
        label: dos
        label-id: ${cfg.firmwarePartitionID}

        start=''${gap}M, size=$firmwareSizeBlocks, type=b
        start=$((gap + ${toString cfg.firmwareSize}))M, type=83, bootable
    EOF

    START=$(((gap + ${toString cfg.firmwareSize}) * 2048))
    dd conv=notrunc bs=1M if=$root_fs of=$img seek=$((START / 2048))

    truncate -s ${toString cfg.firmwareSize}M firmware_part.img
    mkfs.fat --invariant -i ${builtins.substring 2 8 cfg.firmwarePartitionID} -n ${cfg.firmwarePartitionName} firmware_part.img

    mkdir firmware
    ${cfg.populateFirmwareCommands}

    # Names and times of the files must not tell when and by whom the image was made.
    find firmware -exec touch -d '2000-01-01 00:00:00' {} +
    (cd firmware && ls | sort) | while read -r name; do mcopy -spmQ -i firmware_part.img "firmware/$name" ::; done
    fsck.fat -n -V firmware_part.img
    dd conv=notrunc bs=1M seek=$gap if=firmware_part.img of=$img

    ${cfg.postBuildCommands}

    if [ -n "$compressImage" ]; then
      zstd -T$NIX_BUILD_CORES --rm --no-progress $img -o $result
    fi
  '';
  passthru = { inherit filePath; };
}
