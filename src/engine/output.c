/*
 * What an association sends: control chunks first, then DATA, as many packets at once as go one
 * way.
 *
 * RFC 9260, section 6.10 (bundling), section 6.1 (a SACK goes with DATA), section 5.1 (what may go
 * with the chunks of the setup). RFC 9653, section 5.2 (which packets go without CRC32c).
 */
#include "engine/private.h"

#define REPLY_ROOM 64 /* bytes that the control chunks of fixed length take at most */

static void packet_begin(const struct sctp_association *association, struct packet_writer *writer,
                         uint8_t *bytes, size_t capacity)
{
    struct sctp_common_header header = {association->local_port, association->peer_port,
                                        association->peer_tag};

    packet_writer_init(writer, bytes, capacity);
    packet_write_common_header(writer, &header);
}

static void batch_begin(struct sctp_association *association, struct braid_batch *batch,
                        const struct sctp_path *path, struct packet_writer *writer)
{
    batch->count = 0;
    batch->length = batch->segment_size = 0;
    batch->source = path->source;
    batch->destination = path->address;
    batch->encapsulation_port = path->encapsulation_port;
    batch->traffic_class = path_traffic_class(path);
    batch->hop_limit = hop_limit_to(&association->parameters, &path->address);
    batch->priority = association->parameters.priority;
    batch->interface = association->parameters.interface;
    batch->checksum_zero = association->peer_accepts_zero_checksum;
    packet_begin(association, writer, batch->bytes, path_packet_size(path));
}

/* The packet in `writer` joins the batch; the first one says how long they are. */
static void batch_add(struct sctp_association *association, struct braid_batch *batch,
                      struct packet_writer *writer)
{
    authentication_end(association, writer);
    if (batch->count++ == 0)
        batch->segment_size = writer->length;
    batch->length += writer->length;
}

static bool batch_end(struct sctp_association *association, struct braid_batch *batch,
                      struct sctp_path *path)
{
    batch->dont_fragment =
        path_discovers_mtu(path) && batch->segment_size <= path_packet_size(path);
    path->packets_sent += batch->count;
    path->bytes_sent += batch->length;
    association->packets_sent += batch->count;
    association->bytes_sent += batch->length;
    return true;
}

/* ---- Setup ---- */

static bool transmit_init(struct sctp_association *association, struct braid_batch *batch)
{
    struct sctp_path *path = association->paths[association->setup_path];
    uint32_t peer_tag = association->peer_tag;
    struct packet_writer writer;

    association->peer_tag = 0; /* 8.5.1 A; after a stale cookie there is one already */
    batch_begin(association, batch, path, &writer);
    association->peer_tag = peer_tag;
    batch->checksum_zero = false;    /* RFC 9653, 5.2, 1 */
    writer.capacity = BATCH_MAXIMUM; /* all addresses are listed, whatever the path takes */
    setup_write_init(association, &writer);
    association->send_init = false;
    batch_add(association, batch, &writer);
    return batch_end(association, batch, path);
}

static bool transmit_cookie_echo(struct sctp_association *association, struct braid_batch *batch)
{
    struct sctp_path *path = association->paths[association->setup_path];
    struct packet_writer writer;
    size_t capacity;

    batch_begin(association, batch, path, &writer);
    batch->checksum_zero = false; /* RFC 9653, 5.2, 2 */
    capacity = writer.capacity;
    writer.capacity = BATCH_MAXIMUM; /* the peer's cookie is as long as it is */
    /* A peer that we restart with does not know the new keys before it has the cookie. */
    if (authentication_owes(association, SCTP_CHUNK_COOKIE_ECHO))
        authentication_begin(association, &writer, false);
    cookie_echo_write(&writer, association->cookie, association->cookie_length);
    if (!authentication_owes(association, SCTP_CHUNK_COOKIE_ECHO))
        authentication_begin(association, &writer, false);
    if (association->setup_error_length > 0) {
        size_t chunk = error_begin(&writer);

        packet_write_bytes(&writer, association->cookie + association->cookie_length,
                           association->setup_error_length);
        chunk_end(&writer, chunk);
    }
    association->send_cookie_echo = false;
    if (writer.length < capacity) {
        writer.capacity = capacity;
        sender_write(association, path, &writer, false);
    }
    batch_add(association, batch, &writer);
    return batch_end(association, batch, path);
}

/* ---- The association at work ---- */

static bool transmit_heartbeat(struct sctp_association *association, struct braid_batch *batch)
{
    for (uint8_t i = 0; i < association->path_count; i++) {
        struct sctp_path *path = association->paths[i];
        struct packet_writer writer;

        if (!path->heartbeat_wanted)
            continue;
        batch_begin(association, batch, path, &writer);
        authentication_begin(association, &writer, false);
        heartbeat_write_request(path, &writer);
        batch_add(association, batch, &writer);
        return batch_end(association, batch, path);
    }
    return false;
}

