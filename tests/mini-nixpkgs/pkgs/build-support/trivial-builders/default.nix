# A function of few arguments, so that the same builders can be made of another system's tools.
{ lib, stdenv, stdenvNoCC, runtimeShell }:
let
  self = {
    runCommand = name: env: command: self.runCommandWith { inherit name; derivationArgs = env; } command;
    runCommandLocal = name: env: self.runCommand name ({ preferLocalBuild = true; allowSubstitutes = false; } // env);
    runCommandNoCC = self.runCommand;
    runCommandCC = self.runCommand;
    runCommandWith =
      { name, stdenv ? stdenvNoCC, runLocal ? false, derivationArgs ? { } }: buildCommand:
      stdenv.mkDerivation ({ inherit name buildCommand; enableParallelBuilding = true; passAsFile = [ "buildCommand" ] ++ derivationArgs.passAsFile or [ ]; } // builtins.removeAttrs derivationArgs [ "passAsFile" ]);

    writeTextFile =
      { name, text, executable ? false, destination ? "", checkPhase ? "", meta ? { }, passthru ? { }, derivationArgs ? { } }:
      self.runCommandLocal name ({ inherit text checkPhase meta passthru; passAsFile = [ "text" ]; } // derivationArgs) ''
        target=$out${lib.escapeShellArg destination}
        ${lib.optionalString (destination != "") ''mkdir -p "''${target%/*}"''}
        cp "$textPath" "$target"
        ${lib.optionalString executable ''chmod +x "$target"''}
        eval "$checkPhase"
      '';
    writeText = name: text: self.writeTextFile { inherit name text; };
    writeTextDir = path: text: self.writeTextFile { name = baseNameOf path; inherit text; destination = "/${path}"; };
    writeScript = name: text: self.writeTextFile { inherit name text; executable = true; };
    writeScriptBin = name: text: self.writeTextFile { inherit name text; executable = true; destination = "/bin/${name}"; meta.mainProgram = name; };
    writeShellScript = name: text: self.writeScript name "#!${runtimeShell}\n${text}";
    writeShellScriptBin = name: text: self.writeScriptBin name "#!${runtimeShell}\n${text}";
    writeShellApplication =
      { name, text, runtimeInputs ? [ ], ... }:
      self.writeShellScriptBin name ''
        set -o errexit -o nounset -o pipefail
        export PATH="${lib.concatMapStringsSep ":" (p: "${lib.getBin p}/bin") runtimeInputs}:$PATH"
        ${text}
      '';
    # As in nixpkgs until 25.11: each argument is a variable of the builder, and its value replaces @NAME@.
    substituteAll =
      { name ? baseNameOf (toString src), src, isExecutable ? false, ... }@args:
      let
        values = builtins.removeAttrs args [ "name" "src" "isExecutable" ];
      in
      self.runCommand name values ''
        text=$(cat ${src})
        for name in ${toString (builtins.attrNames values)}; do
          text=''${text//@$name@/''${!name}}
        done
        printf '%s\n' "$text" >$out
        ${lib.optionalString isExecutable "chmod +x $out"}
      '';
    concatTextFile = { name, files, ... }: self.runCommandLocal name { } "cat ${lib.escapeShellArgs files} >$out";
    concatText = name: files: self.concatTextFile { inherit name files; };

    # busybox' `cp -rs` makes the whole tree of links in one process.
    symlinkJoin =
      { name ? "${pname}-${version}", pname ? "", version ? "", paths, postBuild ? "", ... }@args:
      self.runCommandLocal name (builtins.removeAttrs args [ "name" "pname" "version" "postBuild" ]) ''
        mkdir -p $out
        for path in $paths; do cp -rsf "$path/." $out/; done
        ${postBuild}
      '';
    linkFarm =
      name: entries:
      let
        list = if builtins.isAttrs entries then lib.mapAttrsToList (name: path: { inherit name path; }) entries else entries;
      in
      self.runCommandLocal name { } (''
        mkdir -p $out
        cd $out
      '' + lib.concatMapStrings (e: "mkdir -p ${lib.escapeShellArg (dirOf e.name)}; ln -s ${lib.escapeShellArg "${e.path}"} ${lib.escapeShellArg e.name}\n") list);
    linkFarmFromDrvs = name: drvs: self.linkFarm name (map (drv: { inherit (drv) name; path = drv; }) drvs);
  };
in
self
