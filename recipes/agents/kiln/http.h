/* Just enough of HTTP/1.1 (RFC 9112) to answer two pages, one request per connection. */
#ifndef KILN_HTTP_H
#define KILN_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "text.h"

enum http_page { HTTP_NO_PAGE, HTTP_METRICS, HTTP_HEALTH };

struct http_request {
	enum http_page page;
	bool head; /* only the headers are wanted */
};

/* 0: more must come; 200: `request` is to be answered; else the status of a refusal. */
int http_parse(const char *data, size_t size, struct http_request *request);
const char *http_reason(int status);
/* Of an answer's first line: its status; 0: more must come, or it is none. */
int http_status(const char *data, size_t size);
void http_head(struct text *text, int status, const char *type, size_t length);

#endif
