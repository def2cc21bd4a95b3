/* A jump table, with calls behind it that nothing else leads to; tail calls make most of them jumps. */
#include <unistd.h>

static volatile int zero;

__attribute__((noinline)) static int a(int n) { return n + getpgrp(); }
__attribute__((noinline)) static int b(int n) { return n + getppid(); }
__attribute__((noinline)) static int c(int n) { return n + getuid(); }
__attribute__((noinline)) static int d(int n) { return n + getgid(); }
__attribute__((noinline)) static int e(int n) { return n + geteuid(); }
__attribute__((noinline)) static int f(int n) { return n + getegid(); }

__attribute__((noinline)) int choose(int n)
{
    switch (n) {
    case 0: return a(n);
    case 1: return b(n * 3);
    case 2: return c(n ^ 5);
    case 3: return d(-n);
    case 4: return e(n + 7);
    case 5: return f(n - 9);
    case 6: return a(n) + b(n);
    default: return 0;
    }
}

int main(int argc, char **argv)
{
    (void)argv;
    return choose(argc + zero - 1) == 99;
}
