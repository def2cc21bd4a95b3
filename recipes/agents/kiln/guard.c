#include "guard.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "event.h"
#include "loop.h"
#include "rules.h"
#include "sys.h"
#include "text.h"

#define GUARD "/proc/kiln"
#define TURN 4 /* reads in one turn of the loop, each of several events */

static int fd = -1;

static void write_line(const char *line)
{
	char bytes[1024];
	struct text text = text_in(bytes, sizeof bytes);
	long error;

	text_string(&text, line);
	text_string(&text, "\n");
	error = text.cut ? -ENAMETOOLONG : sys_write(fd, bytes, text.used);
	if (error < 0)
		event_error(line, error);
}

void guard_open(const struct conf *conf)
{
	size_t i;

	if (!conf->guards)
		return;
	fd = (int)sys_open(GUARD, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		event_error(GUARD, fd);
		return;
	}
	for (i = 0; i < conf->guards; i++)
		write_line(conf->guard[i]);
	write_line("seal"); /* whatever was wrong: what is not allowed by then is against the policy */
}

static void event_word(const char *key, struct scan word)
{
	event_bytes(key, word.at, (size_t)(word.end - word.at));
}

static void say(char *line, size_t size)
{
	struct guard_event event;
	char ip[24];
	struct text text = text_in(ip, sizeof ip);

	if (!guard_event_parse(line, size, &event) || guard_event_is_usual(&event))
		return;
	text_hexadecimal(&text, event.ip);
	event_begin("guard");
	event_word("kind", event.kind);
	event_word("verdict", event.verdict);
	event_number("pid", (int64_t)event.pid);
	event_number("uid", (int64_t)event.uid);
	event_bytes("comm", event.comm, event.comm_size);
	event_bytes("what", event.what, event.what_size);
	event_string("ip", text_end(&text));
	if (event.kept)
		event_number("suppressed", (int64_t)event.kept);
	event_end();
	rules_note(&(struct finding){
		.event = "guard", .kind = event.kind, .verdict = event.verdict, .pid = (int64_t)event.pid,
		.what = scan_of(event.what, event.what_size), .count = 1 + event.kept,
	});
}

/* False when there is nothing more. The kernel gives whole lines. */
static bool read_some(void)
{
	char data[2048];
	long size = sys_read(fd, data, sizeof data);
	char *at = data;

	while (at < data + size) {
		char *feed = memchr(at, '\n', (size_t)(data + size - at));

		if (!feed)
			break;
		say(at, (size_t)(feed - at));
		at = feed + 1;
	}
	return size > 0;
}

static void on_ready(void *argument, short events)
{
	int left = TURN;

	(void)argument;
	(void)events;
	while (left-- && read_some())
		;
}

void guard_watch(void)
{
	loop_watch(fd, POLLIN, on_ready, NULL);
}

void guard_drain(void)
{
	int left = fd < 0 ? 0 : 64;

	while (left-- && read_some())
		;
}

/* The same file, opened to be read only. */
void guard_count(struct guard_counts *counts)
{
	char data[2048];
	long numbers = fd < 0 ? fd : sys_open(GUARD, O_RDONLY | O_CLOEXEC);
	size_t kept = 0;
	long got;

	if (numbers < 0)
		return;
	while ((got = sys_read((int)numbers, data + kept, sizeof data - kept)) > 0) {
		size_t size = kept + (size_t)got;
		size_t whole = size;

		while (whole && data[whole - 1] != '\n')
			whole--;
		guard_counts_parse(data, whole, counts);
		kept = whole ? size - whole : 0;
		memmove(data, data + whole, kept);
	}
	sys_close((int)numbers);
}
