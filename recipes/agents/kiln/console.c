#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "clock.h"
#include "loop.h"
#include "sys.h"

#define DEVICE "/dev/console"
#define QUEUE_BYTES 65536
#define WORD "stop"

static int fd = -1;
static char queue[QUEUE_BYTES];
static size_t head, tail; /* what waits is queue[head..tail) */
static char word[sizeof WORD];
static size_t word_size;
static bool hung_up, stop;

void console_open(void)
{
	struct termios settings;

	fd = (int)sys_open(DEVICE, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	/* no echo of what the host says, no carriage returns in the log, no signals from control characters */
	if (fd < 0 || sys_ioctl(fd, TCGETS, &settings) < 0)
		return;
	settings.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ISIG);
	settings.c_oflag &= ~(tcflag_t)OPOST;
	sys_ioctl(fd, TCSETS, &settings);
}

void console_flush(void)
{
	while (head < tail) {
		long written = sys_write(fd, queue + head, tail - head);

		if (written == -EAGAIN || written == -EINTR || written == 0)
			return;
		if (written < 0)
			break; /* no console, or none any more: there is nowhere to say so */
		head += (size_t)written;
	}
	head = tail = 0;
}

bool console_is_idle(void)
{
	return head == tail;
}

bool console_put(const char *data, size_t size, size_t spare)
{
	if (sizeof queue - (tail - head) < size + spare)
		return false;
	if (sizeof queue - tail < size) {
		memmove(queue, queue + head, tail - head);
		tail -= head;
		head = 0;
	}
	memcpy(queue + tail, data, size);
	tail += size;
	return true;
}

bool console_wait(int64_t until_us)
{
	bool ready = loop_wait_for(fd, POLLOUT, until_us);

	console_flush();
	return ready;
}

void console_drain(int64_t until_us)
{
	int waiting = 0;

	console_flush();
	while (!console_is_idle())
		if (!console_wait(until_us))
			return;
	/* The driver's own queue first: waiting for it in the kernel would have no end if the line stood still. */
	while (sys_ioctl(fd, TIOCOUTQ, &waiting) == 0 && waiting && clock_us() < until_us)
		loop_wait_for(-1, 0, clock_us() + MILLISECOND);
	if (!waiting)
		sys_ioctl(fd, TCSBRK, (const void *)1); /* tcdrain: the last bytes in the device */
}

static void hear(char c)
{
	if (c != '\n' && c != '\r') {
		if (word_size < sizeof word)
			word[word_size++] = c;
		return;
	}
	if (word_size == strlen(WORD) && memcmp(word, WORD, word_size) == 0)
		stop = true;
	word_size = 0;
}

static void on_ready(void *argument, short events)
{
	char heard[256];
	long size, i;

	(void)argument;
	if (events & (POLLIN | POLLHUP | POLLERR)) {
		size = sys_read(fd, heard, sizeof heard);
		hung_up = size == 0 || (size < 0 && (events & (POLLHUP | POLLERR)));
		for (i = 0; i < size; i++)
			hear(heard[i]);
	}
	if (events & POLLOUT)
		console_flush();
}

void console_watch(void)
{
	short events = (short)((hung_up ? 0 : POLLIN) | (console_is_idle() ? 0 : POLLOUT));

	if (events)
		loop_watch(fd, events, on_ready, NULL);
}

bool console_asked_to_stop(void)
{
	bool asked = stop;

	stop = false;
	return asked;
}
