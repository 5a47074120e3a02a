/* What the files of the SDK share. Plugins include millrace.h only. */
#ifndef MILLRACE_INNER_H
#define MILLRACE_INNER_H

#include "millrace.h"

/* ---- memory.c ---- */

/* Ends a call: its memory is used again from the next allocation on. What is there stays until then. */
void mr_memory_reset(void);
/* Memory of the call, aligned to a power of two. */
void *mr_alloc_aligned(size_t size, size_t align);
/* Room for `wanted` items; what was there is copied. */
void *mr_grow(void *at, size_t count, size_t *room, size_t wanted, size_t item_size);

/* ---- edits.c: the edits as they cross; on wasm32 the layout is that of the variant edit ---- */

typedef struct mr_edit {
    uint8_t kind;
    union {
        mr_rows drop;
        struct {
            mr_rows rows;
            mr_packed bodies;
        } set_bodies;
        struct {
            mr_bytes name;
            mr_rows rows;
            mr_packed values;
        } set_header;
        struct {
            mr_bytes name;
            mr_bytes value;
        } set_header_on_all;
        struct {
            mr_bytes name;
            mr_rows rows;
        } labelled;
        mr_bytes remove_header_on_all;
        struct {
            mr_rows rows;
            mr_rows counts;
            mr_packed_events events;
        } split;
    };
} mr_edit;

enum {
    MR_EDIT_DROP,
    MR_EDIT_SET_BODIES,
    MR_EDIT_SET_HEADER,
    MR_EDIT_SET_HEADER_ON_ALL,
    MR_EDIT_REMOVE_HEADER,
    MR_EDIT_REMOVE_HEADER_ON_ALL,
    MR_EDIT_SPLIT,
    MR_EDIT_ROUTE,
    MR_EDIT_REJECT
};

/* Row numbers that are being collected. */
typedef struct mr_row_list {
    mr_rows rows;
    size_t room;
} mr_row_list;

void mr_row_push(mr_row_list *list, uint32_t row);

struct mr_events {
    mr_packer bodies;
    mr_packer values;
    mr_row_list counts;
    mr_row_list name_ids;
    mr_bytes *names;
    size_t names_count;
    size_t names_room;
    /* The name of the last header of each place in an event: headers mostly come in the same order. */
    size_t hint;
};

mr_packed_events mr_events_finish(const mr_events *events);

/* An edit that still grows. */
typedef struct mr_change {
    uint8_t kind;
    bool closed;
    mr_bytes label;
    mr_bytes value;
    mr_row_list rows;
    mr_packer packer;
    mr_row_list counts;
    mr_events *events;
} mr_change;

struct mr_edits {
    mr_change *changes;
    size_t count;
    size_t room;
    mr_row_list drops;
    mr_row_list split_rows;
    mr_row_list split_counts;
    mr_events *split_events;
    mr_change *rejects;
    size_t rejects_count;
    size_t rejects_room;
};

mr_edit *mr_edits_finish(mr_edits *edits, size_t *count);

/* ---- config.c ---- */

typedef struct mr_issue {
    mr_bytes path;
    mr_bytes reason;
} mr_issue;

/* Reads options. A text that is no JSON object is a mistake of the whole. */
mr_config *mr_config_read(mr_bytes json);
/* Gives all mistakes, those of options that nobody asked for among them. */
size_t mr_config_issues(mr_config *config, const mr_issue **issues);

/* ---- roles.c ---- */

struct mr_batch {
#ifdef __wasm__
    uint32_t handle;
#else
    const mr_event *held;
    size_t held_count;
#endif
    bool has_bodies;
    mr_packed bodies;
};

typedef struct mr_refusal {
    uint32_t row;
    mr_failure why;
} mr_refusal;

struct mr_refused {
    mr_refusal *list;
    size_t count;
    size_t room;
};

struct mr_decoded {
    mr_events events;
    mr_row_list counts;
    mr_refused refused;
    size_t begun;
};

/* Notes how many events the frames so far made. */
void mr_decoded_close(mr_decoded *decoded);

#endif
