#include <fcntl.h>
#include <string.h>

#include "network.h"
#include "sys.h"
#include "tables.h"

#define ALL(count) ((count) == 32 ? UINT32_MAX : (UINT32_C(1) << (count)) - 1)

/* The size of the whole lines among the first bytes. */
static size_t whole_lines(const char *data, size_t size)
{
	while (size && data[size - 1] != '\n')
		size--;
	return size;
}

static uint32_t listeners_in(const char *table, const struct conf *conf)
{
	char data[4096];
	long fd = sys_open(table, O_RDONLY | O_CLOEXEC);
	uint32_t found = 0;
	size_t kept = 0;
	bool past = false;
	long got;

	if (fd < 0)
		return 0; /* tcp6: a kernel without IPv6 */
	while (!past && found != ALL(conf->ports) && (got = sys_read((int)fd, data + kept, sizeof data - kept)) > 0) {
		size_t size = kept + (size_t)got;
		size_t whole = whole_lines(data, size);

		found |= listeners_parse(data, whole, conf->port, conf->ports, &past);
		kept = whole ? size - whole : 0; /* a line longer than the buffer is none of the kernel's */
		memmove(data, data + whole, kept);
	}
	sys_close((int)fd);
	return found;
}

bool listening_on_all(const struct conf *conf, uint16_t *missing)
{
	uint32_t found = conf->ports ? listeners_in("/proc/net/tcp", conf) : 0;
	size_t i;

	if (found != ALL(conf->ports))
		found |= listeners_in("/proc/net/tcp6", conf);
	for (i = 0; i < conf->ports; i++) {
		if (!(found >> i & 1)) {
			*missing = conf->port[i];
			return false;
		}
	}
	return true;
}
