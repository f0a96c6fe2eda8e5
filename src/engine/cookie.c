/*
 * The State Cookie: what an INIT said and what we answered, kept by the peer for us.
 *
 * RFC 9260, section 5.1.3 (generating), section 5.1.5 (authenticating). Nobody but us reads it, so
 * it is our own struct with an HMAC-SHA256 in front, of which half is enough (RFC 2104, section 5):
 * whoever sends an INIT is sent all of it. The key changes every `secret_lifetime`; the one before
 * stays good for as long again.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "engine/private.h"

#define MAC_LENGTH 16
#define FIXED_LENGTH offsetof(struct cookie, local_address)
#define SCOPED 0x80 /* an address with a scope behind it */

_Static_assert(MAC_LENGTH + sizeof(struct cookie) <= COOKIE_LENGTH_MAXIMUM,
               "a cookie is longer than COOKIE_LENGTH_MAXIMUM");

/* What varies in length stands behind the fixed part: addresses, each with its family in front,
 * then terms with their lengths. */
static uint8_t *put(uint8_t *place, const void *bytes, size_t length)
{
    memcpy(place, bytes, length);
    return place + length;
}

static uint8_t *put_address(uint8_t *place, const struct braid_address *address)
{
    *place++ = (uint8_t)(address->family | (address->scope != 0 ? SCOPED : 0));
    place = put(place, address->bytes, braid_address_length(address));
    return address->scope != 0 ? put(place, &address->scope, sizeof(address->scope)) : place;
}

static uint8_t *put_terms(uint8_t *place, const struct authentication_terms *terms)
{
    return put(place, terms, offsetof(struct authentication_terms, bytes) + terms->length);
}

/* Takes `length` bytes from what is left. */
static bool take(const uint8_t **place, size_t *left, void *bytes, size_t length)
{
    if (*left < length)
        return false;
    memcpy(bytes, *place, length);
    *place += length;
    *left -= length;
    return true;
}

static bool take_address(const uint8_t **place, size_t *left, struct braid_address *address)
{
    uint8_t family;

    if (!take(place, left, &family, sizeof(family)))
        return false;
    *address = (struct braid_address){.family = family & (uint8_t)~SCOPED};
    return take(place, left, address->bytes, braid_address_length(address)) &&
           (!(family & SCOPED) || take(place, left, &address->scope, sizeof(address->scope)));
}

static bool take_addresses(const uint8_t **place, size_t *left, struct cookie *cookie)
{
    for (uint8_t i = 0; i < cookie->address_count; i++) {
        if (!take_address(place, left, &cookie->addresses[i]))
            return false;
    }
    return true;
}

static bool take_terms(const uint8_t **place, size_t *left, struct authentication_terms *terms)
{
    return take(place, left, &terms->length, sizeof(terms->length)) &&
           terms->length <= sizeof(terms->bytes) && take(place, left, terms->bytes, terms->length);
}

static void rotate_keys(struct braid_engine *engine)
{
    if (engine->now - engine->cookie_key_made < milliseconds(engine->config.secret_lifetime))
        return;
    memcpy(engine->cookie_keys[1], engine->cookie_keys[0], COOKIE_KEY_LENGTH);
    random_bytes(engine, engine->cookie_keys[0], COOKIE_KEY_LENGTH);
    engine->cookie_key_made = engine->now;
}

static bool compute_mac(const uint8_t *key, const uint8_t *bytes, size_t length, uint8_t *mac)
{
    uint8_t whole[EVP_MAX_MD_SIZE];
    unsigned int whole_length = sizeof(whole);

    if (!HMAC(EVP_sha256(), key, COOKIE_KEY_LENGTH, bytes, length, whole, &whole_length))
        return false;
    memcpy(mac, whole, MAC_LENGTH);
    return true;
}

size_t cookie_write(struct braid_engine *engine, const struct cookie *cookie, uint8_t *bytes)
{
    uint8_t *end = put(bytes + MAC_LENGTH, cookie, FIXED_LENGTH);
    size_t length;

    rotate_keys(engine);
    end = put_address(end, &cookie->local_address);
    for (uint8_t i = 0; i < cookie->address_count; i++)
        end = put_address(end, &cookie->addresses[i]);
    end = put_terms(end, &cookie->local_terms);
    end = put_terms(end, &cookie->peer_terms);
    length = (size_t)(end - bytes) - MAC_LENGTH;
    if (!compute_mac(engine->cookie_keys[0], bytes + MAC_LENGTH, length, bytes))
        return 0;
    return MAC_LENGTH + length;
}

bool cookie_read(struct braid_engine *engine, const uint8_t *bytes, size_t length,
                 struct cookie *cookie)
{
    uint8_t mac[MAC_LENGTH];
    const uint8_t *place;
    bool good = false;
    size_t left;

    if (length < MAC_LENGTH + FIXED_LENGTH || length > MAC_LENGTH + sizeof(*cookie))
        return false;
    rotate_keys(engine);
    for (size_t i = 0; i < 2 && !good; i++) {
        good = compute_mac(engine->cookie_keys[i], bytes + MAC_LENGTH, length - MAC_LENGTH, mac) &&
               CRYPTO_memcmp(mac, bytes, MAC_LENGTH) == 0;
    }
    if (!good)
        return false;
    place = bytes + MAC_LENGTH;
    left = length - MAC_LENGTH;
    return take(&place, &left, cookie, FIXED_LENGTH) &&
           cookie->address_count <= ADDRESSES_MAXIMUM &&
           take_address(&place, &left, &cookie->local_address) &&
           take_addresses(&place, &left, cookie) &&
           take_terms(&place, &left, &cookie->local_terms) &&
           take_terms(&place, &left, &cookie->peer_terms) && left == 0;
}

/* ---- Used tags: 5.3.1 ---- */

#define SPENT_TAGS 16384u /* a power of two */

struct spent_tag {
    uint32_t tag;
    uint32_t until; /* in seconds: as long as a cookie with it may live */
};

static uint32_t seconds(braid_time time)
{
    return (uint32_t)(time / 1000000);
}

void cookie_spend(const struct sctp_association *association)
{
    struct braid_engine *engine = association->engine;
    braid_time life = milliseconds(association->parameters.valid_cookie_life);

    if (!engine->spent_tags)
        engine->spent_tags = calloc(SPENT_TAGS, sizeof(*engine->spent_tags));
    if (engine->spent_tags) /* the peer may have had it doubled */
        engine->spent_tags[association->local_tag % SPENT_TAGS] = (struct spent_tag){
            .tag = association->local_tag, .until = seconds(engine->now + 2 * life) + 1};
}

bool cookie_is_spent(const struct braid_engine *engine, uint32_t local_tag)
{
    const struct spent_tag *spent;

    if (!engine->spent_tags)
        return false;
    spent = &engine->spent_tags[local_tag % SPENT_TAGS];
    return spent->tag == local_tag && seconds(engine->now) <= spent->until;
}
