/* A deliberately vulnerable service, for the attack suite only.
 *
 * What it is for: answers lines (`echo TEXT`), keeps uploads in /tmp, converts with a helper program (itself), asks
 * itself whether it is well. (Of write(2) and kill(2) it makes use so that what an attack does with them is not refused for
 * want of a need.) What is wrong with it: a connection that begins with the byte `!` may do in the service's
 * name whatever its client says, one system call after another ("syscall proxying", M. Caceres, 2002): the state after
 * an exploit has succeeded, without an exploit's luck. The analysis is told in image.toml that nothing legitimate gets
 * there, so that the kernel is as small as the service deserves.
 *
 * An order: number, six arguments (64 bits each, little-endian), a bit mask of the arguments that are offsets into the
 * data, how often, size of the data; then the data. The answer: the last result (64 bits), then the data as it is now.
 * Numbers from 10000 on are no system calls but small programs of the attacker (below).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <unistd.h>

#define PORT 8080
#define ROOM 65536

struct order {
	uint64_t number, argument[6], offsets, times, size;
};

enum { FORK_BOMB = 10000, MEMORY, LOG_FLOOD, OLD_CALL, JUMP };

static char data[ROOM] __attribute__((aligned(4096)));

static int whole(int fd, void *to, size_t size)
{
	char *at = to;

	while (size) {
		ssize_t got = read(fd, at, size);

		if (got <= 0)
			return 0;
		at += got;
		size -= (size_t)got;
	}
	return 1;
}

/* ---- what an attacker does, reached by nothing legitimate ---- */

static __attribute__((noinline)) long gadget_call(uint64_t number, const uint64_t *a)
{
	register uint64_t r10 __asm__("r10") = a[3], r8 __asm__("r8") = a[4], r9 __asm__("r9") = a[5];
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static __attribute__((noinline)) long gadget_forks(uint64_t times)
{
	static pid_t child[4096];
	long made = 0, i;

	while (made < (long)times && made < 4096 && (child[made] = fork()) >= 0) {
		if (!child[made])
			for (;;)
				pause();
		made++;
	}
	for (i = 0; i < made; i++) {
		kill(child[i], SIGKILL);
		waitpid(child[i], NULL, 0);
	}
	return made;
}

static __attribute__((noinline)) long gadget_memory(uint64_t mebibytes)
{
	uint64_t i;

	for (i = 0; i < mebibytes; i++) {
		char *at = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (at == MAP_FAILED)
			break;
		memset(at, 1, 1 << 20);
	}
	return (long)i;
}

static __attribute__((noinline)) long gadget_log(uint64_t lines)
{
	static const char line[] = "nothing to see here, nothing to see here, nothing to see here, nothing to see\n";
	uint64_t i;

	for (i = 0; i < lines && write(1, line, sizeof line - 1) > 0; i++)
		;
	return (long)i;
}

static __attribute__((noinline)) long gadget(const struct order *order, const uint64_t *argument)
{
	switch (order->number) {
	case FORK_BOMB:
		return gadget_forks(argument[0]);
	case MEMORY:
		return gadget_memory(argument[0]);
	case LOG_FLOOD:
		return gadget_log(argument[0]);
	case OLD_CALL: /* the 32-bit way into the kernel: getpid */
		__asm__ volatile("int $0x80" : : "a"(20) : "memory");
		return 0;
	case JUMP: /* into data: code that was sent */
		data[0] = (char)0xc3;
		((void (*)(void))(uintptr_t)data)();
		return 0;
	}
	return gadget_call(order->number, argument);
}

static __attribute__((noinline)) void taken_over(int fd)
{
	struct order order;

	while (whole(fd, &order, sizeof order) && order.size <= ROOM && whole(fd, data, order.size)) {
		uint64_t argument[6];
		int64_t result = 0;
		uint64_t i;

		for (i = 0; i < 6; i++)
			argument[i] = order.argument[i] + (order.offsets >> i & 1 ? (uint64_t)(uintptr_t)data : 0);
		for (i = 0; i < order.times; i++)
			result = gadget(&order, argument);
		if (write(fd, &result, sizeof result) != sizeof result ||
		    (order.size && write(fd, data, order.size) != (ssize_t)order.size))
			return;
	}
}

/* ---- what the service is for ---- */

static void upload(int fd, FILE *from)
{
	FILE *file = fopen("/tmp/upload", "w");
	int c;

	if (!file)
		return;
	while ((c = fgetc(from)) != EOF && c != '\n')
		fputc(c, file);
	fclose(file);
	chmod("/tmp/upload", 0700);
	dprintf(fd, "kept\n");
}

static void convert(int fd)
{
	pid_t child = fork();

	if (!child) {
		execl("/usr/bin/victim", "victim", "--convert", (char *)NULL);
		_exit(127);
	}
	dprintf(fd, kill(child, 0) ? "" : "con");
	waitpid(child, NULL, 0);
	dprintf(fd, "verted\n");
}

static void ask_itself(int fd)
{
	struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int peer = socket(AF_INET, SOCK_STREAM, 0);

	dprintf(fd, "%s\n", connect(peer, (struct sockaddr *)&here, sizeof here) ? "ill" : "well");
	close(peer);
}

/* A page that nobody may touch behind each buffer. */
static void guard_page(void)
{
	char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages != MAP_FAILED)
		mprotect(pages + 4096, 4096, PROT_NONE);
}

static void serve(int fd)
{
	char line[256];
	FILE *in;

	if (recv(fd, line, 1, MSG_PEEK) == 1 && line[0] == '!' && read(fd, line, 1) == 1) {
		taken_over(fd);
		return;
	}
	in = fdopen(fd, "r");
	guard_page();
	while (in && fgets(line, sizeof line, in)) {
		if (!strncmp(line, "echo ", 5))
			dprintf(fd, "%s", line + 5);
		else if (!strcmp(line, "upload\n"))
			upload(fd, in);
		else if (!strcmp(line, "convert\n"))
			convert(fd);
		else if (!strcmp(line, "well?\n"))
			ask_itself(fd);
		else if (write(fd, "?\n", 2) != 2)
			return;
	}
}

int main(int argc, char *argv[])
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	int one = 1, listener;

	if (argc > 1 && !strcmp(argv[1], "--convert"))
		return 0;
	signal(SIGCHLD, SIG_DFL);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(listener, (struct sockaddr *)&any, sizeof any) || listen(listener, 16))
		return 1;
	puts("serving");
	fflush(stdout);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			continue;
		if (!fork()) {
			close(listener);
			serve(fd);
			_exit(0);
		}
		close(fd);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}
