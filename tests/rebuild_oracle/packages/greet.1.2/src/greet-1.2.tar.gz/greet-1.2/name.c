#include "greet.h"

const char *greeter(void) { return __FILE__; }
