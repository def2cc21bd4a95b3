/* Collects the figures for /metrics. */
#ifndef KILN_SAMPLE_H
#define KILN_SAMPLE_H

#include "conf.h"
#include "metrics.h"

void sample_take(const struct conf *conf, struct metrics *metrics);

#endif
