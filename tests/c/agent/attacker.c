/* The application of the guard's tests: does in order what its arguments say and prints what came of it.
 *
 *   exec PATH · map-anonymous · map-writable · protect · map-file PATH ·
 *   map-copy PATH (copied to /tmp, then mapped) ·
 *   copy PATH (itself, there) · serve PORT · serve-udp PORT · connect ADDRESS PORT · send-udp ADDRESS PORT · become ID ·
 *   keep-id · raw · packet · trace-child · hold-init (stops process 1) · mount · signal-init · set-clock · make-device · open PATH (to write) ·
 *   read PATH · fault · crash · forks COUNT · flood COUNT · getppid COUNT · wait · be-init (as process 1: seals a policy, tries again, ends the machine)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096

static int *volatile nowhere;

static void said(const char *what, int failed)
{
	printf("%s: %s\n", what, failed ? strerror(errno) : "done");
	fflush(stdout);
}

static void start(char *path)
{
	char *const words[] = {path, (char *)"getppid", (char *)"0", NULL};
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		execve(path, words, NULL);
		_exit(errno);
	}
	waitpid(child, &status, 0);
	errno = WEXITSTATUS(status);
	said("exec", errno != 0);
}

static void map(const char *what, int fd, int prot, int flags)
{
	void *at = mmap(NULL, PAGE, prot, flags, fd, 0);

	said(what, at == MAP_FAILED);
	if (at != MAP_FAILED)
		munmap(at, PAGE);
}

static void copy(const char *from, const char *to)
{
	static char data[1 << 20];
	int in = open(from, O_RDONLY), out = open(to, O_CREAT | O_TRUNC | O_WRONLY, 0755);
	ssize_t size = read(in, data, sizeof data);

	if (size <= 0 || write(out, data, (size_t)size) != size)
		perror(to);
	close(in);
	close(out);
}

static void map_file(const char *path)
{
	int fd = open(path, O_RDONLY);

	map("map-file", fd, PROT_READ | PROT_EXEC, MAP_PRIVATE);
	close(fd);
}

static void map_copy(const char *path)
{
	copy(path, "/tmp/copy");
	map_file("/tmp/copy");
}

static void protect(void)
{
	char *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*at = (char)0xc3;
	said("protect", mprotect(at, PAGE, PROT_READ | PROT_EXEC) != 0);
	munmap(at, PAGE);
}

static struct sockaddr_in address_of(const char *host, int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};

	inet_pton(AF_INET, host, &address.sin_addr);
	return address;
}

static void serve(int port, int type)
{
	struct sockaddr_in address = address_of("0.0.0.0", port);
	int fd = socket(AF_INET, type, 0);

	if (port)
		said("bind", bind(fd, (struct sockaddr *)&address, sizeof address) != 0);
	if (type == SOCK_STREAM)
		said("listen", listen(fd, 4) != 0);
}

static void reach(const char *host, int port, int type)
{
	struct sockaddr_in address = address_of(host, port);
	int fd = socket(AF_INET, type | SOCK_NONBLOCK, 0);

	if (type == SOCK_STREAM)
		said("connect", connect(fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS);
	else
		said("send", sendto(fd, "x", 1, 0, (struct sockaddr *)&address, sizeof address) != 1);
	close(fd);
}

static void trace_child(void)
{
	pid_t child = fork();

	if (child == 0) {
		pause();
		_exit(0);
	}
	said("trace-child", ptrace(PTRACE_ATTACH, child, NULL, NULL) != 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void hold_init(void)
{
	said("hold-init", ptrace(PTRACE_SEIZE, 1, NULL, NULL) != 0);
	sleep(1); /* what was said is told first */
	ptrace(PTRACE_INTERRUPT, 1, NULL, NULL);
	for (;;)
		pause();
}

static void set_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	said("set-clock", syscall(SYS_clock_settime, CLOCK_REALTIME, &now) != 0);
}

static void open_path(const char *path, int flags)
{
	int fd = open(path, flags);

	said(path, fd < 0);
	close(fd);
}

static void flood(long count)
{
	long refused = 0;

	while (count--)
		refused += socket(AF_INET, SOCK_RAW, 1) < 0;
	printf("flood: %ld refused\n", refused);
	fflush(stdout);
}

