/* Functions that bring something in alone, and two that do so only together. */
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define KEPT __attribute__((noinline, noipa))

KEPT void only_signals(const sigset_t *set) { signalfd(-1, set, 0); }
KEPT void first(int n) { if (n) sync(); timerfd_create(0, 0); }
KEPT void second(int n) { if (n) sync(); eventfd(0, 0); }
KEPT void both(int n) { first(n); second(n + 1); }
KEPT void much_1(int n) { if (n) write(1, "a", 1); }
KEPT void much_2(int n) { if (n) write(1, "b", 1); }
KEPT void much_3(int n) { if (n) write(1, "c", 1); }

int main(int argc, char **argv)
{
    sigset_t set;
    sigemptyset(&set);
    if (argc > 1) only_signals(&set);
    if (argc > 2) both(argc);
    much_1(argc); much_2(argc); much_3(argc);
    return 0;
}
