const char *greeting(void);
const char *greeter(void);
