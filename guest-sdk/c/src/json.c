#include "json.h"

#include <stdlib.h>
#include <string.h>

#include "millrace.h"

enum { DEPTH_MAX = 32, NUMBER_BYTES_MAX = 64 };

typedef struct reader {
    const uint8_t *at;
    const uint8_t *end;
    int depth;
} reader;

static mr_json *read_value(reader *r);

static void skip_space(reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r')) {
        r->at++;
    }
}

/* Takes a byte behind white space, if it is there. */
static bool take(reader *r, uint8_t byte)
{
    skip_space(r);
    if (r->at < r->end && *r->at == byte) {
        r->at++;
        return true;
    }
    return false;
}

static bool take_word(reader *r, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(r->end - r->at) < size || memcmp(r->at, word, size) != 0) {
        return false;
    }
    r->at += size;
    return true;
}

static mr_json *made(mr_json_kind kind)
{
    mr_json *value = mr_alloc_kept(sizeof *value);
    *value = (mr_json){.kind = kind};
    return value;
}

/* Four digits of a \u escape, or -1. */
static int32_t read_hex(reader *r)
{
    int32_t code = 0;
    if (r->end - r->at < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        uint8_t c = *r->at++;
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0) {
            return -1;
        }
        code = code * 16 + digit;
    }
    return code;
}

static size_t put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t extra = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const uint8_t first[] = {0, 0xc0, 0xe0, 0xf0};
    out[0] = (char)(first[extra] | (code >> (6 * extra)));
    for (size_t i = 1; i <= extra; i++) {
        out[i] = (char)(0x80 | ((code >> (6 * (extra - i))) & 0x3f));
    }
    return extra + 1;
}

/* The text of an escape, behind its backslash; 0 for none. */
static size_t read_escape(reader *r, char *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (r->at == r->end) {
        return 0;
    }
    uint8_t c = *r->at++;
    const char *found = c == 0 ? NULL : strchr(from, c);
    if (found != NULL) {
        *out = to[found - from];
        return 1;
    }
    if (c != 'u') {
        return 0;
    }
    int32_t code = read_hex(r);
    if (code >= 0xd800 && code < 0xdc00) {
        int32_t low = take_word(r, "\\u") ? read_hex(r) : -1;
        if (low < 0xdc00 || low > 0xdfff) {
            return 0;
        }
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code < 0 || (code >= 0xdc00 && code < 0xe000)) {
        return 0;
    }
    return put_utf8(out, (uint32_t)code);
}

/* Reads behind the opening quote; NULL if it does not end well. */
static char *read_text(reader *r, size_t *size)
{
    /* An escape is never shorter than what it stands for, so the rest of the text up to its end is enough. */
    const uint8_t *end = r->at;
    while (end < r->end && *end != '"') {
        end += *end == '\\' ? 2 : 1;
    }
    if (end >= r->end) {
        return NULL;
    }
    char *text = mr_alloc_kept((size_t)(end - r->at) + 1);
    size_t length = 0;
    while (r->at < end) {
        uint8_t c = *r->at++;
        if (c < 0x20) {
            return NULL;
        }
        if (c != '\\') {
            text[length++] = (char)c;
            continue;
        }
        size_t put = read_escape(r, text + length);
        if (put == 0) {
            return NULL;
        }
        length += put;
    }
    r->at++;
    text[length] = 0;
    *size = length;
    return text;
}

static size_t digits(reader *r)
{
    const uint8_t *start = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9') {
        r->at++;
    }
    return (size_t)(r->at - start);
}

static mr_json *read_number(reader *r)
{
    const uint8_t *start = r->at;
    bool is_integer = true;
    if (*r->at == '-') {
        r->at++;
    }
    bool is_zero = r->at < r->end && *r->at == '0';
    size_t count = digits(r);
    if (count == 0 || (is_zero && count > 1)) {
        return NULL;
    }
    if (r->at < r->end && *r->at == '.') {
        r->at++;
        is_integer = false;
        if (digits(r) == 0) {
            return NULL;
        }
    }
    if (r->at < r->end && (*r->at | 32) == 'e') {
        r->at++;
        is_integer = false;
        if (r->at < r->end && (*r->at == '+' || *r->at == '-')) {
            r->at++;
        }
        if (digits(r) == 0) {
            return NULL;
        }
    }
    char text[NUMBER_BYTES_MAX];
    size_t size = (size_t)(r->at - start);
    if (size >= sizeof text) {
        return NULL;
    }
    memcpy(text, start, size);
    text[size] = 0;
    mr_json *value = made(MR_JSON_NUMBER);
    value->number = strtod(text, NULL);
    /* Up to 18 digits always fit; a longer one is no integer that an option could mean. */
    value->is_integer = is_integer && size <= 18;
    value->integer = value->is_integer ? strtoll(text, NULL, 10) : 0;
    return value;
}

static mr_json *read_items(reader *r, mr_json_kind kind, uint8_t close)
{
    mr_json *value = made(kind);
    mr_json **last = &value->first;
    if (take(r, close)) {
        return value;
    }
    do {
        char *name = NULL;
        size_t name_size = 0;
        if (kind == MR_JSON_OBJECT) {
            name = take(r, '"') ? read_text(r, &name_size) : NULL;
            if (name == NULL || !take(r, ':')) {
                return NULL;
            }
        }
        mr_json *item = read_value(r);
        if (item == NULL) {
            return NULL;
        }
        item->name = name;
        *last = item;
        last = &item->next;
        value->count++;
    } while (take(r, ','));
    return take(r, close) ? value : NULL;
}

static mr_json *read_value(reader *r)
{
    skip_space(r);
    if (r->at == r->end || r->depth == DEPTH_MAX) {
        return NULL;
    }
    mr_json *value = NULL;
    r->depth++;
    if (take(r, '{')) {
        value = read_items(r, MR_JSON_OBJECT, '}');
    } else if (take(r, '[')) {
        value = read_items(r, MR_JSON_LIST, ']');
    } else if (take(r, '"')) {
        value = made(MR_JSON_TEXT);
        value->text = read_text(r, &value->text_size);
        value = value->text == NULL ? NULL : value;
    } else if (take_word(r, "true")) {
        value = made(MR_JSON_FLAG);
        value->flag = true;
    } else if (take_word(r, "false")) {
        value = made(MR_JSON_FLAG);
    } else if (take_word(r, "null")) {
        value = made(MR_JSON_NULL);
    } else {
        value = read_number(r);
    }
    r->depth--;
    return value;
}

mr_json *mr_json_read(const uint8_t *at, size_t size)
{
    reader r = {at, at + size, 0};
    mr_json *value = read_value(&r);
    skip_space(&r);
    return r.at == r.end ? value : NULL;
}

const char *mr_json_kind_name(const mr_json *value)
{
    static const char *const names[] = {"null", "true or false", "a number", "a text", "a list", "options"};
    return names[value->kind];
}
