/* The machine around the application: host name, file systems, owners; and the way back. */
#ifndef KILN_SETUP_H
#define KILN_SETUP_H

#include <stdbool.h>

#include "conf.h"

bool setup_machine(const struct conf *conf); /* false: an error was reported, the application must not start */
void setup_release(const struct conf *conf); /* what was written is on disk, file systems with a device are detached */

#endif
