#include <stdio.h>
#include <sys/utsname.h>

int main(void)
{
    struct utsname system;
    if (uname(&system) != 0) {
        perror("hello: uname");
        return 1;
    }
    printf("Hello from a machine of its own: %s %s, called %s.\n", system.sysname, system.release, system.nodename);
    return 0;
}
