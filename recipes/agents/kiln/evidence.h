/* What an attacked machine looked like before anything was done about it: its processes, and what one of them has open. */
#ifndef KILN_EVIDENCE_H
#define KILN_EVIDENCE_H

#include <stdint.h>

void evidence_tell(int64_t pid); /* of whom descriptors and code are told as well; 0: of nobody */

#endif
