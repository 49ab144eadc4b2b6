val from : int -> string
(** The numbers from [n] down to 0. *)
