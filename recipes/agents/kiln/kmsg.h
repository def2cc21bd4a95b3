/* One record of /dev/kmsg (Documentation/ABI/testing/dev-kmsg in the kernel's source). */
#ifndef KILN_KMSG_H
#define KILN_KMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KMSG_WARNING 4

struct kmsg {
	unsigned int level;    /* 0 emergency … 4 warning … 7 debug */
	unsigned int facility; /* 0: the kernel itself; others wrote to /dev/kmsg */
	const char *line;      /* unescaped, in the record's own memory */
	size_t size;
};

struct refused {
	int64_t number, pid;
	const char *comm;
	size_t comm_size;
	uint64_t ip;
};

size_t kmsg_unescape(char *line, size_t size); /* in place; the new size */
bool kmsg_parse(char *record, size_t size, struct kmsg *kmsg);
/* Whether the message is `kiln: refused syscall nr=<n> comm=<name> pid=<n> ip=<hex>`; a name may hold anything. */
bool kmsg_refused(const struct kmsg *kmsg, struct refused *refused);

#endif
