/* A function of which a value that is passed decides what runs. It bears a name the analysis looks at; WAY chooses how
   it is written, CALL how it is called. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile char kept[64];
long sysconf(int name);
long (*volatile pointer)(int) = CALL == 3 ? sysconf : 0;
__attribute__((noinline)) static void use(char *text) { memcpy((char *)kept, text, 8); }

__attribute__((noinline, visibility("default"))) long sysconf(int name)
{
#if WAY == 0 /* compared */
    if (name == 7) setsid();
    if (name > 100) sync();
#elif WAY == 1 /* a jump table */
    switch (name) {
    case 7: setsid(); break;
    case 8: getppid(); getuid(); break;
    case 9: getgid(); break;
    case 10: geteuid(); break;
    case 11: sync(); break;
    case 12: getpgrp(); break;
    default: getegid();
    }
#elif WAY == 2 /* bits, kept on the stack while others run */
    volatile int held = name;
    use((char *)kept + 8);
    if (held & 4) setsid();
    use((char *)kept + 16);
    if (held & 0x600) sync();
#elif WAY == 3 /* on the stack, where others may write to it */
    struct { int name; char text[12]; } both = {name, "text"};
    use((char *)&both);
    if (both.name == 7) setsid();
    if (both.name == 200) sync();
#elif WAY == 4 /* calls itself with another value */
    if (name == 1) return sysconf(name | 6);
    if (name == 7) setsid();
    if (name == 200) sync();
#endif
    return getppid();
}

__attribute__((noinline)) static long by_another(int name) { return sysconf(name); }

int main(int argc, char **argv)
{
    (void)argc, (void)argv;
#if CALL == 0
    return (int)sysconf(1);
#elif CALL == 1 /* all values that pass the other function count */
    return (int)(by_another(1) + by_another(7));
#elif CALL == 2
    return (int)sysconf(atoi(argv[1]));
#elif CALL == 3
    return (int)pointer(1);
#endif
}
