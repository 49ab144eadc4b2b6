let shape drops = String.make drops (Char.chr 126) ^ __FILE__
