/* Collects the figures of application, kernel and machine, for /metrics and heartbeats. */
#ifndef KILN_SAMPLE_H
#define KILN_SAMPLE_H

#include "conf.h"
#include "metrics.h"

/* Once at the start: what process 1 used until now was the kernel, booting. */
void sample_begin(void);
void sample_take(const struct conf *conf, struct metrics *metrics);

#endif
