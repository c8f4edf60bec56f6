# The image of a configuration: the first of the format's attributes of `config.system.build` that it has.
configuration:
let
  inherit (builtins) attrNames concatStringsSep elem head isAttrs tail;
  format = import ./format.nix;
  inherit (configuration.config.system) build;
  has = path: set: path == [ ] || isAttrs set && set ? ${head path} && has (tail path) set.${head path};
  get = builtins.foldl' (set: name: set.${name}) build;
  # Not one more than needed is looked at: nixpkgs 26.11 warns if `images` is used beside an image of another kind.
  first = paths: if paths == [ ] then null else if has (head paths) build then head paths else first (tail paths);
  found = first format.candidates;

  # Of what an SD card is made, Nix reports the absence.
  missing =
    if format.variant == null then
      get (head format.candidates)
    else if build ? images then
      throw "the configuration has no image variant `${format.variant}'; it has: ${concatStringsSep ", " (attrNames build.images)}"
    else
      throw "the nixpkgs of the configuration has no image variants (system.build.images), of which `${format.variant}' would be one";

  # The list of the files of which sdbuild puts the archive together; what builds it builds them.
  listed =
    variant:
    let
      archive = (import ./members.nix).${format.members} variant.passthru.config;
      line = name: "file member/${name} ${archive.members.${name}}\n";
    in
    configuration.pkgs.writeTextFile {
      inherit (archive) name;
      destination = "/nix-support/hydra-build-products";
      text = concatStringsSep "" (map line (attrNames archive.members));
    };

  # Known before anything is built. Nix would only refuse it when all that it needs is built.
  withoutMachine =
    image:
    if elem "kvm" (image.requiredSystemFeatures or [ ]) then
      throw "the image variant `${format.variant}' is made in a virtual machine with KVM, which a container does not have"
    else
      image;
in
if found == null then missing else if format.members != null then listed (get found) else withoutMachine (get found)
