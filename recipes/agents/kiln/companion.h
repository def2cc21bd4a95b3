/* Programs that run beside the application for as long as the machine does: the processes that a definition declares, and
 * the companion, an agent that was not made for Kiln. Processes are started with the application, in order; the companion
 * once the application is healthy, or has had time enough. Each is started again by its own policy, with growing delays;
 * and whatever happens to them, the application goes on. Without KILN_COMPANION it is no code at all. */
#ifndef KILN_COMPANION_H
#define KILN_COMPANION_H

#include <signal.h>

#include "conf.h"
#include "sys.h"

/* What the metrics tell of a process. */
struct process_counts {
	const char *name;
	bool up;
	uint64_t restarts;
};

#ifdef KILN_COMPANION
void companion_open(const struct conf *conf);
void companion_watch(void);
void companion_turn(void);
void companion_drain(void);                /* all they have written so far */
void companion_clear_away(int pid);        /* kills what the application left behind, which had this process id */
void companion_ended(int pid, int status); /* any process that is not the application */
int companion_pid(void);                   /* the companion's; 0: it does not run */
bool companion_has_processes(void);        /* whether the definition declares any */
void companion_say(void);                  /* their part of a heartbeat */
size_t companion_counts(struct process_counts to[CONF_PROCESSES]); /* of the declared processes */
#else
static inline void companion_open(const struct conf *conf) { (void)conf; }
static inline void companion_watch(void) {}
static inline void companion_turn(void) {}
static inline void companion_drain(void) {}
static inline void companion_clear_away(int pid) { (void)pid, sys_kill(-1, SIGKILL); }
static inline void companion_ended(int pid, int status) { (void)pid, (void)status; }
static inline int companion_pid(void) { return 0; }
static inline bool companion_has_processes(void) { return false; }
static inline void companion_say(void) {}
#endif

#endif
