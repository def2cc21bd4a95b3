#include "loop.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "clock.h"
#include "event.h"
#include "sys.h"

#define WATCHED 32

static struct pollfd watched[WATCHED];
static struct {
	loop_ready *ready;
	void *argument;
} handler[WATCHED];
static unsigned int count;
static int64_t wake_us;
static volatile sig_atomic_t asked;

static void on_signal(int number)
{
	if (number != SIGCHLD)
		asked = number;
}

void loop_open(void)
{
	static const int handled[] = {SIGCHLD, SIGTERM, SIGINT, SIGPWR};
	struct sigaction action = {.sa_handler = on_signal};
	uint64_t mask = 0;
	unsigned int i;

	for (i = 0; i < sizeof handled / sizeof *handled; i++)
		mask |= UINT64_C(1) << (handled[i] - 1);
	sys_sigprocmask(SIG_SETMASK, &mask);
	for (i = 0; i < sizeof handled / sizeof *handled; i++)
		sigaction(handled[i], &action, NULL);
}

int loop_signal(void)
{
	int number = asked; /* nothing can change it here: signals come while the loop waits */

	asked = 0;
	return number;
}

void loop_begin(void)
{
	count = 0;
	wake_us = NEVER;
}

void loop_watch(int fd, short events, loop_ready *ready, void *argument)
{
	if (fd < 0 || count == WATCHED)
		return;
	watched[count] = (struct pollfd){.fd = fd, .events = events};
	handler[count].ready = ready;
	handler[count].argument = argument;
	count++;
}

void loop_wake_at(int64_t at_us)
{
	if (at_us < wake_us)
		wake_us = at_us;
}

static struct timespec until(int64_t at_us)
{
	int64_t left = at_us - clock_us();

	if (left < 0)
		left = 0;
	return (struct timespec){.tv_sec = left / SECOND, .tv_nsec = left % SECOND * 1000};
}

void loop_wait(void)
{
	static const uint64_t none_blocked;
	struct timespec timeout;
	long ready;
	unsigned int i;

	if (wake_us != NEVER)
		timeout = until(wake_us);
	ready = sys_ppoll(watched, count, wake_us == NEVER ? NULL : &timeout, &none_blocked);
	if (ready < 0 && ready != -EINTR)
		event_error("ppoll", ready);
	for (i = 0; i < count && ready > 0; i++)
		if (watched[i].revents)
			handler[i].ready(handler[i].argument, watched[i].revents);
}

bool loop_wait_for(int fd, short events, int64_t until_us)
{
	struct pollfd one = {.fd = fd, .events = events};
	struct timespec timeout = until(until_us);

	return sys_ppoll(&one, fd < 0 ? 0 : 1, &timeout, NULL) == 1;
}
