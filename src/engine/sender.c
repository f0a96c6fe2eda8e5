/*
 * User messages on their way out: the ring of outstanding TSNs, and what may be sent when.
 *
 * RFC 9260, section 6.1 (transmission), section 6.3.2 and 6.3.3 (T3-rtx), section 6.9
 * (fragmentation), section 7.2 (what congestion control permits).
 *
 * The ring holds an entry for each TSN from the Cumulative TSN Ack Point on.
 */
#include <stdlib.h>

#include "engine/private.h"

#define RING_SMALLEST 16
#define LENT_LEAST 4096   /* bytes of a payload that is lent: struct braid_loan */
#define FRAGMENT_LEAST 64 /* bytes of a message for which a chunk is worth its header */
/* With more in flight, the peer could not tell an SSN that is ahead from one of the past (1.6). */
#define NUMBERED_MAXIMUM 32767

void sender_init(struct sctp_sender *sender, uint32_t initial_tsn)
{
    *sender = (struct sctp_sender){
        .next_tsn = initial_tsn,
        .cumulative_tsn_ack = initial_tsn - 1,
        .first = sender->first,
        .last = sender->last,
        .schedule = sender->schedule,
        .pending_bytes = sender->pending_bytes,
        .pending_messages = sender->pending_messages,
        .queued_bytes = sender->queued_bytes,
        .told_full = sender->told_full,
        .limited = sender->limited,
    };
}

bool sender_was_delivered(const struct sctp_sender *sender, uint32_t first_tsn)
{
    const struct sent_message *message = sender_entry(sender, first_tsn)->message;

    if (message->begun < message->length)
        return false;
    for (uint32_t tsn = first_tsn;; tsn++) {
        const struct outstanding *entry = sender_entry(sender, tsn);

        if (entry->message != message) /* RFC 8260: others' may stand between its chunks */
            continue;
        if (!entry->acknowledged)
            return false;
        if (entry->flags & SCTP_DATA_FLAG_ENDING)
            return true;
    }
}

void sender_set_peer_rwnd(struct sctp_sender *sender, uint32_t a_rwnd)
{
    sender->peer_rwnd = a_rwnd > sender->outstanding_bytes ? a_rwnd - sender->outstanding_bytes : 0;
}

bool sender_is_empty(const struct sctp_sender *sender)
{
    return sender->pending_messages == 0 && !sender->held &&
           sender->next_tsn == sender->cumulative_tsn_ack + 1;
}

/* ---- The ring ---- */

static bool ring_has_room(struct sctp_sender *sender)
{
    uint32_t used = sender->next_tsn - sender->cumulative_tsn_ack - 1;
    uint32_t capacity = sender->capacity ? 2 * sender->capacity : RING_SMALLEST;
    struct outstanding *ring;

    if (used < sender->capacity)
        return used < OUTSTANDING_MAXIMUM;
    if (used >= OUTSTANDING_MAXIMUM)
        return false;
    ring = calloc(capacity, sizeof(*ring));
    if (!ring)
        return false;
    for (uint32_t tsn = sender->cumulative_tsn_ack + 1; tsn_before(tsn, sender->next_tsn); tsn++)
        ring[tsn & (capacity - 1)] = *sender_entry(sender, tsn);
    free(sender->ring);
    sender->ring = ring;
    sender->capacity = capacity;
    return true;
}

void sender_leave_flight(struct sctp_association *association, const struct outstanding *entry)
{
    struct sctp_sender *sender = &association->sender;

    association->paths[entry->path]->flight -= data_chunk_size(association, entry->length);
    sender->outstanding_chunks--;
    sender->outstanding_bytes -= entry->length;
}

void sender_enter_flight(struct sctp_association *association, const struct outstanding *entry,
                         uint32_t tsn)
{
    struct sctp_sender *sender = &association->sender;
    struct sctp_path *path = association->paths[entry->path];

    if (path->flight == 0 || tsn_before(tsn, path->earliest))
        path->earliest = tsn;
    path->flight += data_chunk_size(association, entry->length);
    sender->outstanding_chunks++;
    sender->outstanding_bytes += entry->length;
    sender->peer_rwnd -= minimum(sender->peer_rwnd, entry->length);
}

