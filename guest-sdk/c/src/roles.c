/* The exports: from the arguments of the component model to the functions of a plugin, and back. The result lies in
 * one place that is used again, and what it points to is memory of the call, which stays until the next one. */
#ifdef __wasm__
#include "inner.h"

#define IMPORT(interface, name) __attribute__((import_module("millrace:plugin/" interface "@0.1.0"), import_name(name)))

IMPORT("types", "[resource-drop]batch") void batch_drop(uint32_t);

typedef struct failure {
    uint8_t kind;
    union {
        struct {
            uint8_t is_some;
            uint32_t ms;
        } after;
        mr_bytes reason;
    };
} failure;

typedef struct refusal {
    uint32_t row;
    failure why;
} refusal;

typedef struct list {
    const void *at;
    size_t count;
} list;

/* The results of all exports: the discriminant, then one of these. */
static struct {
    uint8_t is_error;
    union {
        failure failed;
        mr_bytes text;
        list items;
        mr_packed packed;
        mr_snapshot snapshot;
        struct {
            mr_packed_events events;
            uint8_t has_position;
            mr_bytes position;
            uint8_t pace;
            uint32_t after_ms;
        } polled;
        struct {
            uint8_t is_partial;
            list refused;
        } outcome;
        struct {
            mr_rows ends;
            uint32_t wanted;
        } cut;
        struct {
            mr_packed_events events;
            mr_rows counts;
            list refused;
        } decoded;
    };
} result;

_Static_assert(sizeof(mr_edit) == 76, "the layout of the variant edit");
_Static_assert(sizeof(mr_packed_events) == 56, "the layout of the record packed-events");
_Static_assert(sizeof(refusal) == 16, "the layout of the record refusal");
_Static_assert(sizeof(result) == 80, "the layout of result<polled, failure>");
_Static_assert(sizeof(mr_issue) == 16, "the layout of the record issue");
_Static_assert(sizeof(mr_header_column) == 24, "the layout of the record header-column");
_Static_assert(sizeof(mr_event) == 16, "the layout of the record event");
_Static_assert(sizeof(mr_snapshot) == 20, "the layout of the record snapshot");

static failure failure_of(mr_failure why)
{
    failure f = {.kind = (uint8_t)why.why};
    if (why.why == MR_RETRY) {
        f.after.is_some = why.after_ms >= 0;
        f.after.ms = why.after_ms < 0 ? 0 : why.after_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)why.after_ms;
    } else {
        f.reason = mr_text(why.reason);
    }
    return f;
}

/* Begins a result; gives whether there is more to put into it. */
static bool begin(mr_failure why)
{
    memset(&result, 0, sizeof result);
    if (why.why == MR_OK) {
        return true;
    }
    result.is_error = 1;
    result.failed = failure_of(why);
    return false;
}

static void *end(void)
{
    mr_memory_reset();
    return &result;
}

static list refused_of(const mr_refused *refused)
{
    refusal *rows = mr_alloc(refused->count * sizeof *rows);
    for (size_t i = 0; i < refused->count; i++) {
        rows[i] = (refusal){refused->list[i].row, failure_of(refused->list[i].why)};
    }
    return (list){rows, refused->count};
}

static const char *kept_text(mr_bytes bytes)
{
    char *text = mr_alloc_kept(bytes.size + 1);
    memcpy(text, bytes.at, bytes.size);
    text[bytes.size] = 0;
    return text;
}

void *mr_run_configure(mr_configure_fn *configure, mr_bytes options, mr_bytes agent, mr_bytes component, uint32_t lane,
                       uint32_t lanes, uint64_t generation)
{
    mr_config *config = mr_config_read(options);
    mr_instance *instance = mr_alloc_kept(sizeof *instance);
    *instance = (mr_instance){kept_text(agent), kept_text(component), lane, lanes, generation};
    configure(config, instance);
    const mr_issue *issues;
    size_t count = mr_config_issues(config, &issues);
    begin(mr_ok());
    if (count > 0) {
        result.is_error = 1;
        result.items = (list){issues, count};
    }
    return end();
}

void *mr_run_intercept(mr_intercept_fn *intercept, uint32_t handle)
{
    mr_batch batch = {.handle = handle};
    mr_edits edits = {0};
    mr_failure why = intercept(&batch, &edits);
    batch_drop(handle);
    if (begin(why)) {
        result.items.at = mr_edits_finish(&edits, &result.items.count);
    }
    return end();
}

void *mr_run_open(mr_open_fn *open, bool has_position, mr_bytes position)
{
    begin(open(has_position ? &position : NULL));
    return end();
}

void *mr_run_poll(mr_poll_fn *poll, uint32_t events_max, uint32_t bytes_max)
{
    mr_events events = {0};
    mr_polled polled = {.events = &events};
    if (begin(poll(events_max, bytes_max, &polled))) {
        result.polled.events = mr_events_finish(&events);
        result.polled.has_position = polled.position.at != NULL;
        result.polled.position = polled.position;
        result.polled.pace = (uint8_t)polled.pace;
        result.polled.after_ms = polled.after_ms;
    }
    return end();
}

void *mr_run_committed(mr_committed_fn *committed, mr_bytes position)
{
    begin(committed == NULL ? mr_ok() : committed(position));
    return end();
}

void *mr_run_deliver(mr_deliver_fn *deliver, uint32_t handle, mr_bytes id, uint32_t attempt)
{
    mr_batch batch = {.handle = handle};
    mr_delivery delivery = {id, attempt};
    mr_refused refused = {0};
    mr_failure why = deliver(&batch, &delivery, &refused);
    batch_drop(handle);
    if (begin(why) && refused.count > 0) {
        result.outcome.is_partial = 1;
        result.outcome.refused = refused_of(&refused);
    }
    return end();
}

void *mr_run_frame(mr_frame_fn *frame, mr_bytes stream, bool at_end)
{
    mr_cut cut = {0};
    if (begin(frame(stream, at_end, &cut))) {
        result.cut.ends = cut.ends;
        result.cut.wanted = cut.wanted;
    }
    return end();
}

void *mr_run_decode(mr_decode_fn *decode, mr_packed frames)
{
    mr_decoded decoded = {0};
    mr_failure why = decode(&frames, &decoded);
    if (begin(why)) {
        mr_decoded_close(&decoded);
        result.decoded.events = mr_events_finish(&decoded.events);
        result.decoded.counts = decoded.counts.rows;
        result.decoded.refused = refused_of(&decoded.refused);
    }
    return end();
}

void *mr_run_encode(mr_encode_fn *encode, uint32_t handle)
{
    mr_batch batch = {.handle = handle};
    mr_packer out = {0};
    mr_failure why = encode(&batch, &out);
    batch_drop(handle);
    if (begin(why)) {
        result.packed = out.packed;
    }
    return end();
}

void *mr_run_save(mr_save_fn *save)
{
    mr_snapshot snapshot = {0};
    const char *error = save(&snapshot);
    begin(mr_ok());
    if (error != NULL) {
        result.is_error = 1;
        result.text = mr_text(error);
    } else {
        result.snapshot = snapshot;
    }
    return end();
}

void *mr_run_restore(mr_restore_fn *restore, mr_snapshot snapshot)
{
    const char *error = restore(&snapshot);
    begin(mr_ok());
    if (error != NULL) {
        result.is_error = 1;
        result.text = mr_text(error);
    }
    return end();
}

#endif
