/* The kernel's messages: forwarded, counted, and refused system calls told apart. */
#ifndef KILN_KERNEL_H
#define KILN_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "kmsg.h"

struct kernel_counts {
	uint64_t by_level[KMSG_WARNING + 1];
	uint64_t refused;
	uint64_t lost; /* overwritten in the kernel's buffer before they could be read */
	uint64_t kept; /* counted but not forwarded: too many at once */
};

void kernel_open(bool debug); /* with `debug`, messages of every level are forwarded */
void kernel_watch(void);
void kernel_drain(void); /* all that is there now */
const struct kernel_counts *kernel_counts(void);

#endif
