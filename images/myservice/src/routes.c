#include "routes.h"

#include <ctype.h>
#include <event2/buffer.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <stdlib.h>
#include <string.h>

#define NAME_LIMIT 200
#define PREFIX "/items/"

/* Answers with a JSON value, which is released. */
static void answer(struct evhttp_request *request, int status, json_t *body)
{
    struct evbuffer *out = evbuffer_new();
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    if (text) {
        evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", "application/json");
        evbuffer_add_printf(out, "%s\n", text);
    }
    evhttp_send_reply(request, status, NULL, out);
    evbuffer_free(out);
    free(text);
    json_decref(body);
}

static void refuse(struct evhttp_request *request, int status, const char *why)
{
    answer(request, status, json_pack("{s:s}", "error", why));
}

/* Says which methods a resource takes. */
static void refuse_method(struct evhttp_request *request, const char *methods)
{
    evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", methods);
    refuse(request, HTTP_BADMETHOD, "not a method of this resource");
}

static int is_reading(const struct evhttp_request *request)
{
    return evhttp_request_get_command(request) & (EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
}

static void health(struct evhttp_request *request, void *unused)
{
    (void)unused;
    if (is_reading(request))
        answer(request, HTTP_OK, json_pack("{s:s}", "status", "ok"));
    else
        refuse_method(request, "GET, HEAD");
}

static void list(struct evhttp_request *request, void *context)
{
    if (!is_reading(request)) {
        refuse_method(request, "GET, HEAD");
        return;
    }
    json_t *names = store_names(context);
    if (names)
        answer(request, HTTP_OK, json_pack("{s:o}", "items", names));
    else
        refuse(request, HTTP_INTERNAL, "the items cannot be listed");
}

/* The body as JSON, NULL when it is none. */
static json_t *body_of(struct evhttp_request *request)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(request);
    size_t length = evbuffer_get_length(in);
    const char *text = (const char *)evbuffer_pullup(in, -1);
    return text ? json_loadb(text, length, JSON_DECODE_ANY, NULL) : NULL;
}

static void put(struct evhttp_request *request, struct store *store, const char *name)
{
    int created = 0;
    json_t *value = body_of(request);
    if (!value) {
        refuse(request, HTTP_BADREQUEST, "the body is not JSON");
        return;
    }
    char *document = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (document && store_put(store, name, document, &created) == STORE_DONE)
        answer(request, created ? 201 : HTTP_OK, json_pack("{s:s, s:O}", "name", name, "value", value));
    else
        refuse(request, HTTP_INTERNAL, "the item cannot be kept");
    free(document);
    json_decref(value);
}

static void get(struct evhttp_request *request, struct store *store, const char *name)
{
    char *document = NULL;
    switch (store_get(store, name, &document)) {
    case STORE_DONE:
        answer(request, HTTP_OK, json_pack("{s:s, s:o}", "name", name, "value", json_loads(document, JSON_DECODE_ANY, NULL)));
        break;
    case STORE_NOTHING:
        refuse(request, HTTP_NOTFOUND, "no item of that name");
        break;
    default:
        refuse(request, HTTP_INTERNAL, "the item cannot be read");
    }
    free(document);
}

static void drop(struct evhttp_request *request, struct store *store, const char *name)
{
    switch (store_delete(store, name)) {
    case STORE_DONE:
        answer(request, HTTP_NOCONTENT, NULL);
        break;
    case STORE_NOTHING:
        refuse(request, HTTP_NOTFOUND, "no item of that name");
        break;
    default:
        refuse(request, HTTP_INTERNAL, "the item cannot be deleted");
    }
}

static int is_name(const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("-_.", name[i]))
            return 0;
    return length > 0 && length <= NAME_LIMIT;
}

static void item(struct evhttp_request *request, struct store *store, const char *name)
{
    switch (evhttp_request_get_command(request)) {
    case EVHTTP_REQ_GET:
    case EVHTTP_REQ_HEAD:
        get(request, store, name);
        break;
    case EVHTTP_REQ_PUT:
    case EVHTTP_REQ_POST:
        put(request, store, name);
        break;
    case EVHTTP_REQ_DELETE:
        drop(request, store, name);
        break;
    default:
        refuse_method(request, "GET, HEAD, PUT, POST, DELETE");
    }
}

static void other(struct evhttp_request *request, void *context)
{
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
    if (!path || strncmp(path, PREFIX, strlen(PREFIX)) != 0)
        refuse(request, HTTP_NOTFOUND, "there are /health, /items and /items/NAME");
    else if (!is_name(path + strlen(PREFIX)))
        refuse(request, HTTP_BADREQUEST, "a name has 1 to 200 letters, digits, - _ or .");
    else
        item(request, context, path + strlen(PREFIX));
}

void routes_add(struct evhttp *http, struct store *store)
{
    evhttp_set_cb(http, "/health", health, NULL);
    evhttp_set_cb(http, "/items", list, store);
    evhttp_set_gencb(http, other, store);
}
