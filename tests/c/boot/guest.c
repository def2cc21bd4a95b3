/* A guest that speaks the agent's event contract, or breaks it: one behaviour per build (-DBEHAVIOUR=name). */
#include <arpa/inet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

static void say(const char *text)
{
	for (size_t left = strlen(text); left;) {
		ssize_t done = write(1, text, left);
		if (done > 0) {
			text += done;
			left -= (size_t)done;
		}
	}
}

static void event(const char *name, const char *facts)
{
	say("{\"event\":\"");
	say(name);
	say("\",\"mono\":1.5");
	say(facts);
	say("}\n");
}

/* wait for a line on the console; whoever hangs does so here, whatever he is told */
static void hear(void)
{
	char data[64];
	while (read(0, data, sizeof data) < 0)
		;
}

static void hang(void)
{
	for (;;)
		hear();
}

static void end(void)
{
	tcdrain(1);
	reboot(RB_AUTOBOOT);
	hang();
}

static void start(void)
{
	event("boot", ",\"agent\":\"test\"");
	event("start", ",\"pid\":2,\"restarts\":0");
	event("healthy", "");
}

static void halt(const char *code)
{
	say("{\"event\":\"halt\",\"mono\":2.0,\"code\":");
	say(code);
	say("}\n");
	end();
}

static void good(void)
{
	start();
	event("output", ",\"stream\":\"stdout\",\"line\":\"Kernel panic - BUG: WARNING: only words\"");
	event("exit", ",\"pid\":2,\"code\":0");
	halt("0");
}

static void obedient(void)
{
	start();
	hear();
	event("stop", ",\"reason\":\"host\"");
	halt("0");
}

/* stops at the word itself, not at what is left of it */
static void obedient_to_the_word(void)
{
	char data[64];

	start();
	while (read(0, data, sizeof data) != 5 || memcmp(data, "stop\n", 5))
		;
	event("stop", ",\"reason\":\"host\"");
	halt("0");
}

static void obedient_at_length(void)
{
	struct termios settings;
	char facts[80];

	tcgetattr(0, &settings);
	settings.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(0, TCSANOW, &settings);
	start();
	hear();
	for (int number = 0; number < 1000; number++) {
		snprintf(facts, sizeof facts, ",\"stream\":\"stdout\",\"line\":\"still finishing request %d\"", number);
		event("output", facts);
	}
	halt("0");
}

static void obedient_badly(void)
{
	start();
	hear();
	halt("143");
}

static void stubborn(void)
{
	start();
	hang();
}

static void silent(void)
{
	hang();
}

static void unhealthy(void)
{
	event("boot", ",\"agent\":\"test\"");
	event("start", ",\"pid\":2,\"restarts\":0");
	event("output", ",\"stream\":\"stderr\",\"line\":\"cannot open the configuration\"");
	hang();
}

static void ends_early(void)
{
	event("start", ",\"pid\":2,\"restarts\":0");
	event("exit", ",\"pid\":2,\"code\":127");
	halt("127");
}

static void dies(void)
{
	start();
	_exit(7);
}

static void crashes(void)
{
	start();
	event("crash", ",\"pid\":2,\"signal\":11");
	halt("139");
}

static void crashes_and_recovers(void)
{
	start();
	event("crash", ",\"pid\":2,\"signal\":11");
	event("restart", ",\"delay_ms\":100,\"restarts\":1");
	halt("0");
}

static void guarded(void)
{
	start();
	event("guard", ",\"kind\":\"exec\",\"verdict\":\"audited\",\"what\":\"/bin/sh\"");
	halt("0");
}

static void refuses(void)
{
	start();
	event("refused", ",\"nr\":101,\"comm\":\"app\",\"pid\":2,\"ip\":\"401000\"");
	halt("0");
}

static void warns(void)
{
	start();
	say("[    0.123456] WARNING: CPU: 0 PID: 1 at kernel/fork.c:1 copy_process+0x1/0x2\n");
	halt("0");
}

static void warns_through_the_agent(void)
{
	start();
	event("kernel", ",\"level\":2,\"line\":\"BUG: workqueue lockup - pool cpus=0\"");
	halt("0");
}

static void cannot_mount(void)
{
	start();
	event("error", ",\"what\":\"mount /data\",\"error\":\"No such device\"");
	halt("0");
}

static void no_last_word(void)
{
	start();
	event("exit", ",\"pid\":2,\"code\":0");
	end();
}

static void never_ends(void)
{
	start();
	say("{\"event\":\"halt\",\"mono\":2.0,\"code\":0}\n");
	hang();
}

static void three(void)
{
	start();
	event("exit", ",\"pid\":2,\"code\":3");
	halt("3");
}

static void floods(void)
{
	event("boot", ",\"agent\":\"test\"");
	for (;;)
		event("output", ",\"stream\":\"stdout\",\"line\":\"again and again and again and again\"");
}

static void reboots_at_once(void)
{
	end();
}

static int serving(void)
{
	struct sockaddr_in here = {.sin_family = AF_INET};
	struct ifreq request = {.ifr_name = "eth0"};
	int server = socket(AF_INET, SOCK_STREAM, 0);

	here.sin_addr.s_addr = inet_addr("10.0.2.15");
	memcpy(&request.ifr_addr, &here, sizeof here);
	ioctl(server, SIOCSIFADDR, &request);
	request.ifr_flags = IFF_UP;
	ioctl(server, SIOCSIFFLAGS, &request);
	here.sin_addr.s_addr = 0;
	here.sin_port = htons(8080);
	bind(server, (struct sockaddr *)&here, sizeof here);
	if (listen(server, 100)) {
		event("error", ",\"what\":\"listen\",\"error\":\"\"");
		end();
	}
	return server;
}

/* answers, but never to the end */
static void trickles(void)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n";
	int server = serving();

	start();
	for (;;) {
		int client = accept(server, 0, 0);

		send(client, head, sizeof head - 1, MSG_NOSIGNAL);
		while (send(client, "x", 1, MSG_NOSIGNAL) == 1)
			poll(0, 0, 2);
		close(client);
	}
}

/* takes every connection and says nothing */
static void mute(void)
{
	int server = serving();

	start();
	for (;;)
		accept(server, 0, 0);
}

static void raves(void)
{
	start();
	say("{\"event\":\"refused\",\"mono\":1,\"nr\":[[]],\"comm\":{\"\\ud800\":\"\\ud800\"}}\n");
	say("{\"event\":\"refused\",\"mono\":1,\"nr\":\"x\",\"comm\":\"\\ud800\"}\n");
	say("{\"event\":\"crash\",\"mono\":1,\"\\udfff\":\"\\ud800\"}\n");
	say("{\"event\":\"output\",\"mono\":1,\"line\":[1,2]}\n");
	say("{\"event\":\"boot\",\"mono\":1e999}\n{\"event\":{},\"mono\":{}}\n{\"event\":\"\xff\xfe\",\"mono\":1}\n");
	for (int depth = 0; depth < 3000; depth++)
		say("{\"event\":");
	say("\r\n\033[2J\n");
	halt("\"no number\"");
}

int main(void)
{
	BEHAVIOUR();
	return 0;
}
