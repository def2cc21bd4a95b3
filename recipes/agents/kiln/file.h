/* Small files read whole: as they are in /proc. */
#ifndef KILN_FILE_H
#define KILN_FILE_H

#include <stddef.h>

/* At most `size` bytes; how many there were, or a negative error number. */
long file_read(const char *path, char *to, size_t size);

#endif
