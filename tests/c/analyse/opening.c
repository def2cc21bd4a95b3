/* Asks the name service, converts characters and cancels a thread: each makes the C library open more. */
#include <iconv.h>
#include <netdb.h>
#include <pthread.h>
#include <pwd.h>

int main(int argc, char **argv)
{
	struct addrinfo *found = 0;
	if (argc > 1) {
		getaddrinfo(argv[1], "http", 0, &found);
		iconv_open(argv[1], "UTF-8");
		pthread_cancel(pthread_self());
	}
	return getpwnam("root") == 0;
}
