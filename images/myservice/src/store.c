#include "store.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PUT, GET, DELETE, NAMES, EXISTS, STATEMENTS };

static const char *const SQL[STATEMENTS] = {
    [PUT] = "INSERT INTO items (name, document) VALUES (?1, ?2) "
            "ON CONFLICT (name) DO UPDATE SET document = excluded.document",
    [GET] = "SELECT document FROM items WHERE name = ?1",
    [DELETE] = "DELETE FROM items WHERE name = ?1",
    [NAMES] = "SELECT name FROM items ORDER BY name",
    [EXISTS] = "SELECT 1 FROM items WHERE name = ?1",
};

struct store {
    sqlite3 *database;
    sqlite3_stmt *statements[STATEMENTS];
};

static int failed(const struct store *store, const char *what)
{
    fprintf(stderr, "myservice: %s: %s\n", what, sqlite3_errmsg(store->database));
    return STORE_FAILED;
}

struct store *store_open(const char *path)
{
    struct store *store = calloc(1, sizeof *store);
    if (!store)
        return NULL;
    if (sqlite3_open(path, &store->database) != SQLITE_OK ||
        sqlite3_exec(store->database,
                     "PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL;"
                     "CREATE TABLE IF NOT EXISTS items (name TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID",
                     NULL, NULL, NULL) != SQLITE_OK) {
        failed(store, path);
        store_close(store);
        return NULL;
    }
    for (int i = 0; i < STATEMENTS; i++)
        if (sqlite3_prepare_v2(store->database, SQL[i], -1, &store->statements[i], NULL) != SQLITE_OK) {
            failed(store, "prepare");
            store_close(store);
            return NULL;
        }
    return store;
}

void store_close(struct store *store)
{
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(store->statements[i]);
    sqlite3_close(store->database);
    free(store);
}

/* A statement, ready to run with these texts. */
static sqlite3_stmt *ready(struct store *store, int which, const char *name, const char *document)
{
    sqlite3_stmt *statement = store->statements[which];
    sqlite3_reset(statement);
    if (name)
        sqlite3_bind_text(statement, 1, name, -1, SQLITE_TRANSIENT);
    if (document)
        sqlite3_bind_text(statement, 2, document, -1, SQLITE_TRANSIENT);
    return statement;
}

enum found store_put(struct store *store, const char *name, const char *document, int *created)
{
    sqlite3_stmt *exists = ready(store, EXISTS, name, NULL);
    *created = sqlite3_step(exists) != SQLITE_ROW;
    sqlite3_reset(exists);
    sqlite3_stmt *put = ready(store, PUT, name, document);
    int step = sqlite3_step(put);
    sqlite3_reset(put);
    return step == SQLITE_DONE ? STORE_DONE : failed(store, "put");
}

enum found store_get(struct store *store, const char *name, char **document)
{
    sqlite3_stmt *get = ready(store, GET, name, NULL);
    enum found found = STORE_NOTHING;
    int step = sqlite3_step(get);
    if (step == SQLITE_ROW) {
        *document = strdup((const char *)sqlite3_column_text(get, 0));
        found = *document ? STORE_DONE : STORE_FAILED;
    } else if (step != SQLITE_DONE) {
        found = failed(store, "get");
    }
    sqlite3_reset(get);
    return found;
}

enum found store_delete(struct store *store, const char *name)
{
    sqlite3_stmt *delete = ready(store, DELETE, name, NULL);
    int step = sqlite3_step(delete);
    sqlite3_reset(delete);
    if (step != SQLITE_DONE)
        return failed(store, "delete");
    return sqlite3_changes(store->database) ? STORE_DONE : STORE_NOTHING;
}

json_t *store_names(struct store *store)
{
    json_t *names = json_array();
    sqlite3_stmt *all = ready(store, NAMES, NULL, NULL);
    int step;
    while ((step = sqlite3_step(all)) == SQLITE_ROW)
        json_array_append_new(names, json_string((const char *)sqlite3_column_text(all, 0)));
    sqlite3_reset(all);
    if (step == SQLITE_DONE)
        return names;
    failed(store, "list");
    json_decref(names);
    return NULL;
}
