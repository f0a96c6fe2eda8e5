/*
 * What the two ways from chunks to messages share: DATA (reassembly.c: RFC 9260, section 6.9) and
 * I-DATA (interleaving.c: RFC 8260, section 2.2.3).
 */
#ifndef ENGINE_REASSEMBLY_H
#define ENGINE_REASSEMBLY_H

#include "engine/private.h"

/* Of what came in this chunk, with room for so many bytes of user data, and none yet. NULL: no
 * memory. */
struct received_data *reassembly_new(struct sctp_association *association,
                                     const struct sctp_data *from, size_t capacity);
/* There is room. */
static inline void reassembly_copy(struct sctp_association *association, struct received_data *data,
                                   const uint8_t *bytes, size_t length)
{
    memcpy(data->bytes + data->length, bytes, length);
    data->length += (uint32_t)length;
    association->receiver.held_bytes += (uint32_t)length;
    association_charge(association, (int64_t)length);
}
/* Room for so many bytes in all, and more. False: no memory. */
bool reassembly_enlarge(struct sctp_association *association, struct received_data **message,
                        size_t needed);
/* As reassembly_copy(); it is made larger if there is no room. */
static inline bool reassembly_append(struct sctp_association *association,
                                     struct received_data **message, const uint8_t *bytes,
                                     size_t length)
{
    size_t needed = sizeof(**message) + (*message)->length + length;

    if (needed > (*message)->allocated && !reassembly_enlarge(association, message, needed))
        return false;
    reassembly_copy(association, *message, bytes, length);
    return true;
}
/* Frees it unseen by the user. NULL: nothing. */
void reassembly_drop(struct sctp_association *association, struct received_data *data);

/* NULL: no memory. */
struct inbound_stream *reassembly_make_stream(struct sctp_receiver *receiver, uint16_t stream);
static inline struct inbound_stream *reassembly_stream(struct sctp_receiver *receiver,
                                                       uint16_t stream)
{
    uint32_t page = stream / STREAM_PAGE;

    return page < receiver->page_count && receiver->pages[page]
               ? &receiver->pages[page][stream % STREAM_PAGE]
               : reassembly_make_stream(receiver, stream);
}
/* A whole message, whose number is set: to the user when its turn is (6.6). */
void reassembly_deliver(struct sctp_association *association, struct received_data *message);
/* To the user, behind all others. */
void reassembly_append_ready(struct sctp_association *association, struct received_data *data);
/* The next of the stream was delivered: those that only waited for it follow. */
void reassembly_advance(struct sctp_association *association, struct inbound_stream *stream);
/* What is missing of the stream up to this number will not come. */
void reassembly_skip_numbers(struct sctp_association *association, struct inbound_stream *stream,
                             uint32_t last);
/* BRAID_EVENT_PARTIAL_DELIVERY_ABORTED. */
void reassembly_tell_aborted(struct sctp_association *association, uint16_t stream, uint16_t ssn);

/* ---- interleaving.c ---- */

/* Begins partial delivery of a message if the window is closed and nothing else would open it. */
void interleaving_deliver_partially(struct sctp_association *association);
/* What has come of messages of these streams, of all for a count of 0, is dropped. */
void interleaving_restart_streams(struct sctp_association *association, const uint16_t *streams,
                                  size_t count);
/* `tell`: the user, of what he has read the beginning of. */
void interleaving_free(struct sctp_association *association, bool tell);

#endif
