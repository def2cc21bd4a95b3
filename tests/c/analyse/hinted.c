/* A function that is reachable and never runs, and what runs. */
#include <unistd.h>

__attribute__((noinline)) static void part_of_it(void) { getpgrp(); }
__attribute__((noinline, visibility("default"))) void never_runs(void) { sync(); part_of_it(); }

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 5) never_runs();
    setsid();
    return getppid();
}