void sender_mark(struct sctp_association *association, uint32_t tsn, const struct sctp_path *path)
{
    struct sctp_sender *sender = &association->sender;
    struct outstanding *entry = sender_entry(sender, tsn);
    struct sctp_path *last = association->paths[entry->path];

    if (entry->acknowledged)
        return;
    if (!entry->retransmit) {
        sender_leave_flight(association, entry);
        sender->peer_rwnd += entry->length; /* 6.2.1, C */
        entry->retransmit = true;
        if (sender->marked++ == 0 || tsn_before(tsn, sender->first_marked))
            sender->first_marked = tsn;
    }
    if (last->rtt_running && !tsn_before(last->rtt_tsn, tsn))
        last->rtt_running = false; /* 6.3.1, C5: nor of a later one */
    entry->moved |= entry->path != path->index;
    entry->path = path->index;
    entry->misses = 0;
}

/* ---- Writing DATA ---- */

/* Not inlined, so that DATA is spared its larger struct. */
__attribute__((noinline)) static void write_i_data(struct packet_writer *writer,
                                                   const struct outstanding *entry, uint32_t tsn)
{
    const struct sent_message *message = entry->message;

    i_data_write(writer, &(struct sctp_data){
                             .flags = entry->flags,
                             .stream = message->send.stream,
                             .payload_length = entry->length,
                             .tsn = tsn,
                             .ppid = message->send.ppid,
                             .payload = message->bytes + entry->offset,
                             .mid = message->mid,
                             .fsn = entry->fsn,
                         });
}

static inline struct sctp_data data_of(const struct outstanding *entry, uint32_t tsn)
{
    const struct sent_message *message = entry->message;

    return (struct sctp_data){
        .flags = entry->flags,
        .stream = message->send.stream,
        .ssn = message->ssn,
        .payload_length = entry->length,
        .tsn = tsn,
        .ppid = message->send.ppid,
        .payload = message->bytes + entry->offset,
    };
}

/* A payload that is worth it stays where it is, until who has the packets knows where they go; not
 * what a MAC is computed over. False: it cannot. */
__attribute__((noinline)) static bool write_lent(struct sctp_association *association,
                                                 struct packet_writer *writer,
                                                 const struct outstanding *entry, uint32_t tsn)
{
    struct braid_loan *loan = association->engine->lending;
    struct sctp_data data;
    uint8_t *place;

    if (!loan || loan->count == BRAID_LOAN_MAXIMUM || association->authentication ||
        association->state < BRAID_ESTABLISHED)
        return false;
    data = data_of(entry, tsn);
    place = data_write_header(writer, &data);
    if (place)
        loan->payloads[loan->count++] =
            (struct braid_lent){place, data.payload, data.payload_length};
    return true;
}

static void write_chunk(struct sctp_association *association, struct packet_writer *writer,
                        const struct outstanding *entry, uint32_t tsn)
{
    struct sctp_data data;

    if (association->interleaving) {
        write_i_data(writer, entry, tsn);
        return;
    }
    if (entry->length >= LENT_LEAST && write_lent(association, writer, entry, tsn))
        return;
    data = data_of(entry, tsn);
    data_write(writer, &data);
}

void sender_start_t3(struct sctp_path *path)
{
    struct sctp_association *association = path->association;

    /* Until COOKIE ACK, T1-cookie brings the DATA again that went with the COOKIE ECHO. */
    if (association->state != BRAID_COOKIE_ECHOED)
        timer_start(&association->engine->wheel, &path->t3_rtx,
                    association->engine->now + path->rto);
}

