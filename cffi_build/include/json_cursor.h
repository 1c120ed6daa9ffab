/* json_cursor.h — JSON, as far as a market message needs it: a cursor that takes one thing after the other. */
#ifndef CRYPTO_TRADE_JSON_CURSOR_H
#define CRYPTO_TRADE_JSON_CURSOR_H

#include "number_text.h"

typedef struct cursor {
    const char *p;
    const char *end;
    int is_bad_number;             /* set where a price or quantity should stand and none does */
} cursor_t;

static inline void skip_space(cursor_t *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\r'))
        c->p++;
}

/* Takes `wanted` (after white space); 0 if something else stands there. */
static inline int take(cursor_t *c, char wanted)
{
    skip_space(c);
    if (c->p < c->end && *c->p == wanted) {
        c->p++;
        return 1;
    }
    return 0;
}

/* Takes a string; its bytes without the quotes are [*start, *stop). Escapes are passed over, not decoded. */
static inline int take_string(cursor_t *c, const char **start, const char **stop)
{
    if (!take(c, '"'))
        return 0;
    *start = c->p;
    while (c->p < c->end && *c->p != '"')
        c->p += *c->p == '\\' ? 2 : 1;
    if (c->p >= c->end)
        return 0;
    *stop = c->p++;
    return 1;
}

/* Takes a member's name and its colon: the cursor stands at the first byte of the value. */
static inline int take_key(cursor_t *c, const char **key, const char **key_end)
{
    if (!take_string(c, key, key_end) || !take(c, ':'))
        return 0;
    skip_space(c);
    return 1;
}

#define NESTING_MAX 32

/* Takes any value without looking into it. */
static inline int skip_value(cursor_t *c)
{
    const char *start, *stop;
    int depth = 0;
    do {
        skip_space(c);
        if (c->p >= c->end)
            return 0;
        char head = *c->p;
        if (head == '"') {
            if (!take_string(c, &start, &stop))
                return 0;
        } else if (head == '{' || head == '[') {
            if (++depth > NESTING_MAX)
                return 0;
            c->p++;
        } else if (head == '}' || head == ']') {
            depth--;
            c->p++;
        } else if (head == ',' || head == ':') {
            if (depth == 0)
                return 0;
            c->p++;
        } else {
            const char *literal = c->p;
            while (c->p < c->end && *c->p != ',' && *c->p != '}' && *c->p != ']' && *c->p != ':' && *c->p != ' ')
                c->p++;
            if (c->p == literal)
                return 0;
        }
    } while (depth > 0);
    return depth == 0;
}

/* A price or quantity: a number, quoted or bare. */
static inline int take_double(cursor_t *c, double *value)
{
    skip_space(c);
    int quoted = c->p < c->end && *c->p == '"';
    c->p += quoted;
    uint64_t used;
    *value = parse_number(c->p, c->end, &used);
    c->p += used;
    if (used > 0 && (!quoted || take(c, '"')))
        return 1;
    c->is_bad_number = c->p < c->end;
    return 0;
}

static inline int take_integer(cursor_t *c, int64_t *value)
{
    skip_space(c);
    int quoted = c->p < c->end && *c->p == '"';
    c->p += quoted;
    int ok;
    *value = parse_integer(&c->p, c->end, &ok);
    return ok && (!quoted || take(c, '"'));
}

#endif
