/* A ring of links, threaded through what it holds: adding and removing are O(1), no allocation.
 * Nothing of SCTP is in it.
 */
#ifndef ENGINE_LIST_H
#define ENGINE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *previous;
};

/* Types and names of variables cannot stand in parentheses. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */

/* The struct that has `link` as its member. */
#define LIST_ENTRY(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

#define LIST_FOR_EACH(link, head)                                                                  \
    for (struct list *link = (head)->next; link != (head); link = link->next)

/* As LIST_FOR_EACH; the body may remove `link`. */
#define LIST_FOR_EACH_SAFE(link, head)                                                             \
    for (struct list *link = (head)->next, *link##_next = link->next; link != (head);              \
         link = link##_next, link##_next = link->next)

/* NOLINTEND(bugprone-macro-parentheses) */

/* An empty list, or a link that is in none. */
static inline void list_init(struct list *list)
{
    list->next = list->previous = list;
}

static inline bool list_is_empty(const struct list *list)
{
    return list->next == list;
}

static inline void list_append(struct list *list, struct list *link)
{
    link->previous = list->previous;
    link->next = list;
    list->previous->next = link;
    list->previous = link;
}

/* Takes a link out; harmless if it is in no list. */
static inline void list_remove(struct list *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    list_init(link);
}

#endif
