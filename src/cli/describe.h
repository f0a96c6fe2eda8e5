/*
 * Chunks, parameters and error causes in words.
 *
 * RFC 9260 section 3.3, and the extensions that src/packet/ reads.
 */
#ifndef CLI_DESCRIBE_H
#define CLI_DESCRIBE_H

#include <stdint.h>

#include "braid/address.h"
#include "cli/document.h"
#include "packet/packet.h"

/* "DATA", "INIT ACK" and so on, or "chunk type 99". The text lives until the next call. */
const char *describe_chunk_type(uint8_t type);

/* "State Cookie" and so on, or "parameter type 0x1234". The text lives until the next call. */
const char *describe_parameter_type(uint16_t type);

/* "Protocol Violation" and so on, or "cause code 99". The text lives until the next call. */
const char *describe_cause_code(uint16_t code);

/* "SHA-256" and so on (RFC 4895 section 3.3), or "HMAC identifier 0x04". As above. */
const char *describe_hmac(uint16_t identifier);

/* "Success - Performed" and so on (RFC 6525 section 4.4), or "result 0x09". As above. */
const char *describe_result(uint32_t result);

/* Long enough for any address, its scope and the terminating zero. */
#define DESCRIBE_ADDRESS_SIZE 64

/* The address as RFC 5952 wants it written. Returns `text`. */
const char *describe_address(const struct braid_address *address, char *text);

/*
 * A chunk in one line, without the end of the line:
 *
 *     DATA tsn 12 stream 0 ssn 3 ppid 0 [BE] 100 bytes
 *     SACK cumulative 12 a_rwnd 65536 gaps 2-3 duplicates 9
 */
void describe_chunk_in_line(const struct document *document, const struct sctp_chunk *chunk);

/*
 * Every field of a chunk, every parameter, every error cause, as values of the object that is open
 * in the document. In JSON type, code, flags and length come first.
 */
void describe_chunk_in_full(struct document *document, const struct sctp_chunk *chunk);

#endif
