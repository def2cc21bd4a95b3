/* Two pages over HTTP/1.1: /metrics and /healthz. Few connections, small requests, short patience. */
#include "agent.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS (HTTP_POLLS - 1)
#define REQUEST_BYTES 2048
#define ANSWER_BYTES 16384
#define PATIENCE_US 5000000

struct connection {
    int fd; /* 0: free */
    int64_t until_us;
    size_t received, sent, size;
    char request[REQUEST_BYTES + 1], answer[ANSWER_BYTES];
};

static int listener = -1;
static struct connection connections[CONNECTIONS];

void http_open(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 || listen(fd, CONNECTIONS) != 0) {
        event_error("agent-port", errno);
        if (fd >= 0)
            close(fd);
        return;
    }
    listener = fd;
}

unsigned http_polls(struct pollfd *polls)
{
    bool room = false;
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        const struct connection *c = &connections[i];
        polls[i + 1] = (struct pollfd){.fd = c->fd ? c->fd : -1, .events = c->size ? POLLOUT : POLLIN};
        room |= !c->fd;
    }
    polls[0] = (struct pollfd){.fd = room ? listener : -1, .events = POLLIN};
    return HTTP_POLLS;
}

/* The path of a request whose head is complete, and the status its form deserves (RFC 9112). */
bool http_route(const char *request, size_t count, const char **path, unsigned *status)
{
    static const char *const pages[] = {"/metrics", "/healthz"};
    if (!memmem(request, count, "\r\n\r\n", 4) && !memmem(request, count, "\n\n", 2)) {
        *status = count >= REQUEST_BYTES ? 431 : 0;
        return *status != 0;
    }
    size_t skip = !strncmp(request, "GET ", 4) ? 4 : !strncmp(request, "HEAD ", 5) ? 5 : 0;
    const char *line = memchr(request, '\n', count);
    const char *version = line ? memmem(request, (size_t)(line - request), " HTTP/1.", 8) : NULL;
    *status = !version ? 400 : skip ? 404 : 405;
    for (unsigned i = 0; *status == 404 && i < 2; i++) {
        size_t length = strlen(pages[i]);
        char after = request[skip + length];
        if (!strncmp(request + skip, pages[i], length) && (after == ' ' || after == '?')) {
            *path = pages[i];
            *status = 200;
        }
    }
    return true;
}

static const char *phrase(unsigned status)
{
    switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 431: return "Request Header Fields Too Large";
    default: return "Service Unavailable";
    }
}

static void body_of(struct text *body, unsigned *status, const char *path, const struct watch *watch)
{
    if (*status == 200 && !strcmp(path, "/metrics")) {
        metrics_write(body, watch);
    } else if (*status == 200) {
        const char *reason = !watch->app->pid ? "not running" : "not listening";
        *status = watch->healthy ? 200 : 503;
        text_put(body, watch->healthy ? "{\"status\":\"healthy\"}" : "{\"status\":\"unhealthy\",\"reason\":\"");
        if (!watch->healthy) {
            text_put(body, reason);
            text_put(body, "\"}");
        }
        text_put(body, "\n");
    } else {
        text_put(body, phrase(*status));
        text_put(body, "\n");
    }
}

static void answer(struct connection *c, unsigned status, const char *path, const struct watch *watch)
{
    static char scratch[ANSWER_BYTES - 512];
    struct text body = {.at = scratch, .size = sizeof scratch};
    struct text out = {.at = c->answer, .size = sizeof c->answer};
    bool metrics = status == 200 && !strcmp(path, "/metrics"), json = status == 200 && !metrics;
    body_of(&body, &status, path, watch);
    text_put(&out, "HTTP/1.1 ");
    text_number(&out, status);
    text_put(&out, " ");
    text_put(&out, phrase(status));
    text_put(&out, "\r\nContent-Type: ");
    text_put(&out, metrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                           : json ? "application/json" : "text/plain");
    if (status == 405)
        text_put(&out, "\r\nAllow: GET, HEAD");
    text_put(&out, "\r\nConnection: close\r\nContent-Length: ");
    text_number(&out, (int64_t)body.used);
    text_put(&out, "\r\n\r\n");
    if (strncmp(c->request, "HEAD ", 5) != 0)
        text_add(&out, body.at, body.used);
    c->size = out.used;
}

static void drop(struct connection *c)
{
    close(c->fd);
    memset(c, 0, offsetof(struct connection, request));
}

static void receive(struct connection *c, const struct watch *watch)
{
    const char *path = "";
    unsigned status;
    ssize_t count = read(c->fd, c->request + c->received, REQUEST_BYTES - c->received);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (count <= 0) {
        drop(c);
        return;
    }
    c->received += (size_t)count;
    c->request[c->received] = 0;
    if (http_route(c->request, c->received, &path, &status))
        answer(c, status, path, watch);
}

static void transmit(struct connection *c)
{
    ssize_t count = send(c->fd, c->answer + c->sent, c->size - c->sent, MSG_NOSIGNAL);
    if (count > 0)
        c->sent += (size_t)count;
    if ((count < 0 && errno != EAGAIN && errno != EINTR) || c->sent == c->size)
        drop(c);
}

static void welcome(int64_t now)
{
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        if (connections[i].fd)
            continue;
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        connections[i].fd = fd;
        connections[i].until_us = now + PATIENCE_US;
    }
}

void http_serve(const struct pollfd *polls, unsigned count, const struct watch *watch, int64_t now)
{
    if (count && polls[0].revents)
        welcome(now);
    for (unsigned i = 0; i < CONNECTIONS && i + 1 < count; i++) {
        struct connection *c = &connections[i];
        if (!c->fd || polls[i + 1].fd != c->fd)
            continue;
        if (polls[i + 1].revents && !c->size)
            receive(c, watch);
        if (c->fd && c->size && (polls[i + 1].revents || polls[i + 1].events == POLLIN))
            transmit(c);
        if (c->fd && now > c->until_us)
            drop(c);
    }
}
