/* Changing user and group: the C library makes every thread repeat the call, its number passed through memory. */
#define _GNU_SOURCE
#include <grp.h>
#include <unistd.h>

int main(void)
{
    gid_t group = getgid();
    setgroups(0, &group);
    return setgid(group) || setuid(getuid());
}