/* RFC 8899: not to be fragmented, though it is longer than packets are yet. */
static bool transmit_probe(struct sctp_association *association, struct braid_batch *batch)
{
    for (uint8_t i = 0; i < association->path_count; i++) {
        struct sctp_path *path = association->paths[i];
        struct packet_writer writer;

        if (!path->plpmtud.wanted)
            continue;
        batch_begin(association, batch, path, &writer);
        writer.capacity = BATCH_MAXIMUM;
        if (authentication_owes(association, SCTP_CHUNK_HEARTBEAT))
            authentication_begin(association, &writer, false);
        plpmtud_write(path, &writer);
        batch_add(association, batch, &writer);
        batch_end(association, batch, path);
        batch->dont_fragment = true;
        return true;
    }
    return false;
}

/* Alone, so that its source can be what is being added (RFC 5061, F1, F6). */
static bool transmit_asconf(struct sctp_association *association, struct braid_batch *batch)
{
    struct sctp_path *path = asconf_path(association);
    struct packet_writer writer;

    if (!path)
        return false;
    batch_begin(association, batch, path, &writer);
    batch->checksum_zero = false; /* RFC 9653, 5.2, 3 */
    authentication_begin(association, &writer, true);
    asconf_write(association, &writer, &batch->source);
    batch_add(association, batch, &writer);
    return batch_end(association, batch, path);
}

/* As long as it is: the user may name very many streams. */
static bool transmit_reconfig(struct sctp_association *association, struct braid_batch *batch)
{
    struct sctp_path *path = reconfig_path(association);
    struct packet_writer writer;

    if (!path)
        return false;
    batch_begin(association, batch, path, &writer);
    writer.capacity = BATCH_MAXIMUM;
    authentication_begin(association, &writer, false);
    reconfig_write(association, &writer);
    batch_add(association, batch, &writer);
    return batch_end(association, batch, path);
}

/* Where control chunks are to go; NULL if none are due. */
static struct sctp_path *control_path(struct sctp_association *association)
{
    if (association->send_cookie_ack)
        return association->paths[association->reply_path];
    if (association->send_shutdown || association->send_shutdown_ack)
        return association->paths[association->setup_path];
    if (association->send_sack)
        return association->paths[association->receiver.sack_path];
    if (association->sender.forward_tsn_due && abandon_owes_forward_tsn(association))
        return association_data_path(association); /* RFC 3758, C3 */
    if (association->ecn.send_cwr)
        return association_data_path(association);
    return NULL;
}

static void write_control(struct sctp_association *association, struct packet_writer *writer)
{
    if (association->send_cookie_ack)
        cookie_ack_write(writer);
    association->send_cookie_ack = false;
    if (association->send_sack)
        receiver_write_sack(association, writer);
    if (association->sender.forward_tsn_due && abandon_owes_forward_tsn(association))
        abandon_write_forward_tsn(association, writer);
    if (association->ecn.send_cwr)
        ecn_write_cwr(association, writer);
    if (association->send_shutdown)
        shutdown_write(writer, association->receiver.cumulative_tsn);
    if (association->send_shutdown_ack)
        shutdown_ack_write(writer);
    association->send_shutdown = association->send_shutdown_ack = false;
}

/* ---- The answer to a packet: 12.4 ---- */

struct packet_writer *reply_continue(struct sctp_association *association,
                                     const struct arrival *arrival, size_t length)
{
    struct braid_engine *engine = association->engine;
    uint32_t size = path_packet_size(association_reply_path(association, arrival));

    /* What is echoed may be as long as what came. */
    if (!engine->reply)
        engine->reply = association_respond(
            association, &engine->reply_writer,
            minimum(BATCH_MAXIMUM, maximum(size, wire_padded((uint32_t)arrival->packet->length))));
    if (!engine->reply || length > packet_writer_room(&engine->reply_writer))
        return NULL;
    return &engine->reply_writer;
}

void reply_drop(struct braid_engine *engine)
{
    if (engine->reply)
        pool_release(&engine->pool, engine->reply,
                     sizeof(*engine->reply) + engine->reply->capacity);
    engine->reply = NULL;
}

void errors_end(struct braid_engine *engine, size_t start)
{
    if (engine->errors.overflowed)
        packet_writer_rewind(&engine->errors, start);
}

/* The causes that the packet has room for. */
static void write_errors(const struct packet_writer *errors, struct packet_writer *writer)
{
    struct parameter_iterator iterator;
    struct sctp_parameter cause;
    size_t chunk = error_begin(writer), empty = writer->length;

    parameter_iterator_init(&iterator, errors->bytes, errors->length);
    while (parameter_next(&iterator, &cause)) {
        size_t before = writer->length;

        parameter_write(writer, cause.type, cause.value, cause.value_length);
        if (writer->overflowed)
            packet_writer_rewind(writer, before);
    }
    if (writer->length > empty)
        chunk_end(writer, chunk);
    else
        packet_writer_rewind(writer, chunk);
}

/* What else is due for this path, as far as the packet has room. */
static void reply_complete(struct sctp_association *association, const struct sctp_path *path,
                           struct packet_writer *writer)
{
    writer->capacity = minimum((uint32_t)writer->capacity, path_packet_size(path));
    if (writer->length + REPLY_ROOM > writer->capacity)
        return;
    association->send_sack |= association->receiver.unacknowledged_packets > 0;
    if (control_path(association) == path)
        write_control(association, writer);
    if (association->engine->errors.length > 0)
        write_errors(&association->engine->errors, writer);
}

