/* State and HTTP, over the canonical ABI: see host.c. */
#ifdef __wasm__
#include "inner.h"

#define IMPORT(interface, name) __attribute__((import_module("millrace:plugin/" interface "@0.1.0"), import_name(name)))

typedef struct option_bytes {
    uint8_t is_some;
    mr_bytes value;
} option_bytes;

typedef struct bytes_list {
    mr_bytes *at;
    size_t count;
} bytes_list;

/* The results of the functions of `state`: the discriminant, then either. */
typedef struct state_result {
    uint8_t is_error;
    union {
        uint8_t error;
        option_bytes value;
        struct {
            option_bytes *at;
            size_t count;
        } values;
        bytes_list keys;
        /* The error has a reason, which is not read. */
        struct {
            uint8_t code;
            mr_bytes reason;
        } failed;
    };
} state_result;

typedef struct increment_result {
    uint8_t is_error;
    union {
        int64_t sum;
        struct {
            uint8_t code;
            mr_bytes reason;
        } failed;
    };
} increment_result;

IMPORT("state", "get") void state_get(const uint8_t *, size_t, state_result *);
IMPORT("state", "get-many") void state_get_many(const mr_bytes *, size_t, state_result *);
IMPORT("state", "set") void state_set(const uint8_t *, size_t, const uint8_t *, size_t, uint32_t, uint64_t, state_result *);
IMPORT("state", "delete") void state_delete(const uint8_t *, size_t, state_result *);
IMPORT("state", "increment") void state_increment(const uint8_t *, size_t, int64_t, increment_result *);
IMPORT("state", "list-keys")
void state_list_keys(const uint8_t *, size_t, uint32_t, const uint8_t *, size_t, uint32_t, state_result *);

static mr_state_error error_of(const state_result *result)
{
    return result->is_error ? (mr_state_error)result->error : MR_STATE_OK;
}

mr_state_error mr_state_get(mr_bytes key, mr_bytes *value)
{
    state_result result;
    state_get(key.at, key.size, &result);
    *value = !result.is_error && result.value.is_some ? result.value.value : (mr_bytes){0};
    return error_of(&result);
}

mr_state_error mr_state_get_many(const mr_bytes *keys, size_t count, mr_bytes *values)
{
    state_result result;
    state_get_many(keys, count, &result);
    for (size_t i = 0; i < count; i++) {
        bool is_there = !result.is_error && result.values.at[i].is_some;
        values[i] = is_there ? result.values.at[i].value : (mr_bytes){0};
    }
    return error_of(&result);
}

mr_state_error mr_state_set(mr_bytes key, mr_bytes value, uint64_t ttl_ms)
{
    state_result result;
    state_set(key.at, key.size, value.at, value.size, ttl_ms != 0, ttl_ms, &result);
    return error_of(&result);
}

mr_state_error mr_state_delete(mr_bytes key)
{
    state_result result;
    state_delete(key.at, key.size, &result);
    return error_of(&result);
}

mr_state_error mr_state_increment(mr_bytes key, int64_t by, int64_t *sum)
{
    increment_result result;
    state_increment(key.at, key.size, by, &result);
    *sum = result.is_error ? 0 : result.sum;
    return result.is_error ? (mr_state_error)result.failed.code : MR_STATE_OK;
}

mr_state_error mr_state_list_keys(mr_bytes prefix, mr_bytes after, uint32_t keys_max, mr_bytes **keys, size_t *count)
{
    state_result result;
    state_list_keys(prefix.at, prefix.size, after.size != 0, after.at, after.size, keys_max, &result);
    *keys = result.is_error ? NULL : result.keys.at;
    *count = result.is_error ? 0 : result.keys.count;
    return error_of(&result);
}

typedef struct http_request {
    mr_bytes method;
    mr_bytes url;
    const mr_header *headers;
    size_t headers_count;
    mr_bytes body;
    uint8_t has_timeout;
    uint32_t timeout_ms;
    uint8_t has_auth;
    mr_bytes auth;
} http_request;

typedef struct http_result {
    uint8_t is_error;
    union {
        struct {
            uint16_t status;
            mr_header *headers;
            size_t headers_count;
            mr_bytes body;
        } response;
        struct {
            uint8_t code;
            mr_bytes reason;
        } failed;
    };
} http_result;

_Static_assert(sizeof(http_request) == 52, "the layout of the record request");
_Static_assert(sizeof(http_result) == 24, "the layout of result<response, error>");
_Static_assert(sizeof(increment_result) == 24, "the layout of result<s64, error>");
_Static_assert(sizeof(state_result) == 16, "the layout of result<option<list<u8>>, error>");
_Static_assert(sizeof(option_bytes) == 12, "the layout of option<list<u8>>");

IMPORT("http", "send")
void http_send(const uint8_t *, size_t, const uint8_t *, size_t, const mr_header *, size_t, const uint8_t *, size_t,
               uint32_t, uint32_t, uint32_t, const uint8_t *, size_t, http_result *);
IMPORT("http", "send-many") void http_send_many(const http_request *, size_t, uint32_t, void *);

static mr_http_response response_of(const http_result *result)
{
    if (result->is_error) {
        mr_http_error code = (mr_http_error)result->failed.code;
        bool has_reason = code == MR_HTTP_INVALID || code == MR_HTTP_TRANSPORT;
        return (mr_http_response){.error = code, .reason = has_reason ? result->failed.reason : (mr_bytes){0}};
    }
    return (mr_http_response){
        .error = MR_HTTP_OK,
        .status = result->response.status,
        .headers = result->response.headers,
        .headers_count = result->response.headers_count,
        .body = result->response.body,
    };
}

mr_http_response mr_http_send(const mr_http_request *r)
{
    http_result result;
    http_send(r->method.at, r->method.size, r->url.at, r->url.size, r->headers, r->headers_count, r->body.at, r->body.size,
              r->timeout_ms != 0, r->timeout_ms, r->auth.size != 0, r->auth.at, r->auth.size, &result);
    return response_of(&result);
}

void mr_http_send_many(const mr_http_request *requests, size_t count, uint32_t parallel, mr_http_response *responses)
{
    http_request *list = mr_alloc(count * sizeof *list);
    for (size_t i = 0; i < count; i++) {
        const mr_http_request *r = &requests[i];
        list[i] = (http_request){r->method, r->url, r->headers, r->headers_count, r->body, r->timeout_ms != 0,
                                 r->timeout_ms, r->auth.size != 0, r->auth};
    }
    struct {
        const http_result *at;
        size_t count;
    } answers;
    http_send_many(list, count, parallel, &answers);
    for (size_t i = 0; i < count; i++) {
        responses[i] = response_of(&answers.at[i]);
    }
}

#endif
