/* A small reader of JSON, for options. Everything it gives lives as long as the instance. */
#ifndef MILLRACE_JSON_H
#define MILLRACE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum mr_json_kind { MR_JSON_NULL, MR_JSON_FLAG, MR_JSON_NUMBER, MR_JSON_TEXT, MR_JSON_LIST, MR_JSON_OBJECT } mr_json_kind;

/* A value; those in a list or object are linked. */
typedef struct mr_json {
    mr_json_kind kind;
    bool flag;
    /* Numbers without fraction and exponent that fit. */
    bool is_integer;
    int64_t integer;
    double number;
    /* With a zero behind it; text_size tells of zeros inside. */
    char *text;
    size_t text_size;
    /* The name, of a member of an object. */
    char *name;
    struct mr_json *first;
    struct mr_json *next;
    size_t count;
    /* Whether somebody asked for this member. */
    bool is_used;
} mr_json;

/* Gives the value, or NULL if the text is no JSON. */
mr_json *mr_json_read(const uint8_t *at, size_t size);
/* Names a kind, as in "expected a text, found …". */
const char *mr_json_kind_name(const mr_json *value);

#endif
