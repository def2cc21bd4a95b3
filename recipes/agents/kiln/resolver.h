/* Where names are looked up, /run/kiln/resolv.conf: what a lease says, on a root file system that nobody can write to. */
#ifndef KILN_RESOLVER_H
#define KILN_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool resolver_open(void);
void resolver_write(const uint32_t *servers, size_t count);

#endif
