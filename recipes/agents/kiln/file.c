#include "file.h"

#include <fcntl.h>

#include "sys.h"

long file_read(const char *path, char *to, size_t size)
{
	long fd = sys_open(path, O_RDONLY | O_CLOEXEC);
	long got = fd;
	size_t all = 0;

	if (fd < 0)
		return fd;
	while (all < size && (got = sys_read((int)fd, to + all, size - all)) > 0)
		all += (size_t)got;
	sys_close((int)fd);
	return got < 0 ? got : (long)all;
}
