/* Documents by name, kept in one SQLite table. */
#ifndef STORE_H
#define STORE_H

#include <jansson.h>

enum found { STORE_FAILED = -1, STORE_NOTHING = 0, STORE_DONE = 1 };

struct store;

/* Opens (and makes) the database; NULL with a message on stderr when that fails. */
struct store *store_open(const char *path);
void store_close(struct store *store);

/* Sets `*created` when there was no document of that name before. */
enum found store_put(struct store *store, const char *name, const char *document, int *created);
/* The document, to be released by free(). */
enum found store_get(struct store *store, const char *name, char **document);
enum found store_delete(struct store *store, const char *name);
/* All names, sorted, as a JSON array; NULL when that fails. */
json_t *store_names(struct store *store);

#endif
