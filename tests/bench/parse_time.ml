(* Parses a file with opam-file-format once for each line of stdin, and prints the milliseconds. *)

let () =
  let file = open_in_bin Sys.argv.(1) in
  let source = really_input_string file (in_channel_length file) in
  try
    while true do
      ignore (input_line stdin);
      let start = Unix.gettimeofday () in
      ignore (Sys.opaque_identity (OpamParser.FullPos.string source Sys.argv.(1)));
      Printf.printf "%.6f\n%!" ((Unix.gettimeofday () -. start) *. 1000.)
    done
  with End_of_file -> ()
