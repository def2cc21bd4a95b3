/* The kernel's guard, /proc/kiln: it is told the policy before the application starts, and tells what happens to it.
 * Without one in the kernel or without a policy all this does nothing. */
#ifndef KILN_GUARD_H
#define KILN_GUARD_H

#include "conf.h"
#include "guard_text.h"

void guard_open(const struct conf *conf);
void guard_watch(void);
void guard_drain(void); /* all that is there now */
void guard_count(struct guard_counts *counts);

#endif
