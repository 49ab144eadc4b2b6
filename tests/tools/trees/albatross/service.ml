let option name =
  let prefix = "--" ^ name ^ "=" in
  let length = String.length prefix in
  Array.fold_left
    (fun found word ->
      if String.length word >= length && String.sub word 0 length = prefix then
        Some (String.sub word length (String.length word - length))
      else found)
    None Sys.argv

let connect path =
  let socket = Unix.socket Unix.PF_UNIX Unix.SOCK_STREAM 0 in
  Unix.connect socket (Unix.ADDR_UNIX path);
  socket

let read file =
  let channel = open_in file in
  let line = input_line channel in
  close_in channel;
  line

(* Says who it is to everybody who connects, as long as systemd made the socket. *)
let serve name detail =
  if Sys.getenv_opt "LISTEN_FDS" <> Some "1" then failwith "no socket of systemd";
  let listening : Unix.file_descr = Obj.magic 3 in
  while true do
    let connection, _ = Unix.accept listening in
    let reply = Printf.sprintf "%s %d %s\n" name (Unix.getuid ()) (detail ()) in
    ignore (Unix.write_substring connection reply 0 (String.length reply));
    Unix.close connection
  done

let rec forever () = Unix.sleep 3600; forever ()

let main name =
  let tmpdir = Option.value ~default:"/run/albatross" (option "tmpdir") in
  match name with
  | "albatrossd" ->
    ignore (connect (tmpdir ^ "/util/console.sock"));
    serve name (fun () ->
        let fifo = tmpdir ^ "/fifo/test" in
        (try Unix.unlink fifo with Unix.Unix_error _ -> ());
        Unix.mkfifo fifo 0o640;
        let channel = open_out "/var/lib/albatross/state" in
        output_string channel "state";
        close_out channel;
        "wrote")
  | "albatross-influx" -> print_endline (Option.get (option "influx")); forever ()
  | "albatross-tls-endpoint" ->
    serve name (fun () -> String.concat " " (List.map read (Array.to_list (Array.sub Sys.argv (Array.length Sys.argv - 3) 3))))
  | "albatross-client" ->
    let channel = Unix.in_channel_of_descr (connect Sys.argv.(1)) in
    print_endline (input_line channel)
  | _ -> serve name (fun () -> "ready")
