# A stand-in for nixpkgs, just large enough to evaluate and build what pkggen generates with the
# programs of the host. Own code: it states what the generated expressions rely on, and is as strict
# as nixpkgs where that matters (arguments of fetchurl, unknown licences, types of meta).
{
  system ? builtins.currentSystem,
  urlMap ? { }, # URL of a source to the URL that stands in for it
}:

let
  lib = import ./lib.nix;

  checkMeta =
    name: meta:
    let
      types = {
        description = builtins.isString;
        homepage = builtins.isString;
        license = value: builtins.all lib.isLicence (lib.toList value);
        sourceProvenance = value: builtins.all (p: builtins.isBool p.isSource) value;
        maintainers = value: builtins.all (m: builtins.isString m.email) value;
        platforms = value: builtins.all builtins.isString value;
      };
      wrong = builtins.filter (key: !(types ? ${key} && types.${key} meta.${key})) (
        builtins.attrNames meta
      );
    in
    if wrong == [ ] then meta else throw "${name}: bad meta: ${toString wrong}";

  mkDerivation =
    attrsOrFunction:
    let
      attrs =
        if builtins.isFunction attrsOrFunction then
          attrsOrFunction (attrs // { finalPackage = package; })
        else
          attrsOrFunction;
      name = attrs.name or "${attrs.pname}-${attrs.version}";
      passthru = attrs.passthru or { };
      drv = derivation (
        builtins.removeAttrs attrs [
          "passthru"
          "meta"
        ]
        // {
          inherit name system;
          builder = "/bin/bash";
          args = [ ./builder.sh ];
        }
      );
      package =
        drv
        // passthru
        // {
          inherit passthru;
          meta = checkMeta name (attrs.meta or { });
          drvAttrs = attrs;
        };
    in
    package;

  # Only the arguments that nixpkgs recommends; anything else is an error.
  fetchurl =
    { url, hash }:
    derivation {
      name = baseNameOf url;
      system = "builtin";
      builder = "builtin:fetchurl";
      url = urlMap.${url} or url;
      outputHash = hash;
      outputHashAlgo = "sha256";
      outputHashMode = "flat";
      preferLocalBuild = true;
    };

  runCommand =
    name: attrs: buildCommand:
    mkDerivation (attrs // { inherit name buildCommand; });

  packages = final: _: {
    inherit lib fetchurl runCommand;
    stdenv.hostPlatform = { inherit system; };
    stdenvNoCC = { inherit mkDerivation; };
    callPackage =
      path: overrides:
      let
        function = import path;
      in
      function (builtins.intersectAttrs (builtins.functionArgs function) final // overrides);
    solo5 = runCommand "solo5" { elftool = ./solo5-elftool; } ''
      install -D "$elftool" "$out/bin/solo5-elftool"
    '';
  };

  close =
    layers:
    let
      final = builtins.foldl' (prev: layer: prev // layer final prev) { } layers // {
        extend = layer: close (layers ++ [ layer ]);
      };
    in
    final;
in
close [ packages ]
