#include "kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "clock.h"
#include "event.h"
#include "loop.h"
#include "rules.h"
#include "sys.h"
#include "text.h"

#define DEVICE "/dev/kmsg"
#define TURN 32       /* records read in one turn of the loop */
#define MOST_LEFT 8192 /* records read at the end */
#define BURST 100     /* events forwarded at once, and then one in every INTERVAL */
#define INTERVAL (50 * MILLISECOND)
#define NUMBERS 1024 /* system calls told apart: the first refusal of each is always reported */

static int fd = -1;
static bool everything;
static struct kernel_counts counts;
static int64_t allowed = BURST, refilled_us;
static unsigned char seen[NUMBERS / 8];

void kernel_open(bool debug)
{
	everything = debug;
	fd = (int)sys_open(DEVICE, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		event_error(DEVICE, fd);
}

static bool may_forward(void)
{
	int64_t more = (clock_us() - refilled_us) / INTERVAL;

	if (everything)
		return true;
	refilled_us += more * INTERVAL;
	allowed = allowed + more > BURST ? BURST : allowed + more;
	if (!allowed)
		return false;
	allowed--;
	return true;
}

static bool is_first(int64_t number)
{
	unsigned char bit = (unsigned char)(1 << (number & 7));
	bool first;

	if (number < 0 || number >= NUMBERS)
		return false;
	first = !(seen[number / 8] & bit);
	seen[number / 8] |= bit;
	return first;
}

static void on_refused(const struct refused *refused)
{
	char ip[24];
	struct text text = text_in(ip, sizeof ip);

	counts.refused++;
	if (!is_first(refused->number) && !may_forward()) {
		counts.kept++;
		return;
	}
	text_hexadecimal(&text, refused->ip);
	event_begin("refused");
	event_number("nr", refused->number);
	event_bytes("comm", refused->comm, refused->comm_size);
	event_number("pid", refused->pid);
	event_string("ip", text_end(&text));
	event_end();
	rules_note_number("refused", refused->number, refused->pid);
}

static void on_message(const struct kmsg *kmsg)
{
	struct refused refused;

	if (kmsg_refused(kmsg, &refused)) {
		on_refused(&refused);
		return;
	}
	if (kmsg->level <= KMSG_WARNING)
		counts.by_level[kmsg->level]++;
	else if (!everything)
		return;
	if (!may_forward()) {
		counts.kept++;
		return;
	}
	event_begin("kernel");
	event_number("level", kmsg->level);
	event_bytes("line", kmsg->line, kmsg->size);
	event_end();
	rules_note(&(struct finding){.event = "kernel", .what = scan_of(kmsg->line, kmsg->size), .count = 1});
}

/* False when there is nothing more to read. */
static bool read_one(void)
{
	char record[4096];
	long size = sys_read(fd, record, sizeof record);
	struct kmsg kmsg;

	if (size == -EPIPE) { /* records were overwritten; the next read finds the oldest one left */
		counts.lost++;
		return true;
	}
	if (size == -EINVAL || size == -EINTR)
		return true;
	if (size <= 0)
		return false;
	if (kmsg_parse(record, (size_t)size, &kmsg))
		on_message(&kmsg);
	return true;
}

static void on_ready(void *argument, short events)
{
	int left = TURN;

	(void)argument;
	(void)events;
	while (left-- && read_one())
		;
}

void kernel_watch(void)
{
	loop_watch(fd, POLLIN, on_ready, NULL);
}

void kernel_drain(void)
{
	int left = fd < 0 ? 0 : MOST_LEFT;

	while (left-- && read_one())
		;
}

const struct kernel_counts *kernel_counts(void)
{
	return &counts;
}
