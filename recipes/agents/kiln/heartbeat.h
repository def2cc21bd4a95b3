/* Signs of life on the console, with the figures that matter most: for who watches without a network. */
#ifndef KILN_HEARTBEAT_H
#define KILN_HEARTBEAT_H

#include "conf.h"

void heartbeat_open(const struct conf *conf);
void heartbeat_watch(void);
void heartbeat_turn(void);

#endif
