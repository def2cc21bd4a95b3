/* A library in two versions: -DPATCHED changes one exported function, one that it keeps to itself, and adds one. */
#include <stdlib.h>
#include <string.h>

static __attribute__((noinline)) int hidden(const char *text, int limit)
{
    int sum = 0;
    for (int i = 0; i < limit && text[i]; i++)
#ifdef PATCHED
        sum += text[i] ^ 3;
#else
        sum += text[i];
#endif
    return sum * 7 + limit;
}

#ifdef PATCHED
char padding[5000] = "moves all data and what refers to it";
int added(int x) { return (int)strlen(padding) + x; }
#endif

int same(const char *text) { return (int)strlen(text) + abs(atoi(text)); }

int through(const char *text) { return hidden(text, 100) + same(text); }

int changed(const char *text, char *out)
{
    if (!text)
        return -1;
#ifdef PATCHED
    if (strlen(text) > 100)
        return -2;
#endif
    strcpy(out, text);
    return 0;
}

int calls(const char *text)
{
#ifdef PATCHED
    return atol(text) > 3;
#else
    return atoi(text) > 3;
#endif
}
