/*
 * What is common to all links: batches cut into packets, captures.
 *
 * RFC 9260 section 3 (packets over IP), RFC 6951 (over UDP).
 */
#include "link/link.h"

#include <errno.h>

#include "link/capture.h"

struct braid_batch link_batch_rest(const struct braid_batch *batch, size_t sent)
{
    struct braid_batch rest = *batch;
    size_t skipped = sent * batch->segment_size;

    if (sent >= batch->count || skipped > batch->length) {
        skipped = batch->length;
        sent = batch->count;
    }
    rest.bytes += skipped;
    rest.capacity -= skipped;
    rest.length -= skipped;
    rest.count -= sent;
    return rest;
}

size_t link_batch_packets(const struct braid_batch *batch, uint16_t port,
                          struct braid_packet *packets, size_t capacity)
{
    size_t offset = 0;
    size_t count = 0;

    for (; count < batch->count && count < capacity; count++) {
        size_t left = batch->length - offset;
        size_t length = left < batch->segment_size ? left : batch->segment_size;

        packets[count] = (struct braid_packet){
            .bytes = batch->bytes + offset,
            .length = length,
            .source = batch->source,
            .destination = batch->destination,
            .encapsulation_port = port,
        };
        offset += length;
    }
    return count;
}

/* ---- Captures ------------------------------------------------------------------------------- */

void link_set_capture(struct link *link, struct capture *capture)
{
    link->capture = capture;
}

static void capture_received(struct link *link, const struct braid_packet *packets, size_t count)
{
    uint64_t time = link->operations->time(link);

    for (size_t i = 0; i < count; i++) {
        const struct braid_packet *packet = &packets[i];

        capture_write(link->capture, &(struct capture_packet){
                                         .direction = CAPTURE_INBOUND,
                                         .time = time,
                                         .source = packet->source,
                                         .destination = packet->destination,
                                         .source_port = packet->encapsulation_port,
                                         .destination_port = link->port,
                                         .traffic_class = packet->congestion_experienced ? 3 : 0,
                                         .bytes = packet->bytes,
                                         .length = packet->length,
                                     });
    }
}

static void capture_sent(struct link *link, const struct braid_batch *batch, size_t count,
                         uint64_t time)
{
    struct braid_address source = batch->source;
    size_t offset = 0;

    if (source.family == BRAID_UNSPECIFIED &&
        !link->operations->source(link, &batch->destination, &source))
        return;
    for (size_t i = 0; i < count; i++) {
        size_t left = batch->length - offset;
        size_t length = left < batch->segment_size ? left : batch->segment_size;

        capture_write(link->capture, &(struct capture_packet){
                                         .direction = CAPTURE_OUTBOUND,
                                         .time = time,
                                         .source = source,
                                         .destination = batch->destination,
                                         .source_port = link->port,
                                         .destination_port = batch->encapsulation_port,
                                         .traffic_class = batch->traffic_class,
                                         .hop_limit = batch->hop_limit,
                                         .dont_fragment = batch->dont_fragment,
                                         .bytes = batch->bytes + offset,
                                         .length = length,
                                     });
        offset += length;
    }
}

/* ---- The calls ------------------------------------------------------------------------------ */

int link_receive(struct link *link, struct braid_packet *packets, size_t capacity)
{
    int count = link->operations->receive(link, packets, capacity);

    if (count <= 0)
        return count;
    link->statistics.packets_received += (uint64_t)count;
    for (int i = 0; i < count; i++)
        link->statistics.bytes_received += packets[i].length;
    if (link->capture)
        capture_received(link, packets, (size_t)count);
    return count;
}

int link_send(struct link *link, const struct braid_batch *batch)
{
    /* taken before, so that no answer is older */
    uint64_t time = link->capture ? link->operations->time(link) : 0;
    int count;

    if (batch->count == 0)
        return 0;
    count = link->operations->send(link, batch);
    if (count > 0) {
        size_t sent = (size_t)count;

        link->statistics.packets_sent += sent;
        link->statistics.bytes_sent +=
            sent == batch->count ? batch->length : sent * batch->segment_size;
        if (link->capture)
            capture_sent(link, batch, sent, time);
    } else if (count == -EMSGSIZE) {
        link->statistics.send_too_big++;
    } else if (count != -EAGAIN && count != -ENOBUFS) {
        link->statistics.send_failed++;
    }
    if (count == -EAGAIN || count == -ENOBUFS || (count > 0 && (size_t)count < batch->count))
        link->statistics.send_full++;
    return count;
}

bool link_receive_error(struct link *link, struct link_error *error)
{
    if (!link->operations->receive_error(link, error))
        return false;
    link->statistics.errors++;
    return true;
}

void link_close(struct link *link)
{
    if (link)
        link->operations->close(link);
}