/* What was looked at once is not looked at again: path->earliest. */
bool sender_is_earliest(const struct sctp_association *association, struct sctp_path *path,
                        uint32_t tsn)
{
    const struct sctp_sender *sender = &association->sender;

    if (path->flight == 0)
        return true;
    if (!tsn_before(sender->cumulative_tsn_ack, path->earliest))
        path->earliest = sender->cumulative_tsn_ack + 1;
    for (; tsn_before(path->earliest, tsn); path->earliest++) {
        const struct outstanding *entry = sender_entry(sender, path->earliest);

        if (entry->path == path->index && !entry->acknowledged && !entry->retransmit)
            return false;
    }
    return true;
}

/* 7.2.1: after a timeout one packet is in flight, until something is acknowledged. */
static bool may_begin_packet(const struct sctp_path *path)
{
    return !(path->after_timeout && path->flight > 0);
}

static unsigned int write_marked(struct sctp_association *association, struct sctp_path *path,
                                 struct packet_writer *writer, bool may_grow)
{
    struct sctp_sender *sender = &association->sender;
    bool alone = writer->length == SCTP_COMMON_HEADER_LENGTH + authentication_overhead(association);
    uint32_t left = sender->marked;
    bool leading = true;
    unsigned int count = 0;

    for (uint32_t tsn = sender->first_marked; left > 0; tsn++) {
        struct outstanding *entry = sender_entry(sender, tsn);
        uint32_t size = data_chunk_size(association, entry->length);

        if (!entry->retransmit)
            continue;
        left--;
        if (leading)
            sender->first_marked = tsn;
        leading = false;
        if (entry->path != path->index)
            continue;
        if (!sender->fast_retransmit_now &&
            (path->flight >= path->cwnd || (count == 0 && !may_begin_packet(path))))
            break;
        if (size > packet_writer_room(writer)) {
            if (!may_grow || !alone || count > 0)
                break;
            writer->capacity = writer->length + size; /* larger than the path's MTU: IP fragments */
        }
        if (!authentication_permits(association, entry->message))
            break;
        if (!timer_is_running(&path->t3_rtx) || sender_is_earliest(association, path, tsn))
            sender_start_t3(path);
        write_chunk(association, writer, entry, tsn);
        entry->retransmit = false;
        entry->leads = count == 0;
        entry->transmissions += entry->transmissions < UINT16_MAX;
        sender->marked--;
        if (!entry->fast && tsn_before(tsn, sender->first_missed))
            sender->first_missed = tsn;
        sender_enter_flight(association, entry, tsn);
        association->chunks_retransmitted++;
        count++;
    }
    if (count > 0)
        sender->fast_retransmit_now = false;
    return count;
}

/* RFC 8260, section 2.1: ordered and unordered messages are numbered apart. */
static bool take_mid(struct sctp_sender *sender, const struct sctp_association *association,
                     struct sent_message *message)
{
    uint16_t stream = message->send.stream;
    bool unordered = message->send.flags & BRAID_SEND_UNORDERED;

    if (stream >= sender->mid_count) {
        uint32_t count = minimum(association->outbound_streams, maximum(stream + 1u, 16));
        uint32_t(*mid)[2] = realloc(sender->mid, count * sizeof(*mid));

        if (!mid)
            return false;
        memset(mid + sender->mid_count, 0, (count - sender->mid_count) * sizeof(*mid));
        sender->mid = mid;
        sender->mid_count = count;
    }
    message->mid = sender->mid[stream][unordered]++;
    sender->numbered += !unordered;
    return true;
}

/* The next number of the message's stream. False: not now. */
static bool take_number(struct sctp_sender *sender, const struct sctp_association *association,
                        struct sent_message *message)
{
    uint16_t stream = message->send.stream;

    if (association->interleaving)
        return take_mid(sender, association, message);
    if (message->send.flags & BRAID_SEND_UNORDERED)
        return true;
    if (sender->numbered == NUMBERED_MAXIMUM)
        return false;
    if (stream >= sender->ssn_count) {
        uint32_t count = minimum(association->outbound_streams, maximum(stream + 1u, 16));
        uint16_t *ssn = realloc(sender->ssn, count * sizeof(*ssn));

        if (!ssn)
            return false;
        memset(ssn + sender->ssn_count, 0, (count - sender->ssn_count) * sizeof(*ssn));
        sender->ssn = ssn;
        sender->ssn_count = count;
    }
    message->ssn = sender->ssn[stream]++;
    sender->numbered++;
    return true;
}

