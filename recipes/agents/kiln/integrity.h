/* Compares the image's files with what they were when it was built, a little at a time. */
#ifndef KILN_INTEGRITY_H
#define KILN_INTEGRITY_H

#include <stdbool.h>
#include <stdint.h>

#include "conf.h"

struct integrity {
	uint64_t passes, files, changed; /* whole passes; what the last one saw */
};

void integrity_open(const struct conf *conf);
bool integrity_before_start(void); /* all at once; false if a file has changed */
void integrity_watch(void);
void integrity_turn(void);
const struct integrity *integrity(void);

#endif
