#include <stdio.h>
#include <greet.h>

int main(void) { return printf("%s from %s\n", greeting(), greeter()) < 0; }