void sender_restart_streams(struct sctp_sender *sender, const uint16_t *streams, size_t count)
{
    if (count == 0 && sender->ssn)
        memset(sender->ssn, 0, sender->ssn_count * sizeof(*sender->ssn));
    if (count == 0 && sender->mid)
        memset(sender->mid, 0, sender->mid_count * sizeof(*sender->mid));
    for (size_t i = 0; i < count; i++) {
        if (streams[i] < sender->ssn_count)
            sender->ssn[streams[i]] = 0;
        if (streams[i] < sender->mid_count)
            memset(sender->mid[streams[i]], 0, sizeof(*sender->mid));
    }
}

static void drop_first(struct sctp_sender *sender)
{
    sender->pending_bytes -= sender->first->length - sender->first->begun;
    sender->pending_messages--;
    sender->first = sender->first->next;
}

void sender_drop(struct sctp_sender *sender, struct sent_message *message)
{
    struct sent_message *before = sender->first;

    if (message == before) {
        drop_first(sender);
        return;
    }
    while (before && before->next != message)
        before = before->next;
    if (!before) { /* it is not in the list: its stream's turn comes early */
        schedule_pick(sender, message->send.stream);
        drop_first(sender);
        return;
    }
    sender->pending_bytes -= message->length - message->begun;
    sender->pending_messages--;
    before->next = message->next;
    if (sender->last == message)
        sender->last = before;
}

static struct sent_message *first_message(struct sctp_sender *sender)
{
    if (!sender->first && sender->schedule)
        schedule_next(sender);
    return sender->first;
}

/* The message to be sent next; those that are too old, or whose stream the peer does not have, are
 * given up. */
static struct sent_message *next_message(struct sctp_association *association)
{
    struct sctp_sender *sender = &association->sender;
    struct sent_message *message;

    while ((message = first_message(sender))) {
        bool expired = association->engine->now >= message->expires;

        if (message->begun > 0) {
            if (!expired || !abandon_begun(association)) /* RFC 3758, TR4 */
                break;
        } else if (expired || message->send.stream >= association->outbound_streams ||
                   (association->reconfig &&
                    reconfig_asks_for(association->reconfig, message->send.stream))) {
            drop_first(sender);
            abandon_unsent(association, message); /* TR3 */
        } else {
            break;
        }
    }
    return message;
}

static struct sctp_path *message_path(const struct sctp_association *association,
                                      const struct sent_message *message)
{
    if (message->send.flags & BRAID_SEND_OVER_PATH &&
        message->send.path < association->path_count &&
        association->paths[message->send.path]->state == BRAID_PATH_ACTIVE)
        return association->paths[message->send.path];
    return association_data_path(association);
}

/* The peer's window for new data. What is to be retransmitted over another path comes first. */
static uint32_t window_of_new_data(const struct sctp_sender *sender)
{
    uint32_t room = sender->peer_rwnd, left = sender->marked;

    for (uint32_t tsn = sender->first_marked; left > 0 && room > 0; tsn++) {
        const struct outstanding *entry = sender_entry(sender, tsn);

        if (!entry->retransmit)
            continue;
        room -= minimum(room, entry->length);
        left--;
    }
    return room;
}

/* Rule A of section 6.1. A window too small for the chunk counts as closed, so that it is not
 * filled with scraps; a probe passes it after an RTO when nothing else is on the way. */
