/* The application of the agent's tests: does in order what its arguments say.
 *
 *   print TEXT · error TEXT · bytes HEX · flood LINES · flood-kernel LINES · write PATH TEXT
 *   ids · environment · descriptors · open-stdout · call-nothing · listen PORT · orphan · daemon MS · signal-init NUMBER
 *   exit CODE · crash · sleep MS · forever · ignore-term · on-term CODE
 *   first-time PATH CODE (ends with CODE unless PATH exists; makes it)
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
static volatile int term_code;

static void pause_ms(long ms)
{
	struct timespec left = {ms / 1000, ms % 1000 * 1000000};

	while (nanosleep(&left, &left) != 0)
		;
}

static void print_bytes(const char *hex)
{
	unsigned int byte;

	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		putchar((int)byte);
}

static void print_ids(void)
{
	struct rlimit files;
	gid_t groups[32];
	char host[65] = "";
	int count = getgroups(32, groups);
	int i;

	getrlimit(RLIMIT_NOFILE, &files);
	gethostname(host, sizeof host);
	printf("uid=%d euid=%d gid=%d groups=", (int)getuid(), (int)geteuid(), (int)getgid());
	for (i = 0; i < count; i++)
		printf("%d,", (int)groups[i]);
	printf(" session=%d directory=%s files=%ld no_new_privs=%d back_to_root=%d stdin=%d host=%s\n", getsid(0) == getpid(),
	       getcwd(NULL, 0), (long)files.rlim_cur, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), setuid(0) == 0,
	       (int)read(0, &i, 1), host);
}

static void print_environment(void)
{
	char **variable;

	for (variable = environ; *variable; variable++)
		printf("environment %s\n", *variable);
}

static void print_descriptors(void)
{
	int fd;

	printf("descriptors=");
	for (fd = 0; fd < 64; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("%d,", fd);
	printf("\n");
}

static void listen_on(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 16) != 0)
		perror("listen");
}

static void flood(long lines)
{
	long i;

	for (i = 0; i < lines; i++)
		printf("line %ld of many, many lines that nobody can read as fast as they come\n", i);
}

/* A grandchild whose parent ends at once: process 1 inherits it. */
static void make_orphan(long ms)
{
	pid_t child = fork();

	if (child == 0) {
		if (fork() == 0) {
			pause_ms(ms);
			_exit(7);
		}
		_exit(0);
	}
	waitpid(child, NULL, 0);
	pause_ms(50);
}

static void on_term(int number)
{
	(void)number;
	_exit(term_code);
}

static void write_to(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	if (fd < 0 || dprintf(fd, "%s\n", text) < 0)
		perror(path);
	close(fd);
}

static void flood_kernel(long lines)
{
	while (lines--)
		write_to("/dev/kmsg", "<4>flood");
}

static void open_stdout(void)
{
	int fd = open("/proc/self/fd/1", O_WRONLY);

	if (fd < 0 || write(fd, "opened by name\n", 15) != 15)
		perror("/proc/self/fd/1");
}

static void first_time(const char *path, int code)
{
	if (access(path, F_OK) == 0)
		return;
	close(open(path, O_CREAT | O_WRONLY, 0600));
	exit(code);
}

/* A number no system call has. */
static long call_nothing(void)
{
	long answer;

	__asm__ volatile("movl $480, %%eax; syscall" : "=a"(answer) : : "rcx", "r11", "memory");
	return answer;
}

static int is(const char *word, const char *wanted)
{
	return strcmp(word, wanted) == 0;
}

int main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		const char *word = argv[i];
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (is(word, "ids"))
			print_ids();
		else if (is(word, "environment"))
			print_environment();
		else if (is(word, "descriptors"))
			print_descriptors();
		else if (is(word, "crash"))
			raise(SIGSEGV);
		else if (is(word, "forever"))
			for (;;)
				pause();
		else if (is(word, "ignore-term"))
			signal(SIGTERM, SIG_IGN);
		else if (is(word, "open-stdout"))
			open_stdout();
		else if (is(word, "call-nothing"))
			printf("call answered %ld\n", call_nothing());
		else if (is(word, "orphan"))
			make_orphan(20);
		else if (i++, is(word, "print"))
			printf("%s\n", value);
		else if (is(word, "error"))
			fprintf(stderr, "%s\n", value);
		else if (is(word, "bytes"))
			print_bytes(value);
		else if (is(word, "flood"))
			flood(atol(value));
		else if (is(word, "flood-kernel"))
			flood_kernel(atol(value));
		else if (is(word, "exit"))
			exit(atoi(value));
		else if (is(word, "sleep"))
			pause_ms(atol(value));
		else if (is(word, "listen"))
			listen_on(atoi(value));
		else if (is(word, "daemon"))
			make_orphan(atol(value));
		else if (is(word, "on-term"))
			term_code = atoi(value), signal(SIGTERM, on_term);
		else if (is(word, "signal-init"))
			kill(1, atoi(value));
		else if (i++, is(word, "write"))
			write_to(value, argv[i]);
		else if (is(word, "first-time"))
			first_time(value, atoi(argv[i]));
		else
			return 99;
		fflush(stdout);
	}
	return 0;
}
