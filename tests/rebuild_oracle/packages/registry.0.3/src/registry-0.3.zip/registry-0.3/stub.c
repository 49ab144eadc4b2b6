int registry_stub(void) { return 7; }
