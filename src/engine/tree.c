/* A treap (Seidel and Aragon, 1996). */
#include "engine/tree.h"

struct tree_node *tree_find(struct tree_node *root, uint64_t key)
{
    while (root && root->key != key)
        root = key < root->key ? root->left : root->right;
    return root;
}

struct tree_node *tree_find_from(struct tree_node *root, uint64_t key)
{
    struct tree_node *found = NULL;

    while (root) {
        if (root->key < key) {
            root = root->right;
        } else {
            found = root;
            root = root->left;
        }
    }
    return found;
}

void tree_insert(struct tree_node **root, struct tree_node *node)
{
    struct tree_node **place = root, **left = &node->left, **right = &node->right, *rest;

    while (*place && (*place)->priority >= node->priority)
        place = node->key < (*place)->key ? &(*place)->left : &(*place)->right;
    rest = *place;
    *place = node;
    while (rest) { /* what stood there goes to its two sides */
        if (rest->key < node->key) {
            *left = rest;
            left = &rest->right;
            rest = rest->right;
        } else {
            *right = rest;
            right = &rest->left;
            rest = rest->left;
        }
    }
    *left = *right = NULL;
}

void tree_remove(struct tree_node **root, const struct tree_node *node)
{
    struct tree_node **place = root, *left = node->left, *right = node->right;

    while (*place != node)
        place = node->key < (*place)->key ? &(*place)->left : &(*place)->right;
    while (left && right) {
        if (left->priority > right->priority) {
            *place = left;
            place = &left->right;
            left = left->right;
        } else {
            *place = right;
            place = &right->left;
            right = right->left;
        }
    }
    *place = left ? left : right;
}
