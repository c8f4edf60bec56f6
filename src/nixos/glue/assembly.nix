# The image itself by native tools: the ext4 file system and the disk around it. What they put together is finished, so
# nothing in it can see who did that; the same files, owners, modes, labels and UUIDs come out.
{ lib, target, native, changed }:
let
  inherit (import ./text.nix { inherit lib; }) bare dependsOnMachine says;

  toolsFor = import ./tools.nix { inherit lib native; };

  # As packages of several outputs have it.
  withBin = package: package // { bin = package; };

  isOurs = function: builtins.isPath function && baseNameOf function == "make-ext4-fs.nix" && lib.hasPrefix "${toString target.path}/" (toString function);
  fileSystem =
    function: args:
    let
      e2fsprogs = withBin (toolsFor.e2fsprogs (args.uuid or "44444444-4444-4444-8888-888888888888"));
      takes = builtins.functionArgs (import function);
      ours = builtins.intersectAttrs takes { inherit e2fsprogs; fakeroot = withBin toolsFor.fakeroot; };
      commands = lib.optionalAttrs (args ? populateImageCommands) { populateImageCommands = menuNatively args.populateImageCommands; };
      made = native.callPackage function (ours // args // commands);
      linked = made.overrideAttrs (old: lib.optionalAttrs (old ? buildCommand) { buildCommand = copies.linked old.buildCommand; });
    in
    # Whoever changes it afterwards loses the mark.
    linked // { isOrdinary = true; };

  # The program that writes the boot menu comes from the build's package set and is no part of the image: some thirty
  # processes, the slowest part of filling the file system.
  menu = target.path + "/nixos/modules/system/boot/loader/generic-extlinux-compatible/extlinux-conf-builder.nix";
  menuNatively =
    text:
    if makesMenu && areNixpkgs [ "bash" "coreutils" "gnugrep" "gnused" "buildPackages" ] then
      replaced (menuOf target.buildPackages) (menuOf native).outPath text
    else
      text;
  # It takes `pkgs`, and `lib` too in newer nixpkgs; one that takes anything else is not known.
  makesMenu = builtins.pathExists menu && menuTakes ? pkgs && lib.all (name: lib.elem name [ "lib" "pkgs" ]) (builtins.attrNames menuTakes);
  menuTakes = builtins.functionArgs (import menu);
  menuOf = pkgs: import menu (builtins.intersectAttrs menuTakes { inherit lib pkgs; });

  # `text` with `new` for the path of the derivation `old`, which it depends on no more.
  replaced =
    old: new: text:
    let
      context = builtins.removeAttrs (builtins.getContext text) [ (bare old.drvPath) ];
    in
    if mentions old text then
      builtins.appendContext (builtins.replaceStrings [ (bare old.outPath) ] [ (bare new) ] (bare text)) (context // builtins.getContext new)
    else
      text;
  mentions = derivation: says derivation.outPath;

  tools = {
    inherit (native) stdenv dosfstools e2fsprogs mtools libfaketime zstd util-linux;
    # Its name until 20.09.
    inherit (native) utillinux;
  };
  # A tool that the user changed is to be used as they changed it.
  areNixpkgs = names: !lib.any (name: lib.elem name changed) names;
  toolsAreNixpkgs = areNixpkgs (builtins.attrNames tools ++ [ "fakeroot" "lkl" "perl" "rsync" ]);

  # Both steps in one: Nix reads each output and keeps it, and nobody wants the file system by itself.
  inOne =
    image: root: commands:
    image.overrideAttrs (
      old:
      unsearched old
      // {
        nativeBuildInputs = old.nativeBuildInputs or [ ] ++ root.nativeBuildInputs;
        buildCommand = ''
          export name imageName compressImage system stdenv
          mkdir -p "$NIX_BUILD_TOP/.root-fs/build"
          (
            cd "$NIX_BUILD_TOP/.root-fs/build"
            out=${inOneAt}
            NIX_BUILD_TOP=$PWD TMPDIR=$PWD TEMPDIR=$PWD TMP=$PWD TEMP=$PWD
            PATH=${lib.concatMapStrings (tool: "${lib.getBin tool}/bin:") root.nativeBuildInputs}$PATH
            ${root.buildCommand}
          )
          # Not the files, which may be the store's own.
          find "$NIX_BUILD_TOP/.root-fs/build" -type d -exec chmod u+w {} +
          rm -rf "$NIX_BUILD_TOP/.root-fs/build"
          ${copies.moved commands (replaced root inOneAt old.buildCommand)}
        '';
      }
    );
  copies = import ./copies.nix { inherit lib; };
  # Nix need not look for the store's paths in the image: it has all of them, and who holds on to the image's root holds on
  # to the system's as well. Nix knows of it since this version. Structured attributes are not in the environment, so only
  # for an image that has no others than nixpkgs' own; these are there as ever.
  unsearched =
    old:
    let
      known = builtins.compareVersions builtins.nixVersion "2.17" >= 0;
    in
    lib.optionalAttrs (known && lib.all (name: lib.elem name ordinary) (builtins.attrNames old)) {
      __structuredAttrs = true;
      unsafeDiscardReferences.out = true;
    };
  ordinary = [ "name" "imageName" "compressImage" "nativeBuildInputs" "buildCommand" "passthru" "meta" ];
  # A name of our own: the disk's step unpacks a compressed file system to ./root-fs.img.
  inOneAt = "$NIX_BUILD_TOP/.root-fs/image";
  # When the file system is as nixpkgs makes it, and only nixpkgs' own step reads it.
  canBeOne =
    image: root: commands:
    root.isOrdinary or false
    && root ? buildCommand && root ? nativeBuildInputs && image ? buildCommand && image ? overrideAttrs
    && mentions root image.buildCommand && !mentions root commands;
in
{
  # What a configuration's commands name and the image does without: it would be built, emulated, for nothing.
  unneeded = lib.optional makesMenu (bare (menuOf target.buildPackages).drvPath);

  # Stands for the configuration's callPackage, which nixpkgs' module calls with its function for the file system.
  callPackage =
    function: args:
    if toolsAreNixpkgs && isOurs function && !dependsOnMachine (args.populateImageCommands or "") { } then fileSystem function args else target.callPackage function args;

  # `image` as nixpkgs' module makes it around `root`; `commands` is what the configuration adds to its steps.
  disk =
    image: root: commands:
    let
      made = image.override (old: builtins.intersectAttrs old tools);
    in
    if !(toolsAreNixpkgs && image ? override && !dependsOnMachine commands { }) then image
    else if canBeOne made root commands then inOne made root commands
    else made;
}
