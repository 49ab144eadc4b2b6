let () = print_endline (Countdown.from (int_of_string Sys.argv.(1)))
