/*
 * A ring of endpoint pair shared keys.
 *
 * RFC 4895, section 6.1 (shared keys and their identifiers), section 6.2 (the empty key 0). RFC
 * 6458, section 8.3.3 to 8.3.5 (set, deactivate, delete).
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "engine/auth.h"

static void forget_contexts(struct shared_key *key)
{
    for (int i = 0; i < AUTH_HMACS; i++) {
        EVP_MAC_CTX_free(key->contexts[i]);
        key->contexts[i] = NULL;
    }
}

void keys_forget_contexts(struct braid_keys *keys)
{
    for (struct shared_key *key = keys->first; key; key = key->next)
        forget_contexts(key);
}

void shared_key_release(struct shared_key *key)
{
    if (--key->references > 0)
        return;
    forget_contexts(key);
    OPENSSL_cleanse(key->bytes, key->length);
    free(key);
}

struct shared_key *keys_find(const struct braid_keys *keys, uint16_t identifier)
{
    struct shared_key *key = keys->first;

    while (key && key->identifier != identifier)
        key = key->next;
    return key;
}

static void keys_remove(struct braid_keys *keys, struct shared_key *key)
{
    struct shared_key **place = &keys->first;

    while (*place != key)
        place = &(*place)->next;
    *place = key->next;
    key->listed = false;
    shared_key_release(key);
}

int braid_keys_set(struct braid_keys *keys, uint16_t identifier, const void *bytes, size_t length)
{
    struct shared_key *old = keys_find(keys, identifier);
    struct shared_key *key;

    if (length > UINT16_MAX)
        return -EINVAL;
    key = calloc(1, sizeof(*key) + length);
    if (!key)
        return -ENOMEM;
    key->identifier = identifier;
    key->length = (uint16_t)length;
    key->references = 1;
    key->listed = true;
    if (length > 0)
        memcpy(key->bytes, bytes, length);
    if (old)
        keys_remove(keys, old);
    key->next = keys->first;
    keys->first = key;
    return 0;
}

int braid_keys_change(struct braid_keys *keys, enum braid_key_change change, uint16_t identifier)
{
    struct shared_key *key = keys_find(keys, identifier);

    if (!key)
        return -EINVAL;
    if (change == BRAID_KEY_ACTIVATE) {
        if (key->deactivated)
            return -EINVAL;
        keys->active = identifier;
        return 0;
    }
    if (identifier == keys->active)
        return -EINVAL;
    if (change == BRAID_KEY_DELETE)
        keys_remove(keys, key);
    else
        key->deactivated = true;
    return 0;
}

uint16_t braid_keys_active(const struct braid_keys *keys)
{
    return keys->active;
}

void braid_keys_free(struct braid_keys *keys)
{
    if (!keys)
        return;
    while (keys->first)
        keys_remove(keys, keys->first);
    free(keys);
}

struct braid_keys *braid_keys_new(const struct braid_keys *from)
{
    struct braid_keys *keys = calloc(1, sizeof(*keys));
    int error = 0;

    if (!keys)
        return NULL;
    if (!from)
        error = braid_keys_set(keys, 0, NULL, 0);
    for (const struct shared_key *key = from ? from->first : NULL; key && error == 0;
         key = key->next) {
        error = braid_keys_set(keys, key->identifier, key->bytes, key->length);
        if (error == 0)
            keys->first->deactivated = key->deactivated;
    }
    if (error < 0) {
        braid_keys_free(keys);
        return NULL;
    }
    keys->active = from ? from->active : 0;
    return keys;
}
