# A flake as the source: the configuration that its reference names, extended with the module that sdbuild adds, so that
# `specialArgs` and whatever function made it keep their meaning. Evaluated in pure mode.
{
  # The system that the image must be for.
  system,
  # The reference as the user wrote it, without the attribute.
  reference,
  # The flake as messages name it: `the flake ../pi`.
  inWords,
  # The names after `#`.
  attribute,
  # Whether the command line changes the configuration.
  changed,
  # The paths of the inputs that are replaced. If there are any, the locked flake is sdbuild's own, which has the user's as an input.
  overrides,
}@arguments:
let
  inherit (builtins) attrNames attrValues concatMap concatStringsSep elem filter head isAttrs length tail;
  last = list: builtins.elemAt list (length list - 1);
  # What the entry wrote: Nix's metadata of the locked flake, and the builder's system.
  metadata = builtins.fromJSON (builtins.readFile ./flake.json);
  builderSystem = builtins.fromJSON (builtins.readFile ./builder-system.json);
  locked = builtins.getFlake metadata.url;
  # What is replaced is an input of its own in the lock, also where it followed another one.
  isReplaced = path: builtins.isString (builtins.foldl' (at: name: if builtins.isString at then metadata.locks.nodes.${at}.inputs.${name} or null else null) metadata.locks.root ([ "configuration" ] ++ path));
  unused = builtins.filter (path: !isReplaced path) overrides;
  flake =
    if overrides == [ ] then
      locked
    else if unused == [ ] then
      locked.configuration
    else
      throw "--override-input ${concatStringsSep "/" (head unused)} changes nothing, because ${inWords} has no such input";

  configurations = flake.nixosConfigurations or { };
  # Of a flake that makes nothing but one image, that image.
  isOnlyImage = arguments.attribute == [ ] && !isUnnamed && known == [ ] && !isMistyped && length images == 1;
  # An output with nearly the name of the configurations is meant to have some.
  isMistyped = !(flake.outputs ? nixosConfigurations) && builtins.any (name: builtins.match "nixos-?[cC]onfig.*" name != null) (attrNames flake.outputs);
  attribute = if isOnlyImage then head images else arguments.attribute;
  whole = concatStringsSep "." attribute;
  isConfiguration = value: isAttrs value && value ? config && value ? options;
  isDerivation = value: isAttrs value && value.type or null == "derivation";
  get = builtins.foldl' (set: name: set.${name});
  holds = test: path: (builtins.tryEval (test (get flake.outputs path))).value == true;
  isSet = value: isAttrs value && !isConfiguration value && !isDerivation value;
  # The paths in the outputs that go on behind one of `paths`, with a name that `test` accepts.
  behind = test: concatMap (path: if holds isSet path then map (name: path ++ [ name ]) (filter (test path) (attrNames (get flake.outputs path))) else [ ]);
  isSystem = name: builtins.match "[a-z0-9_]+-[a-z]+" name != null;
  isOfImages = name: builtins.match "nixosConfigurations|.*[iI]mages?([-_A-Z0-9].*)?" name != null;
  # Outputs that have no images, and may have thousands of attributes.
  others = [ "apps" "checks" "devShells" "formatter" "homeModules" "hydraJobs" "legacyPackages" "lib" "nixosModules" "overlays" "templates" ];
  # Where configurations and images are looked for: in an output, in a set of it, and in `nixosConfigurations` beside a system's packages.
  tops = map (name: [ name ]) (filter (name: !elem name others) (attrNames flake.outputs));
  sets = behind (path: name: isSystem name || path != [ "packages" ]) tops;
  inner = behind (_: isOfImages) (filter (path: isSystem (last path)) sets);
  nearest = find: builtins.foldl' (found: paths: if found != [ ] then found else ofSystem (find paths)) [ ] [ tops sets inner ];
  # Of those for several systems that of the builder, as for `nix build`.
  ofSystem =
    paths:
    let
      of = name: filter (elem name) paths;
      hasSystem = builtins.any isSystem;
    in
    filter (path: !hasSystem path) paths
    ++ (if of builderSystem != [ ] then of builderSystem else if of system != [ ] then of system else filter hasSystem paths);
  called = name: ofSystem (filter (holds (value: isConfiguration value || isDerivation value)) (behind (_: other: other == name) (tops ++ sets ++ inner)));
  # One that cannot be evaluated counts: the error is that of the user.
  mayBeOne = path: !(builtins.tryEval (get flake.outputs path)).success || holds isConfiguration path;
  known = if isUnnamed then [ ] else nearest (paths: filter mayBeOne (behind (_: _: true) (filter (elem "nixosConfigurations") paths)));
  images = nearest (paths: filter (holds isDerivation) (behind (path: name: builtins.any isOfImages (path ++ [ name ])) paths));
  packages = ofSystem (behind (_: _: true) (filter (path: head path == "packages") sets));
  quoted = name: if builtins.match "[^.]+" name == null then "\"${name}\"" else name;
  argument = path: "${reference}#${concatStringsSep "." (if length path == 2 && head path == "nixosConfigurations" then tail path else map quoted path)}";
  listed = concatStringsSep ", " (map argument known);
  ofFlake = if known == [ ] then "" else ". The configurations of the flake are ${listed}";

  withoutConfiguration =
    if isMistyped then
      "${inWords} has no nixosConfigurations${having "outputs" flake.outputs}"
    else if images != [ ] then
      "${inWords} has only images. Name one of them: ${concatStringsSep ", " (map argument images)}"
    else if flake.outputs ? nixosConfigurations then
      "${inWords} has a nixosConfigurations without a configuration"
    else
      "${inWords} has no nixosConfigurations${having "outputs" flake.outputs}${orPackage}";
  orPackage = if packages == [ ] then "" else ". A package that is an image can be named: ${concatStringsSep ", " (map argument packages)}";
  # What is in `value`, behind what it lacks.
  having =
    kind: value:
    if !isAttrs value then
      ""
    else
      ". It has ${if attrNames value == [ ] then "no ${kind}" else concatStringsSep ", " (attrNames value)}";

  # Without a name of its own, it would have the attributes of a configuration as names.
  isUnnamed = isConfiguration configurations && configurations ? _module;
  unnamed = "${inWords} has a nixosConfigurations that is a configuration itself";

  named =
    if attribute == [ ] then
      if isUnnamed then
        throw unnamed
      else if length known == 1 then
        descend "the flake" flake.outputs (head known)
      else if known == [ ] then
        throw withoutConfiguration
      else
        throw "${inWords} has several configurations. Name one of them: ${listed}"
    else if attribute == [ "nixosConfigurations" ] && known != [ ] then
      throw "${reference}#${whole} is all configurations of ${inWords}. Name one of them: ${listed}"
    else if configurations ? ${whole} then
      descend "nixosConfigurations" configurations [ whole ]
    else if !(flake.outputs ? ${head attribute}) && withPackage != [ ] then
      descend "packages" flake.packages ([ (head withPackage) ] ++ attribute)
    else if !(flake.outputs ? ${head attribute}) && !isUnnamed && called (head attribute) != [ ] then
      if length (called (head attribute)) == 1 then
        descend "the flake" flake.outputs (head (called (head attribute)) ++ tail attribute)
      else
        throw "${inWords} has several outputs called ${head attribute}. Name one of them: ${concatStringsSep ", " (map argument (called (head attribute)))}"
    else if length attribute == 1 && !(flake.outputs ? ${whole}) then
      if isUnnamed then
        throw unnamed
      else if known == [ ] then
        throw withoutConfiguration
      else
        throw "${inWords} has no configuration ${whole}. Its configurations are ${listed}"
    else
      descend "the flake" flake.outputs attribute;

  # The systems that have a package of that name: that of the builder first, as for `nix build`. What cannot be evaluated has none.
  withPackage = filter (
    of: (builtins.tryEval (flake.packages.${of} or { } ? ${head attribute})).value
  ) [ builderSystem system ];

  # Follows `path` from `value`. What is left of it behind a configuration is an attribute of that.
  descend =
    seen: value: path:
    if isConfiguration value then
      { configuration = value; attribute = path; }
    else if path == [ ] then
      if value.type or null == "derivation" then
        { derivation = value; attribute = [ ]; }
      else
        throw "${if attribute == [ ] then argument (head known) else "${reference}#${whole}"} is neither a NixOS configuration nor a derivation"
    else if isAttrs value && value ? ${head path} then
      descend (head path) value.${head path} (tail path)
    else
      throw "${inWords} has no attribute ${whole}, because ${seen} has no ${head path}${having (if seen == "the flake" then "outputs" else "attributes") value}${if seen == "the flake" && known != [ ] then ". Its configurations are ${listed}" else ""}";

  extended =
    modules:
    if !(named ? configuration) then
      throw "${reference}#${whole} is a derivation, not a NixOS configuration: nothing in it can be checked or changed${ofFlake}"
    else if named.configuration ? extendModules then
      (evaluation: evaluation // { pkgs = evaluation.pkgs or evaluation._module.args.pkgs; })
        (named.configuration.extendModules { modules = [ ./additions.nix ] ++ modules; })
    else
      throw "the nixpkgs of ${inWords} is too old: its configurations have no extendModules, which came with 22.05";

  # Whether `path` is what nixpkgs makes of every configuration, and no image of it: otherwise that shows only when it is built.
  isOfSystem =
    path:
    elem path (
      map (name: [ "config" "system" "build" name ]) [ "etc" "initialRamdisk" "kernel" "toplevel" "vm" "vmWithBootLoader" ]
    );
  # How the user named it, without what is behind it.
  pathOfConfiguration = builtins.genList (builtins.elemAt attribute) (length attribute - length named.attribute);
  nameOfConfiguration = concatStringsSep "." (if length pathOfConfiguration > 1 && head pathOfConfiguration == "nixosConfigurations" then tail pathOfConfiguration else pathOfConfiguration);

  # What the flake calls the image of its configuration: `images.NAME`, also for a system.
  imagesOfConfiguration =
    let
      name = last (if attribute == [ ] then head known else pathOfConfiguration);
      tops = map (name: [ name ]) (filter (name: name != "nixosConfigurations" && isOfImages name) (attrNames flake.outputs));
    in
    ofSystem (filter (holds isDerivation) (behind (_: other: other == name) (tops ++ behind (_: isSystem) tops)));

  # The binary caches of its nixConfig, which Nix is told only if the user accepts them.
  nixConfig = (import "${flake}/flake.nix").nixConfig or { };
  words = name: (value: if builtins.isList value then value else builtins.filter (word: builtins.isString word && word != "") (builtins.split "[ \n\t]+" value)) (nixConfig.${name} or [ ]);
  isWord = word: builtins.isString word && builtins.match "[[:alnum:]:/.?&=_%+@~,-]+" word != null;
  setting = name: builtins.filter isWord (words name ++ words "extra-${name}");
  # Only what its keys protect: other kinds of stores, and `?trusted=true`, need no signature. A login would be in messages and logs.
  isCache = word: builtins.match "https?://[^@?]*([?]priority=[0-9]+)?" word != null;
  substituters = builtins.filter isCache (setting "substituters");
  caches = { inherit substituters; trusted-public-keys = if substituters == [ ] then [ ] else setting "trusted-public-keys"; };
in
{
  inherit system;
  machines =
    if isUnnamed then
      throw unnamed
    else if known == [ ] then
      throw withoutConfiguration
    else
      map (path: if length path == 2 && head path == "nixosConfigurations" then tail path else path) known;
  evaluate = extended;
  # Of a derivation, `configuration` is not evaluated.
  imageOf =
    configuration:
    let
      image = import ./image.nix { inherit system; own = flake.sourceInfo.outPath; named = named.attribute; } configuration;
      # A configuration that defines no image may have one beside it, to which the flake adds the modules of the image.
      format = import ./format.nix;
      ofSystem = format.isSystem or false;
      hasNone = image.choice.chosen_by or "sdbuild" == "sdbuild" && named.attribute == [ ] && format.variant == null && !ofSystem;
      ownImages = if hasNone then imagesOfConfiguration else [ ];
      ownImage = concatStringsSep "." (head ownImages);
      fullName = "${reference}#nixosConfigurations.${quoted (last (if attribute == [ ] then head known else pathOfConfiguration))}";
      configured = argument (if attribute == [ ] then head known else pathOfConfiguration);
    in
    if isOfSystem named.attribute then
      throw "${reference}#${whole} is not an image of the configuration ${reference}#${nameOfConfiguration}"
    else if ofSystem && !(named ? configuration) then
      throw "${reference}#${whole} is not a NixOS configuration, so it has no system${ofFlake}"
    else if named.attribute != [ ] && format.variant != null then
      throw "${reference}#${whole} is already an image: leave out --format, or name the configuration alone"
    else if named ? derivation && !changed then
      { choice = { attribute = whole; chosen_by = if isOnlyImage then "flake" else "flag"; file = null; }; inherit (named) derivation; }
    else if length ownImages == 1 && changed then
      throw "the image of ${configured} is ${ownImage} of the flake, a derivation, which no option changes: leave the options out that change the configuration, or write them into the flake"
    else if length ownImages == 1 then
      image
      // {
        choice = { attribute = ownImage; chosen_by = "flake"; file = null; };
        missing = null;
        isCard = false;
        inherit (configuration) config;
        beside = if head (arguments.attribute ++ [ null ]) == "nixosConfigurations" then null else fullName;
        derivation = get flake.outputs (head ownImages);
      }
    else
      image;
  # Pure evaluation does not know the builder's system. Another attribute than the usual one is not known to the glue. What is not a
  # configuration is marked for sdbuild (`crates/nix/src/reports.rs`), with the first configuration there is, if any.
  builder = {
    inherit builderSystem;
    asItIs =
      if !(named ? configuration) then
        "as-it-is: ${if known == [ ] then "" else argument (head known)}: ${reference}#${whole} is not a configuration${ofFlake}"
      else if elem named.attribute [ [ ] [ "config" "system" "build" "sdImage" ] ] then
        null
      else
        "what is named after the # is built as it is";
  };

  # The inputs with a function of their own for configurations, which their modules need. Only those that people report this of are
  # looked at: this is evaluated after an error, and would fetch each input, and fail with another error where that is impossible.
  makers =
    let
      inputs = flake.inputs or { };
      nodes = metadata.locks.nodes;
      root = nodes.${metadata.locks.root}.inputs or { };
      nodeOf = name: (if overrides == [ ] then root else nodes.${root.configuration}.inputs or { }).${name} or null;
      urlOf = node: if builtins.isString node then toString (attrValues (nodes.${node}.locked or { })) else "";
      isMaker = name: builtins.match ".*nixos-raspberrypi.*" (urlOf (nodeOf name)) != null && inputs.${name} ? lib.nixosSystem;
    in
    map (name: "${name}=${inputs.${name}.outPath}=nixosSystem") (builtins.filter isMaker (attrNames inputs));

  # The inputs with binary caches that are filled with another nixpkgs than they get here.
  followers =
    let
      inputs = flake.inputs or { };
      read = input: file: default: if builtins.pathExists "${input}/${file}" then "${input}/${file}" else default;
      hasCaches = input: (config: config ? extra-substituters || config ? substituters) ((import (read input "flake.nix" (builtins.toFile "none.nix" "{ }"))).nixConfig or { });
      lockOf = input: builtins.fromJSON (builtins.readFile (read input "flake.lock" (builtins.toFile "none.json" "{ }")));
      ownNixpkgs = lock: lock.nodes.${lock.nodes.${lock.root}.inputs.nixpkgs}.locked.narHash or null;
      isFollower =
        name:
        let
          input = inputs.${name};
          own = ownNixpkgs (lockOf input);
          found = hasCaches input && own != null && own != input.inputs.nixpkgs.narHash or own;
        in
        (builtins.tryEval found).value;
    in
    map (name: { inherit name; dir = toString inputs.${name}.outPath; }) (builtins.filter isFollower (attrNames inputs));

  # What sdbuild is told about the flake.
  report = {
    source = toString flake.sourceInfo.outPath;
    expressions = toString ./.;
    # Not of the flake itself: its outputs may have such names.
    inherit (flake.sourceInfo) narHash;
    revision = flake.sourceInfo.rev or null;
    lock = if builtins.pathExists "${flake}/flake.lock" then builtins.hashFile "sha256" "${flake}/flake.lock" else null;
    inherit caches;
  };
  # The lines of NIX_CONFIG with its caches.
  settings = concatStringsSep "\n" (map (name: "extra-${name} = ${concatStringsSep " " caches.${name}}") (attrNames caches));
}
