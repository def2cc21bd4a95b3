#include "trace.h"

#include <fcntl.h>

#include "clock.h"
#include "console.h"
#include "event.h"
#include "lines.h"
#include "sys.h"

#define RECORDED "/proc/kiln_trace"
#define PATIENCE (10 * SECOND) /* with a console that takes nothing at all */

static struct lines lines;

/* Not one line may be lost: the console takes each before the next one comes. */
static void say(const struct line *line)
{
	while (!console_is_idle())
		if (!console_wait(clock_us() + PATIENCE))
			break;
	event_begin("trace");
	event_bytes("line", line->data, line->size);
	if (line->more)
		event_flag("more", true);
	event_end();
}

static void say_all(bool all)
{
	struct line line;

	while (lines_next(&lines, all, &line)) {
		say(&line);
		lines_take(&lines, &line);
	}
}

void trace_report(void)
{
	long fd = sys_open(RECORDED, O_RDONLY | O_CLOEXEC);
	long got = fd;
	char *to;
	size_t room;

	while (got >= 0 && (room = lines_room(&lines, &to)) > 0 && (got = sys_read((int)fd, to, room)) > 0) {
		lines_added(&lines, (size_t)got);
		say_all(false);
	}
	if (got < 0) {
		event_error(RECORDED, got);
		return;
	}
	say_all(true);
	sys_close((int)fd);
}
