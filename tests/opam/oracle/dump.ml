(* Parses texts with opam-file-format and prints what it understood, one line of JSON a text.

   stdin: for each text its length in bytes as decimal digits, a newline, and the bytes.
   stdout: for each text a line: an array of items, or "error", or "rule" when the text is well
   formed but breaks opam's rule on repeated opam-version fields.

   Bytes of strings are printed as the characters U+0000 to U+00FF. *)

open OpamParserTypes
open OpamParserTypes.FullPos

let out = Buffer.create 65536

let text s =
  let add c =
    if c < ' ' || c > '~' || c = '"' || c = '\\' then
      Printf.bprintf out "\\u%04x" (Char.code c)
    else Buffer.add_char out c
  in
  Buffer.add_char out '"';
  String.iter add s;
  Buffer.add_char out '"'

let list print values =
  let separated i v =
    if i > 0 then Buffer.add_char out ',';
    print v
  in
  Buffer.add_char out '[';
  List.iteri separated values;
  Buffer.add_char out ']'

let node kind parts = list (fun part -> part ()) ((fun () -> text kind) :: parts)

let relop = function
  | `Eq -> "=" | `Neq -> "!=" | `Geq -> ">=" | `Gt -> ">" | `Leq -> "<=" | `Lt -> "<"

let envop = function
  | Eq -> "=" | PlusEq -> "+=" | EqPlus -> "=+" | ColonEq -> ":=" | EqColon -> "=:"
  | EqPlusEq -> "=+="

let rec value v =
  let op s () = text s and sub v () = value v and subs vs () = list value vs.pelem in
  match v.pelem with
  | Bool b -> Buffer.add_string out (string_of_bool b)
  | Int i -> node "int" [ op (string_of_int i) ]
  | String s -> text s
  | Ident s -> node "ident" [ op s ]
  | List vs -> node "list" [ subs vs ]
  | Group vs -> node "group" [ subs vs ]
  | Option (v, vs) -> node "option" [ sub v; subs vs ]
  | Relop (o, l, r) -> node "relop" [ op (relop o.pelem); sub l; sub r ]
  | Prefix_relop (o, r) -> node "prefix_relop" [ op (relop o.pelem); sub r ]
  | Logop (o, l, r) ->
      node "logop" [ op (match o.pelem with `And -> "&" | `Or -> "|"); sub l; sub r ]
  | Pfxop (o, v) ->
      node "prefix" [ op (match o.pelem with `Not -> "!" | `Defined -> "?"); sub v ]
  | Env_binding (l, o, r) -> node "env" [ sub l; op (envop o.pelem); sub r ]

exception Sentinel

let rec item i =
  match i.pelem with
  | Variable (name, v) -> node "field" [ (fun () -> text name.pelem); (fun () -> value v) ]
  | Section { section_kind = { pelem = "#"; _ }; _ } -> raise Sentinel
  | Section s ->
      let name () =
        match s.section_name with
        | None -> Buffer.add_string out "null"
        | Some name -> text name.pelem
      in
      node "section"
        [ (fun () -> text s.section_kind.pelem); name;
          (fun () -> list item s.section_items.pelem) ]

let is_rule message =
  List.mem message
    [ "opam-version cannot be repeated"; "opam-version must be the first non-comment line" ]

let answer source =
  Buffer.clear out;
  try
    list item (OpamParser.FullPos.string source "text").file_contents;
    Buffer.contents out
  with
  (* In a file of a newer version the library puts a section named "#" in place of an error. *)
  | Sentinel | Parsing.Parse_error | Failure _ -> "\"error\""
  | OpamLexer.Error message -> if is_rule message then "\"rule\"" else "\"error\""

let () =
  set_binary_mode_in stdin true;
  try
    while true do
      let length = int_of_string (input_line stdin) in
      print_endline (answer (really_input_string stdin length))
    done
  with End_of_file -> ()
