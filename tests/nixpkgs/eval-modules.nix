# A stand-in for the module system of nixpkgs, just large enough for one module that declares options
# below `services` and defines others. Own code; it is as strict as nixpkgs about options that do not
# exist, values of wrong types and values that are missing, and says so in the same words.
# With `realLib`, nixpkgs' own lib does all of this instead.
{
  module, # path of the module
  configuration, # module that uses it: an attribute set, or a function of `lib` and `pkgs`
  pkgs,
  realLib ? null,
}:

let
  inherit (builtins)
    all
    attrNames
    concatStringsSep
    elem
    filter
    isAttrs
    isBool
    isFunction
    isInt
    isList
    isString
    mapAttrs
    ;

  type = name: check: {
    inherit name;
    merge =
      where: value:
      if check value then
        value
      else
        throw "A definition for option `${where}' is not of type `${name}'.";
  };

  types = rec {
    bool = type "boolean" isBool;
    str = type "string" isString;
    path = type "path" (
      value: (isString value || builtins.isPath value) && builtins.substring 0 1 (toString value) == "/"
    );
    package = type "package" (value: isAttrs value && value.type or null == "derivation");
    ints.positive = type "positive integer, meaning >0" (value: isInt value && value > 0);
    ints.unsigned = type "unsigned integer, meaning >=0" (value: isInt value && value >= 0);
    enum =
      values:
      type "one of ${concatStringsSep ", " (map builtins.toJSON values)}" (value: elem value values);
    nullOr = inner: {
      name = "null or ${inner.name}";
      merge = where: value: if value == null then null else inner.merge where value;
    };
    listOf = inner: {
      name = "list of ${inner.name}";
      merge =
        where: value:
        map (inner.merge "${where}.*") ((type "list of ${inner.name}" isList).merge where value);
    };
    attrsOf = inner: {
      name = "attribute set of ${inner.name}";
      merge =
        where: value:
        mapAttrs (name: inner.merge "${where}.${name}") (
          (type "attribute set of ${inner.name}" isAttrs).merge where value
        );
    };
    submodule = { options }: {
      name = "submodule";
      merge = where: value: define where options ((type "submodule" isAttrs).merge where value);
    };
  };

  define =
    where: options: values:
    let
      unknown = filter (name: !(options ? ${name})) (attrNames values);
      option =
        name: declared:
        if !declared ? type then
          define "${where}.${name}" declared (values.${name} or { })
        else if values ? ${name} then
          declared.type.merge "${where}.${name}" values.${name}
        else
          declared.default or (throw "The option `${where}.${name}' was accessed but has no value defined.");
    in
    if unknown == [ ] then
      mapAttrs option options
    else
      throw "The option `${where}.${builtins.head unknown}' does not exist.";

  lib = import ./lib.nix // rec {
    inherit types;
    inherit (builtins)
      concatLists
      concatStringsSep
      elem
      filter
      ;
    mkOption = declared: declared;
    mkIf = condition: value: if condition then value else { };
    literalExpression = text: text;
    attrNames = builtins.attrNames;
    mapAttrs = builtins.mapAttrs;
    mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
    concatMap = builtins.concatMap;
    concatMapStringsSep =
      separator: f: list:
      concatStringsSep separator (map f list);
    imap0 = f: list: builtins.genList (n: f n (builtins.elemAt list n)) (builtins.length list);
    optional = condition: value: if condition then [ value ] else [ ];
    optionals = condition: values: if condition then values else [ ];
    optionalAttrs = condition: set: if condition then set else { };
    subtractLists = out: filter (value: !elem value out);
    hasPrefix = prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;
    toLower = builtins.replaceStrings [ "A" "B" "C" "D" "E" "F" ] [ "a" "b" "c" "d" "e" "f" ];
  };

  call = function: arguments: if isFunction function then function arguments else function;

  standIn =
    let
      used = call configuration { inherit lib pkgs; };
      declared = (import module) {
        inherit lib pkgs;
        config = final;
      };
      final = declared.config // {
        services = define "services" declared.options.services (used.services or { });
      };
    in
    if
      all (name: name == "services" || name == "networking") (attrNames used)
    then
      final
    else
      throw "The stand-in knows only `services' and `networking' in configurations.";

  real =
    (realLib.evalModules {
      specialArgs = { inherit pkgs; };
      modules = [
        module
        configuration
        {
          options =
            let
              anything = realLib.mkOption { type = realLib.types.attrsOf realLib.types.anything; };
            in
            {
              systemd.services = anything;
              systemd.sockets = anything;
              systemd.tmpfiles.rules = realLib.mkOption {
                type = realLib.types.listOf realLib.types.str;
              };
              users.users = anything;
              users.groups = anything;
              networking = realLib.mkOption { type = realLib.types.submodule {
                freeformType = realLib.types.attrsOf realLib.types.anything;
                options.dhcpcd.denyInterfaces = realLib.mkOption { type = realLib.types.listOf realLib.types.str; };
              }; };
              assertions = realLib.mkOption { type = realLib.types.listOf realLib.types.anything; };
            };
        }
      ];
    }).config;

  config = if realLib == null then standIn else real;
in
{
  failed = map (a: a.message) (filter (a: !a.assertion) config.assertions);
  inherit (config.systemd) services;
  sockets = config.systemd.sockets or { };
  tmpfiles = config.systemd.tmpfiles.rules or [ ];
  users = mapAttrs (_: user: { inherit (user) isSystemUser group; }) config.users.users;
  groups = attrNames config.users.groups;
  inherit (config.networking.dhcpcd) denyInterfaces;
}
