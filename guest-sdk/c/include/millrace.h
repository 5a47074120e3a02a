/* The SDK for plugins of Millrace, the durable log agent, in C.
 *
 * A plugin is a few functions, named once in MR_INTERCEPTOR, MR_SOURCE, MR_SINK or MR_CODEC. The agent lends it
 * batches of events; it reads the columns it needs and notes what should change.
 *
 * What is read, and what mr_alloc gives, is good until the call returns, and need not be freed. Copy what should
 * stay. Byte strings are mr_bytes, any bytes with a length; names and reasons are C strings in UTF-8. */
#ifndef MILLRACE_H
#define MILLRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ---- Byte strings ---- */

/* A view of bytes. */
typedef struct mr_bytes {
    const uint8_t *at;
    size_t size;
} mr_bytes;

static inline mr_bytes mr_text(const char *text)
{
    return (mr_bytes){(const uint8_t *)text, strlen(text)};
}

static inline bool mr_equal(mr_bytes a, mr_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.at, b.at, a.size) == 0);
}

static inline bool mr_is(mr_bytes a, const char *text) { return mr_equal(a, mr_text(text)); }

/* A list of row numbers. */
typedef struct mr_rows {
    uint32_t *at;
    size_t count;
} mr_rows;

/* Many byte strings back to back. Number i is bytes[ends[i - 1] .. ends[i]]. */
typedef struct mr_packed {
    uint8_t *bytes;
    size_t bytes_size;
    uint32_t *ends;
    size_t count;
} mr_packed;

static inline mr_bytes mr_packed_at(const mr_packed *packed, size_t row)
{
    uint32_t start = row == 0 ? 0 : packed->ends[row - 1];
    return (mr_bytes){packed->bytes + start, packed->ends[row] - start};
}

/* Memory until the call returns; never NULL. */
void *mr_alloc(size_t size);
/* Memory for as long as the instance lives; never NULL. */
void *mr_alloc_kept(size_t size);
/* A copy until the call returns, with a zero behind it. */
char *mr_copy(mr_bytes bytes);

/* ---- Failures ---- */

typedef enum mr_why { MR_OK = -1, MR_RETRY = 0, MR_REJECT = 1, MR_FATAL = 2 } mr_why;

/* Why a call did not succeed, as what the agent should do now. */
typedef struct mr_failure {
    mr_why why;
    int64_t after_ms;
    const char *reason;
} mr_failure;

static inline mr_failure mr_ok(void) { return (mr_failure){MR_OK, -1, ""}; }
/* It may work later: the same batch again, not before so many milliseconds; negative: the agent chooses. */
static inline mr_failure mr_retry(int64_t after_ms) { return (mr_failure){MR_RETRY, after_ms, ""}; }
/* It can never work: the batch goes to the dead-letter channel. */
static inline mr_failure mr_reject(const char *reason) { return (mr_failure){MR_REJECT, -1, reason}; }
/* This instance is broken: the agent replaces it, then tries the batch once more. */
static inline mr_failure mr_fatal(const char *reason) { return (mr_failure){MR_FATAL, -1, reason}; }

/* ---- Options and life ---- */

/* Who this instance is. */
typedef struct mr_instance {
    const char *agent;
    const char *component;
    uint32_t lane;
    uint32_t lanes;
    uint64_t generation;
} mr_instance;

/* The options of a component. Each is asked for by name; one that is not there has the fallback, one that has the
 * wrong type is a mistake, and so is one that nobody asked for. Texts live as long as the instance. A NULL section
 * is one without options. */
typedef struct mr_config mr_config;

const char *mr_config_text(mr_config *config, const char *name, const char *fallback);
int64_t mr_config_integer(mr_config *config, const char *name, int64_t fallback, int64_t min, int64_t max);
double mr_config_number(mr_config *config, const char *name, double fallback);
bool mr_config_flag(mr_config *config, const char *name, bool fallback);
/* One text or several; gives how many. */
size_t mr_config_texts(mr_config *config, const char *name, const char *const **texts);
/* One integer or several; gives how many. */
size_t mr_config_integers(mr_config *config, const char *name, const int64_t **integers);
/* The options in braces behind a name; NULL where there are none. */
mr_config *mr_config_section(mr_config *config, const char *name);
bool mr_config_has(mr_config *config, const char *name);
/* Notes that an option must be there, if it is not; gives whether it is. */
bool mr_config_require(mr_config *config, const char *name);
/* Notes a mistake of an option; of all of them if name is "". Report all mistakes. */
void mr_config_issue(mr_config *config, const char *name, const char *reason);

/* ---- Batches ---- */

/* One header of every event: values has an empty string where it is missing, missing has those rows, ascending. */
typedef struct mr_header_column {
    mr_packed values;
    mr_rows missing;
} mr_header_column;

/* All headers of a list of events: name_ids and values event by event, counts of them per event. */
typedef struct mr_header_table {
    mr_bytes *names;
    size_t names_count;
    uint32_t *counts;
    size_t counts_count;
    uint32_t *name_ids;
    size_t name_ids_count;
    mr_packed values;
} mr_header_table;

