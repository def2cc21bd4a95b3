#include "address.h"

#include <string.h>

#include "scan.h"

static bool scan_address(struct scan *scan, uint32_t *address)
{
	uint64_t part;
	int i;

	*address = 0;
	for (i = 0; i < 4; i++) {
		if ((i && !scan_literal(scan, ".")) || !scan_unsigned(scan, 10, 255, &part))
			return false;
		*address = *address << 8 | (uint32_t)part;
	}
	return true;
}

bool address_parse(const char *text, uint32_t *address)
{
	struct scan scan = scan_of(text, strlen(text));

	return scan_address(&scan, address) && scan_at_end(&scan);
}

bool address_parse_network(const char *text, uint32_t *address, uint32_t *mask)
{
	struct scan scan = scan_of(text, strlen(text));
	uint64_t bits;

	if (!scan_address(&scan, address) || !scan_literal(&scan, "/") || !scan_unsigned(&scan, 10, 32, &bits))
		return false;
	*mask = bits ? UINT32_MAX << (32 - bits) : 0;
	return scan_at_end(&scan);
}

void address_write(struct text *text, uint32_t address)
{
	unsigned int shift;

	for (shift = 32; shift; shift -= 8) {
		text_unsigned(text, address >> (shift - 8) & 255);
		if (shift > 8)
			text_string(text, ".");
	}
}

void address_write_network(struct text *text, uint32_t address, uint32_t mask)
{
	unsigned int bits = 0;

	for (; mask; mask <<= 1)
		bits++;
	address_write(text, address);
	text_string(text, "/");
	text_unsigned(text, bits);
}