static bool window_permits(struct sctp_association *association, struct sctp_path *path,
                           uint32_t length)
{
    struct sctp_sender *sender = &association->sender;

    if (length <= window_of_new_data(sender) || sender->probe) {
        sender->probe_at = 0;
        return true;
    }
    if (sender->outstanding_chunks == 0 && sender->marked == 0 &&
        !timer_is_running(&path->t3_rtx)) {
        /* T3-rtx goes off as the time for a probe, which no SACK in between puts off. */
        if (sender->probe_at <= association->engine->now)
            sender->probe_at = association->engine->now + path->rto;
        timer_start(&association->engine->wheel, &path->t3_rtx, sender->probe_at);
    }
    return false;
}

/* RFC 1122, section 4.2.3.4, as far as the user permits: a small chunk waits while others are
 * outstanding, for an acknowledgement or for company that fills a packet. If the user has said that
 * more follows, only for that. */
static bool waits_for_company(const struct sctp_association *association,
                              const struct sctp_path *path, const struct sent_message *message)
{
    const struct sctp_sender *sender = &association->sender;
    size_t waiting =
        sender->pending_bytes + (size_t)sender->pending_messages * association->data_header_length;

    return (sender->more ||
            (!association->parameters.no_delay && sender->outstanding_chunks > 0)) &&
           message->small && association->state == BRAID_ESTABLISHED &&
           waiting < path_maximum_data_chunk_size(path);
}

static void send_chunk(struct sctp_association *association, struct sctp_path *path,
                       struct sent_message *message, uint32_t length, bool leads,
                       struct packet_writer *writer)
{
    struct sctp_sender *sender = &association->sender;
    uint32_t tsn = sender->next_tsn++;
    struct outstanding *entry = sender_entry(sender, tsn);
    bool unordered = message->send.flags & BRAID_SEND_UNORDERED;

    *entry = (struct outstanding){
        .message = message,
        .offset = message->begun,
        .length = (uint16_t)length,
        .flags = (uint8_t)((message->begun == 0 ? SCTP_DATA_FLAG_BEGINNING : 0) |
                           (unordered ? SCTP_DATA_FLAG_UNORDERED : 0)),
        .path = path->index,
        .leads = leads,
        .transmissions = 1,
    };
    if (association->interleaving)
        entry->fsn = message->fragments++;
    message->begun += length;
    sender->pending_bytes -= length;
    if (message->begun == message->length) {
        entry->flags |= SCTP_DATA_FLAG_ENDING;
        drop_first(sender);
        association->messages_sent++;
        if (message->send.flags & BRAID_SEND_SACK_IMMEDIATELY ||
            (association->state == BRAID_SHUTDOWN_PENDING && sender->pending_messages == 0))
            entry->flags |= SCTP_DATA_FLAG_IMMEDIATE; /* RFC 7053; RFC 9260, section 6.1 */
    }
    write_chunk(association, writer, entry, tsn);
    if (length > sender->peer_rwnd) {
        sender->probe = false;
        sender->probe_outstanding = true;
        sender->probe_tsn = tsn;
    }
    sender_enter_flight(association, entry, tsn);
    if (!path->rtt_running) {
        path->rtt_running = true;
        path->rtt_tsn = tsn;
        path->rtt_sent = association->engine->now;
    }
    if (path->burst_sent == 0)
        path->burst_began = association->engine->now;
    path->burst_sent += data_chunk_size(association, length);
    path->last_data = association->engine->now;
    if (!timer_is_running(&path->t3_rtx))
        sender_start_t3(path);
}

bool sender_skip_rest(struct sctp_association *association, struct sent_message *message)
{
    struct sctp_sender *sender = &association->sender;

    if (!ring_has_room(sender))
        return false;
    sender_drop(sender, message);
    *sender_entry(sender, sender->next_tsn++) = (struct outstanding){
        .message = message,
        .flags = SCTP_DATA_FLAG_ENDING,
        .acknowledged = true, /* it is not in flight */
    };
    message->begun = message->length;
    return true;
}

/* What the next chunk of a message takes. One that is fragmented anyway fills what is left of the
 * packet: so packets are of one size, and leave in one batch. */