void reply_end(struct sctp_association *association, const struct arrival *arrival)
{
    struct braid_engine *engine = association->engine;
    struct sctp_path *path = association_reply_path(association, arrival);
    struct packet_writer *writer = &engine->reply_writer;
    struct response *reply;

    /* Before COOKIE ACK nothing is sent but the setup's own chunks (5.1, C), and to an address that
     * is not confirmed nothing but HEARTBEAT ACK (5.4). */
    if (association->state >= BRAID_ESTABLISHED && (!engine->reply || path == arrival->path) &&
        (engine->reply || (engine->errors.length > 0 && reply_continue(association, arrival, 0))))
        reply_complete(association, path, writer);
    if (engine->reply &&
        writer->length == SCTP_COMMON_HEADER_LENGTH + authentication_overhead(association))
        reply_drop(engine); /* not one cause has room */
    reply = engine->reply;
    engine->reply = NULL;
    if (!reply)
        return;
    if (!arrival->heartbeat_seen) {
        response_send_over(reply, writer, path);
        return;
    }
    response_take_parameters(reply, &association->parameters, arrival);
    authentication_end(association, writer);
    response_send(engine, reply, writer, arrival);
}

/* ---- DATA ---- */

/* DATA, and in front of it the SACK that was only delayed, if both fit. */
static unsigned int write_data(struct sctp_association *association, struct sctp_path *path,
                               struct packet_writer *writer)
{
    const struct sctp_receiver *receiver = &association->receiver;
    size_t sack_length = sack_written_length(0, receiver->duplicate_count) +
                         (association->ecn.echo ? ECNE_LENGTH : 0);
    size_t before = writer->length;
    unsigned int count;

    if (!association_may_send_data(association))
        return 0;
    if (receiver->unacknowledged_packets > 0 && sack_length <= packet_writer_room(writer)) {
        writer->length += sack_length;
        count = sender_write(association, path, writer, true);
        if (count > 0) {
            struct packet_writer sack;

            packet_writer_init(&sack, writer->bytes + before, sack_length);
            receiver_write_sack(association, &sack);
            return count;
        }
        packet_writer_rewind(writer, before);
    }
    return sender_write(association, path, writer, true);
}

/* Further packets of DATA for the same path, of the same size; none behind one that IP fragments.
 */
static void add_packets(struct sctp_association *association, struct sctp_path *path,
                        struct braid_batch *batch)
{
    size_t capacity = minimum((uint32_t)batch->capacity, BATCH_MAXIMUM);
    struct packet_writer writer;

    while (batch->count < batch->maximum_packets && batch->segment_size <= path_packet_size(path) &&
           batch->length == batch->count * batch->segment_size &&
           batch->length + batch->segment_size <= capacity) {
        packet_begin(association, &writer, batch->bytes + batch->length, batch->segment_size);
        authentication_begin(association, &writer, false);
        if (sender_write(association, path, &writer, false) == 0)
            break;
        batch_add(association, batch, &writer);
    }
}

static bool transmit_over(struct sctp_association *association, struct sctp_path *path,
                          bool control, struct braid_batch *batch)
{
    struct packet_writer writer;
    unsigned int chunks;
    size_t empty;

    if (!path)
        return false;
    batch_begin(association, batch, path, &writer);
    authentication_begin(association, &writer, false);
    empty = writer.length;
    if (control)
        write_control(association, &writer);
    chunks = write_data(association, path, &writer);
    if (chunks == 0 && writer.length == empty)
        return false;
    batch_add(association, batch, &writer);
    if (chunks > 0) {
        ecn_mark(association, batch);
        add_packets(association, path, batch);
    }
    return batch_end(association, batch, path);
}

bool association_transmit(struct sctp_association *association, struct braid_batch *batch)
{
    struct sctp_path *path;

    if (association->send_init)
        return transmit_init(association, batch);
    if (association->send_cookie_echo)
        return transmit_cookie_echo(association, batch);
    if (association->state < BRAID_ESTABLISHED) /* 5.1: nothing until COOKIE ACK */
        return false;
    if (transmit_asconf(association, batch))
        return true;
    if (asconf_holds_back(association))
        return !asconf_is_mute(association) && transmit_heartbeat(association, batch);
    if (association->sender.limited && association->sender.marked > 0)
        abandon_overdue(association);
    path = control_path(association);
    if (transmit_over(association, path, true, batch) || transmit_reconfig(association, batch) ||
        transmit_heartbeat(association, batch) || transmit_probe(association, batch) ||
        transmit_over(association, sender_retransmission_path(association), false, batch) ||
        transmit_over(association, sender_new_data_path(association), false, batch))
        return true;
    if (association->sender.limited) { /* something may just have been given up */
        teardown_continue(association);
        if (association->sender.forward_tsn_due)
            association_set_ready(association);
    }
    return false;
}
