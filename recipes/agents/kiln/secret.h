/* Secrets that the host hands over at boot through QEMU's fw_cfg: files in memory that nobody can change. Other agents
 * know nothing of it: without KILN_SECRETS it is no code at all. */
#ifndef KILN_SECRET_H
#define KILN_SECRET_H

#include <stdbool.h>

#include "conf.h"

#ifdef KILN_SECRETS
bool secret_receive(const struct conf *conf); /* false: an error was reported, the application must not start */
#else
static inline bool secret_receive(const struct conf *conf)
{
	(void)conf;
	return true;
}
#endif

#endif
