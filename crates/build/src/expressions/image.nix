# Which image of a configuration is built: decided once, by what the configuration itself defines, before anything is evaluated that
# could contradict it. An error if it is for another system. Attributes:
#
#   choice       the attribute and who chose it (`ImageChoice` in crates/core/src/image_choice.rs); null if there is no image
#   missing      why there is none, as far as that is known (`MissingImage` in crates/nix/src/check/facts.rs)
#   isCard       whether it is an SD card
#   partitions   those of a disk that sdbuild makes; null of other images
#   config       the configuration with the module of the image
#   isSystem     whether the system is built in place of the image
#   deployment   from a system to what `deploy` builds: the system, or a directory with a link to it and, as far as that is known, one
#                to the files that the image has in its firmware partition
#   derivation   the image or the deployment, or an error
{
  # The system that the image must be for.
  system,
  # The directory of the user's files.
  own,
  # The names of the attribute that the user named.
  named ? [ ],
}:
evaluation:
let
  inherit (builtins) attrNames concatMap concatStringsSep elem filter foldl' head isAttrs isString match stringLength substring tail;
  format = import ./format.nix;
  inherit (evaluation) options;
  inherit (evaluation.config.system) build;
  ofBuild = [ "config" "system" "build" ];
  # Options that were removed throw.
  tryOr = default: value: (r: if r.success then r.value else default) (builtins.tryEval value);
  has = path: set: path == [ ] || isAttrs set && set ? ${head path} && has (tail path) set.${head path};
  get = foldl' (set: name: set.${name});
  firstOf = list: if list == [ ] then null else head list;

  # Priority and value of each definition of `path` in `value`, a definition of what is above it.
  at =
    path: value:
    if !isAttrs value then
      if path == [ ] then [ { priority = 100; inherit value; } ] else [ ]
    else if value._type or null == "if" then
      if value.condition then at path value.content else [ ]
    else if value._type or null == "merge" then
      concatMap (at path) value.contents
    else if value._type or null == "order" then
      at path value.content
    else if value._type or null == "override" then
      map (found: found // { inherit (value) priority; }) (at path value.content)
    else if path == [ ] then
      [ { priority = 100; inherit value; } ]
    else if value ? ${head path} then
      at (tail path) value.${head path}
    else
      [ ];
  # The same of all definitions of `option`, with their files.
  definitionsOf =
    option: path: concatMap (one: map (found: found // { inherit (one) file; }) (at path one.value)) (option.definitionsWithLocations or [ ]);

  # Who defines `system.build.NAME`: the file whose definition counts. One alone is not looked at: it may evaluate the whole system.
  maker =
    name:
    let
      naming = filter (one: isAttrs one.value && one.value ? ${name}) (options.system.build.definitionsWithLocations or [ ]);
      strongest = builtins.sort (one: other: one.priority < other.priority) (tryOr naming (forced (definitionsOf options.system.build [ name ])));
      found = if builtins.length naming < 2 then naming else strongest;
    in
    if naming == [ ] then { chosen_by = "user-module"; file = null; } else shown (toString (head found).file);
  # A file as users know it.
  shown =
    file:
    let
      plain = builtins.unsafeDiscardStringContext file;
      below =
        top:
        let
          dir = builtins.unsafeDiscardStringContext "${toString top}/";
        in
        if substring 0 (stringLength dir) plain == dir then substring (stringLength dir) (-1) plain else null;
      ofNixpkgs = below evaluation.pkgs.path;
      ofStore = match "/nix/store/[^-]*-(.*)" plain;
    in
    if ofNixpkgs == null && below own != null then
      { chosen_by = "user-module"; file = below own; }
    # What is written in flake.nix itself has no name.
    else if match "/.*" plain == null then
      { chosen_by = "user-module"; file = null; }
    else
      { chosen_by = "image-module"; file = if ofNixpkgs != null then ofNixpkgs else if ofStore != null then head ofStore else plain; };

  # The image that a module makes. nixos-generators names its attribute in an option.
  generators = tryOr [ ] (if (options.formatAttr or { }).isDefined or false then [ evaluation.config.formatAttr ] else [ ]);
  made = firstOf (filter (name: build ? ${name}) ([ "sdImage" ] ++ generators ++ [ "image" ]));
  candidate = firstOf (filter (path: tryOr false (has path build)) format.candidates);
  chosen =
    if named != [ ] then
      { path = named; by = { chosen_by = "flag"; file = null; }; }
    else if !format.isDefault then
      if candidate == null then null else { path = ofBuild ++ candidate; by = { chosen_by = "flag"; file = null; }; }
    else if made != null then
      { path = ofBuild ++ [ made ]; by = maker made; }
    else if (obstacle == null || isAdjusted) && candidate != null then
      { path = ofBuild ++ candidate; by = { chosen_by = "sdbuild"; file = null; }; }
    else
      null;

  # What keeps the card of nixpkgs, which `system.build.images` has for every configuration, from being the image of this one.
  card = import ./card.nix // {
    module = "(modulesPath + \"/installer/sd-card/sd-image-aarch64.nix\")";
    fsType = "ext4";
  };
  # Whose owner adds to the variant wants it.
  isAdjusted = builtins.any (one: isAttrs one.value && one.value ? sd-card && !(isOfNixpkgs one.file)) ((options.image or { }).modules.definitionsWithLocations or [ ]);
  isOfNixpkgs = file: toString file == toString ./additions.nix || match ".*/nixos/modules/image/images[.]nix" (toString file) != null;
  # What the strongest definitions say, unless they give way to those of the card.
  ofRoot =
    name:
    let
      all = tryOr [ ] (forced (definitionsOf options.fileSystems [ "/" name ]));
      strongest = foldl' (least: one: if one.priority < least then one.priority else least) 100 all;
    in
    filter (one: one.priority == strongest && isString one.value && !(if name == "device" then card.isRoot one.value else one.value == card.fsType)) all;
  forced = found: builtins.seq (foldl' (rest: one: builtins.seq one.value rest) null found) found;
  root = firstOf (map (one: one // { name = "device"; }) (ofRoot "device") ++ map (one: one // { name = "fsType"; }) (ofRoot "fsType"));
  hasDisko = tryOr false ((evaluation.config.disko or { }).devices.disk or { } != { });
  # An option's default has priority 1500; that of GRUB is on, and the card's module switches off what is weaker than its own definition.
  isOn =
    name:
    tryOr false (
      (evaluation.config.boot.loader.${name}.enable or false) == true
      && (options.boot.loader.${name}.enable.highestPrio or 100) < (if name == "grub" then 1000 else 1500)
    );
  # The boot loaders that the card does not have. Attributes: whether it is there, the option that says so, what people call it, and the
  # module that makes a card with it.
  loaders =
    map (name: { is = isOn name; option = [ "boot" "loader" name "enable" ]; value = "true"; inherit name; module = null; }) [ "systemd-boot" "grub" "limine" "refind" "external" ]
    ++ map (
      name: {
        is = isOn name;
        option = [ "boot" "loader" name "enable" ];
        value = "true";
        name = "that of nixos-raspberrypi";
        module = "nixos-raspberrypi.nixosModules.sd-image";
      }
    ) [ "raspberry-pi" "raspberryPi" ]
    ++ [
      {
        is = options ? raspberry-pi-nix;
        option = [ "raspberry-pi-nix" "board" ];
        value = null;
        name = "that of raspberry-pi-nix";
        module = "raspberry-pi-nix.nixosModules.sd-image";
      }
    ];
  loader = firstOf (filter (one: one.is) loaders);
  module = if loader == null || loader.module == null then card.module else loader.module;
  startsByUefi = loader != null && (loader.name == "systemd-boot" || loader.name == "grub" && (evaluation.config.boot.loader.grub.efiSupport or false));
  # nixpkgs' disk images have a root of this label.
  orDisk = if startsByUefi && root.value == "/dev/disk/by-label/nixos" then ". As a disk with UEFI it is made by --format raw-efi" else "";
  isForBoards = system == "aarch64-linux";
  # Other images that the configuration defines, of which only its owner knows what they are for.
  others = filter (name: match ".*[iI]mage" name != null && (maker name).chosen_by == "user-module") (
    concatMap (one: if isAttrs one.value then attrNames one.value else [ ]) (options.system.build.definitionsWithLocations or [ ])
  );
  orOther = if others == [ ] then "" else ". It also defines ${concatStringsSep ", " (map (name: "config.system.build.${name}") others)}, which can be named after the #";
  # Of two of them, each would install itself.
  isReplaced = loader.module == null && loader.name != "external";
  obstacle =
    if root != null && hasDisko then
      {
        option = [ "disko" "devices" ];
        value = null;
        reason = "its root is ${root.value} of disko";
        cure = "A configuration for a card has ${module} in place of disko's devices. The image of these disks is config.system.build.diskoImages, which is made in a virtual machine and needs a builder with KVM${orOther}";
        add = null;
      }
    else if root != null then
      {
        option = [ "fileSystems" "/" root.name ];
        value = builtins.toJSON root.value;
        reason = if root.name == "device" then "its root is ${root.value}, which no card has" else "its root is of type ${root.value}, and that of a card of type ${card.fsType}";
        cure = if isForBoards then "A configuration for a card has the root of ${module} in its place${orDisk}${orOther}" else "--format names the kind of disk to make${orDisk}${orOther}";
        add = null;
      }
    else if loader != null then
      {
        inherit (loader) option value;
        reason = "its boot loader is ${loader.name}";
        cure =
          if isForBoards then
            "For a card, add ${module} to its modules${if isReplaced then " in its place; for a disk with UEFI, give --format raw-efi" else ""}${orOther}"
          else
            "For a disk with UEFI, give --format raw-efi${orOther}";
        add = if isForBoards then module else null;
        off = isForBoards && isReplaced;
      }
    else
      null;

  # Of what an SD card is made, Nix reports the absence.
  absent =
    if obstacle != null && format.isDefault then
      throw "the configuration makes no image: ${obstacle.reason}. ${obstacle.cure}"
    else if format.variant == null then
      get build (head format.candidates)
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
    evaluation.pkgs.writeTextFile {
      inherit (archive) name;
      destination = "/nix-support/hydra-build-products";
      text = concatStringsSep "" (map line (attrNames archive.members));
    };

  # Known before anything is built. Nix would only refuse it when all that it needs is built.
  withoutMachine =
    image:
    if elem "kvm" (image.requiredSystemFeatures or [ ]) then
      throw "the image ${if format.variant == null then "`${attribute}'" else "variant `${format.variant}'"} is made in a virtual machine with KVM, which a container does not have"
    else
      image;

  # Nothing else of a configuration for another machine matters.
  ownSystem = evaluation.pkgs.stdenv.hostPlatform.system;
  forSystem =
    value:
    let
      systems = [ "aarch64-linux" "x86_64-linux" ];
      cure =
        if elem ownSystem systems then
          "set nixpkgs.hostPlatform = \"${system}\", or build it with --system ${ownSystem}"
        else
          "sdbuild makes images for ${concatStringsSep " and " systems} only";
    in
    if ownSystem == system then
      value
    else
      throw "the configuration is for ${ownSystem}, and the image would be for ${system}: ${cure}";
  image = if chosen == null then absent else get evaluation chosen.path;
  attribute = concatStringsSep "." chosen.path;
  # Of the card that nixpkgs' own module makes; other ones have boot loaders that write these files themselves.
  firmwareOf =
    config:
    let
      commands = config.sdImage.populateFirmwareCommands or "";
      isNixpkgs = file: match ".*/nixos/modules/installer/(sd-card|cd-dvd)/sd-image[^/]*[.]nix" (toString file) != null;
      # The user's commands may depend on the machine that runs them.
      pkgs = if builtins.all isNixpkgs (options.sdImage.populateFirmwareCommands.files or [ ]) then evaluation.pkgs else evaluation.pkgs.sdbuildGlue.users or evaluation.pkgs;
      # Commands that need more than this, such as the image itself, leave the files unknown.
      files = pkgs.runCommand "firmware" { } ''
        mkdir -p $out firmware
        set +e
        (set -e
        ${commands}
        )
        failed=$?
        set -e
        [ $failed != 0 ] || cp -rL firmware/. $out
      '';
    in
    tryOr null (if commands == "" then null else builtins.seq files.drvPath files);
  isVariant = chosen != null && match "config[.]system[.]build[.]images[.].*" attribute != null;
in
forSystem rec {
  isSystem = format.isSystem or false;
  choice =
    if chosen == null then
      null
    else
      { inherit attribute; inherit (chosen.by) chosen_by file; }
      // (if chosen.path == ofBuild ++ [ "image" ] then { path = tryOr null ((evaluation.config.image or { }).filePath or null); } else { })
      // { rpi_preseed = options ? services.rpi-preseed && tryOr false evaluation.config.services.rpi-preseed.enable; };
  missing = if chosen == null && format.isDefault then obstacle else null;
  isCard = chosen != null && elem attribute [ "config.system.build.sdImage" "config.system.build.images.sd-card" ];
  partitions = if isVariant then (image.passthru or { }).partitions or null else null;
  # Options of a variant exist only inside it.
  config = if isVariant then (image.passthru or { }).config or evaluation.config else evaluation.config;
  deployment =
    toplevel:
    let
      ofNixpkgs = isVariant || (choice.chosen_by or null == "image-module" && match "nixos/modules/installer/.*/sd-image[.]nix" choice.file != null);
      firmware = if isCard && ofNixpkgs then firmwareOf config else null;
      links = "mkdir -p $out\nln -s ${toplevel} $out/toplevel\nln -s ${firmware} $out/firmware\n";
    in
    if firmware == null then toplevel else evaluation.pkgs.runCommand "deployment" { } links;
  derivation = if isSystem then deployment config.system.build.toplevel else if named != [ ] || chosen == null then image else if format.members != null then listed image else withoutMachine image;
}
