/* A function that is reachable and never runs, one that a value no caller passes leads to, and what runs. */
#include <stdlib.h>
#include <unistd.h>

__attribute__((noinline, visibility("default"))) void never_runs(void) { sync(); }

__attribute__((noinline, visibility("default"))) long sysconf(int name)
{
    if (name == 9999) setsid();
    return getppid();
}

int main(int argc, char **argv)
{
    if (argc > 5) never_runs();
#ifdef ANY
    return (int)sysconf(atoi(argv[1]));
#else
    (void)argv;
    return (int)sysconf(3);
#endif
}
