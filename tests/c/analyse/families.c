/* Socket families: a constant, one of two, and one that comes from outside. */
#include <stdlib.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    int sum = socket(argc > 1 ? AF_NETLINK : AF_PACKET, SOCK_RAW, 0);
#ifdef OUTSIDE
    sum += socket(atoi(argv[1]), SOCK_STREAM, 0);
#endif
    (void)argv;
    return sum == 99;
}
