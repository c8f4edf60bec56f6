lib: {
  inherit (builtins) attrNames attrValues catAttrs getAttr hasAttr intersectAttrs listToAttrs mapAttrs removeAttrs zipAttrsWith;
  nameValuePair = name: value: { inherit name value; };
  optionalAttrs = condition: set: if condition then set else { };
  genAttrs = names: f: builtins.listToAttrs (map (name: lib.nameValuePair name (f name)) names);
  getAttrs = names: set: lib.genAttrs names (name: set.${name});
  filterAttrs = test: set: builtins.removeAttrs set (builtins.filter (name: !test name set.${name}) (builtins.attrNames set));
  mapAttrs' = f: set: builtins.listToAttrs (lib.mapAttrsToList f set);
  mapAttrsToList = f: set: map (name: f name set.${name}) (builtins.attrNames set);
  attrsToList = lib.mapAttrsToList lib.nameValuePair;
  concatMapAttrs = f: set: lib.mergeAttrsList (lib.mapAttrsToList f set);
  mergeAttrsList = builtins.foldl' (a: b: a // b) { };
  attrByPath =
    path: default: set:
    if path == [ ] then
      set
    else if builtins.isAttrs set && set ? ${builtins.head path} then
      lib.attrByPath (builtins.tail path) default set.${builtins.head path}
    else
      default;
  hasAttrByPath =
    path: set:
    path == [ ]
    || (builtins.isAttrs set && set ? ${builtins.head path} && lib.hasAttrByPath (builtins.tail path) set.${builtins.head path});
  getAttrFromPath = path: set: lib.attrByPath path (throw "cannot find attribute '${lib.concatStringsSep "." path}'") set;
  setAttrByPath = path: value: if path == [ ] then value else { ${builtins.head path} = lib.setAttrByPath (builtins.tail path) value; };
  recursiveUpdate =
    a: b:
    a
    // builtins.mapAttrs (
      name: value: if a ? ${name} && builtins.isAttrs a.${name} && builtins.isAttrs value then lib.recursiveUpdate a.${name} value else value
    ) b;
  foldlAttrs =
    f: z: set:
    builtins.foldl' (acc: name: f acc name set.${name}) z (builtins.attrNames set);
  isDerivation = x: builtins.isAttrs x && x.type or null == "derivation";
  getOutput = output: package: package.${output} or package.out or package;
  getBin = lib.getOutput "bin";
  getLib = lib.getOutput "lib";
  getDev = lib.getOutput "dev";
  getExe = package: lib.getExe' package (package.meta.mainProgram or package.pname or (lib.getName package));
  getExe' = package: program: "${lib.getBin package}/bin/${program}";
}
