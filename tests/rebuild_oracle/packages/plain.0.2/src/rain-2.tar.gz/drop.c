#include <caml/mlvalues.h>

value rain_drops(value n) { return Val_int(2 * Int_val(n)); }
