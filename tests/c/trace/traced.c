/* Makes known system calls from known functions, with known arguments. */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KNOWN __attribute__((noinline, noclone))

volatile long sink; /* what follows a call in its function: none of them becomes a jump */

KNOWN static void ask_for_sockets(void)
{
	sink = socket(AF_UNIX, SOCK_DGRAM, 0);
	sink = socket(AF_UNIX, SOCK_STREAM, 0);
}

KNOWN static void ask_for_the_window(void)
{
	struct winsize size;

	sink = ioctl(0, TIOCGWINSZ, &size);
}

KNOWN static void read_own_status(void)
{
	sink = open("/proc/self/status", O_RDONLY);
}

KNOWN static void write_notes(void)
{
	sink = open("tmp/notes", O_WRONLY | O_CREAT, 0600);
}

/* An instruction of its own, with a label on it. */
KNOWN static void ask_for_the_parent(void)
{
	long result;

	__asm__ volatile(".globl known_site\nknown_site: syscall"
			 : "=a"(result)
			 : "a"((long)SYS_getppid)
			 : "rcx", "r11", "memory");
	sink = result;
}

/* The same instruction, reached by two ways. */
KNOWN static void ask_for_the_user(void)
{
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "a"((long)SYS_getuid) : "rcx", "r11", "memory");
	sink = result;
}

KNOWN static void first_way(void)
{
	ask_for_the_user();
	sink = 1;
}

KNOWN static void second_way(void)
{
	ask_for_the_user();
	sink = 2;
}

/* Far below the stack of all other calls: none of them finds what this leaves there. */
KNOWN static void second_way_deep_down(void)
{
	volatile char area[65536];

	area[0] = 0;
	second_way();
	sink = area[0];
}

KNOWN static void load_plugin(void)
{
	void *plugin = dlopen("/usr/lib/plugin.so", RTLD_NOW);
	void (*function)(void) = plugin ? (void (*)(void))dlsym(plugin, "plugin_function") : NULL;

	if (function)
		function();
	sink = 0;
}

static void *in_thread(void *unused)
{
	sink = (long)unused;
	return NULL;
}

KNOWN static void start_thread(void)
{
	pthread_t thread;

	if (!pthread_create(&thread, NULL, in_thread, NULL))
		pthread_join(thread, NULL);
	sink = 0;
}

KNOWN static void run_another(void)
{
	pid_t child = fork();

	if (!child)
		_exit(execl("/usr/bin/second", "second", (char *)NULL));
	waitpid(child, NULL, 0);
	sink = 0;
}

int main(void)
{
	int i;

	ask_for_sockets();
	ask_for_the_window();
	read_own_status();
	write_notes();
	for (i = 0; i < 3; i++)
		ask_for_the_parent();
	first_way();
	second_way_deep_down();
	load_plugin();
	start_thread();
	run_another();
	return 0;
}
