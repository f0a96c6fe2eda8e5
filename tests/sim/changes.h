/*
 * What the users of an association change while it is up: its paths, its parameters, its streams
 * (RFC 6525), the order in which they are served (RFC 8260), its keys (RFC 4895).
 *
 * Any of it may be refused; that is no error.
 */
#ifndef SIM_CHANGES_H
#define SIM_CHANGES_H

#include "checker.h"

enum { CHANGES_KEYS = 3 /* shared by all hosts: their identifiers are from 0 on */ };

/* The keys that all hosts have. */
struct braid_keys *changes_keys(void);

void change_paths(struct random_generator *random, struct end *end);
void change_parameters(struct random_generator *random, struct end *end);
void change_streams(struct random_generator *random, struct end *end);
void change_schedule(struct random_generator *random, struct end *end);
void change_key(struct random_generator *random, struct end *end);

#endif
