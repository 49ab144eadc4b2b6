# A stand-in for nixpkgs, just large enough to evaluate and build what pkggen generates with the
# programs of the host. Own code: it states what the generated expressions rely on, and is as strict
# as nixpkgs where that matters (arguments of fetchurl, unknown licences, types of meta).
{
  system ? builtins.currentSystem,
  urlMap ? { }, # URL of a source to the URL that stands in for it
  compiler ? null, # directory whose bin comes first in the PATH of stdenv
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

  mkDerivationWith =
    extra: attrsOrFunction:
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
        // extra
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
    if builtins.elem "pie" (attrs.hardeningEnable or [ ]) then
      throw "${name}: the hardening flag pie has been removed"
    else
      package;

  mkDerivation = mkDerivationWith { };

  # Only the arguments that nixpkgs recommends; anything else is an error.
  fetchurl =
    {
      url,
      hash,
      name ? baseNameOf url,
    }:
    derivation {
      inherit name;
      system = "builtin";
      builder = "builtin:fetchurl";
      url = urlMap.${url} or url;
      outputHash = hash;
      outputHashMode = "flat";
      preferLocalBuild = true;
    };

  fetchgit =
    {
      name,
      url,
      rev,
      hash,
    }:
    derivation {
      inherit name system rev;
      url = urlMap.${url} or url;
      builder = "/bin/bash";
      args = [ ./fetchgit.sh ];
      outputHash = hash;
      outputHashAlgo = "sha256";
      outputHashMode = "recursive";
    };

  hostTool = runCommand "host-tool" { } ''mkdir "$out"'';

  runCommand =
    name: attrs: buildCommand:
    mkDerivation (attrs // { inherit name buildCommand; });

  packages = final: _: {
    inherit
      lib
      fetchgit
      fetchurl
      runCommand
      ;
    stdenv = {
      hostPlatform = { inherit system; };
      mkDerivation = mkDerivationWith (lib.optionalAttrs (compiler != null) { inherit compiler; });
    };
    stdenvNoCC = { inherit mkDerivation; };
    callPackage =
      path: overrides:
      let
        function = import path;
        result = function (
          builtins.intersectAttrs (builtins.functionArgs function) final // overrides
        );
      in
      result // { override = changes: final.callPackage path (overrides // changes); };
    # Marks what it would patch, so that tests see that it ran.
    autoPatchelfHook = runCommand "auto-patchelf-hook" { } ''
      mkdir -p "$out/nix-support"
      echo 'fixupPhase="runHook preFixup; echo patched >\$out/patched; runHook postFixup"' \
        >"$out/nix-support/setup-hook"
    '';
    bubblewrap = hostTool;
    dpkg = hostTool;
    libseccomp = hostTool;
    opam-installer = hostTool;
    pkg-config = hostTool;
    syslinux = hostTool;
    unzip = hostTool;
    # Nothing is booted: what the test says is evaluated, and that is all.
    testers.runNixOSTest =
      {
        name,
        nodes,
        testScript,
      }:
      assert builtins.isFunction nodes.machine;
      runCommand "vm-test-run-${name}" { inherit testScript; } ''mkdir "$out"'';
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
