external step : int -> int = "countdown_step"

let rec from n = if n < 0 then "" else string_of_int n ^ " " ^ from (step n)
