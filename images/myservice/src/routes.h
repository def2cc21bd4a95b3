/* GET /health · GET /items · GET, PUT, DELETE /items/NAME */
#ifndef ROUTES_H
#define ROUTES_H

#include "store.h"

#include <event2/http.h>

void routes_add(struct evhttp *http, struct store *store);

#endif
