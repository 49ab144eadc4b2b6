let all = ref [] let add name = all := name :: !all
