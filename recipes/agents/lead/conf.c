/* The configuration that was baked in: one directive per line, `key value`. */
#include "agent.h"

#include <string.h>

static void unescape(char *text)
{
    char *out = text;
    for (; *text; text++) {
        if (*text == '\\' && (text[1] == '\\' || text[1] == 'n'))
            *out++ = *++text == 'n' ? '\n' : '\\';
        else
            *out++ = *text;
    }
    *out = 0;
}

/* Cuts the next word off `*rest`; an empty text when there is none. */
static char *word(char **rest)
{
    char *start = *rest + strspn(*rest, " ");
    char *end = start + strcspn(start, " ");
    *rest = *end ? end + 1 : end;
    *end = 0;
    return start;
}

static bool list(char **items, unsigned *count, unsigned limit, char *value)
{
    if (*count >= limit)
        return false;
    items[(*count)++] = value;
    return true;
}

static const char *mount_of(struct conf *conf, char *value)
{
    if (conf->mount_count >= MAX_MOUNTS)
        return "too many mounts";
    struct mount_point *mount = &conf->mounts[conf->mount_count++];
    mount->type = word(&value);
    mount->source = word(&value);
    mount->target = word(&value);
    mount->options = word(&value);
    return *mount->target == '/' ? NULL : "mount wants: type source target options";
}

static const char *owner_of(struct conf *conf, char *value)
{
    if (conf->owner_count >= MAX_MOUNTS)
        return "too many owners";
    struct owner *owner = &conf->owners[conf->owner_count++];
    uint64_t uid, gid;
    owner->path = word(&value);
    if (!number_of(word(&value), UINT32_MAX, &uid) || !number_of(word(&value), UINT32_MAX, &gid))
        return "own wants: path uid gid";
    owner->uid = (unsigned)uid;
    owner->gid = (unsigned)gid;
    return NULL;
}

static const char *restart_of(struct conf *conf, const char *value)
{
    static const char *const names[] = {"never", "on-failure", "always"};
    for (unsigned i = 0; i < 3; i++)
        if (!strcmp(value, names[i])) {
            conf->restart = (enum restart)i;
            return NULL;
        }
    return "restart wants never, on-failure or always";
}

static const char *number_directive(struct conf *conf, const char *key, char *value)
{
    uint64_t found;
    if (!number_of(value, UINT32_MAX, &found))
        return "not a number, or no known directive";
    if (!strcmp(key, "uid"))
        conf->uid = (uid_t)found;
    else if (!strcmp(key, "gid"))
        conf->gid = (gid_t)found;
    else if (!strcmp(key, "stop-signal") && found < 65)
        conf->stop_signal = (int)found;
    else if (!strcmp(key, "stop-timeout-ms"))
        conf->stop_timeout_ms = (unsigned)found;
    else if (!strcmp(key, "open-files"))
        conf->open_files = (unsigned)found;
    else if (!strcmp(key, "agent-port") && found < 65536)
        conf->agent_port = (uint16_t)found;
    else if (!strcmp(key, "port") && found < 65536 && conf->port_count < MAX_PORTS)
        conf->ports[conf->port_count++] = (uint16_t)found;
    else if (!strcmp(key, "group") && conf->group_count < MAX_GROUPS)
        conf->groups[conf->group_count++] = (gid_t)found;
    else
        return "no known directive, out of range, or too many";
    return NULL;
}

static const char *directive(struct conf *conf, const char *key, char *value)
{
    unescape(value);
    if (!strcmp(key, "argument"))
        return list(conf->arguments, &conf->argument_count, MAX_ARGUMENTS, value) ? NULL : "too many arguments";
    if (!strcmp(key, "environment"))
        return list(conf->environment, &conf->environment_count, MAX_ENVIRONMENT, value) ? NULL : "too many variables";
    if (!strcmp(key, "mount"))
        return mount_of(conf, value);
    if (!strcmp(key, "own"))
        return owner_of(conf, value);
    if (!strcmp(key, "restart"))
        return restart_of(conf, value);
    if (!strcmp(key, "directory"))
        conf->directory = value;
    else if (!strcmp(key, "hostname"))
        conf->hostname = value;
    else if (!strcmp(key, "network"))
        conf->network = !strcmp(value, "yes");
    else
        return number_directive(conf, key, value);
    return NULL;
}

const char *conf_parse(struct conf *conf, char *text, unsigned *line)
{
    static char root[] = "/", name[] = "kiln";
    memset(conf, 0, sizeof *conf);
    conf->directory = root;
    conf->hostname = name;
    conf->stop_signal = 15;
    conf->stop_timeout_ms = 5000;
    conf->open_files = 1024;
    for (*line = 1; *text; ++*line) {
        char *end = text + strcspn(text, "\n");
        char *next = *end ? end + 1 : end;
        *end = 0;
        if (*text && *text != '#') {
            char *value = text;
            char *key = word(&value);
            const char *wrong = directive(conf, key, value);
            if (wrong)
                return wrong;
        }
        text = next;
    }
    return conf->argument_count ? NULL : "no argument: what is to be started?";
}
