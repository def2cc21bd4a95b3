#include "watchdog.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include "clock.h"
#include "conf_values.h"
#include "event.h"
#include "loop.h"
#include "sys.h"

#define DEVICE "/dev/watchdog"
#define SET_TIMEOUT _IOWR('W', 6, int) /* include/uapi/linux/watchdog.h */
#define SHARE 4			       /* writes within the limit: one that comes late does no harm */

static int fd = -1;
static int64_t due_us, every_us;

const char *conf_on_watchdog(struct conf *conf, char *value) { return conf_number(value, 1, 30, &conf->watchdog_s); }

static void write_to_it(void)
{
	long error = sys_write(fd, ".", 1); /* a V and a close would switch it off: nobody can */

	if (error < 0)
		event_error(DEVICE, error);
	due_us = clock_us() + every_us;
}

/* From here on it runs, and stops when the kernel takes its devices down. */
void watchdog_open(const struct conf *conf)
{
	int limit_s = (int)conf->watchdog_s;
	long error;

	if (!limit_s)
		return;
	error = sys_open(DEVICE, O_WRONLY | O_CLOEXEC);
	if (error < 0) {
		event_error(DEVICE, error);
		return;
	}
	fd = (int)error;
	error = sys_ioctl(fd, SET_TIMEOUT, &limit_s);
	if (error < 0)
		event_error(DEVICE, error);
	every_us = limit_s * SECOND / SHARE;
	write_to_it();
	event_begin("watchdog");
	event_number("limit", limit_s);
	event_end();
}

void watchdog_watch(void)
{
	if (fd >= 0)
		loop_wake_at(due_us);
}

void watchdog_turn(void)
{
	if (fd >= 0 && clock_us() >= due_us)
		write_to_it();
}