typedef struct mr_packed_events {
    mr_header_table headers;
    mr_packed bodies;
} mr_packed_events;

typedef struct mr_header {
    mr_bytes name;
    mr_bytes value;
} mr_header;

typedef struct mr_event {
    mr_header *headers;
    size_t headers_count;
    mr_bytes body;
} mr_event;

/* The events of one call. Rows count from 0. A row out of range ends the call. */
typedef struct mr_batch mr_batch;

uint32_t mr_batch_count(mr_batch *batch);
uint64_t mr_batch_body_bytes(mr_batch *batch);
uint64_t mr_batch_formed_at(mr_batch *batch);
/* Read once and kept for the rest of the call. The bytes may be overwritten, to be given back as edits. */
mr_packed *mr_batch_bodies(mr_batch *batch);
mr_packed mr_batch_bodies_of(mr_batch *batch, const uint32_t *rows, size_t count);
mr_header_column mr_batch_header_column(mr_batch *batch, const char *name);
mr_header_table mr_batch_headers(mr_batch *batch);
mr_packed_events mr_batch_events(mr_batch *batch);
/* Gives how many names there are. */
size_t mr_batch_header_names(mr_batch *batch, mr_bytes **names);
mr_bytes mr_batch_body(mr_batch *batch, uint32_t row);
mr_bytes mr_batch_body_part(mr_batch *batch, uint32_t row, uint32_t start, uint32_t length);
/* Gives whether there is such a header. */
bool mr_batch_header(mr_batch *batch, uint32_t row, const char *name, mr_bytes *value);
mr_event mr_batch_event(mr_batch *batch, uint32_t row);

/* ---- Building ---- */

/* Many byte strings that are being packed. Begin with {0}. */
typedef struct mr_packer {
    mr_packed packed;
    size_t bytes_room;
    size_t ends_room;
} mr_packer;

/* Adds a string. */
void mr_pack(mr_packer *packer, mr_bytes bytes);
/* Adds a string of this size, and gives the room to write it. */
uint8_t *mr_pack_room(mr_packer *packer, size_t size);

/* Events that are being built. */
typedef struct mr_events mr_events;

size_t mr_events_count(const mr_events *events);
size_t mr_events_bytes(const mr_events *events);
void mr_add_event(mr_events *events, mr_bytes body);
/* Adds an event with a body of this size, and gives the room to write it. */
uint8_t *mr_add_event_room(mr_events *events, size_t size);
/* Adds a header to the event that was added last. A name should occur once. */
void mr_add_header(mr_events *events, const char *name, mr_bytes value);

/* ---- Edits ---- */

/* What should change in the batch of this call. Row numbers always mean the batch as it was lent; each event can end
 * once: as dropped, split or rejected. Changes to one row may come in any order; the fast way is by ascending row. */
typedef struct mr_edits mr_edits;

void mr_drop(mr_edits *edits, uint32_t row);
void mr_set_body(mr_edits *edits, uint32_t row, mr_bytes body);
/* Replaces a body by one of this size, and gives the room to write it. */
uint8_t *mr_set_body_room(mr_edits *edits, uint32_t row, size_t size);
/* Replaces the bodies of some rows, which must ascend; one body for each. Neither is copied. */
void mr_set_bodies(mr_edits *edits, mr_rows rows, mr_packed bodies);
void mr_set_header(mr_edits *edits, uint32_t row, const char *name, mr_bytes value);
void mr_set_header_on_all(mr_edits *edits, const char *name, mr_bytes value);
void mr_remove_header(mr_edits *edits, uint32_t row, const char *name);
void mr_remove_header_on_all(mr_edits *edits, const char *name);
/* Puts other events in the place of one: those added to the answer before the next call of mr_split. Rows ascend. */
mr_events *mr_split(mr_edits *edits, uint32_t row);
void mr_route(mr_edits *edits, uint32_t row, const char *channel);
void mr_reject_row(mr_edits *edits, uint32_t row, const char *reason);

/* ---- Sources, sinks, codecs, handover ---- */

typedef enum mr_pace { MR_NOW = 0, MR_AFTER = 1, MR_END = 2 } mr_pace;

/* The answer of a source. */
typedef struct mr_polled {
    mr_events *events;
    /* Where reading stands behind these events; unchanged unless at is set. At most 64 KiB. */
    mr_bytes position;
    mr_pace pace;
    uint32_t after_ms;
} mr_polled;

/* Which batch this is: the same id always is the same events in the same order. */
typedef struct mr_delivery {
    mr_bytes id;
    uint32_t attempt;
} mr_delivery;

/* The rows that the destination did not take, ascending. */
typedef struct mr_refused mr_refused;
void mr_refuse(mr_refused *refused, uint32_t row, mr_failure why);

/* Where frames end in a piece of a stream. */
typedef struct mr_cut {
    mr_rows ends;
    /* How many bytes are needed at least; 0 where that is not known. */
    uint32_t wanted;
    size_t room;
} mr_cut;
void mr_cut_at(mr_cut *cut, uint32_t end);

