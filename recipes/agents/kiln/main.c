/* Process 1 of a Kiln image: sets the machine up, starts the application, watches it, and passes its exit code out. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "application.h"
#include "clock.h"
#include "companion.h"
#include "conf.h"
#include "console.h"
#include "dhcp.h"
#include "event.h"
#include "file.h"
#include "health.h"
#include "heartbeat.h"
#include "integrity.h"
#include "guard.h"
#include "kernel.h"
#include "loop.h"
#include "network.h"
#include "rules.h"
#include "secret.h"
#include "setup.h"
#include "supervisor.h"
#include "sys.h"
#include "text.h"
#include "watchdog.h"

#define AGENT "kiln/1"
#define CODE_SECRET 124
#define CODE_CHANGED 125
#define CODE_SETUP 126

static struct conf conf;

/* Parameters on the kernel's command line that it does not know become the environment of process 1. */
static const char *parameter(char *const environment[], const char *name)
{
	size_t size = strlen(name);

	for (; *environment; environment++)
		if (strncmp(*environment, name, size) == 0 && (*environment)[size] == '=')
			return *environment + size + 1;
	return NULL;
}

static void say_hello(void)
{
	event_begin("boot");
	event_string("agent", AGENT);
	event_end();
}

/* Descriptors 0 to 2 are the application's; what we open must lie above. */
static void occupy_standard_descriptors(void)
{
	long fd;

	do
		fd = sys_open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= 2);
	if (fd >= 0)
		sys_close((int)fd);
}

static void report_wrong(const struct conf_error *error)
{
	char place[sizeof CONF_PATH + 32];
	struct text text = text_in(place, sizeof place);

	text_string(&text, CONF_PATH);
	if (error->line) {
		text_string(&text, ", line ");
		text_unsigned(&text, error->line);
	}
	event_begin("error");
	event_string("what", text_end(&text));
	event_string("error", error->reason);
	event_end();
}

static bool read_configuration(void)
{
	static char text[CONF_BYTES + 1];
	long size = file_read(CONF_PATH, text, sizeof text);
	struct conf_error error = {.reason = "larger than 32 KiB"};

	if (size < 0) {
		event_error(CONF_PATH, size);
		return false;
	}
	if (size <= CONF_BYTES && conf_parse(text, (size_t)size, &conf, &error))
		return true;
	report_wrong(&error);
	conf = (struct conf){0};
	return false;
}

static const char *reason_of(int number)
{
	return number == SIGTERM ? "SIGTERM" : number == SIGINT ? "SIGINT" : "SIGPWR";
}

static void take_requests(void)
{
	int number = loop_signal();

	if (number)
		supervisor_stop(reason_of(number));
	if (console_asked_to_stop())
		supervisor_stop("console");
}

_Noreturn static void watch_over(void)
{
	for (;;) {
		loop_begin();
		console_watch();
		kernel_watch();
		guard_watch();
		application_watch();
		companion_watch();
		server_watch();
		dhcp_watch();
		supervisor_watch();
		health_watch();
		heartbeat_watch();
		integrity_watch();
		rules_watch();
		watchdog_watch();
		loop_wait();
		take_requests();
		dhcp_turn();
		supervisor_turn();
		health_turn();
		companion_turn();
		heartbeat_turn();
		integrity_turn();
		rules_turn();
		watchdog_turn();
	}
}

int main(int argc, char *argv[], char *environment[])
{
	(void)argc;
	(void)argv;
	if (sys_getpid() != 1)
		return CODE_SETUP; /* on any other machine this would stop everything there is */
	occupy_standard_descriptors();
	supervisor_boot();
	console_open();
	loop_open();
	say_hello();
	kernel_open(parameter(environment, "kiln_debug") != NULL);
	if (!read_configuration() || !setup_machine(&conf) || !application_open(&conf))
		supervisor_halt(&conf, CODE_SETUP);
	rules_open(&conf);
	watchdog_open(&conf);
	if (!secret_receive(&conf))
		supervisor_halt(&conf, CODE_SECRET);
	integrity_open(&conf);
	if (!integrity_before_start())
		supervisor_halt(&conf, CODE_CHANGED);
	network_open(&conf, parameter(environment, "kiln_ip"), parameter(environment, "kiln_gw"));
	dhcp_open(&conf);
	server_open(&conf);
	heartbeat_open(&conf);
	guard_open(&conf);
	health_open(&conf);
	supervisor_start(&conf);
	companion_open(&conf);
	watch_over();
}
