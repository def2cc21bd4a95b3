#include "sha256.h"

#include <string.h>

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes: FIPS 180-4, 4.2.2. */
static const uint32_t constant[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

void sha256_begin(struct sha256 *sum)
{
	/* of the square roots of the first eight: 5.3.3 */
	static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
					  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

	memcpy(sum->state, start, sizeof start);
	sum->size = 0;
}

static uint32_t rotated(uint32_t word, unsigned int by)
{
	return word >> by | word << (32 - by);
}

static uint32_t big_endian(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The computation of 6.2.2. The eight working variables stay in their places and change their names instead, round by
 * round: what FIPS calls a is AT(0), and h is AT(7). */
#define AT(n) s[((n) - i) & 7]

/* A word of the message schedule, where its sixteenth predecessor was. */
static uint32_t next(const uint32_t w[16], unsigned int i)
{
	uint32_t near = w[(i - 2) & 15], far = w[(i - 15) & 15];

	return w[i & 15] + (rotated(near, 17) ^ rotated(near, 19) ^ near >> 10) + w[(i - 7) & 15] +
	       (rotated(far, 7) ^ rotated(far, 18) ^ far >> 3);
}

static void mix(uint32_t state[8], const uint8_t *block)
{
	uint32_t w[16], s[8];
	unsigned int i;

	memcpy(s, state, sizeof s);
	for (i = 0; i < 64; i++) {
		uint32_t one;

		w[i & 15] = i < 16 ? big_endian(block + 4 * i) : next(w, i);
		one = AT(7) + (rotated(AT(4), 6) ^ rotated(AT(4), 11) ^ rotated(AT(4), 25)) +
		      ((AT(4) & AT(5)) ^ (~AT(4) & AT(6))) + constant[i] + w[i & 15];
		AT(3) += one;
		AT(7) = one + (rotated(AT(0), 2) ^ rotated(AT(0), 13) ^ rotated(AT(0), 22)) +
			((AT(0) & AT(1)) ^ (AT(0) & AT(2)) ^ (AT(1) & AT(2)));
	}
	for (i = 0; i < 8; i++)
		state[i] += s[i];
}

void sha256_add(struct sha256 *sum, const void *data, size_t size)
{
	const uint8_t *at = data;

	while (size) {
		size_t used = sum->size % sizeof sum->block;
		size_t part = sizeof sum->block - used < size ? sizeof sum->block - used : size;

		if (part == sizeof sum->block) {
			mix(sum->state, at);
			at += part;
			size -= part;
			sum->size += part;
			continue;
		}
		memcpy(sum->block + used, at, part);
		at += part;
		size -= part;
		sum->size += part;
		if (used + part == sizeof sum->block)
			mix(sum->state, sum->block);
	}
}

void sha256_end(struct sha256 *sum, uint8_t digest[SHA256_BYTES])
{
	static const uint8_t padding[64] = {0x80};
	uint64_t bits = sum->size * 8;
	uint8_t length[8];
	unsigned int i;

	for (i = 0; i < 8; i++)
		length[i] = (uint8_t)(bits >> (56 - 8 * i));
	sha256_add(sum, padding, 1 + (119 - sum->size % 64) % 64);
	sha256_add(sum, length, sizeof length);
	for (i = 0; i < SHA256_BYTES; i++)
		digest[i] = (uint8_t)(sum->state[i / 4] >> (24 - 8 * (i % 4)));
}
