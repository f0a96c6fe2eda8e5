/*
 * Interfaces by their names: ioctl() on a socket, and SO_BINDTODEVICE, for which the stack knows
 * numbers only. RFC 6458 knows neither; netdevice(7), socket(7).
 */
#include <net/if.h>
#include <sys/ioctl.h>

#include "preload/direct.h"
#include "preload/private.h"

bool interface_is_asked(unsigned long name)
{
    return name == SIOCATMARK || (name >= SIOCGIFADDR && name <= SIOCSIFNETMASK);
}

/* About an interface: asked of a socket that is there for this. */
int interface_ask(unsigned long name, void *value)
{
    int inet = direct_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int result = inet < 0 ? -errno : direct_ioctl(inet, name, value);

    if (inet < 0)
        return result;
    if (result < 0)
        result = -errno;
    direct_close(inet);
    return result;
}

int interface_bind(const struct program_socket *socket, const char *name, socklen_t length)
{
    struct ifreq interface = {.ifr_ifindex = 0};
    int index = 0;

    if (length > 0 && is_wild(name))
        return -EFAULT;
    memcpy(interface.ifr_name, name, length < IFNAMSIZ - 1 ? length : IFNAMSIZ - 1);
    if (length > 0 && interface.ifr_name[0] != '\0') {
        if (interface_ask(SIOCGIFINDEX, &interface) < 0)
            return -ENODEV;
        index = interface.ifr_ifindex;
    }
    return call_setsockopt(socket, SOL_SOCKET, SO_BINDTOIFINDEX, &index, sizeof(index));
}

int interface_bound(const struct program_socket *socket, char *name, socklen_t *length)
{
    struct ifreq interface = {.ifr_ifindex = 0};
    socklen_t size = sizeof(interface.ifr_ifindex);
    int result;

    if (is_wild(length))
        return -EFAULT;
    result = call_getsockopt(socket, SOL_SOCKET, SO_BINDTOIFINDEX, &interface.ifr_ifindex, &size);
    if (result < 0)
        return result;
    size = 0;
    if (interface.ifr_ifindex != 0) {
        if (*length < IFNAMSIZ)
            return -EINVAL;
        if (is_wild(name))
            return -EFAULT;
        result = interface_ask(SIOCGIFNAME, &interface);
        if (result < 0)
            return result;
        size = (socklen_t)strlen(interface.ifr_name) + 1;
        memcpy(name, interface.ifr_name, size);
    }
    *length = size;
    return 0;
}
