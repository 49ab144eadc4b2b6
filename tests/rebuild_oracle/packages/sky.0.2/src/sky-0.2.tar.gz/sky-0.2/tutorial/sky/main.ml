let () = print_endline (Key_gen.name ^ Key_gen.target ^ Cloud.shape (Rain.drops 3) ^ Countdown.from 3)