/* The events of many frames: call mr_frame_events or mr_frame_refused once for each frame, in order. */
typedef struct mr_decoded mr_decoded;
/* Takes the events that are added to the answer before the next frame. */
mr_events *mr_frame_events(mr_decoded *decoded);
void mr_frame_refused(mr_decoded *decoded, const char *reason);

/* What an instance leaves to the next generation. */
typedef struct mr_snapshot {
    mr_bytes schema;
    uint32_t version;
    mr_bytes data;
} mr_snapshot;

typedef void mr_configure_fn(mr_config *config, const mr_instance *instance);
typedef mr_failure mr_intercept_fn(mr_batch *batch, mr_edits *edits);
/* position: NULL from the beginning. */
typedef mr_failure mr_open_fn(const mr_bytes *position);
typedef mr_failure mr_poll_fn(uint32_t events_max, uint32_t bytes_max, mr_polled *polled);
typedef mr_failure mr_committed_fn(mr_bytes position);
typedef mr_failure mr_deliver_fn(mr_batch *batch, const mr_delivery *delivery, mr_refused *refused);
typedef mr_failure mr_frame_fn(mr_bytes stream, bool at_end, mr_cut *cut);
typedef mr_failure mr_decode_fn(const mr_packed *frames, mr_decoded *decoded);
typedef mr_failure mr_encode_fn(mr_batch *batch, mr_packer *out);
/* NULL, or why not. */
typedef const char *mr_save_fn(mr_snapshot *snapshot);
typedef const char *mr_restore_fn(const mr_snapshot *snapshot);

/* ---- What the agent offers ---- */

typedef enum mr_level { MR_TRACE, MR_DEBUG, MR_INFO, MR_WARN, MR_ERROR } mr_level;

bool mr_log_enabled(mr_level level);
void mr_log(mr_level level, const char *text);
void mr_log_fields(mr_level level, const char *text, const mr_header *fields, size_t count);
/* As printf; cut behind 1,023 bytes. */
void mr_logf(mr_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Names and the keys of labels are declared in plugin.kdl; labels are the values, in that order. */
void mr_counter_add(const char *name, uint64_t amount, const char *const *labels, size_t count);
void mr_gauge_set(const char *name, double value, const char *const *labels, size_t count);
void mr_histogram_record(const char *name, double value, const char *const *labels, size_t count);

uint64_t mr_unix_nanos(void);
uint64_t mr_monotonic_nanos(void);

typedef enum mr_state_error {
    MR_STATE_OK = -1,
    MR_STATE_QUOTA = 0,
    MR_STATE_TOO_LARGE = 1,
    MR_STATE_DENIED = 2,
    MR_STATE_UNAVAILABLE = 3
} mr_state_error;

/* value->at is NULL where there is no such key. */
mr_state_error mr_state_get(mr_bytes key, mr_bytes *value);
mr_state_error mr_state_get_many(const mr_bytes *keys, size_t count, mr_bytes *values);
/* ttl_ms: 0 is for good. */
mr_state_error mr_state_set(mr_bytes key, mr_bytes value, uint64_t ttl_ms);
mr_state_error mr_state_delete(mr_bytes key);
mr_state_error mr_state_increment(mr_bytes key, int64_t by, int64_t *sum);
/* after: size 0 from the first. */
mr_state_error mr_state_list_keys(mr_bytes prefix, mr_bytes after, uint32_t keys_max, mr_bytes **keys, size_t *count);

typedef enum mr_http_error {
    MR_HTTP_OK = -1,
    MR_HTTP_DENIED = 0,
    MR_HTTP_DNS = 1,
    MR_HTTP_TIMEOUT = 2,
    MR_HTTP_TOO_LARGE = 3,
    MR_HTTP_INVALID = 4,
    MR_HTTP_TRANSPORT = 5
} mr_http_error;

typedef struct mr_http_request {
    mr_bytes method;
    mr_bytes url;
    const mr_header *headers;
    size_t headers_count;
    mr_bytes body;
    /* 0: what is left of the time of the call. */
    uint32_t timeout_ms;
    /* The name of a granted secret; size 0 for none. */
    mr_bytes auth;
} mr_http_request;

typedef struct mr_http_response {
    mr_http_error error;
    /* Why there is no response, for MR_HTTP_INVALID and MR_HTTP_TRANSPORT. */
    mr_bytes reason;
    uint16_t status;
    mr_header *headers;
    size_t headers_count;
    mr_bytes body;
} mr_http_response;

mr_http_response mr_http_send(const mr_http_request *request);
/* At most parallel at a time; answers in the order of the requests. */
void mr_http_send_many(const mr_http_request *requests, size_t count, uint32_t parallel, mr_http_response *responses);
/* What to answer the agent when there is no response: try again if that may help. */
mr_failure mr_http_failure(mr_http_error error);

#include "millrace_export.h"

#endif
