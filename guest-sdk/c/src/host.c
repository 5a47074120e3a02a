/* What the agent offers, over the canonical ABI of the component model. The structs of millrace.h have the layout of
 * the types in wit/, so answers land where they are read. `millrace plugin build` checks the signatures. */
#ifdef __wasm__
#include <stdarg.h>
#include <stdio.h>

#include "inner.h"

#define IMPORT(interface, name) __attribute__((import_module("millrace:plugin/" interface "@0.1.0"), import_name(name)))

/* An error with a reason in some cases, and an option of bytes. */
typedef struct option_bytes {
    uint8_t is_some;
    mr_bytes value;
} option_bytes;

IMPORT("types", "[method]batch.count") uint32_t batch_count(uint32_t);
IMPORT("types", "[method]batch.body-bytes") uint64_t batch_body_bytes(uint32_t);
IMPORT("types", "[method]batch.formed-at") uint64_t batch_formed_at(uint32_t);
IMPORT("types", "[method]batch.bodies") void batch_bodies(uint32_t, mr_packed *);
IMPORT("types", "[method]batch.bodies-of") void batch_bodies_of(uint32_t, const uint32_t *, size_t, mr_packed *);
IMPORT("types", "[method]batch.header-column") void batch_header_column(uint32_t, const char *, size_t, mr_header_column *);
IMPORT("types", "[method]batch.header-names") void batch_header_names(uint32_t, void *);
IMPORT("types", "[method]batch.headers") void batch_headers(uint32_t, mr_header_table *);
IMPORT("types", "[method]batch.events") void batch_events(uint32_t, mr_packed_events *);
IMPORT("types", "[method]batch.body") void batch_body(uint32_t, uint32_t, mr_bytes *);
IMPORT("types", "[method]batch.body-part") void batch_body_part(uint32_t, uint32_t, uint32_t, uint32_t, mr_bytes *);
IMPORT("types", "[method]batch.header") void batch_header(uint32_t, uint32_t, const char *, size_t, option_bytes *);
IMPORT("types", "[method]batch.event") void batch_event(uint32_t, uint32_t, mr_event *);

IMPORT("log", "enabled") uint32_t log_enabled(uint32_t);
IMPORT("log", "emit") void log_emit(uint32_t, const char *, size_t, const mr_header *, size_t);
IMPORT("metrics", "counter-add") void counter_add(const char *, size_t, const mr_bytes *, size_t, uint64_t);
IMPORT("metrics", "gauge-set") void gauge_set(const char *, size_t, const mr_bytes *, size_t, double);
IMPORT("metrics", "histogram-record") void histogram_record(const char *, size_t, const mr_bytes *, size_t, double);
IMPORT("clock", "unix-nanos") uint64_t unix_nanos(void);
IMPORT("clock", "monotonic-nanos") uint64_t monotonic_nanos(void);

uint32_t mr_batch_count(mr_batch *batch) { return batch_count(batch->handle); }
uint64_t mr_batch_body_bytes(mr_batch *batch) { return batch_body_bytes(batch->handle); }
uint64_t mr_batch_formed_at(mr_batch *batch) { return batch_formed_at(batch->handle); }

mr_packed *mr_batch_bodies(mr_batch *batch)
{
    if (!batch->has_bodies) {
        batch_bodies(batch->handle, &batch->bodies);
        batch->has_bodies = true;
    }
    return &batch->bodies;
}

mr_packed mr_batch_bodies_of(mr_batch *batch, const uint32_t *rows, size_t count)
{
    mr_packed bodies;
    batch_bodies_of(batch->handle, rows, count, &bodies);
    return bodies;
}

mr_header_column mr_batch_header_column(mr_batch *batch, const char *name)
{
    mr_header_column column;
    batch_header_column(batch->handle, name, strlen(name), &column);
    return column;
}

mr_header_table mr_batch_headers(mr_batch *batch)
{
    mr_header_table table;
    batch_headers(batch->handle, &table);
    return table;
}

mr_packed_events mr_batch_events(mr_batch *batch)
{
    mr_packed_events events;
    batch_events(batch->handle, &events);
    return events;
}

size_t mr_batch_header_names(mr_batch *batch, mr_bytes **names)
{
    struct {
        mr_bytes *at;
        size_t count;
    } list;
    batch_header_names(batch->handle, &list);
    *names = list.at;
    return list.count;
}

mr_bytes mr_batch_body(mr_batch *batch, uint32_t row)
{
    mr_bytes body;
    batch_body(batch->handle, row, &body);
    return body;
}

mr_bytes mr_batch_body_part(mr_batch *batch, uint32_t row, uint32_t start, uint32_t length)
{
    mr_bytes body;
    batch_body_part(batch->handle, row, start, length, &body);
    return body;
}

bool mr_batch_header(mr_batch *batch, uint32_t row, const char *name, mr_bytes *value)
{
    option_bytes header;
    batch_header(batch->handle, row, name, strlen(name), &header);
    *value = header.is_some ? header.value : (mr_bytes){0};
    return header.is_some != 0;
}

mr_event mr_batch_event(mr_batch *batch, uint32_t row)
{
    mr_event event;
    batch_event(batch->handle, row, &event);
    return event;
}

bool mr_log_enabled(mr_level level) { return log_enabled(level) != 0; }

void mr_log_fields(mr_level level, const char *text, const mr_header *fields, size_t count)
{
    log_emit(level, text, strlen(text), fields, count);
}

void mr_log(mr_level level, const char *text) { mr_log_fields(level, text, NULL, 0); }

void mr_logf(mr_level level, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    if (!mr_log_enabled(level)) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    mr_log(level, line);
}

static mr_bytes *labels_of(const char *const *labels, size_t count)
{
    mr_bytes *list = mr_alloc(count * sizeof *list);
    for (size_t i = 0; i < count; i++) {
        list[i] = mr_text(labels[i]);
    }
    return list;
}

void mr_counter_add(const char *name, uint64_t amount, const char *const *labels, size_t count)
{
    counter_add(name, strlen(name), labels_of(labels, count), count, amount);
}

void mr_gauge_set(const char *name, double value, const char *const *labels, size_t count)
{
    gauge_set(name, strlen(name), labels_of(labels, count), count, value);
}

void mr_histogram_record(const char *name, double value, const char *const *labels, size_t count)
{
    histogram_record(name, strlen(name), labels_of(labels, count), count, value);
}

uint64_t mr_unix_nanos(void) { return unix_nanos(); }
uint64_t mr_monotonic_nanos(void) { return monotonic_nanos(); }

#endif
