(* Builds the library and says what is to be installed where. *)
let write file text =
  let out = open_out_bin file in
  output_string out text;
  close_out out

let run command = if Sys.command command <> 0 then exit 1

let () =
  write "options.txt" (String.concat "\n" (List.tl (Array.to_list Sys.argv)));
  run "ocamlc -c registry.mli && ocamlopt -g -c registry.ml";
  run "ocamlopt -a -o registry.cmxa registry.cmx";
  run "ocamlc -c registry.ml && ocamlc -a -o registry.cma registry.cmo";
  run "ocamlopt -I $OPAM_SWITCH_PREFIX/lib/countdown countdown.cmxa registry.cmxa main.ml -o main.native";
  run "ocamlc -c stub.c && ocamlmklib -o registry_stubs stub.o";
  run "chmod 600 data/secret.txt";
  write "registry.install"
    {|lib: ["META" "registry.cmi" "registry.cmxa" "registry.a" "registry.cma" "?registry.cmxs"
  "registry.mli" {"sub/dir/interface.mli"}]
libexec: ["pkg/helper.sh"]
lib_root: ["data/root.txt" {"registry-root.txt"}]
libexec_root: ["pkg/helper.sh" {"registry-helper"}]
bin: ["main.native" {"registry"} "pkg/helper.sh" {"registry-helper.sh"} "?missing"]
sbin: ["pkg/helper.sh" {"registry-admin"}]
toplevel: ["registry.mli" {"registry_top.ml"}]
share: ["options.txt" "data/a b.txt" "data/secret.txt"]
share_root: ["data/root.txt" {"registry/from-root.txt"}]
etc: ["data/registry.conf"]
doc: ["README.md" "data/root.txt" {"deep/er/root.txt"}]
man: ["data/registry.1" "data/registry.3x" "data/page" {"man5/registry.5"}]
stublibs: ["dllregistry_stubs.so"]
|}
