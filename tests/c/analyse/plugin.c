/* A plugin: nothing in the program refers to its functions by an address. */
#include <unistd.h>

long plugin_start(void) { return getpgrp(); }
long plugin_stop(void) { return sync(), 0; }
