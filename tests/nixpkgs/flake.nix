# The stand-in as a flake.
{
  description = "Stand-in for nixpkgs";

  outputs =
    { ... }:
    let
      lib = import ./lib.nix;
    in
    {
      inherit lib;
      legacyPackages = lib.genAttrs [
        "aarch64-linux"
        "powerpc64le-linux"
        "x86_64-linux"
      ] (system: import ./default.nix { inherit system; });
    };
}
