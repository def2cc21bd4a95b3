#include "integrity.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "clock.h"
#include "digests.h"
#include "event.h"
#include "rules.h"
#include "loop.h"
#include "sys.h"

#define PIECE 16384
#define SHARE 20                     /* of the time that passes, one part in so many is ours */
#define FIRST_AFTER (2 * SECOND)     /* the application starts first */
#define REST (2 * MILLISECOND)       /* at least, between two pieces */

static const struct conf *conf;
static struct integrity last, now;
static int list = -1, file = -1;
static char lines[DIGESTS_LINE + 1]; /* lines[begin..end) is read and not looked at yet */
static size_t begin, end;
static char line[DIGESTS_LINE + 1];
static struct digest expected;
static struct sha256 sum;
static int64_t due_us;

static void report(const char *found)
{
	now.changed++;
	event_begin("changed");
	event_string("path", expected.path);
	event_string("found", found);
	event_end();
	rules_note(&(struct finding){
		.event = "changed", .kind = scan_of(found, strlen(found)),
		.what = scan_of(expected.path, strlen(expected.path)), .count = 1,
	});
}

static bool open_list(void)
{
	long fd = sys_open(DIGESTS_PATH, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	begin = end = 0;
	now = (struct integrity){.passes = last.passes};
	list = (int)fd;
	if (fd >= 0)
		return true;
	expected.path = DIGESTS_PATH;
	report("gone");
	return false;
}

/* The next line of the list, in `line`; its size, 0 at the end, -1 if the list is none. */
static long next_line(void)
{
	for (;;) {
		char *feed = memchr(lines + begin, '\n', end - begin);
		long got;

		if (feed) {
			size_t size = (size_t)(feed - (lines + begin));

			memcpy(line, lines + begin, size);
			begin += size + 1;
			return size ? (long)size : -1;
		}
		memmove(lines, lines + begin, end - begin);
		end -= begin;
		begin = 0;
		if (end == DIGESTS_LINE)
			return -1;
		got = sys_read(list, lines + end, DIGESTS_LINE - end);
		if (got <= 0)
			return end || got < 0 ? -1 : 0;
		end += (size_t)got;
	}
}

static void finish(void)
{
	if (list >= 0)
		sys_close(list);
	list = -1;
	now.passes++;
	last = now;
	event_begin("verified");
	event_number("files", (int64_t)last.files);
	event_number("changed", (int64_t)last.changed);
	event_offer();
}

static void close_file(const char *found)
{
	sys_close(file);
	file = -1;
	now.files++;
	if (found)
		report(found);
}

/* Begins the next file; false when the pass is over. A file that was put in the place of ours may be anything: nothing
 * here waits for it, and no more is read of it than ours had. */
static bool next_file(void)
{
	long size = next_line(), fd;

	if (size < 0 || (size > 0 && !digest_parse(line, (size_t)size, &expected))) {
		expected.path = DIGESTS_PATH;
		report("not readable");
		return false;
	}
	if (!size)
		return false;
	fd = sys_open(expected.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		now.files++;
		report(fd == -ENOENT ? "gone" : "not readable");
		return true;
	}
	file = (int)fd;
	sha256_begin(&sum);
	return true;
}

static void next_piece(void)
{
	static char piece[PIECE];
	uint8_t digest[SHA256_BYTES];
	long got = sys_read(file, piece, sizeof piece);

	if (got < 0) {
		close_file("not readable");
		return;
	}
	if (got > 0) {
		sha256_add(&sum, piece, (size_t)got);
		if (sum.size > expected.size)
			close_file("other content");
		return;
	}
	sha256_end(&sum, digest);
	close_file(memcmp(digest, expected.sum, sizeof digest) != 0 ? "other content" : NULL);
}

/* One step of a pass; false when it is over. */
static bool step(void)
{
	if (list < 0 && !open_list()) {
		finish();
		return false;
	}
	if (file >= 0) {
		next_piece();
		return true;
	}
	if (next_file())
		return true;
	finish();
	return false;
}

void integrity_open(const struct conf *from)
{
	conf = from;
	due_us = clock_us() + FIRST_AFTER;
}

bool integrity_before_start(void)
{
	if (!conf->verify_first)
		return true;
	while (step())
		;
	due_us = clock_us() + (int64_t)conf->verify_ms * MILLISECOND;
	return last.changed == 0;
}

void integrity_watch(void)
{
	if (conf->verify_ms)
		loop_wake_at(due_us);
}

void integrity_turn(void)
{
	int64_t began_us = clock_us(), ended_us;
	bool more;

	if (!conf->verify_ms || began_us < due_us)
		return;
	more = step();
	ended_us = clock_us();
	due_us = more ? ended_us + REST + (ended_us - began_us) * SHARE : ended_us + (int64_t)conf->verify_ms * MILLISECOND;
}

const struct integrity *integrity(void)
{
	return &last;
}
