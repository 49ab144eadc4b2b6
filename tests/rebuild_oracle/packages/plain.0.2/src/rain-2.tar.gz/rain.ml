external drops : int -> int = "rain_drops"
