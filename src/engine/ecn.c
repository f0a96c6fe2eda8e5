/*
 * Explicit Congestion Notification: what a router marks is told to the sender (ECNE), which slows
 * down as for a loss and says so (CWR).
 *
 * RFC 4960, appendix A; RFC 3168. RFC 9260 reserves the chunks and leaves the rest to that.
 */
#include "engine/private.h"

void ecn_mark(const struct sctp_association *association, struct braid_batch *batch)
{
    if (association->ecn.capable)
        batch->traffic_class |= ECN_CAPABLE_TRANSPORT;
}

/* ---- The receiver of DATA ---- */

/* The lowest TSN of the DATA in a packet. */
static bool find_lowest_tsn(const struct braid_packet *packet, uint32_t *lowest)
{
    struct chunk_iterator iterator;
    struct sctp_chunk chunk;
    struct sctp_data data;
    bool found = false;

    chunk_iterator_init(&iterator, packet->bytes, packet->length);
    while (chunk_next(&iterator, &chunk)) {
        if (!(chunk.type == SCTP_CHUNK_DATA && data_read(&chunk, &data)) &&
            !(chunk.type == SCTP_CHUNK_I_DATA && i_data_read(&chunk, &data)))
            continue;
        if (found && !tsn_before(data.tsn, *lowest))
            continue;
        *lowest = data.tsn;
        found = true;
    }
    return found;
}

void ecn_packet_marked(struct sctp_association *association, const struct arrival *arrival)
{
    struct ecn *ecn = &association->ecn;
    uint32_t lowest;

    if (!ecn->capable || !find_lowest_tsn(arrival->packet, &lowest))
        return;
    ecn->echo = true;
    ecn->echo_tsn = lowest;
    association->receiver.sack_now = true; /* the ECNE goes with it */
}

void ecn_write_echo(const struct sctp_association *association, struct packet_writer *writer)
{
    if (association->ecn.echo && packet_writer_room(writer) >= ECNE_LENGTH)
        ecne_write(writer, association->ecn.echo_tsn);
}

void ecn_receive_cwr(struct sctp_association *association, const struct sctp_chunk *chunk)
{
    uint32_t lowest;

    if (!cwr_read(chunk, &lowest))
        association->engine->statistics.bad_packet++;
    else if (!tsn_before(lowest, association->ecn.echo_tsn))
        association->ecn.echo = false;
}

/* ---- The sender ---- */

/* The path that the chunk went over; if it is acknowledged already, the one that data takes. */
static struct sctp_path *path_of(const struct sctp_association *association, uint32_t tsn)
{
    const struct sctp_sender *sender = &association->sender;

    if (tsn_before(sender->cumulative_tsn_ack, tsn) && tsn_before(tsn, sender->next_tsn))
        return association->paths[sender_entry(sender, tsn)->path];
    return association_data_path(association);
}

/* Once for what was on its way when the window was last reduced. */
void ecn_receive_echo(struct sctp_association *association, const struct sctp_chunk *chunk)
{
    struct ecn *ecn = &association->ecn;
    uint32_t lowest;

    if (!ecne_read(chunk, &lowest) || !tsn_before(lowest, association->sender.next_tsn)) {
        association->engine->statistics.bad_packet++;
        return;
    }
    if (!ecn->reduced || tsn_before(ecn->reduced_tsn, lowest)) {
        congestion_loss(path_of(association, lowest));
        ecn->reduced = true;
        ecn->reduced_tsn = association->sender.next_tsn - 1;
        association->ecn_reductions++;
    }
    ecn->send_cwr = true;
    ecn->cwr_tsn = lowest;
    association_set_ready(association);
}

void ecn_write_cwr(struct sctp_association *association, struct packet_writer *writer)
{
    if (packet_writer_room(writer) < ECNE_LENGTH)
        return;
    cwr_write(writer, association->ecn.cwr_tsn);
    association->ecn.send_cwr = false;
}
