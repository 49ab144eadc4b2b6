let () =
  let power = Z.to_string (Z.pow (Z.of_int 2) 100) in
  let big = Bytes.create 2 in
  EndianBytes.BigEndian.set_int16 big 0 0x4142;
  let words = Stringext.full_split (Bytes.to_string big ^ "/" ^ power) ~on:'/' in
  let sexp = Sexplib0.Sexp.List (List.map (fun word -> Sexplib0.Sexp.Atom word) words) in
  PPrint.ToChannel.pretty 1. 80 stdout PPrint.(string (Sexplib0.Sexp.to_string sexp) ^^ hardline)
