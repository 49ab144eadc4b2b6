val add : string -> unit
