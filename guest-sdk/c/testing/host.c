/* The agent, played: batches hold events of their own, state is a list, HTTP is answered by a function. */
#include <stdarg.h>

#include "../src/inner.h"
#include "millrace_test.h"

mr_test_http_fn *mr_test_http;
uint64_t mr_test_nanos = 1700000000000000000u;

uint32_t mr_batch_count(mr_batch *batch) { return (uint32_t)batch->held_count; }
uint64_t mr_batch_formed_at(mr_batch *batch) { return (void)batch, mr_test_nanos; }

uint64_t mr_batch_body_bytes(mr_batch *batch) { return mr_batch_bodies(batch)->bytes_size; }

static const mr_event *row_of(mr_batch *batch, uint32_t row)
{
    MR_CHECK(row < batch->held_count);
    return &batch->held[row];
}

mr_packed *mr_batch_bodies(mr_batch *batch)
{
    if (!batch->has_bodies) {
        mr_packer packer = {0};
        for (size_t row = 0; row < batch->held_count; row++) {
            mr_pack(&packer, batch->held[row].body);
        }
        batch->bodies = packer.packed;
        batch->has_bodies = true;
    }
    return &batch->bodies;
}

mr_packed mr_batch_bodies_of(mr_batch *batch, const uint32_t *rows, size_t count)
{
    mr_packer packer = {0};
    for (size_t i = 0; i < count; i++) {
        mr_pack(&packer, row_of(batch, rows[i])->body);
    }
    return packer.packed;
}

bool mr_batch_header(mr_batch *batch, uint32_t row, const char *name, mr_bytes *value)
{
    const mr_event *event = row_of(batch, row);
    for (size_t i = 0; i < event->headers_count; i++) {
        if (mr_is(event->headers[i].name, name)) {
            *value = event->headers[i].value;
            return true;
        }
    }
    *value = (mr_bytes){0};
    return false;
}

mr_header_column mr_batch_header_column(mr_batch *batch, const char *name)
{
    mr_packer values = {0};
    mr_row_list missing = {0};
    for (uint32_t row = 0; row < batch->held_count; row++) {
        mr_bytes value;
        if (!mr_batch_header(batch, row, name, &value)) {
            mr_row_push(&missing, row);
        }
        mr_pack(&values, value);
    }
    return (mr_header_column){values.packed, missing.rows};
}

mr_packed_events mr_batch_events(mr_batch *batch)
{
    mr_events events = {0};
    for (size_t row = 0; row < batch->held_count; row++) {
        const mr_event *event = &batch->held[row];
        mr_add_event(&events, event->body);
        for (size_t i = 0; i < event->headers_count; i++) {
            mr_add_header(&events, mr_copy(event->headers[i].name), event->headers[i].value);
        }
    }
    return mr_events_finish(&events);
}

mr_header_table mr_batch_headers(mr_batch *batch) { return mr_batch_events(batch).headers; }

size_t mr_batch_header_names(mr_batch *batch, mr_bytes **names)
{
    mr_header_table headers = mr_batch_headers(batch);
    *names = headers.names;
    return headers.names_count;
}

mr_bytes mr_batch_body(mr_batch *batch, uint32_t row) { return row_of(batch, row)->body; }

mr_bytes mr_batch_body_part(mr_batch *batch, uint32_t row, uint32_t start, uint32_t length)
{
    mr_bytes body = row_of(batch, row)->body;
    if (start > body.size) {
        start = (uint32_t)body.size;
    }
    size_t rest = body.size - start;
    return (mr_bytes){body.at + start, length < rest ? length : rest};
}

mr_event mr_batch_event(mr_batch *batch, uint32_t row) { return *row_of(batch, row); }

static char logged[16 << 10];
static size_t logged_size;

bool mr_log_enabled(mr_level level) { return (void)level, true; }

void mr_log_fields(mr_level level, const char *text, const mr_header *fields, size_t count)
{
    static const char *const names[] = {"trace", "debug", "info", "warn", "error"};
    size_t room = sizeof logged - logged_size;
    logged_size += (size_t)snprintf(logged + logged_size, room, "%s %s", names[level], text);
    for (size_t i = 0; i < count; i++) {
        room = sizeof logged - logged_size;
        logged_size += (size_t)snprintf(logged + logged_size, room, " %s=%s", mr_copy(fields[i].name), mr_copy(fields[i].value));
    }
    logged_size += (size_t)snprintf(logged + logged_size, sizeof logged - logged_size, "\n");
    MR_CHECK(logged_size < sizeof logged);
}

void mr_log(mr_level level, const char *text) { mr_log_fields(level, text, NULL, 0); }

void mr_logf(mr_level level, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    mr_log(level, line);
}

const char *mr_test_log(void)
{
    char *copy = mr_copy((mr_bytes){(uint8_t *)logged, logged_size});
    logged_size = 0;
    return copy;
}

