let () = Registry.add (Countdown.from 3); print_endline "registered"
