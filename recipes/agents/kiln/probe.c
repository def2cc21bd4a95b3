#include "probe.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "http.h"
#include "loop.h"
#include "sys.h"
#include "text.h"

#define LOOPBACK 0x7f000001
#define MOST 262144 /* of an answer that is listened to */

static long connect_to(const struct probe *probe)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(probe->check->port),
		.sin_addr.s_addr = htonl(LOOPBACK),
	};

	return sys_connect(probe->fd, &address, sizeof address);
}

void probe_close(struct probe *probe)
{
	if (probe->fd >= 0)
		sys_close(probe->fd);
	probe->fd = -1;
	probe->state = PROBE_IDLE;
}

void probe_end(struct probe *probe, const char *why)
{
	probe_close(probe);
	probe->known = true;
	probe->why = why;
}

static void ask(struct probe *probe)
{
	char bytes[CONF_CHECK_PATH + 128];
	struct text text = text_in(bytes, sizeof bytes);
	long sent;

	text_string(&text, "GET ");
	text_string(&text, probe->check->path);
	text_string(&text, " HTTP/1.0\r\nHost: localhost\r\nUser-Agent: kiln\r\nConnection: close\r\n\r\n");
	sent = sys_write(probe->fd, text.data, text.used); /* a new connection takes more than this at once */
	if (sent != (long)text.used)
		probe_end(probe, sent < 0 ? strerror((int)-sent) : "it takes no request");
	else
		probe->state = PROBE_READS;
}

/* Asked once more, a connection that was being made says what became of it. */
static void on_connected(struct probe *probe)
{
	long error = connect_to(probe);

	if (error == -EINPROGRESS || error == -EALREADY)
		return;
	if (error < 0 && error != -EISCONN)
		probe_end(probe, strerror((int)-error));
	else if (probe->check->path)
		ask(probe);
	else
		probe_end(probe, NULL);
}

/* Closed at once, the connection would be reset: not every server survives that while it still writes. */
static void on_status(struct probe *probe)
{
	probe->known = true;
	probe->why = probe->status >= 200 && probe->status < 400 ? NULL : "";
	probe->state = PROBE_DRAINS;
}

static void on_answer(struct probe *probe)
{
	long got = sys_read(probe->fd, probe->answer + probe->got, sizeof probe->answer - probe->got);

	if (got == -EAGAIN || got == -EINTR)
		return;
	if (got < 0) {
		probe_end(probe, strerror((int)-got));
		return;
	}
	probe->got += (size_t)got;
	probe->status = http_status(probe->answer, probe->got);
	if (probe->status)
		on_status(probe);
	else if (!got || probe->got == sizeof probe->answer)
		probe_end(probe, "no answer of HTTP");
}

static void drain(struct probe *probe)
{
	char ignored[4096];
	long got = sys_read(probe->fd, ignored, sizeof ignored);

	if (got == -EAGAIN || got == -EINTR)
		return;
	probe->got += got > 0 ? (size_t)got : 0;
	if (got <= 0 || probe->got > MOST)
		probe_close(probe);
}

static void on_ready(void *argument, short events)
{
	struct probe *probe = argument;

	(void)events;
	if (probe->state == PROBE_CONNECTS)
		on_connected(probe);
	else if (probe->state == PROBE_READS)
		on_answer(probe);
	else
		drain(probe);
}

void probe_begin(struct probe *probe)
{
	long error = sys_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC);

	probe->fd = (int)error;
	probe->state = PROBE_CONNECTS;
	probe->got = 0;
	probe->known = false;
	if (error >= 0)
		error = connect_to(probe);
	if (error < 0 && error != -EINPROGRESS)
		probe_end(probe, strerror((int)-error));
}

void probe_watch(struct probe *probe)
{
	if (probe->state != PROBE_IDLE)
		loop_watch(probe->fd, probe->state == PROBE_CONNECTS ? POLLOUT : POLLIN, on_ready, probe);
}
