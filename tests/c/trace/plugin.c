/* A library that a program opens by itself. */
#include <sys/prctl.h>

volatile long plugin_sink;

void plugin_function(void)
{
	plugin_sink = prctl(PR_GET_DUMPABLE);
}
