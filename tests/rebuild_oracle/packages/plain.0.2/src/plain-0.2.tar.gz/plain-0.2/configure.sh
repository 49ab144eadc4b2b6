# Stands for `mirage configure`: writes a module and the rules.
test ! -e dune
test -e duniverse/cloud/cloud.ml
printf 'let name = "%s"\nlet target = "%s"\n' "$2" "$4" >key_gen.ml
printf '(executable (name main) (libraries cloud rain countdown))\n' >dune
printf '(lang dune 2.9)\n' >dune-project
printf '(lang dune 2.9)\n(profile release)\n' >dune-workspace
