# As other.nix, with all that `large` takes from the cache.
{ imports = [ ./other.nix ./large-packages.nix ]; }
