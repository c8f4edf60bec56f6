  environment.etc = let
    text = import /build/sdbuild/expressions/glue/text.nix { inherit lib; };
    nixos = config._module.args.pkgs;
    at = builtins.replaceStrings [ "@scripts@" ] [ "${./scripts}" ];
    named = n: command: { name = toString n; command = at command; };
    all = lib.imap0 named (builtins.fromJSON (builtins.readFile ./commands.json));
    native = lib.filter (it: !text.isSuspicious it.command) all;
    run = it: "(\n${it.command}\n) >$out/${it.name} 2>/dev/null || true\n";
    script = list: "mkdir $out\n" + lib.concatMapStrings run list;
    parts = who: pkgs: {
      checked = pkgs.writeTextFile { name = "${who}-checked"; text = ""; checkPhase = "uname -m >$target"; };
      joined = pkgs.symlinkJoin { name = "${who}-joined"; paths = [ ]; postBuild = "uname -m >$out/machine"; };
      linked = pkgs.buildEnv { name = "${who}-linked"; paths = [ ]; postBuild = "uname -m >$out/machine"; };
      local = pkgs.runCommandLocal "${who}-local" { } "uname -m >$out";
      custom = pkgs.runCommandWith { name = "${who}-custom"; } "uname -m >$out";
    };
    sources = prefix: lib.mapAttrs' (name: source: { name = "${prefix}-${name}"; value.source = source; });
  in
    sources "user" (parts "user" pkgs // lib.genAttrs [ "initrd-units" "udev-rules" "system-units" ] (name: pkgs.runCommand name { } "uname -m >$out"))
    // sources "nixos" (parts "nixos" nixos)
    // {
      emulated.source = pkgs.runCommand "all-emulated" { } (script all);
      native.source = nixos.runCommand "all-native" { } (script native);
    };
  environment.extraSetup = "v='BASH_VERSINFO[5]'; echo \"\${!v}\" >$out/machine";
  system.extraSystemBuilderCmds = ". ${./scripts}/f4 >$out/machine";
  sdImage.populateRootCommands = "echo \${BASH_VERSINFO[5]} >files/machine";
