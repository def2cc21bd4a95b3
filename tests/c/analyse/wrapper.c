/* Numbers that reach syscall(2) through functions: the constants stand at the callers, two calls up. */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <unistd.h>

static __attribute__((noinline)) long inner(long number, long argument) { return syscall(number, argument); }
static __attribute__((noinline)) long outer(int which) { return inner(which ? SYS_getsid : SYS_getpgid, 0); }

int main(int argc, char **argv)
{
    (void)argv;
    return outer(argc > 1) + inner(SYS_sched_get_priority_max, 1) == 99;
}
