/* A library whose constructor is exported: the relocation of its place in .init_array names a symbol. */
#include <sys/prctl.h>

__attribute__((constructor)) void begin(void) { prctl(PR_GET_DUMPABLE, 0, 0, 0, 0); }
