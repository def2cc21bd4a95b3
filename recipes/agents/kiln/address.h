/* IPv4 addresses as text. */
#ifndef KILN_ADDRESS_H
#define KILN_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

/* "10.0.2.15", in host byte order. */
bool address_parse(const char *text, uint32_t *address);
/* "10.0.2.15/24": address and mask in host byte order. */
bool address_parse_network(const char *text, uint32_t *address, uint32_t *mask);
/* The other way round; `mask` as so many bits after a slash. */
void address_write(struct text *text, uint32_t address);
void address_write_network(struct text *text, uint32_t address, uint32_t mask);

#endif
