/* Events of the application's life. */
#ifndef KILN_TOLD_H
#define KILN_TOLD_H

#include <stdbool.h>
#include <stdint.h>

void told_start(int pid, uint64_t restarts);
void told_restart(int64_t delay_ms, uint64_t restarts);
void told_end(int pid, int status, int code, bool crashed); /* `status` as wait(2) gives it */
void told_giving_up(const char *program);

#endif
