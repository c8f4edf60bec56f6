# Assembles the image with native tools: the ext4 file system and the disk around it. The contents are built already, so
# they cannot depend on the tools; files, owners, modes, labels and UUIDs are the same as with emulated tools.
{ lib, target, native, changed, retry, unproven }:
let
  inherit (import ./text.nix { inherit lib; }) withoutContext isSuspicious contains;

  isOurs = function: builtins.isPath function && baseNameOf function == "make-ext4-fs.nix" && lib.hasPrefix "${toString target.path}/" (toString function);
  fileSystem =
    function: args:
    let
      commands = lib.optionalAttrs (args ? populateImageCommands) { populateImageCommands = menuNatively args.populateImageCommands; };
    in
    # A later override drops this mark.
    import ./file_system.nix { inherit lib native; } function (args // commands) // { isOrdinary = true; };

  # The program that writes the boot menu comes from the build's package set and is not part of the image. It starts some
  # thirty processes, the slowest part of filling the file system.
  menu = target.path + "/nixos/modules/system/boot/loader/generic-extlinux-compatible/extlinux-conf-builder.nix";
  menuNatively =
    text:
    if makesMenu && areNixpkgs [ "bash" "coreutils" "gnugrep" "gnused" "buildPackages" ] then
      replaced (menuOf target.buildPackages) (menuOf native).outPath text
    else
      text;
  # It takes `pkgs`, in newer nixpkgs also `lib`; with other arguments it is not supported.
  makesMenu = builtins.pathExists menu && menuTakes ? pkgs && lib.all (name: lib.elem name [ "lib" "pkgs" ]) (builtins.attrNames menuTakes);
  menuTakes = builtins.functionArgs (import menu);
  menuOf = pkgs: import menu (builtins.intersectAttrs menuTakes { inherit lib pkgs; });

  # `text` with `new` in place of the path of the derivation `old`, which is no longer a dependency.
  replaced =
    old: new: text:
    let
      context = builtins.removeAttrs (builtins.getContext text) [ (withoutContext old.drvPath) ];
    in
    if mentions old text then
      builtins.appendContext (builtins.replaceStrings [ (withoutContext old.outPath) ] [ (withoutContext new) ] (withoutContext text)) (context // builtins.getContext new)
    else
      text;
  mentions = derivation: contains derivation.outPath;

  tools = {
    inherit (native) stdenv dosfstools e2fsprogs mtools libfaketime zstd util-linux;
    # The name of util-linux until 20.09.
    inherit (native) utillinux;
  };
  # A tool that the user's overlays changed must be used as it is.
  areNixpkgs = names: !lib.any (name: lib.elem name changed) names;
  toolsAreNixpkgs = areNixpkgs (builtins.attrNames tools ++ [ "fakeroot" "lkl" "perl" "rsync" ]);

  # Both steps in one derivation: Nix would scan and keep the file system as an output of its own.
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
  # Nix does not have to scan the image for references to store paths: it contains the whole system, which is kept alive
  # together with the image's root. Supported since Nix 2.17. It requires structured attributes, which are not environment
  # variables, so only an image with nothing but nixpkgs' own attributes (which the commands export) qualifies.
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
  # Not ./root-fs.img: the disk's step unpacks a compressed file system to that name.
  inOneAt = "$NIX_BUILD_TOP/.root-fs/image";
  # Possible when the file system is as nixpkgs makes it and only nixpkgs' own step reads it.
  canBeOne =
    image: root: commands:
    root.isOrdinary or false
    && root ? buildCommand && root ? nativeBuildInputs && image ? buildCommand && image ? overrideAttrs
    && mentions root image.buildCommand && !mentions root commands;
in
{
  # Derivations that the configuration's commands refer to and the image does not need: building them would be emulated
  # and useless.
  unneeded = lib.optional makesMenu (withoutContext (menuOf target.buildPackages).drvPath);

  # Replaces the configuration's callPackage, which nixpkgs' module calls with its function for the file system.
  callPackage =
    function: args:
    let
      slow = target.callPackage function args;
      isFast = toolsAreNixpkgs && isOurs function && unproven.root == [ ] && !isSuspicious (args.populateImageCommands or "");
    in
    if isFast then retry.choose slow (fileSystem function args) else slow;

  # `image`, which nixpkgs' module makes around `root`, with native tools; `commands` are those that the configuration adds.
  disk =
    image: root: commands:
    let
      made = image.override (old: builtins.intersectAttrs old tools);
      isFast = toolsAreNixpkgs && image ? override && unproven.disk == [ ] && !isSuspicious commands;
    in
    if isFast then retry.choose image (if canBeOne made root commands then inOne made root commands else made) else image;
}
