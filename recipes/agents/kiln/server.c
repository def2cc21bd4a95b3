/* Few connections, one request each, all with a time limit and buffers of fixed size: nobody can hold us up. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "clock.h"
#include "event.h"
#include "health.h"
#include "http.h"
#include "loop.h"
#include "metrics.h"
#include "network.h"
#include "sample.h"
#include "supervisor.h"
#include "sys.h"
#include "traffic.h"

#define CONNECTIONS 8
#define REQUEST_BYTES 2048
#define HEAD_BYTES 256
#define ANSWER_BYTES 36864
#define LIMIT (5 * SECOND)             /* for a request and its answer */
#define LINGER (500 * MILLISECOND)     /* for the client to close after the answer */
#define UNTOUCHABLE (500 * MILLISECOND) /* older ones give way to new ones when all are in use */
#define OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define PLAIN "text/plain; charset=utf-8"
#define JSON "application/json"

struct connection {
	bool used, answered;
	int fd;
	int64_t since_us, until_us;
	size_t got, size, sent;
	char request[REQUEST_BYTES];
	char answer[HEAD_BYTES + ANSWER_BYTES];
};

static const struct conf *conf;
static int listener = -1;
static struct connection connections[CONNECTIONS];
static uint64_t requests;

void server_open(const struct conf *from)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(from->agent_port)};
	long error;

	conf = from;
	if (!conf->agent_port)
		return;
	listener = (int)(error = sys_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC));
	if (error >= 0)
		error = sys_bind(listener, &address, sizeof address);
	if (error >= 0)
		error = sys_listen(listener, 2 * CONNECTIONS);
	if (error >= 0)
		return;
	event_error("agent-port", error);
	if (listener >= 0)
		sys_close(listener);
	listener = -1;
}

static void finish(struct connection *connection)
{
	sys_close(connection->fd);
	connection->used = false;
}

static int write_health(struct text *body)
{
	const struct application *app = supervisor_application();
	const char *reason = NULL;
	uint16_t missing = 0;

	if (app->stopping)
		reason = "the machine is stopping";
	else if (!app->pid)
		reason = "the application is not running";
	else if (app->frozen)
		reason = "a rule has frozen the application";
	else if (!listening_on_all(conf, &missing))
		reason = "nothing listens on port ";
	else
		reason = health_reason();
	text_string(body, reason ? "{\"status\":\"unhealthy\",\"reason\":\"" : "{\"status\":\"healthy\"");
	if (reason)
		text_string(body, reason);
	if (missing)
		text_unsigned(body, missing);
	text_string(body, reason ? "\"}\n" : "}\n");
	return reason ? 503 : 200;
}

static int write_metrics(struct text *body)
{
	static struct metrics metrics;

	sample_take(conf, &metrics);
	traffic_take(&metrics);
	metrics.requests = requests;
	metrics_write(body, &metrics);
	return body->cut ? 500 : 200;
}

static int write_page(struct text *body, enum http_page page)
{
	return page == HTTP_METRICS ? write_metrics(body) : write_health(body);
}

/* The body stands where it will be sent from; its head, whose length is known last, is put right in front of it. */
static void answer(struct connection *c, int status, const struct http_request *request)
{
	char bytes[HEAD_BYTES];
	struct text head = text_in(bytes, sizeof bytes);
	struct text body = text_in(c->answer + HEAD_BYTES, ANSWER_BYTES);
	const char *type = request->page == HTTP_METRICS ? OPENMETRICS : JSON;

	requests++;
	if (status == 200)
		status = write_page(&body, request->page);
	if (status != 200 && status != 503) {
		type = PLAIN;
		body.used = 0;
		body.cut = false;
		text_string(&body, http_reason(status));
		text_string(&body, "\n");
	}
	http_head(&head, status, type, body.used);
	c->sent = HEAD_BYTES - head.used;
	c->size = HEAD_BYTES + (request->head ? 0 : body.used);
	memcpy(c->answer + c->sent, head.data, head.used);
}

static void take_request(struct connection *c)
{
	long got = sys_read(c->fd, c->request + c->got, sizeof c->request - c->got);
	struct http_request request = {HTTP_NO_PAGE, false};
	int status;

	if (got == -EAGAIN || got == -EINTR)
		return;
	if (got <= 0) {
		finish(c);
		return;
	}
	c->got += (size_t)got;
	status = http_parse(c->request, c->got, &request);
	if (!status && c->got == sizeof c->request)
		status = 431;
	if (status)
		answer(c, status, &request);
}

/* Closing at once would reset the connection if the client had sent more than we read, and it might miss the answer. */
static void send_answer(struct connection *c)
{
	long sent = sys_write(c->fd, c->answer + c->sent, c->size - c->sent);

	if (sent == -EAGAIN || sent == -EINTR)
		return;
	if (sent < 0) {
		finish(c);
		return;
	}
	c->sent += (size_t)sent;
	if (c->sent < c->size)
		return;
	sys_shutdown(c->fd, SHUT_WR);
	c->answered = true;
	c->until_us = clock_us() + LINGER;
}

static void wait_for_close(struct connection *c)
{
	char ignored[512];
	long got = sys_read(c->fd, ignored, sizeof ignored);

	if (got == 0 || (got < 0 && got != -EAGAIN && got != -EINTR))
		finish(c);
}

static void on_connection(void *argument, short events)
{
	struct connection *c = argument;

	(void)events;
	if (!c->used)
		return; /* it gave way to a new one in this turn */
	if (c->answered) {
		wait_for_close(c);
		return;
	}
	if (!c->size)
		take_request(c);
	if (c->used && c->size)
		send_answer(c);
}

/* A free place; else the one in use for longest, if that is long enough; `when_us` says when it will be. */
static struct connection *place(int64_t *when_us)
{
	struct connection *oldest = &connections[0];
	int i;

	for (i = 0; i < CONNECTIONS; i++) {
		if (!connections[i].used)
			return &connections[i];
		if (connections[i].since_us < oldest->since_us)
			oldest = &connections[i];
	}
	*when_us = oldest->since_us + UNTOUCHABLE;
	return *when_us <= clock_us() ? oldest : NULL;
}

static void on_listener(void *argument, short events)
{
	int64_t when_us = 0;
	struct connection *c = place(&when_us);
	long fd;

	(void)argument;
	(void)events;
	if (!c)
		return;
	fd = sys_accept4(listener, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	if (c->used)
		finish(c);
	c->used = true;
	c->answered = false;
	c->fd = (int)fd;
	c->got = c->size = c->sent = 0;
	c->since_us = clock_us();
	c->until_us = c->since_us + LIMIT;
}

static void watch_connection(struct connection *c)
{
	if (c->until_us <= clock_us()) {
		finish(c);
		return;
	}
	loop_watch(c->fd, c->size && !c->answered ? POLLOUT : POLLIN, on_connection, c);
	loop_wake_at(c->until_us);
}

void server_watch(void)
{
	int64_t when_us = 0;
	int i;

	for (i = 0; i < CONNECTIONS; i++)
		if (connections[i].used)
			watch_connection(&connections[i]);
	if (listener < 0)
		return;
	if (place(&when_us))
		loop_watch(listener, POLLIN, on_listener, NULL);
	else
		loop_wake_at(when_us);
}
