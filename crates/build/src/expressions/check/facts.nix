# The settings of a configuration that decide whether the machine boots and its owner can log in. Attributes, in the order
# of evaluation:
#
#   facts   the settings
#   whole   what a build would build, as text, or Nix's error; false where a fact says why it would fail
#
# An option that this nixpkgs does not have is null, never an error. The value of an option is evaluated as in a build, so
# that an error in it is reported with its position. The facts contain no secrets.
{
  # The user's module and the image's system, for scripts.
  configuration ? null,
  system ? null,
  # The configuration, evaluated.
  evaluation ? import <nixpkgs/nixos> { inherit configuration system; },
  # Its image: see image.nix.
  image ? { inherit (evaluation) config; choice = null; missing = null; isCard = true; },
  # What a build would build of it.
  build ? image.derivation.drvPath,
}:
let
  inherit (evaluation) options;
  # Of a flake's derivation there is no configuration, which `evaluation` says.
  inherit (builtins.seq evaluation image) config;

  # Some boot loaders are removed options, whose evaluation throws.
  tryOr = default: value: (r: if r.success then r.value else default) (builtins.tryEval value);
  flat = builtins.replaceStrings [ "\n" ] [ " " ];
  list = set: if builtins.isAttrs set then builtins.attrValues set else set;
  inherit (builtins) any elem filter;

  networking = config.networking;
  # What is off is not evaluated by a build either, and need not be complete.
  ifEnabled = set: if set.enable or false then set else { };
  ssh = ifEnabled (config.services.openssh or { });
  sshSettings = ssh.settings or { };
  # The names before 22.11.
  sshOption = new: old: sshSettings.${new} or ssh.${old} or null;
  # NixOS writes the keys of the configuration to the last one; the others are empty on a new machine.
  ownKeyFiles = [ "%h/.ssh/authorized_keys" "%h/.ssh/authorized_keys2" ".ssh/authorized_keys" ".ssh/authorized_keys2" "/etc/ssh/authorized_keys.d/%u" ];
  # Whether the server reads the file to which NixOS writes them.
  readsKeys = !(ssh ? authorizedKeysFiles) || ssh.authorizedKeysFiles == [ ] || elem "/etc/ssh/authorized_keys.d/%u" ssh.authorizedKeysFiles;
  # NixOS itself writes its options for that to `extraConfig`, among lines of the user.
  ofNixos = [ "AuthorizedKeysFile ${toString (ssh.authorizedKeysFiles or [ ])}" "AuthorizedKeysCommand ${toString (ssh.authorizedKeysCommand or "")}" ];
  isSourceOfKeys = line: builtins.stringLength line < 1000 && !elem line ofNixos && builtins.match "[[:space:]]*(AuthorizedKeysCommand|AuthorizedKeysFile|TrustedUserCAKeys)[[:space:]=].*" line != null;
  # What systemd starts: with `startWhenNeeded` the socket, which starts a server for each connection.
  sshUnit = if ssh.startWhenNeeded or false then "sockets" else "services";
  isSshUnitOff = ssh.enable or false && config.systemd.${sshUnit}.sshd.enable or true == false;
  linesOf = text: filter builtins.isString (builtins.split "\n" text);
  # Keywords, in any case, that decide who logs in and how (`sshd_config(5)`).
  # Before 22.11 NixOS itself wrote some of its options there.
  loginKeywords = "allowgroups|allowusers|authenticationmethods|denygroups|denyusers|match|pubkeyauthentication" + (if ssh ? settings then "|kbdinteractiveauthentication|passwordauthentication|permitrootlogin" else "");
  # `nix.sshServe` writes these.
  isOfSshServe = line: elem line [ "Match User nix-ssh" "Match All" ];
  loginKeyword = line: if builtins.stringLength line < 1000 && !isOfSshServe line then builtins.match "[[:space:]]*(${loginKeywords})[[:space:]=].*" (evaluation.pkgs.lib.toLower line) else null;
  # The files with the server's own keys. A path without quotes is one of the configuration, which NixOS copies to the store.
  hostKeys = map (key: key.path or null) (ssh.hostKeys or [ ]);
  inherit (commands) contains isInStore;
  fileName = path: builtins.unsafeDiscardStringContext (baseNameOf path);
  isOtherHostKey = line: builtins.stringLength line < 1000 && builtins.match "[[:space:]]*hostkey[[:space:]=].*" (evaluation.pkgs.lib.toLower line) != null && !contains "/nix/store/" line;
  words = value: if value == null || builtins.isList value then value else filter builtins.isString (builtins.split " +" value);

  hashes = user: filter (value: value != null) [ (user.hashedPassword or null) (user.initialHashedPassword or null) ];
  # `$`, the name of a method and more, or 13 characters of the oldest one (`crypt(5)`). Hashes of these methods have a known
  # form, so that one which was cut off is found.
  hashForms = {
    "1" = "[^$]*[$].{22}";
    "2a" = "[0-9]{2}[$].{53}";
    "2b" = hashForms."2a";
    "2x" = hashForms."2a";
    "2y" = hashForms."2a";
    "5" = "(rounds=[0-9]+[$])?[^$]*[$].{43}";
    "6" = "(rounds=[0-9]+[$])?[^$]*[$].{86}";
    "7" = "[^$]+[$].{43}";
    gy = hashForms.y;
    y = "[^$]+[$][^$]*[$].{43}";
  };
  isHash =
    text:
    let
      parts = builtins.match "[$]([^$]*)[$](.*)" text;
      form = if parts == null then null else hashForms.${builtins.head parts} or null;
    in
    if form != null then builtins.match form (builtins.elemAt parts 1) != null else builtins.match "[$_].+|[./0-9A-Za-z]{13}" text != null;
  # Deliberately matched by no password.
  isLock = text: text == "x" || builtins.match "[!*].*" text != null;
  # The name of the option that is to have the user's hash, and has another text.
  invalidHash =
    user:
    let
      name = if user.hashedPassword or null != null then "hashedPassword" else "initialHashedPassword";
      hash = user.${name} or null;
      isUsed = passwordFile user == null;
    in
    if isUsed && hash != null && hash != "" && !isLock hash && !isHash hash then name else null;
  passwordFile = user: user.hashedPasswordFile or user.passwordFile or null;
  # NixOS looks for it in whichever directory it runs in.
  isRelative = file: builtins.isString file && builtins.match "/.*" file == null;
  secret =
    user:
    let
      file = passwordFile user;
      first = hashes user;
      clear = filter (value: value != null) [ (user.password or null) (user.initialPassword or null) ];
      hash = builtins.head first;
    in
    if file != null then
      (if isRelative file then "none" else if elem file lateFiles then "late" else "set")
    else if first != [ ] then
      (if hash == "" then "empty" else if isLock hash || !isHash hash then "none" else "set")
    else if clear != [ ] then
      (if builtins.head clear == "" then "empty" else "set")
    else
      "none";
  login = user: {
    inherit (user) name;
    keys = if readsKeys then map toString (user.openssh.authorizedKeys.keys or [ ]) else [ ];
    key_files = if readsKeys then map toString (filter (file: !isPrivateKeyFile file) (keyFilesOf user)) else [ ];
    private_key_files = if readsKeys then map (file: builtins.unsafeDiscardStringContext (baseNameOf (toString file))) (filter isPrivateKeyFile (keyFilesOf user)) else [ ];
    shell = shellOf (user.shell or null);
    password = secret user;
    invalid_hash = invalidHash user;
    # Without the path: people write the hash there, or the password itself.
    has_wrong_file = isRelative (passwordFile user);
    plain_password = if user.password or null != null then "password" else if user.initialPassword or null != null then "initialPassword" else null;
    groups = filter builtins.isString ([ (user.group or null) ] ++ user.extraGroups or [ ] ++ groupsOf user.name);
    unknown_groups = filter isUnknownGroup (user.extraGroups or [ ]);
  };
  keyFilesOf = user: user.openssh.authorizedKeys.keyFiles or [ ];
  # NixOS reads these files too, and reports one that is missing.
  isPrivateKeyFile = file: builtins.pathExists file && contains "PRIVATE KEY-----" (builtins.readFile file);
  # Programs that end every login, which system users have by default. Another path that is not written out is that of a package.
  shellOf =
    shell:
    let
      path = builtins.unsafeDiscardStringContext (if builtins.isString shell then shell else shell.shellPath or "");
    in
    if builtins.match ".*/(nologin|false)" path != null then
      baseNameOf path
    else if builtins.isString shell && !builtins.hasContext shell then
      shell
    else
      null;
  groupsOf = name: map (group: group.name or null) (filter (group: elem name (group.members or [ ])) (list (config.users.groups or { })));
  groups = filter builtins.isString (map (group: group.name or null) (list (config.users.groups or { })));
  isUnknownGroup = name: builtins.isString name && groups != [ ] && !elem name groups;
  # Root, normal users, and users with a password or an SSH key: NixOS has dozens of system users besides.
  isLoginUser = user: (user.enable or true) && (user.name == "root" || user.isNormalUser or false || secret user != "none" || passwordFile user != null || invalidHash user != null || any (name: user.openssh.authorizedKeys.${name} or [ ] != [ ]) [ "keys" "keyFiles" ]);

  # sudo, which is on by default, and its rewrite in Rust, which has the same options.
  sudos = filter (sudo: sudo.enable) [ ({ enable = true; } // security.sudo or { }) ({ enable = false; } // security.sudo-rs or { }) ];
  security = config.security or { };
  asksNothing = command: builtins.isAttrs command && elem "NOPASSWD" (command.options or [ ]);
  free = filter (rule: any asksNothing (rule.commands or [ ])) (builtins.concatMap (sudo: sudo.extraRules or [ ]) sudos);
  freely = key: filter builtins.isString (builtins.concatMap (rule: rule.${key} or [ ]) free);
  freeWheel = any (sudo: !(sudo.wheelNeedsPassword or true)) sudos;
  hasFreeText = sudo: builtins.match ".*NOPASSWD.*" (flat (sudo.extraConfig or "")) != null;

  rangesHold = port: any (range: range.from <= port && port <= range.to);
  admits = wall: port: elem port (wall.allowedTCPPorts or [ ]) || rangesHold port (wall.allowedTCPPortRanges or [ ]);
  wall = ifEnabled (networking.firewall or { });
  admitsSsh = wall: any (admits wall) (ssh.ports or [ 22 ]);
  ofWall = wall.interfaces or { };
  # What programs make, so that a new machine has none of it.
  isOfProgram = name: builtins.match "lo|br-[0-9a-f]{12}|wt[0-9]+|(cali|cni|docker|dummy|flannel|incusbr|kube|lxcbr|lxdbr|nebula|podman|tailscale|tap|tun|utun|vb-|ve-|veth|virbr|vnet|wg|zt).*" name != null;
  membersOf = name: builtins.concatMap (kind: ((networking.${kind} or { }).${name} or { }).interfaces or [ ]) [ "bonds" "bridges" ];
  # The tunnels that the configuration itself makes.
  tunnels =
    (if joinsTailscale then [ (tailscale.interfaceName or "tailscale0") ] else [ ])
    ++ builtins.concatMap (kind: builtins.attrNames ((networking.${kind} or { }).interfaces or { })) [ "wireguard" "wg-quick" ]
    ++ map (device: (device.netdevConfig or { }).Name or null) (list ((config.systemd.network or { }).netdevs or { }));
  isThere = name: if membersOf name != [ ] then any (member: !isOfProgram member) (membersOf name) else !isOfProgram name || elem name tunnels;
  trusted = wall.trustedInterfaces or [ ];
  walls = [ wall ] ++ map (name: ofWall.${name}) (filter isThere (builtins.attrNames ofWall));
  # With a key Tailscale joins its network, and may let users in past the SSH server.
  tailscale = ifEnabled (config.services.tailscale or { });
  joinsTailscale = tailscale.authKeyFile or null != null && !elem tailscale.authKeyFile lateFiles;
  hasTailscaleSsh = joinsTailscale && any (flag: elem flag [ "--ssh" "--ssh=true" ]) (tailscale.extraUpFlags or [ ] ++ tailscale.extraSetFlags or [ ]);
  commands = import ./commands.nix { inherit options; inherit (evaluation) pkgs; };
  # Rules in the words of iptables and nftables.
  hasOwnRules = any commands.isSetByUser [
    (options.networking.firewall.extraInputRules or { })
    (options.networking.firewall.extraCommands or { })
    (options.networking.nftables.ruleset or { })
    (options.networking.nftables.rulesetFile or { })
    (options.networking.nftables.tables or { })
  ] || any (rules: !elem rules [ "" null ]) [ (wall.extraInputRules or "") ((networking.nftables or { }).ruleset or "") ((networking.nftables or { }).rulesetFile or null) ];

  # The options of `networking` without which no interface uses DHCP.
  dhcpOff =
    (if networking.useDHCP or true then [ ] else [ "useDHCP" ])
    ++ (if (networking.dhcpcd or { }).enable or true || networking.useNetworkd or false then [ ] else [ "dhcpcd.enable" ]);
  hasResolved = (config.services.resolved or { }).enable or false;
  hasOwnResolver = (networking.resolvconf or { }).useLocalResolver or false || etc ? "resolv.conf";
  usesDhcp = interface: (interface.useDHCP or null) == true;
  isFixed = interface: (interface.ipv4.addresses or [ ]) != [ ];
  # One with an interface need not be in a network of the machine.
  gatewayAddress = gateway: textOrNull (if builtins.isAttrs gateway && gateway.interface or null == null then gateway.address or null else gateway);
  # A number is one only where nothing checks types.
  textOrNull = value: if builtins.isString value then value else null;
  addressed = interface: usesDhcp interface || isFixed interface || (interface.ipv6.addresses or [ ]) != [ ];
  interfaces = list (networking.interfaces or { });
  wireless = ifEnabled (networking.wireless or { });

  # `ext:NAME` and `@NAME@` are names in a file on the card.
  isNameInFile = text: builtins.match "ext:.*|@.*@" text != null;
  # A nixpkgs that does not check types lets a number pass for a passphrase.
  isOpen = name: builtins.isString (wireless.networks.${name}.psk or null) && !isNameInFile wireless.networks.${name}.psk && oldName name == [ ];
  # Until 24.11 the value of a variable of a file replaced such a text.
  oldName =
    network:
    let
      psk = wireless.networks.${network}.psk or null;
      found = if builtins.isString psk then builtins.match "@([A-Za-z0-9_]+)@" psk else null;
    in
    if found == null then [ ] else [ { inherit network; name = builtins.head found; } ];
  passphrase = network: { inherit network; bytes = builtins.stringLength wireless.networks.${network}.psk; };
  # wpa_supplicant takes what is in quotes for a passphrase.
  isRawKey = text: isNameInFile text || builtins.match "[0-9a-fA-F]{64}|\".*\"" text != null;
  secretsFile = wireless.secretsFile or null;
  # A main file on the machine may name one.
  hasSecrets = secretsFile != null || wireless.allowAuxiliaryImperativeNetworks or false || (wireless.extraConfigFiles or [ ]) != [ ] || contains "ext_password_backend" (wireless.extraConfig or "");
  externalKey = network: (found: if found == null then [ ] else [ { inherit network; name = builtins.head found; } ]) (nameInFile (wireless.networks.${network}.pskRaw or null));
  nameInFile = key: if builtins.isString key then builtins.match "ext:(.+)" key else null;
  hasWrongRawKey = name: builtins.isString (wireless.networks.${name}.pskRaw or null) && !isRawKey wireless.networks.${name}.pskRaw;

  # Listed by name: evaluating all of them would print warnings about renamed options.
  loaders = [ "external" "generic-extlinux-compatible" "grub" "limine" "raspberry-pi" "raspberryPi" "refind" "systemd-boot" ];
  isLoader = name: tryOr false ((config.boot.loader.${name}.enable or false) == true);
  root = config.fileSystems."/" or null;
  # For file systems of the network only those who use them wait.
  mayBeMissing = fs: any (option: elem option [ "nofail" "noauto" "_netdev" "x-systemd.automount" ]) (builtins.concatMap commaSeparated (fs.options or [ ]));
  commaSeparated = text: filter builtins.isString (builtins.split "," text);
  # The first stage of the boot mounts them (nixos/lib/utils.nix).
  isInFirstStage = path: fs: fs.neededForBoot or false || elem path [ "/" "/nix" "/nix/store" "/var" "/var/log" "/var/lib" "/var/lib/nixos" "/etc" "/usr" ];
  # Systemd knows `nofail` there too, the script does not.
  isOfScript = path: fs: isInFirstStage path fs && !((config.boot.initrd or { }).systemd or { }).enable or false;
  fileSystem = name: (fs: let path = fs.mountPoint or name; in rec { inherit path; device = fs.device or null; fs_type = fs.fsType or null; is_early = isOfScript path fs; needed_for_boot = fs.neededForBoot or false; is_needed = is_early || !mayBeMissing fs; }) config.fileSystems.${name};
  sd = config.sdImage or { };
  # An option's default has priority 1500.
  isSet = name: ((options.sdImage or { }).${name}.highestPrio or 1500) < 1500;
  # The names of files in shell commands, and of programs that install files. Longer words are not paths.
  separators = [ "\n" "\t" "\"" "'" ";" ")" ];
  pathsIn = commands: filter (word: builtins.stringLength word < 1000) (words (builtins.replaceStrings separators (map (_: " ") separators) (builtins.unsafeDiscardStringContext commands)));
  fileIn = builtins.match "(.*/)?([^/]+[.](bin|img|itb)|install-[^/]+)";
  # Commands that cannot be evaluated may be any.
  wordsOf = name: tryOr [ "cp" "sfdisk" ] (if sd ? ${name} then (words: builtins.deepSeq words words) (filter (word: word != "") (pathsIn sd.${name})) else [ ]);
  start = import ./start.nix { inherit config options sd isSet commands wordsOf tryOr; };
  filesIn = commands: map (found: builtins.elemAt found 1) (filter (found: found != null) (map fileIn (pathsIn commands)));
  # What cannot be evaluated, such as a package whose licence is refused, is reported by `whole`.
  filesOf = name: tryOr null (if sd ? ${name} then (files: builtins.deepSeq files files) (filesIn sd.${name}) else null);
  onCard = import ./on-card.nix { inherit config options commands wordsOf; };
  lateFiles = if image.isCard then onCard.lateFiles else [ ];
  version = options.system.stateVersion or { };
  etc = config.environment.etc or { };

  broken = filter (a: !a.assertion) (config.assertions or [ ]);
  facts = {
    assertions = map (a: toString a.message) broken;
    warnings = map toString (config.warnings or [ ]);
    image = image.choice;
    inherit (image) missing;
    card = image.isCard;
    disk = if start.isMadeAtStart then null else image.partitions or null;
    container = config.boot.isContainer or false;
    release = config.system.nixos.release or null;
    loaders = filter isLoader loaders;
    root = if root == null then null else { device = root.device or null; fs_type = root.fsType or null; };
    file_systems = map fileSystem (builtins.attrNames config.fileSystems);
    host_name = networking.hostName or null;
    users = map login (filter isLoginUser (list config.users.users));
    # Of a user who does not exist nobody is logged in.
    autologin = (name: if name != null && config.users.users ? ${name} then name else null) ((config.services.getty or { }).autologinUser or null);
    installer = any (file: builtins.match ".*/sd-card/[^/]*-installer[.]nix" (toString file) != null) (((options.installer or { }).cloneConfig or { }).files or [ ]);
    inherit groups;
    ssh = {
      enable = ssh.enable or false;
      by_tailscale = hasTailscaleSsh;
      unit_off = if isSshUnitOff then "systemd.${sshUnit}.sshd.enable" else null;
      ports = ssh.ports or [ 22 ];
      other_port = (port: if builtins.isInt port && !elem port (ssh.ports or [ 22 ]) then port else null) (sshSettings.Port or null);
      root = sshOption "PermitRootLogin" "permitRootLogin";
      passwords = sshOption "PasswordAuthentication" "passwordAuthentication";
      keyboard = sshOption "KbdInteractiveAuthentication" "kbdInteractiveAuthentication";
      keys = sshSettings.PubkeyAuthentication or null;
      allowed = words (sshSettings.AllowUsers or null);
      denied = words (sshSettings.DenyUsers or null);
      allowed_groups = words (sshSettings.AllowGroups or null);
      denied_groups = words (sshSettings.DenyGroups or null);
      addresses = filter builtins.isString (map (listen: listen.addr or null) (ssh.listenAddresses or [ ]));
      other_keys =
        hasTailscaleSsh
        # Raspberry Pi Imager asks for them.
        || (config.services.rpi-preseed or { }).enable or false
        || any (file: !elem file ownKeyFiles) (ssh.authorizedKeysFiles or [ ])
        || !elem (ssh.authorizedKeysCommand or null) [ null "" "none" ]
        || any (name: sshSettings.${name} or null != null) [ "AuthorizedKeysCommand" "AuthorizedKeysFile" "TrustedUserCAKeys" ]
        || any isSourceOfKeys (linesOf (ssh.extraConfig or ""));
      stored_host_keys = map fileName (filter isInStore hostKeys);
      has_other_host_keys = any (key: !isInStore key) hostKeys || any isOtherHostKey (linesOf (ssh.extraConfig or "")) || sshSettings ? HostKey;
      unread =
        (if sshSettings.AuthenticationMethods or null != null then [ "authenticationmethods" ] else [ ])
        ++ builtins.concatMap (line: (found: if found == null then [ ] else found) (loginKeyword line)) (linesOf (ssh.extraConfig or ""));
    };
    firewall = {
      enable = wall.enable or false;
      # The final value, which includes `openFirewall`.
      admitted = filter (port: any (wall: admits wall port) walls) (ssh.ports or [ 22 ]);
      opened_by_ssh = ssh.openFirewall or true;
      trusts = any isThere trusted;
      later = filter (name: name != "lo" && !isThere name) (trusted ++ filter (name: admitsSsh ofWall.${name}) (builtins.attrNames ofWall));
      has_own_rules = wall.enable or false && hasOwnRules;
    };
    network = {
      dhcp_off = dhcpOff;
      interfaces = any addressed interfaces;
      interface_dhcp = any usesDhcp interfaces;
      fixed = filter (name: name != "lo" && isFixed networking.interfaces.${name}) (builtins.attrNames (networking.interfaces or { }));
      gateway_address = gatewayAddress (networking.defaultGateway or null);
      routes = (networking.nat or { }).enable or false || (config.services.hostapd or { }).enable or false;
      gateway =
        !elem (networking.defaultGateway or null) [ null { } ]
        || any (interface: (interface.ipv4.routes or [ ]) != [ ]) interfaces;
      name_server =
        (networking.nameservers or [ ]) != [ ]
        || hasResolved
        || hasOwnResolver;
      # cloud-init gives networkd its networks at the start.
      networkd =
        (config.systemd.network.enable or false) && (config.systemd.network.networks or { }) != { }
        || ((config.services.cloud-init or { }).network or { }).enable or false;
      manager = (networking.networkmanager or { }).enable or false || (config.services.connman or { }).enable or false;
      wireless = wireless.enable or false;
      iwd = ((networking.wireless or { }).iwd or { }).enable or false;
      networks = (networking.wireless or { }).networks or { } != { };
      old_names = if wireless ? secretsFile then builtins.concatMap oldName (builtins.attrNames (wireless.networks or { })) else [ ];
      open_passphrases = map passphrase (filter isOpen (builtins.attrNames (wireless.networks or { })));
      secrets_file = if isInStore secretsFile then "" else if builtins.isString secretsFile then builtins.unsafeDiscardStringContext secretsFile else null;
      keys_without_file = if hasSecrets then [ ] else builtins.concatMap externalKey (builtins.attrNames (wireless.networks or { }));
      wrong_raw_keys = filter hasWrongRawKey (builtins.attrNames (wireless.networks or { }));
    };
    sd = {
      root_label = if start.root_type == null then null else sd.rootVolumeLabel or null;
      root_uuid = sd.rootPartitionUUID or null;
      disk_id = sd.firmwarePartitionID or null;
      firmware_label = sd.firmwarePartitionName or null;
      firmware_mib = sd.firmwareSize or null;
      offset_mib = sd.firmwarePartitionOffset or null;
      # The commands of others' modules are not read: raspberry-pi-nix may have the firmware load the kernel. Who defines them is not
      # asked either, because that evaluates them, and with them the whole system.
      makes_menu = any (file: builtins.match ".*/nixos/modules/installer/sd-card/[^/]*" (toString file) != null) (options.sdImage.populateRootCommands.declarations or [ ]);
      firmware_files = filesOf "populateFirmwareCommands";
      written_files = filesOf "postBuildCommands";
      inherit (start) root_type pi menu_has_tree;
    };
    # Set by the configuration; an option's default has priority 1500.
    state_version = if (version.highestPrio or 100) < 1500 then config.system.stateVersion else null;
    time_zone = (config.time or { }).timeZone or null;
    inherit (import ./locale.nix { inherit config options; }) locale locale_is_built;
    sudo = {
      enable = sudos != [ ];
      option = if (security.sudo-rs or { }).enable or false then "security.sudo-rs" else "security.sudo";
      users = freely "users";
      groups = freely "groups" ++ (if freeWheel then [ "wheel" ] else [ ]);
      # Rules that are not read here, and logins that sudo takes the place of a password from.
      other = any hasFreeText sudos || (security.doas or { }).enable or false || ((security.pam or { }).sshAgentAuth or { }).enable or false;
    };
    stored_secrets = import ./stored-secrets.nix { inherit config commands; };
    upgrades_to_nothing = import ./upgrades.nix { inherit config options commands; };
    inherit (onCard) upgrades_in_memory late_keys serial_services vendor_kernel;
    upgrade_has_channel = (config.system.autoUpgrade or { }).channel or null != null;
  };
in
{
  # An unknown option throws here, not in a fact, where it would be ignored.
  facts = builtins.seq config facts;
  # Not with a failed assertion, which it would only report again.
  whole = if broken == [ ] && image.choice != null then build else false;
}
