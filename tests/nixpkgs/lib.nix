# The functions of nixpkgs' lib that generated expressions use, and a few licences.
let
  licence = spdxId: { inherit spdxId; };
  nameValue = name: value: { inherit name value; };
in
rec {
  isLicence = value: builtins.isString value.spdxId;
  toList = value: if builtins.isList value then value else [ value ];

  inherit (builtins) attrNames mapAttrs;
  importJSON = path: builtins.fromJSON (builtins.readFile path);
  optional = condition: value: if condition then [ value ] else [ ];
  optionals = condition: list: if condition then list else [ ];
  optionalAttrs = condition: set: if condition then set else { };
  genAttrs = names: f: builtins.listToAttrs (map (name: nameValue name (f name)) names);
  filterAttrs =
    keep: set:
    genAttrs (builtins.filter (name: keep name set.${name}) (attrNames set)) (name: set.${name});
  concatMapAttrs =
    f: set: builtins.foldl' (all: name: all // f name set.${name}) { } (attrNames set);

  meta.availableOn = platform: package: builtins.elem platform.system package.meta.platforms;

  licenses = {
    bsd0 = licence "0BSD";
    bsd3 = licence "BSD-3-Clause";
    isc = licence "ISC";
    lgpl21Only = licence "LGPL-2.1-only";
    mit = licence "MIT";
    ocamlLgplLinkingException = licence "OCaml-LGPL-linking-exception";
  };
  sourceTypes.binaryNativeCode.isSource = false;
  maintainers.example.email = "someone@example.org";
}
