#include "http.h"

#include <string.h>

#include "scan.h"

static const struct {
	const char *path;
	enum http_page page;
} pages[] = {{"/metrics", HTTP_METRICS}, {"/healthz", HTTP_HEALTH}};

/* Whether the empty line that ends the headers has come (RFC 9112, 2.2: a lone line feed will do). */
static bool is_complete(struct scan scan)
{
	struct scan line;

	while (scan_past(&(struct scan){scan.at, scan.end}, '\n') && scan_line(&scan, &line))
		if (scan_at_end(&line) || (line.end - line.at == 1 && *line.at == '\r'))
			return true;
	return false;
}

/* The next word of the request line: visible characters up to a blank or the end. */
static bool next_word(struct scan *line, struct scan *word)
{
	word->at = line->at;
	while (line->at < line->end && *line->at > ' ' && *line->at < 0x7f)
		line->at++;
	word->end = line->at;
	return !scan_at_end(word);
}

static bool is(struct scan word, const char *wanted)
{
	return scan_literal(&word, wanted) && scan_at_end(&word);
}

static enum http_page page_of(struct scan target)
{
	const char *query = memchr(target.at, '?', (size_t)(target.end - target.at));
	size_t i;

	if (query)
		target.end = query;
	for (i = 0; i < sizeof pages / sizeof *pages; i++)
		if (is(target, pages[i].path))
			return pages[i].page;
	return HTTP_NO_PAGE;
}

int http_parse(const char *data, size_t size, struct http_request *request)
{
	struct scan scan = scan_of(data, size);
	struct scan line = scan;
	struct scan method, target, version;

	if (!is_complete(scan))
		return 0;
	scan_line(&scan, &line);
	if (line.end > line.at && line.end[-1] == '\r')
		line.end--;
	if (!next_word(&line, &method) || !scan_literal(&line, " ") || !next_word(&line, &target) ||
	    !scan_literal(&line, " ") || !next_word(&line, &version) || !scan_at_end(&line))
		return 400;
	if (!is(version, "HTTP/1.1") && !is(version, "HTTP/1.0"))
		return scan_literal(&version, "HTTP/") ? 505 : 400;
	request->head = is(method, "HEAD");
	request->page = page_of(target);
	if (!request->page)
		return 404;
	return request->head || is(method, "GET") ? 200 : 405;
}

int http_status(const char *data, size_t size)
{
	struct scan scan = scan_of(data, size < sizeof "HTTP/1.1 200" - 1 ? size : sizeof "HTTP/1.1 200" - 1);
	uint64_t minor, status;

	if (!scan_literal(&scan, "HTTP/1.") || !scan_unsigned(&scan, 10, 9, &minor) || !scan_literal(&scan, " ") ||
	    scan.end - scan.at != 3 || !scan_unsigned(&scan, 10, 599, &status) || !scan_at_end(&scan))
		return 0;
	return status < 100 ? 0 : (int)status;
}

const char *http_reason(int status)
{
	switch (status) {
	case 200: return "OK";
	case 400: return "Bad Request";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 431: return "Request Header Fields Too Large";
	case 503: return "Service Unavailable";
	case 505: return "HTTP Version Not Supported";
	default: return "Internal Server Error";
	}
}

void http_head(struct text *text, int status, const char *type, size_t length)
{
	text_string(text, "HTTP/1.1 ");
	text_unsigned(text, (unsigned int)status);
	text_string(text, " ");
	text_string(text, http_reason(status));
	text_string(text, "\r\nContent-Type: ");
	text_string(text, type);
	text_string(text, "\r\nContent-Length: ");
	text_unsigned(text, length);
	text_string(text, status == 405 ? "\r\nAllow: GET, HEAD" : "");
	text_string(text, "\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n");
}
