module Letters = Trie.Make (struct
  type t = char

  let equal = ( = )
  let hash = Hashtbl.hash
end)

let () =
  let words = Stringext.split "locked/away" ~on:'/' in
  let trie = Letters.create None in
  List.iter (fun word -> Letters.set trie (List.of_seq (String.to_seq word)) word) words;
  let found = Letters.get trie (List.of_seq (String.to_seq "away")) in
  let bytes = Bytes.make 2 '!' in
  EndianBytes.LittleEndian.set_int8 bytes 0 0x2b;
  print_endline
    (Sexplib0.Sexp.to_string (Sexplib0.Sexp_conv.sexp_of_option Sexplib0.Sexp_conv.sexp_of_string found)
    ^ Bytes.to_string bytes)
