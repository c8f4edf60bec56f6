# Derivations that failed when they were built natively, and are built under emulation now.
#
# `failed` has the paths of their .drv files.
{ lib, failed }:
rec {
  # Whether the derivation is one of them. Forces its path only if there are any.
  hasFailed = derivation: failed != [ ] && lib.elem (builtins.unsafeDiscardStringContext derivation.drvPath) failed;

  # `slow`, if `fast` is one of them, and tells the builder's entry which derivation that is; else `fast`.
  choose = slow: fast: if hasFailed fast then replacing slow fast else fast;
  replacing = slow: fast: builtins.trace "sdbuild: in the place of ${fast.drvPath}: ${slow.drvPath}" slow;
}
