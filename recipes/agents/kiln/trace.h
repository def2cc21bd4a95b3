/* What a kernel made for traces has recorded: said line by line before the machine ends. Other agents know nothing of
 * it: without KILN_TRACE it is no code at all. */
#ifndef KILN_TRACE_H
#define KILN_TRACE_H

#ifdef KILN_TRACE
void trace_report(void);
#else
static inline void trace_report(void)
{
}
#endif

#endif
