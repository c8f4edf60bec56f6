# What the builder evaluates, an attribute for each purpose. None of them asks whether the configuration is a module file or
# comes from a flake: `source`, which sdbuild writes (crates/build/src/build_source.rs), has
#
#   system     the system that the image is for
#   evaluate   from a list of further modules to the configuration with them: `config`, `options` and `pkgs`
#   evaluateChanged   optional: the same, with a function before the list that changes the user's module
#   imageOf    from such a configuration to its image: see image.nix
#
# and for a flake `report` and `settings`, which are described there.
source:
let
  inherit (source) system evaluate imageOf;
  tell = kind: names: rest: builtins.trace "sdbuild: ${kind}: ${toString names}" rest;

  # An image that stands beside a configuration may be another system: that one is checked only where it is named in full.
  checkOf =
    evaluation: build:
    let
      image = imageOf evaluation;
    in
    if image.beside or null != null then
      throw "the image is ${image.choice.attribute} of the flake, a derivation: nothing in it can be checked. The configuration beside it is ${image.beside}, which can"
    else
      import ./check/facts.nix { inherit image evaluation build; };
  # `value`, an image, about which a build tells who chose it and warns what `check` would find in the configuration `evaluation`:
  # sdbuild reads the traces. What cannot be evaluated is left out: the build says so itself.
  checked = evaluation: value: withPackageNames evaluation (withChoice evaluation (withFacts (checkOf evaluation null).facts value));
  # Longer lines reach sdbuild in pieces.
  withFacts =
    facts: value:
    let
      text = builtins.tryEval (builtins.toJSON facts);
    in
    if text.success && builtins.stringLength text.value < 50000 then tell "facts" [ text.value ] value else value;
  withChoice =
    evaluation: value:
    let
      choice = builtins.tryEval (builtins.toJSON (imageOf evaluation).choice);
    in
    if choice.success && !((imageOf evaluation).isSystem or false) then tell "image choice" [ choice.value ] value else value;
  # `value`, which is evaluated here. If that fails, the names of all packages are traced, in lines that are not too long: sdbuild
  # proposes one for a name that none of them has.
  withPackageNames =
    evaluation: value:
    let
      # Of a flake's derivation there is no configuration. What this threw would replace the error.
      packages = builtins.tryEval (builtins.attrNames evaluation.pkgs);
      lines = if packages.success then builtins.attrValues (builtins.groupBy (builtins.substring 0 2) packages.value) else [ ];
      # Of a flake: those that make configurations, as words NAME=DIRECTORY=FUNCTION.
      inputs = builtins.tryEval (builtins.deepSeq (source.makers or [ ]) (source.makers or [ ]));
      said = if inputs.success && inputs.value != [ ] then tell "inputs" inputs.value else (rest: rest);
      traced = said (builtins.foldl' (rest: names: tell "packages" names rest) "while evaluating the configuration" lines);
    in
    builtins.addErrorContext traced (builtins.seq (value.drvPath or value) value);
  plain = evaluate [ ];
  # What `check` reads of a configuration, and what a build would build of it: see check/facts.nix. A build that evaluates nothing
  # any more tells the same traces.
  readBy =
    evaluation: build:
    let
      check = checkOf evaluation build;
    in
    {
      facts = withPackageNames evaluation (withChoice evaluation (builtins.deepSeq check.facts (withFacts check.facts check.facts)));
      whole = withPackageNames evaluation check.whole;
    };
  # The image with native glue: see glue/default.nix.
  gluedWith =
    source: failed:
    import ./glue ({ inherit failed; inherit (source) system evaluate imageOf; evaluateChanged = source.evaluateChanged or null; } // source.builder or { });
  glued = gluedWith source "";
in
{
  # The derivation of the image.
  image = checked plain (imageOf plain).derivation;
  # `failed`: see glue/default.nix.
  glue =
    { failed ? "" }:
    let
      image = gluedWith source failed;
    in
    checked image.evaluation image.built;
  # What `check` reads, of the evaluation that a build without native glue would use, and with it.
  inherit (readBy plain (imageOf plain).derivation.drvPath) facts whole;
  native = readBy glued.evaluation glued.built;
  inherit (source) report settings;
  # Of a flake: the paths of its configurations, as they are named.
  machines = source.machines or [ ];
  # Why binary caches lack packages: see causes.nix. The image as it would be if they had them, with glue and without.
  causes = import ./causes.nix { evaluation = plain; inherit system; followers = source.followers or [ ]; };
  without =
    let
      module = import ./without-changes.nix { evaluation = plain; inherit system; };
      evaluate = modules: source.evaluate ([ module ] ++ modules);
      evaluateChanged = if source.evaluateChanged or null == null then null else change: modules: source.evaluateChanged change ([ module ] ++ modules);
    in
    {
      image = (imageOf (evaluate [ ])).derivation;
      glue = (gluedWith (source // { inherit evaluate evaluateChanged; }) "").built;
    };
}
