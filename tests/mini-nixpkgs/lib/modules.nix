# The evaluator of modules: declarations and definitions in, one checked `config` out.
lib:
let
  structure = [ "_class" "_file" "key" "disabledModules" "imports" "options" "config" "meta" "freeformType" ];

  # What every evaluation has beside its own options.
  ground = {
    _file = toString ./modules.nix;
    options._module = {
      args = lib.mkOption { type = lib.types.lazyAttrsOf lib.types.raw; default = { }; };
      check = lib.mkOption { type = lib.types.bool; default = true; };
      freeformType = lib.mkOption { type = lib.types.nullOr lib.types.raw; default = null; };
    };
  };

  unsupported =
    file: names:
    throw "Module `${file}' has an unsupported attribute `${builtins.head names}'. This is caused by introducing a top-level `config' or `options' attribute. Add configuration attributes immediately on the top level instead, or move all of them (namely: ${builtins.concatStringsSep " " names}) into the explicit `config' attribute.";

  # An attribute set in either of its two forms → one form.
  normalise =
    file: key: m:
    let
      explicit = m ? config || m ? options;
      foreign = builtins.attrNames (builtins.removeAttrs m structure);
      plain = if m ? _type then m else builtins.removeAttrs m structure;
      written = if explicit then m.config or { } else plain;
      free = if m ? freeformType then [ { _module.freeformType = m.freeformType; } ] else [ ];
    in
    if explicit && foreign != [ ] then
      unsupported file foreign
    else
      {
        file = toString (m._file or file);
        key = toString (m.key or key);
        imports = m.imports or [ ];
        disabled = m.disabledModules or [ ];
        options = m.options or { };
        config = [ written ] ++ free;
      };

  apply =
    args: moduleArgs: file: f:
    let
      context = name: builtins.addErrorContext "while evaluating the module argument `${name}' in \"${file}\":";
      asked = builtins.mapAttrs (name: _: context name (args.${name} or moduleArgs.${name})) (lib.functionArgs f);
    in
    f (args // asked);

  load =
    args: moduleArgs: file: key: module:
    let
      isFile = builtins.isPath module || builtins.isString module || (builtins.isAttrs module && module ? outPath && !(module ? _type));
      again = load args moduleArgs;
    in
    if isFile then
      again (toString module) (toString module) (import module)
    else if lib.isFunction module then
      again file key (apply args moduleArgs file module)
    else if builtins.isAttrs module then
      normalise file key module
    else
      throw "Module `${file}' is neither a path, a function nor an attribute set, but a ${builtins.typeOf module}.";

  # All modules with what they import, each key once; without those that are disabled, and what only they import.
  collect =
    args: moduleArgs: modules:
    let
      children = file: key: lib.imap1 (i: load args moduleArgs file "${key}:anon-${toString i}");
      closure =
        keep:
        builtins.genericClosure {
          startSet = keep (children "<unknown-file>" "" modules);
          operator = m: keep (children m.file m.key m.imports);
        };
      all = closure (found: found);
      disabled = builtins.concatMap (m: map (disabledKey args) m.disabled) all;
    in
    if disabled == [ ] then all else closure (builtins.filter (m: !builtins.elem m.key disabled));
  disabledKey =
    args: m: if builtins.isString m && !lib.hasPrefix "/" m then "${toString args.modulesPath}/${m}" else toString (m.key or m);

  notASet =
    prefix: def:
    throw "The option path `${lib.showOption prefix}' is an attribute set of options, but it's defined to not be an attribute set in `${def.file}'. Did you define its value at the correct and complete path?";

  # Definitions at one level → by name, wrappers pushed down.
  definitionsByName =
    prefix: defs:
    let
      split = def: map (v: if builtins.isAttrs v then builtins.mapAttrs (_: value: { inherit (def) file; inherit value; }) v else notASet prefix def) (lib.pushDown def.value);
    in
    builtins.zipAttrsWith (_: found: found) (builtins.concatMap split defs);

  # One level of the tree of options, and what was defined without having been declared.
  level =
    prefix: decls: defs:
    let
      declared = builtins.zipAttrsWith (_: found: found) (map (d: builtins.mapAttrs (_: options: { inherit (d) file; inherit options; }) d.options) decls);
      defined = definitionsByName prefix defs;
      nodes = builtins.mapAttrs (name: found: node (prefix ++ [ name ]) found (defined.${name} or [ ])) declared;
      stray = builtins.removeAttrs defined (builtins.attrNames declared);
    in
    {
      options = builtins.mapAttrs (_: n: n.options) nodes;
      unmatched =
        builtins.concatLists (lib.mapAttrsToList (name: map (def: def // { path = prefix ++ [ name ]; })) stray)
        ++ builtins.concatMap (n: n.unmatched) (builtins.attrValues nodes);
    };
  node =
    loc: decls: defs:
    let
      parts = builtins.partition (d: lib.isOption d.options) decls;
      files = ds: lib.showFiles (map (d: d.file) ds);
    in
    if parts.right == [ ] then
      level loc decls defs
    else if parts.wrong != [ ] then
      throw "The option `${lib.showOption loc}' in ${files parts.right} is a prefix of options in ${files parts.wrong}."
    else if builtins.length decls > 1 then
      throw "The option `${lib.showOption loc}' in `${(builtins.elemAt decls 1).file}' is already declared in `${(builtins.head decls).file}'."
    else
      { options = option loc (builtins.head decls) defs; unmatched = [ ]; };

  option =
    loc: decl: defs:
    let
      opt = decl.options;
      type = opt.type or lib.types.unspecified;
      byDefault = lib.optional (opt ? default) { inherit (decl) file; value = lib.mkOptionDefault opt.default; };
      merged =
        if opt.readOnly or false && builtins.length defs > 1 then
          throw "The option `${lib.showOption loc}' is read-only, but it's set multiple times. Definition values:${lib.showDefs defs}"
        else
          lib.mergeDefinitions loc type (defs ++ byDefault);
    in
    opt
    // {
      inherit loc type;
      inherit (merged) isDefined;
      value = (opt.apply or lib.id) merged.value;
      declarations = [ decl.file ];
      definitions = map (def: def.value) merged.defs;
      definitionsWithLocations = map (def: { inherit (def) file value; }) merged.defs;
      files = map (def: def.file) merged.defs;
      highestPrio = builtins.foldl' (least: def: lib.min least def.priority) 9999 merged.defs;
      __toString = _: lib.showOption loc;
    };

  valuesOf = builtins.mapAttrs (_: o: if lib.isOption o then o.value else valuesOf o);

  doesNotExist =
    options: def:
    let
      parent = lib.init def.path;
      siblings = lib.remove "_module" (builtins.attrNames (lib.attrByPath parent { } options));
      near = builtins.filter (name: isSlip name (lib.last def.path)) siblings;
      meant = builtins.concatStringsSep "' or `" (map (name: lib.showOption (parent ++ [ name ])) near);
    in
    "The option `${lib.showOption def.path}' does not exist. Definition values:${lib.showDefs [ def ]}"
    + lib.optionalString (near != [ ]) "\n\nDid you mean `${meant}'?";

  # Whether the names differ by one letter that is wrong, missing or too much, or by two that are exchanged.
  isSlip =
    a: b:
    let
      size = builtins.stringLength;
      from = builtins.substring;
      same = n: n < lib.min (size a) (size b) && from n 1 a == from n 1 b;
      common = lib.findFirst (n: !same n) 0 (lib.range 0 (size a));
      rest = skip: from (common + skip) (-1);
    in
    rest 1 a == rest 1 b
    || rest 1 a == rest 0 b
    || rest 0 a == rest 1 b
    || (rest 2 a == rest 2 b && from common 1 a == from (common + 1) 1 b && from common 1 b == from (common + 1) 1 a);
in
{
  # The definitions of one option (wrappers still on) → its value.
  mergeDefinitions =
    loc: type: wrapped:
    let
      defs = lib.strongest (builtins.concatMap lib.unwrap wrapped);
      wrong = builtins.filter (def: !type.check def.value) defs;
      isDefined = defs != [ ];
    in
    {
      inherit defs;
      isDefined = isDefined || type ? emptyValue;
      value =
        if wrong != [ ] then
          throw "A definition for option `${lib.showOption loc}' is not of type `${type.description}'. Definition values:${lib.showDefs wrong}"
        else if isDefined then
          type.merge loc defs
        else
          type.emptyValue or (throw "The option `${lib.showOption loc}' was accessed but has no value defined. Try setting the option.");
    };

  evalModules =
    { modules, specialArgs ? { }, prefix ? [ ], class ? null, ... }@evalArgs:
    let
      args = { inherit lib config options extendModules; specialArgs = specialArgs; } // specialArgs;
      loaded = collect args config._module.args ([ ground ] ++ modules);
      tree = level prefix (map (m: { inherit (m) file options; }) loaded) (builtins.concatMap (m: map (value: { inherit (m) file; inherit value; }) m.config) loaded);
      options = tree.options;
      declared = valuesOf options;
      free = declared._module.freeformType;
      below = def: lib.setAttrByPath (lib.drop (builtins.length prefix) def.path) def.value;
      undeclared = (lib.mergeDefinitions prefix free (map (def: { inherit (def) file; value = below def; }) tree.unmatched)).value;
      config = if free == null || tree.unmatched == [ ] then declared else lib.recursiveUpdate undeclared declared;
      checked =
        if declared._module.check && free == null && tree.unmatched != [ ] then
          throw (doesNotExist options (builtins.head tree.unmatched))
        else
          lib.id;
      extendModules =
        { modules ? [ ], specialArgs ? { }, prefix ? evalArgs.prefix or [ ] }:
        lib.evalModules (evalArgs // { inherit prefix; modules = evalArgs.modules ++ modules; specialArgs = evalArgs.specialArgs or { } // specialArgs; });
    in
    {
      _type = "configuration";
      inherit class;
      options = checked options;
      config = checked (builtins.removeAttrs config [ "_module" ]);
      _module = checked config._module;
      inherit extendModules;
    };

  # An old name that goes on working, with a warning that names the new one.
  mkRenamedOptionModule =
    from: to:
    { config, options, ... }:
    let
      old = lib.getAttrFromPath from options;
    in
    {
      options = lib.setAttrByPath from (lib.mkOption { type = lib.types.unspecified; visible = false; description = "Alias of `${lib.showOption to}`."; apply = _: lib.getAttrFromPath to config; });
      config = lib.mkMerge [
        { warnings = lib.mkIf old.isDefined [ "The option `${lib.showOption from}' defined in ${lib.showFiles old.files} has been renamed to `${lib.showOption to}'." ]; }
        (lib.mkIf old.isDefined (lib.setAttrByPath to (lib.mkMerge (map lib.mkDefinition old.definitionsWithLocations))))
      ];
    };

  # A name that is gone: defining it is an error that says what to do.
  mkRemovedOptionModule =
    path: replacement:
    { options, ... }:
    let
      old = lib.getAttrFromPath path options;
    in
    {
      options = lib.setAttrByPath path (lib.mkOption { type = lib.types.unspecified; visible = false; });
      config.assertions = [
        { assertion = !old.isDefined; message = "The option definition `${lib.showOption path}' in ${lib.showFiles old.files} no longer has any effect; please remove it.\n${replacement}"; }
      ];
    };
}
