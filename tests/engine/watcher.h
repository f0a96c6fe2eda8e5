/*
 * The watcher: looks at every packet that an engine sends, and fails the test at the first one
 * that RFC 9260 does not permit, whoever it is for and whatever the test is about.
 *
 * What it looks at: sections 3.1 to 3.3 (form, padding, reserved bits, mandatory parameters),
 * 6.5 to 6.10 (TSNs, gap ack blocks, CRC32c, fragments, bundling) and 8.5 (Verification Tags); RFC
 * 9653, section 5.2 (zero checksum).
 */
#ifndef ENGINE_WATCHER_H
#define ENGINE_WATCHER_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "packet/chunks.h"

struct watcher;

struct watcher *watcher_new(void);
void watcher_free(struct watcher *watcher);

/*
 * An engine, numbered `host`, sends a packet: fails the test if it must not look like that. `room`
 * is what an SCTP packet may have on this path; 0: any length, as IP may cut it up.
 */
void watcher_sent(struct watcher *watcher, unsigned int host, const uint8_t *bytes, size_t length,
                  size_t room);

/* A packet of a scripted peer, which may be anything: its tags may appear in answers. */
void watcher_scripted(struct watcher *watcher, unsigned int host, const uint8_t *bytes,
                      size_t length);

/* The association whose packets have this tag ended: its cookie may come again, and TSNs with it.
 */
void watcher_forget(struct watcher *watcher, uint32_t tag);

/* Tags change in the midst of a flow, as with 5.2.4 action B: its TSNs may have begun elsewhere. */
void watcher_allow_other_tags(struct watcher *watcher);
/* TSNs may be left out: the end of a message that was abandoned half sent (RFC 3758). */
void watcher_allow_skipped_tsns(struct watcher *watcher);

/* Packets seen by watcher_sent(). */
uint64_t watcher_count(const struct watcher *watcher);

/* The name of a chunk type, such as "COOKIE_ECHO", or its number. */
const char *chunk_name(uint8_t type);

/* Writes the names of a packet's chunks, with spaces between. */
void packet_name(const uint8_t *bytes, size_t length, char *name, size_t size);

#endif
