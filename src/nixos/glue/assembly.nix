# The image itself by native tools: the ext4 file system and the disk around it. What they put together is finished, so
# nothing in it can see who did that; the same files, owners, modes, labels and UUIDs come out.
{ lib, target, native, changed }:
let
  inherit (import ./text.nix { inherit lib; }) dependsOnMachine;

  # ext4 keeps the names of a folder in the order of a hash with a random seed: here it is the file system's own UUID,
  # so that two builds are the same. mke2fs obeys the last -E: one that the caller gives wins.
  reproducible =
    e2fsprogs: seed:
    native.runCommand "e2fsprogs-reproducible" { } ''
      mkdir -p $out/bin
      ln -s ${lib.getBin e2fsprogs}/bin/* $out/bin/
      rm $out/bin/mkfs.ext4
      cat >$out/bin/mkfs.ext4 <<'SCRIPT'
      #!${native.runtimeShell}
      exec ${lib.getBin e2fsprogs}/bin/mkfs.ext4 -E hash_seed=${seed} "$@"
      SCRIPT
      chmod +x $out/bin/mkfs.ext4
    '';

  isOurs = function: builtins.isPath function && baseNameOf function == "make-ext4-fs.nix" && lib.hasPrefix "${toString target.path}/" (toString function);
  fileSystem =
    function: args:
    let
      tools = reproducible native.e2fsprogs (args.uuid or "44444444-4444-4444-8888-888888888888");
      e2fsprogs = tools // { bin = tools; };
    in
    native.callPackage function (lib.optionalAttrs ((builtins.functionArgs (import function)) ? e2fsprogs) { inherit e2fsprogs; } // args);

  tools = {
    inherit (native) stdenv dosfstools e2fsprogs mtools libfaketime zstd util-linux;
    # Its name until 20.09.
    inherit (native) utillinux;
  };
  # A tool that the person changed is to be used as they changed it.
  toolsAreNixpkgs = !lib.any (name: lib.elem name changed) (builtins.attrNames tools ++ [ "fakeroot" "lkl" "perl" "rsync" ]);
in
{
  # Stands for the configuration's callPackage, which nixpkgs' module calls with its function for the file system.
  callPackage =
    function: args:
    if toolsAreNixpkgs && isOurs function && !dependsOnMachine (args.populateImageCommands or "") { } then fileSystem function args else target.callPackage function args;

  # `image` as nixpkgs' module makes it; `commands` is what the configuration adds to its steps.
  disk =
    image: commands:
    if toolsAreNixpkgs && image ? override && !dependsOnMachine commands { } then image.override (old: builtins.intersectAttrs old tools) else image;
}
