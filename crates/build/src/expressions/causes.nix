# What of a configuration binary caches cannot have, and where it is. Evaluated when a forecast has much to build.
#
#   evaluation   the configuration: `config`, `options` and `pkgs`
#   system       that of the image
#   followers    the inputs of a flake whose caches have another nixpkgs
{ evaluation, system, followers }:
let
  inherit (evaluation) config options pkgs;
  inherit (pkgs) lib;
  inherit (pkgs.stdenv) buildPlatform hostPlatform;
  # More than any overlay of a configuration changes; a whole nixpkgs in one would take as long as that.
  most = 300;

  attempt = default: value: (result: if result.success then result.value else default) (builtins.tryEval value);
  derivationOf = package: attempt null (if package.type or null == "derivation" then builtins.unsafeDiscardStringContext package.drvPath else null);
  # Of a set of packages for a kernel, that is the kernel.
  changed =
    overlay: name:
    let
      at = builtins.unsafeGetAttrPos name overlay;
      package = attempt null pkgs.${name};
    in
    {
      inherit name;
      file = at.file or null;
      line = at.line or null;
      derivation = attempt null (derivationOf (if package ? kernel then package.kernel else package));
    };
  namesOf = overlay: lib.take most (attempt [ ] (builtins.attrNames overlay));
  overlays = pkgs.overlays or config.nixpkgs.overlays or [ ];
  # Only the names and positions of an overlay are looked at: the values come from `pkgs`.
  packages = lib.concatMap (overlay: (set: map (changed set) (namesOf set)) (overlay pkgs pkgs)) overlays;

  # The files that define an option, without those of nixpkgs, and without the names of what is in no file.
  filesOf = option: builtins.filter (file: lib.hasPrefix "/" file && !lib.hasPrefix "${toString pkgs.path}/" file) (map toString (attempt [ ] (option.files or [ ])));
  nixpkgs = options.nixpkgs or { };
  kernel = attempt null config.boot.kernelPackages.kernel;
in
{
  # The platform that compiles, if it is another one, and the files that say so.
  cross =
    if buildPlatform.system == hostPlatform.system then
      null
    else
      {
        platform = buildPlatform.system;
        files = lib.concatMap filesOf (builtins.filter (option: option.isDefined or false) (map (name: nixpkgs.${name} or { }) [ "buildPlatform" "localSystem" "crossSystem" ]));
      };
  # Whether every package is compiled for another processor than caches are filled for.
  tuned = (hostPlatform.gcc or { }) != ((lib.systems.elaborate system).gcc or { });
  inherit packages followers;
  kernel = if kernel == null then null else { name = kernel.name or "linux"; derivation = derivationOf kernel; files = filesOf (options.boot.kernelPackages or { }); };
  # What this nixpkgs is.
  nixpkgs = attempt "" (lib.version or lib.trivial.version);
}
