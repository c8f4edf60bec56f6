# Of the events of a build, on one line: the phase of Nix in seconds, derivations built, forecast, those of the forecast that are
# emulated, and paths fetched.
def all(kind; field): [.[] | select(.event == kind) | field];
[
  (all("phase-ended"; select(.phase == "build").seconds) | last | if . then . * 100 | round / 100 else . end),
  (all("built"; .done) | last), (all("will-build"; .derivations) | first), (all("will-emulate"; .derivations) | first),
  (all("fetched"; .done) | last)
] | map(. // "-" | tostring) | join("\t")
