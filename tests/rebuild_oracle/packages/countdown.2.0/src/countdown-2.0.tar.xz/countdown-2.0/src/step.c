#include <caml/mlvalues.h>

value countdown_step(value n) { return Val_int(Int_val(n) - 1); }
