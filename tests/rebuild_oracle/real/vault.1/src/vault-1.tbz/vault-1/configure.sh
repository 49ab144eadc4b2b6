printf '(executable (name main) (libraries stringext sexplib0 trie ocplib-endian))\n' >dune
printf '(lang dune 2.9)\n' >dune-project
printf '(lang dune 2.9)\n(profile release)\n' >dune-workspace
