/* myservice: JSON documents over HTTP, kept in SQLite. */
#include "routes.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_LIMIT (256 * 1024)
#define HEADERS_LIMIT (16 * 1024)
#define PATIENCE_S 30

struct options {
    int port;
    const char *data;
};

static int options_of(int count, char **arguments, struct options *options)
{
    for (int i = 1; i < count; i += 2) {
        if (i + 1 < count && !strcmp(arguments[i], "--port"))
            options->port = atoi(arguments[i + 1]);
        else if (i + 1 < count && !strcmp(arguments[i], "--data"))
            options->data = arguments[i + 1];
        else
            return -1;
    }
    return options->port > 0 && options->port < 65536 ? 0 : -1;
}

static void stop(evutil_socket_t number, short events, void *base)
{
    (void)number;
    (void)events;
    event_base_loopexit(base, NULL);
}

static int serve(struct event_base *base, struct store *store, int port)
{
    struct evhttp *http = evhttp_new(base);
    struct event *term = evsignal_new(base, SIGTERM, stop, base), *interrupt = evsignal_new(base, SIGINT, stop, base);
    int failed = !http || !term || !interrupt || evhttp_bind_socket(http, "0.0.0.0", (ev_uint16_t)port) != 0;
    if (failed) {
        fprintf(stderr, "myservice: cannot listen on port %d\n", port);
    } else {
        evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT | EVHTTP_REQ_POST | EVHTTP_REQ_DELETE);
        evhttp_set_max_body_size(http, BODY_LIMIT);
        evhttp_set_max_headers_size(http, HEADERS_LIMIT);
        evhttp_set_timeout(http, PATIENCE_S);
        routes_add(http, store);
        event_add(term, NULL);
        event_add(interrupt, NULL);
        printf("myservice: listening on port %d\n", port);
        fflush(stdout);
        failed = event_base_dispatch(base) != 0;
    }
    if (http)
        evhttp_free(http);
    if (term)
        event_free(term);
    if (interrupt)
        event_free(interrupt);
    return failed;
}

int main(int count, char **arguments)
{
    struct options options = {.port = 8080, .data = "items.db"};
    if (options_of(count, arguments, &options) != 0) {
        fprintf(stderr, "usage: myservice [--port PORT] [--data FILE]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    struct event_base *base = event_base_new();
    struct store *store = base ? store_open(options.data) : NULL;
    int failed = !store || serve(base, store, options.port);
    if (store)
        store_close(store);
    if (base)
        event_base_free(base);
    return failed;
}