static uint32_t chunk_length(const struct sctp_association *association,
                             const struct sent_message *message, uint32_t point, size_t room)
{
    uint32_t length = minimum(message->length - message->begun, point);

    if (!message->small && data_chunk_size(association, length) > room &&
        room >= association->data_header_length + FRAGMENT_LEAST)
        length = (uint32_t)(room - association->data_header_length) & ~3u;
    return length;
}

static unsigned int write_new(struct sctp_association *association, struct sctp_path *path,
                              struct packet_writer *writer)
{
    struct sctp_sender *sender = &association->sender;
    uint32_t point = association_fragmentation_point(association);
    struct sent_message *message;
    unsigned int count = 0;

    congestion_before_data(path);
    while ((message = next_message(association)) && message_path(association, message) == path) {
        uint32_t length = chunk_length(association, message, point, packet_writer_room(writer));

        if (path->flight >= path->cwnd || /* rule B */
            (count == 0 &&
             (!may_begin_packet(path) || !congestion_permits_burst(path) || /* rule D */
              waits_for_company(association, path, message))) ||
            data_chunk_size(association, length) > packet_writer_room(writer) ||
            !window_permits(association, path, length) || !ring_has_room(sender) ||
            !authentication_permits(association, message))
            break;
        if (message->begun == 0 && !take_number(sender, association, message))
            break;
        send_chunk(association, path, message, length, count == 0, writer);
        if (association->interleaving && sender->schedule)
            schedule_yield(sender);
        count++;
    }
    return count;
}

unsigned int sender_write(struct sctp_association *association, struct sctp_path *path,
                          struct packet_writer *writer, bool may_grow)
{
    struct sctp_sender *sender = &association->sender;
    unsigned int count = 0;

    if (sender->marked > 0)
        count = write_marked(association, path, writer, may_grow);
    if (sender->marked == 0 || sender_retransmission_path(association) != path)
        count += write_new(association, path, writer); /* rule C */
    if (count > 0)
        association_restart_autoclose(association);
    return count;
}

struct sctp_path *sender_retransmission_path(const struct sctp_association *association)
{
    const struct sctp_sender *sender = &association->sender;
    uint32_t tsn = sender->first_marked;

    if (sender->marked == 0)
        return NULL;
    while (!sender_entry(sender, tsn)->retransmit)
        tsn++;
    return association->paths[sender_entry(sender, tsn)->path];
}

struct sctp_path *sender_new_data_path(struct sctp_association *association)
{
    const struct sent_message *message = next_message(association);

    return message ? message_path(association, message) : NULL;
}

/* ---- T3-rtx: 6.3.3 ---- */

void sender_timeout(struct sctp_path *path)
{
    struct sctp_association *association = path->association;
    struct sctp_sender *sender = &association->sender;
    struct sctp_path *alternate;

    if (path->flight == 0 && !abandon_awaits_sack(association)) {
        if (sender->outstanding_chunks == 0 && sender->marked == 0 &&
            sender->pending_messages > 0) {
            sender->probe = true; /* it is time for a zero window probe */
            path_back_off(path);
        }
        association_set_ready(association);
        return;
    }
    association->t3_expirations++;
    if (sender->probe_outstanding && sender->sack_since_probe)
        sender->sack_since_probe = false; /* it answers, it only takes nothing (6.1, A) */
    else if (!path_failed(path, true))
        return;
    if (!sender->probe_outstanding) {
        congestion_timeout(path); /* E1 */
        plpmtud_doubt(path);
    }
    path_back_off(path); /* E2 */
    alternate = association_alternate_path(association, path);
    for (uint32_t tsn = sender->cumulative_tsn_ack + 1; tsn_before(tsn, sender->next_tsn); tsn++) {
        if (sender_entry(sender, tsn)->path == path->index)
            sender_mark(association, tsn, alternate); /* E3, 6.4.1 */
    }
    sender->fast_recovery = sender->fast_retransmit_now = false;
    if (sender->abandoned > 0)
        abandon_timeout(association);
    association_set_ready(association);
}
