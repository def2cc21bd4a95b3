/* Functions asked for by name while the program runs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
#ifdef CONSTANT
    void *found = dlsym(RTLD_DEFAULT, "getpgrp");
#else
    static const char *const names[] = {"vhangup", "sync"};
    void *found = dlsym(RTLD_DEFAULT, names[argc & 1]);
#endif
    (void)argc;
    (void)argv;
    return !found;
}
