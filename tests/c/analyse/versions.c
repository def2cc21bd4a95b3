/* A program in two versions: NEW watches files, by a function of its own; both do the same work. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define KEPT __attribute__((noinline, noipa))

KEPT static int work(int n)
{
    for (int i = 0; i < 10; i++)
        n = n * 31 + (int)sysconf(i) % 7;
    return n;
}

#ifdef NEW
KEPT static int watch(const char *path)
{
    int fd = inotify_init1(0);
    return fd < 0 ? fd : inotify_add_watch(fd, path, IN_MODIFY);
}
#else
KEPT static int ring(int n)
{
    int fd = eventfd((unsigned)n, 0);
    return fd < 0 ? fd : fd + n;
}
#endif

int main(int argc, char **argv)
{
#ifdef NEW
    if (argc > 1)
        return watch(argv[1]);
#else
    if (argc > 1)
        return ring(argc);
#endif
    return work(argc);
}
