/*
 * ICMP messages about packets of ours.
 *
 * RFC 9260, section 10: a message is believed when it quotes the Verification Tag, or the Initiate
 * Tag of an INIT. Unreachable hosts and ports are found out by the timers alone.
 */
#include "engine/private.h"

static bool is_about(const struct sctp_association *association, const void *quoted, size_t length)
{
    struct sctp_common_header header;
    uint32_t initiate_tag;

    packet_read_quoted_header(quoted, length, &header);
    if (header.verification_tag != 0)
        return header.verification_tag == association->peer_tag;
    return association->state == BRAID_COOKIE_WAIT &&
           packet_read_quoted_initiate_tag(quoted, length, &initiate_tag) &&
           initiate_tag == association->local_tag;
}

void braid_engine_icmp(struct braid_engine *engine, enum braid_icmp kind, uint32_t mtu,
                       const struct braid_address *destination, const void *quoted, size_t length,
                       braid_time now)
{
    struct braid_address peer = braid_address_normalise(destination);
    struct sctp_common_header header;
    struct sctp_path *path;

    if (now > engine->now)
        engine->now = now;
    if (!packet_read_quoted_header(quoted, length, &header))
        return;
    path = path_hash_find(engine, NULL, NULL, header.source_port, &peer, header.destination_port);
    if (!path || !is_about(path->association, quoted, length))
        return;
    if (kind == BRAID_ICMP_TOO_BIG && !path->mtu_fixed && path_discovers_mtu(path))
        plpmtud_too_big(path, mtu);
    else if (kind == BRAID_ICMP_PROTOCOL_UNREACHABLE)
        association_down(path->association, BRAID_DOWN_ABORTED_BY_PEER, NULL, 0);
}
