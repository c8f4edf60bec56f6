# What the builder evaluates of the configuration: see attributes.nix.
import ./attributes.nix (import ./source.nix)
