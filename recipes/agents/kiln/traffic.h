/* Collects what goes over the network and to the disks, for /metrics. */
#ifndef KILN_TRAFFIC_H
#define KILN_TRAFFIC_H

#include "metrics.h"

void traffic_take(struct metrics *metrics);

#endif
