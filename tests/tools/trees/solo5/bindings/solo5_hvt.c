const char *where = __FILE__;
int hvt(int x) { return x + 1; }
