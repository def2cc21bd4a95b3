#include "output.h"

#include <fcntl.h>
#include <string.h>

#include "clock.h"
#include "console.h"
#include "event.h"
#include "loop.h"
#include "rules.h"
#include "sys.h"
#include "text.h"

#define PATIENCE (100 * MILLISECOND)
#define DRAIN_LIMIT (2 * SECOND)

long output_open(struct output *output, const char *name, uint32_t uid, uint32_t gid)
{
	int ends[2];
	long error = sys_pipe2(ends, O_CLOEXEC);

	if (error < 0)
		return error;
	output->name = name;
	output->read_fd = ends[0];
	output->write_fd = ends[1];
	/* so that the application may open /dev/stdout and /dev/stderr by name */
	return uid || gid ? sys_fchown(ends[1], uid, gid) : 0;
}

static void note_dropped(struct output *output)
{
	uint64_t count = output->dropped_lately;

	output->dropped_lately = 0;
	rules_note(&(struct finding){
		.event = "dropped", .kind = scan_of(output->name, strlen(output->name)), .count = count,
	});
}

static void note_line(const struct output *output, const struct line *line)
{
	rules_note(&(struct finding){
		.event = "output", .kind = scan_of(output->name, strlen(output->name)),
		.what = scan_of(line->data, line->size), .count = 1,
	});
}

static bool offer(struct output *output, const struct line *line)
{
	event_begin("output");
	event_string("stream", output->name);
	event_bytes("line", line->data, line->size);
	if (line->more)
		event_flag("more", true);
	if (output->dropped_lately)
		event_number("dropped", (int64_t)output->dropped_lately);
	if (!event_offer())
		return false;
	if (output->dropped_lately)
		note_dropped(output);
	return true;
}

/* Passes lines on; false if one must wait. A line that waited too long is dropped, and those behind it until one fits. */
static bool deliver(struct output *output, bool all)
{
	struct line line;

	while (lines_next(&output->lines, all, &line)) {
		if (offer(output, &line)) {
			output->waiting_since_us = 0;
		} else {
			if (!output->waiting_since_us)
				output->waiting_since_us = clock_us();
			if (clock_us() - output->waiting_since_us < PATIENCE)
				return false;
			output->dropped++;
			output->dropped_lately++;
		}
		output->count++;
		note_line(output, &line);
		lines_take(&output->lines, &line);
	}
	return true;
}

static bool fill(struct output *output)
{
	char *to;
	size_t room = lines_room(&output->lines, &to);
	long size = room ? sys_read(output->read_fd, to, room) : 0;

	if (size > 0)
		lines_added(&output->lines, (size_t)size);
	return size > 0;
}

static void on_ready(void *argument, short events)
{
	struct output *output = argument;

	(void)events;
	if (fill(output))
		deliver(output, false);
}

void output_watch(struct output *output)
{
	if (deliver(output, false))
		loop_watch(output->read_fd, POLLIN, on_ready, output);
	else
		loop_wake_at(output->waiting_since_us + PATIENCE);
}

static void report_dropped(struct output *output)
{
	char what[64];
	struct text text = text_in(what, sizeof what);

	text_unsigned(&text, output->dropped_lately);
	text_string(&text, " lines dropped: the console is too slow");
	event_begin("error");
	event_string("what", output->name);
	event_string("error", text_end(&text));
	event_end();
	output->dropped_lately = 0;
}

void output_drain(struct output *output)
{
	int64_t until_us = clock_us() + DRAIN_LIMIT;
	bool more;

	if (!output->name)
		return;
	do {
		more = loop_wait_for(output->read_fd, POLLIN, 0) && fill(output) && clock_us() < until_us;
		while (!deliver(output, !more))
			console_wait(output->waiting_since_us + PATIENCE);
	} while (more);
	if (output->dropped_lately)
		report_dropped(output);
}
