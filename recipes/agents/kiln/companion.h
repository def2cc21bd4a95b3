/* A second program that runs beside the application for as long as the machine does: an agent that was not made for
 * Kiln. It is started once the application is healthy, or has had time enough; it is started again when it ends, with
 * growing delays; and whatever happens to it, the application goes on. Without KILN_COMPANION it is no code at all. */
#ifndef KILN_COMPANION_H
#define KILN_COMPANION_H

#include "conf.h"

#ifdef KILN_COMPANION
void companion_open(const struct conf *conf);
void companion_watch(void);
void companion_turn(void);
void companion_drain(void);                /* all it has written so far */
void companion_spare(void);                /* everybody is about to be killed: its end is no fault of its own */
void companion_ended(int pid, int status); /* any process that is not the application */
int companion_pid(void);                   /* 0: not running */
void companion_say(void);                  /* its part of a heartbeat */
#else
static inline void companion_open(const struct conf *conf) { (void)conf; }
static inline void companion_watch(void) {}
static inline void companion_turn(void) {}
static inline void companion_drain(void) {}
static inline void companion_spare(void) {}
static inline void companion_ended(int pid, int status) { (void)pid, (void)status; }
static inline int companion_pid(void) { return 0; }
static inline void companion_say(void) {}
#endif

#endif
