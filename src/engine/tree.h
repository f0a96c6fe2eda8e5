/*
 * A tree of nodes in the order of their keys, threaded through what it holds: no allocation.
 *
 * A treap: nodes are a heap by their priorities, which are random, so that its depth is a small
 * multiple of the logarithm of its size whatever keys a peer chooses.
 */
#ifndef ENGINE_TREE_H
#define ENGINE_TREE_H

#include <stddef.h>
#include <stdint.h>

struct tree_node {
    struct tree_node *left, *right;
    uint64_t key;      /* no two are the same */
    uint32_t priority; /* random */
};

/* The one of this key; NULL: there is none. */
struct tree_node *tree_find(struct tree_node *root, uint64_t key);
/* The one of the lowest key that is not below `key`. */
struct tree_node *tree_find_from(struct tree_node *root, uint64_t key);
void tree_insert(struct tree_node **root, struct tree_node *node);
void tree_remove(struct tree_node **root, const struct tree_node *node);

#endif
