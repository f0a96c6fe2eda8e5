/* Data channels, as WebRTC has them (RFC 8831, RFC 8832), on Braid's engine.
 *
 * The packets go through any pipe that keeps datagrams whole, ordinarily DTLS (RFC 8261). This
 * layer knows neither the pipe nor the clock: what comes out of the pipe is given to
 * channels_packet(), and channels_work() is called after that, after anything was asked for, and at
 * the time that it returned last.
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include <braid/engine.h>

enum { CHANNEL_COUNT = 256, CHANNEL_NAME = 64 };

/* What a channel promises, and its name (RFC 8832, 5.1). */
struct channel_config {
    char label[CHANNEL_NAME];
    bool unordered;
    enum braid_policy policy; /* BRAID_POLICY_NONE: reliable; _RETRANSMISSIONS, _LIFETIME */
    uint32_t limit;           /* of the policy: retransmissions, milliseconds */
};

struct channels;

/* What the user is told. In these calls he may send, open and close, but not end it all. */
struct channels_user {
    void (*packet)(void *context, const void *bytes, size_t length); /* into the pipe */
    void (*opened)(void *context, uint16_t channel, const struct channel_config *config);
    void (*message)(void *context, uint16_t channel, bool text, const void *bytes, size_t length);
    void (*writable)(void *context); /* there is room again, after an EAGAIN */
    void (*closed)(void *context, uint16_t channel);
    void (*ended)(void *context); /* the association, and so every channel */
    void *context;
};

/* `even`: opens channels of even numbers, as the DTLS client does; the other side has the odd ones.
 * `packet_size`: what the pipe carries. Both sides call it, and neither need be first. NULL: no
 * memory. */
struct channels *channels_new(const struct channels_user *user, bool even, uint32_t packet_size,
                              braid_time now);
void channels_free(struct channels *channels);

void channels_packet(struct channels *channels, const void *bytes, size_t length, braid_time now);

/* Does what is due. Returns when it is to be called next, at the latest. */
braid_time channels_work(struct channels *channels, braid_time now);

/* Returns the channel's number, or a negative errno. Messages may be sent at once. */
int channel_open(struct channels *channels, const struct channel_config *config, braid_time now);

/* 0, EAGAIN (writable() follows), ENOENT (no such channel, or it is being closed). */
int channel_send(struct channels *channels, uint16_t channel, bool text, const void *bytes,
                 size_t length, braid_time now);

/* What was sent is sent first; then closed() tells. */
void channel_close(struct channels *channels, uint16_t channel);

#endif