/* In a child, which a signal ends. */
static void fault(void)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0)
		*nowhere = 1;
	waitpid(child, &status, 0);
	printf("fault: signal %d\n", WTERMSIG(status));
	fflush(stdout);
}

static void forks(long count)
{
	pid_t child = 0;

	while (count-- && (child = fork()) > 0)
		;
	if (child == 0)
		for (;;)
			pause();
	said("forks", child < 0);
}

static void write_policy(int fd, const char *lines)
{
	said(lines, write(fd, lines, strlen(lines)) != (ssize_t)strlen(lines));
}

static void be_init(void)
{
	int fd, again;

	dup2(open("/dev/console", O_WRONLY), 1);
	mount("proc", "/proc", "proc", 0, NULL);
	fd = open("/proc/kiln", O_RDWR);
	write_policy(fd, "stance exec maybe");
	write_policy(fd, "stance exec audit");
	write_policy(fd, "program /nowhere");
	write_policy(fd, "port tcp 65536");
	write_policy(fd, "peer 10.0.0.1 80");
	write_policy(fd, "seal");
	write_policy(fd, "stance exec allow");
	again = open("/proc/kiln", O_RDWR);
	write_policy(again, "seal");
	sync();
	reboot(RB_AUTOBOOT);
}

static int is(const char *word, const char *wanted)
{
	return strcmp(word, wanted) == 0;
}

static int without_value(const char *word)
{
	if (is(word, "map-anonymous"))
		map(word, -1, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS);
	else if (is(word, "map-writable"))
		map(word, -1, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS);
	else if (is(word, "protect"))
		protect();
	else if (is(word, "keep-id"))
		said(word, setuid(getuid()) != 0);
	else if (is(word, "raw"))
		said(word, socket(AF_INET, SOCK_RAW, 1) < 0);
	else if (is(word, "packet"))
		said(word, socket(AF_PACKET, SOCK_DGRAM, 0) < 0);
	else if (is(word, "trace-child"))
		trace_child();
	else if (is(word, "hold-init"))
		hold_init();
	else if (is(word, "mount"))
		said(word, mount("tmpfs", "/tmp", "tmpfs", 0, NULL) != 0);
	else if (is(word, "signal-init"))
		said(word, kill(1, SIGTERM) != 0);
	else if (is(word, "set-clock"))
		set_clock();
	else if (is(word, "make-device"))
		said(word, mknod("/tmp/mem", S_IFCHR | 0600, makedev(1, 1)) != 0);
	else if (is(word, "fault"))
		fault();
	else if (is(word, "crash"))
		*nowhere = 1;
	else if (is(word, "be-init"))
		be_init();
	else if (is(word, "wait"))
		for (;;)
			pause();
	else
		return 0;
	return 1;
}

int main(int argc, char **argv)
{
	int i;
	long count;

	for (i = 1; i < argc; i++) {
		const char *word = argv[i];
		char *value = i + 1 < argc ? argv[i + 1] : argv[0];

		if (without_value(word))
			continue;
		i++;
		if (is(word, "exec"))
			start(value);
		else if (is(word, "map-copy"))
			map_copy(value);
		else if (is(word, "map-file"))
			map_file(value);
		else if (is(word, "copy"))
			copy(argv[0], value);
		else if (is(word, "serve"))
			serve(atoi(value), SOCK_STREAM);
		else if (is(word, "serve-udp"))
			serve(atoi(value), SOCK_DGRAM);
		else if (is(word, "become"))
			said(word, setuid((uid_t)atoi(value)) != 0);
		else if (is(word, "open"))
			open_path(value, O_RDWR);
		else if (is(word, "read"))
			open_path(value, O_RDONLY);
		else if (is(word, "forks"))
			forks(atol(value));
		else if (is(word, "flood"))
			flood(atol(value));
		else if (is(word, "getppid"))
			for (count = atol(value); count; count--)
				syscall(SYS_getppid);
		else if (is(word, "connect") || is(word, "send-udp"))
			reach(value, atoi(argv[++i]), is(word, "connect") ? SOCK_STREAM : SOCK_DGRAM);
		else
			return 99;
	}
	return 0;
}
