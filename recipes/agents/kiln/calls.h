/* The names of system calls, one after the other by number, each ended by a NUL. */
#ifndef KILN_CALLS_H
#define KILN_CALLS_H

#define CALL_COUNT 463

extern const char call_names[];

#endif
