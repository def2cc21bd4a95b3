/* Functions that are only reached through data: a table, and a structure that is copied before it is used. */
#include <unistd.h>

struct actions {
    long (*first)(void);
    long (*second)(void);
};

static long one(void) { return getpgrp(); }
static long two(void) { return getppid(); }
static long three(void) { return sync(), 0; }

static const struct actions given = {one, two};
static long (*const table[])(void) = {three, one};
struct actions used;

int main(int argc, char **argv)
{
    (void)argv;
    used = given;
    return used.first() + used.second() + table[argc & 1]() == 99;
}
