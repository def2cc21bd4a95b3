/* What a machine needs before its application: file systems, network. And the way back. */
#include "agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

/* Splits mount options into flags of mount(2) and data for the file system, as mount(8) does. */
static unsigned long flags_of(char *options, char *data, size_t size)
{
    static const struct {
        const char *name;
        unsigned long flag;
    } known[] = {{"nosuid", MS_NOSUID}, {"nodev", MS_NODEV}, {"noexec", MS_NOEXEC}, {"noatime", MS_NOATIME}, {"ro", MS_RDONLY}};
    unsigned long flags = 0;
    struct text rest = {.at = data, .size = size - 1};
    for (char *next = options; next;) {
        char *option = strsep(&next, ",");
        bool found = !*option || !strcmp(option, "-");
        for (unsigned i = 0; i < sizeof known / sizeof *known; i++)
            if (!strcmp(option, known[i].name)) {
                flags |= known[i].flag;
                found = true;
            }
        if (!found) {
            if (rest.used)
                text_put(&rest, ",");
            text_put(&rest, option);
        }
    }
    data[rest.used] = 0;
    return flags;
}

void boot_mounts(const struct conf *conf)
{
    for (unsigned i = 0; i < conf->mount_count; i++) {
        const struct mount_point *point = &conf->mounts[i];
        char data[256];
        unsigned long flags = flags_of(point->options, data, sizeof data);
        if (mount(point->source, point->target, point->type, flags, data) != 0) {
            int number = errno;
            event_begin("error");
            event_string("what", "mount");
            event_string("target", point->target);
            event_string("type", point->type);
            event_string("error", strerror(number));
            event_end();
        }
    }
    for (unsigned i = 0; i < conf->owner_count; i++)
        if (chown(conf->owners[i].path, conf->owners[i].uid, conf->owners[i].gid) != 0)
            event_error(conf->owners[i].path, errno);
}

void boot_unmount(const struct conf *conf)
{
    sync();
    for (unsigned i = conf->mount_count; i-- > 0;) {
        const struct mount_point *point = &conf->mounts[i];
        if (!strcmp(point->type, "proc") || !strcmp(point->type, "tmpfs"))
            continue;
        if (umount2(point->target, 0) != 0 && mount(NULL, point->target, NULL, MS_REMOUNT | MS_RDONLY, NULL) != 0)
            event_error(point->target, errno);
    }
}

static void address_of(struct sockaddr *address, in_addr_t value)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = value};
    memcpy(address, &in, sizeof *address);
}

static void up(int fd, const char *name, in_addr_t address, in_addr_t mask)
{
    struct ifreq request;
    memset(&request, 0, sizeof request);
    memcpy(request.ifr_name, name, strlen(name) + 1);
    address_of(&request.ifr_addr, address);
    if (ioctl(fd, SIOCSIFADDR, &request) != 0) {
        event_error(name, errno);
        return;
    }
    address_of(&request.ifr_netmask, mask);
    if (ioctl(fd, SIOCSIFNETMASK, &request) != 0)
        event_error(name, errno);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(fd, SIOCSIFFLAGS, &request) != 0)
        event_error(name, errno);
}

/* "10.0.2.15/24" → address and mask; false when it is neither. */
static bool network_of(const char *text, in_addr_t *address, in_addr_t *mask)
{
    char host[32];
    uint64_t bits = 24;
    size_t count = strcspn(text, "/");
    if (count >= sizeof host)
        return false;
    memcpy(host, text, count);
    host[count] = 0;
    if (text[count] && (!number_of(text + count + 1, 32, &bits)))
        return false;
    *mask = htonl(bits ? ~(uint32_t)0 << (32 - bits) : 0);
    *address = inet_addr(host);
    return *address != INADDR_NONE;
}

void boot_network(const struct conf *conf, const char *address, const char *gateway)
{
    in_addr_t host, mask;
    if (!conf->network)
        return;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        event_error("network", errno);
        return;
    }
    up(fd, "lo", htonl(INADDR_LOOPBACK), htonl(0xFF000000));
    if (address && network_of(address, &host, &mask)) {
        up(fd, "eth0", host, mask);
        struct rtentry route;
        memset(&route, 0, sizeof route);
        address_of(&route.rt_dst, INADDR_ANY);
        address_of(&route.rt_genmask, INADDR_ANY);
        address_of(&route.rt_gateway, gateway ? inet_addr(gateway) : INADDR_NONE);
        route.rt_flags = RTF_UP | RTF_GATEWAY;
        if (gateway && ioctl(fd, SIOCADDRT, &route) != 0)
            event_error("default route", errno);
    } else if (address) {
        event_error("kiln_ip", EINVAL);
    }
    close(fd);
}