/* Metrics are log lines here. */
static void metric(const char *kind, const char *name, double value, const char *const *labels, size_t count)
{
    char line[512];
    size_t size = (size_t)snprintf(line, sizeof line, "%s %s %g", kind, name, value);
    for (size_t i = 0; i < count; i++) {
        size += (size_t)snprintf(line + size, sizeof line - size, " %s", labels[i]);
    }
    mr_log(MR_TRACE, line);
}

void mr_counter_add(const char *name, uint64_t amount, const char *const *labels, size_t count)
{
    metric("counter", name, (double)amount, labels, count);
}

void mr_gauge_set(const char *name, double value, const char *const *labels, size_t count)
{
    metric("gauge", name, value, labels, count);
}

void mr_histogram_record(const char *name, double value, const char *const *labels, size_t count)
{
    metric("histogram", name, value, labels, count);
}

uint64_t mr_unix_nanos(void) { return mr_test_nanos; }
uint64_t mr_monotonic_nanos(void) { return mr_test_nanos; }

/* Keys in the order of their bytes. */
static struct entry {
    mr_bytes key;
    mr_bytes value;
} entries[256];
static size_t entries_count;

static int compared(mr_bytes a, mr_bytes b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size == 0 ? 0 : memcmp(a.at, b.at, size);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static size_t place_of(mr_bytes key)
{
    size_t place = 0;
    while (place < entries_count && compared(entries[place].key, key) < 0) {
        place++;
    }
    return place;
}

static bool is_at(size_t place, mr_bytes key) { return place < entries_count && mr_equal(entries[place].key, key); }

static mr_bytes kept(mr_bytes bytes)
{
    uint8_t *at = mr_alloc_kept(bytes.size);
    if (bytes.size > 0) {
        memcpy(at, bytes.at, bytes.size);
    }
    return (mr_bytes){at, bytes.size};
}

mr_state_error mr_state_get(mr_bytes key, mr_bytes *value)
{
    size_t place = place_of(key);
    *value = is_at(place, key) ? entries[place].value : (mr_bytes){0};
    return MR_STATE_OK;
}

mr_state_error mr_state_get_many(const mr_bytes *keys, size_t count, mr_bytes *values)
{
    for (size_t i = 0; i < count; i++) {
        mr_state_get(keys[i], &values[i]);
    }
    return MR_STATE_OK;
}

mr_state_error mr_state_set(mr_bytes key, mr_bytes value, uint64_t ttl_ms)
{
    (void)ttl_ms;
    if (key.size > 1024 || value.size > 1 << 20) {
        return MR_STATE_TOO_LARGE;
    }
    size_t place = place_of(key);
    if (!is_at(place, key)) {
        MR_CHECK(entries_count < sizeof entries / sizeof entries[0]);
        memmove(&entries[place + 1], &entries[place], (entries_count - place) * sizeof entries[0]);
        entries_count++;
        entries[place].key = kept(key);
    }
    entries[place].value = kept(value);
    return MR_STATE_OK;
}

mr_state_error mr_state_delete(mr_bytes key)
{
    size_t place = place_of(key);
    if (is_at(place, key)) {
        entries_count--;
        memmove(&entries[place], &entries[place + 1], (entries_count - place) * sizeof entries[0]);
    }
    return MR_STATE_OK;
}

mr_state_error mr_state_increment(mr_bytes key, int64_t by, int64_t *sum)
{
    mr_bytes value;
    mr_state_get(key, &value);
    if (value.at != NULL && value.size != sizeof *sum) {
        return MR_STATE_TOO_LARGE;
    }
    uint64_t number = 0;
    if (value.at != NULL) {
        memcpy(&number, value.at, sizeof number);
    }
    number += (uint64_t)by;
    *sum = (int64_t)number;
    return mr_state_set(key, (mr_bytes){(uint8_t *)&number, sizeof number}, 0);
}

mr_state_error mr_state_list_keys(mr_bytes prefix, mr_bytes after, uint32_t keys_max, mr_bytes **keys, size_t *count)
{
    *keys = mr_alloc(entries_count * sizeof **keys);
    *count = 0;
    for (size_t i = 0; i < entries_count && *count < keys_max; i++) {
        mr_bytes key = entries[i].key;
        bool is_under = key.size >= prefix.size && mr_equal((mr_bytes){key.at, prefix.size}, prefix);
        if (is_under && (after.size == 0 || compared(key, after) > 0)) {
            (*keys)[(*count)++] = key;
        }
    }
    return MR_STATE_OK;
}

mr_http_response mr_http_send(const mr_http_request *request)
{
    return mr_test_http == NULL ? (mr_http_response){.error = MR_HTTP_DENIED} : mr_test_http(request);
}

void mr_http_send_many(const mr_http_request *requests, size_t count, uint32_t parallel, mr_http_response *responses)
{
    (void)parallel;
    for (size_t i = 0; i < count; i++) {
        responses[i] = mr_http_send(&requests[i]);
    }
}
