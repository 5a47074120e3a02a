/* Calls of a plugin, and what became of them, as text. */
#include <stdarg.h>

#include "../src/inner.h"
#include "millrace_test.h"

/* Text that grows, in memory of the call. */
typedef struct text {
    char *at;
    size_t size;
    size_t room;
} text;

static void put_bytes(text *out, mr_bytes bytes)
{
    out->at = mr_grow(out->at, out->size, &out->room, out->size + bytes.size + 1, 1);
    if (bytes.size > 0) {
        memcpy(out->at + out->size, bytes.at, bytes.size);
    }
    out->size += bytes.size;
    out->at[out->size] = 0;
}

static void put(text *out, const char *more) { put_bytes(out, mr_text(more)); }

static void put_number(text *out, uint64_t number)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    put(out, digits);
}

static const char *shown(const text *out) { return out->at == NULL ? "" : out->at; }

static const char *failed(mr_failure why)
{
    text out = {0};
    static const char *const names[] = {"retry", "reject: ", "fatal: "};
    put(&out, names[why.why]);
    if (why.why == MR_RETRY && why.after_ms >= 0) {
        put(&out, " after ");
        put_number(&out, (uint64_t)why.after_ms);
    }
    put(&out, why.reason);
    return shown(&out);
}

void mr_test_call(void) { mr_memory_reset(); }

const char *mr_test_configure(mr_configure_fn *configure, const char *options)
{
    static const mr_instance instance = {"test", "plugin", 0, 1, 1};
    mr_config *config = mr_config_read(mr_text(options));
    configure(config, &instance);
    const mr_issue *issues;
    size_t count = mr_config_issues(config, &issues);
    text out = {0};
    for (size_t i = 0; i < count; i++) {
        put_bytes(&out, issues[i].path);
        put(&out, ": ");
        put_bytes(&out, issues[i].reason);
        put(&out, "\n");
    }
    return shown(&out);
}

mr_event mr_test_event(const char *body, ...)
{
    mr_header headers[16];
    size_t count = 0;
    va_list arguments;
    va_start(arguments, body);
    for (const char *name = va_arg(arguments, const char *); name != NULL; name = va_arg(arguments, const char *)) {
        headers[count++] = (mr_header){mr_text(name), mr_text(va_arg(arguments, const char *))};
    }
    va_end(arguments);
    mr_event event = {mr_alloc_kept(sizeof headers), count, mr_text(body)};
    memcpy(event.headers, headers, count * sizeof *headers);
    return event;
}

/* What becomes of one row. */
typedef struct row {
    const char *fate;
    mr_bytes label;
    mr_event *events;
    size_t count;
} row;

static void set_header(mr_event *event, mr_bytes name, const mr_bytes *value)
{
    size_t i = 0;
    while (i < event->headers_count && !mr_equal(event->headers[i].name, name)) {
        i++;
    }
    bool is_there = i < event->headers_count;
    if (value == NULL) {
        if (is_there) {
            event->headers_count--;
            memmove(&event->headers[i], &event->headers[i + 1], (event->headers_count - i) * sizeof(mr_header));
        }
        return;
    }
    mr_header *headers = mr_alloc((event->headers_count + 1) * sizeof *headers);
    if (event->headers_count > 0) {
        memcpy(headers, event->headers, event->headers_count * sizeof *headers);
    }
    headers[i] = (mr_header){name, *value};
    event->headers = headers;
    event->headers_count += !is_there;
}

/* Events of a split, one by one. */
static mr_event *list_of(const mr_packed_events *events)
{
    const mr_header_table *table = &events->headers;
    MR_CHECK(table->counts_count == events->bodies.count && table->name_ids_count == table->values.count);
    mr_event *list = mr_alloc(table->counts_count * sizeof *list);
    size_t n = 0;
    for (size_t i = 0; i < table->counts_count; i++) {
        size_t count = table->counts[i];
        list[i] = (mr_event){mr_alloc((count + 1) * sizeof(mr_header)), count, mr_packed_at(&events->bodies, i)};
        for (size_t h = 0; h < count; h++, n++) {
            list[i].headers[h] = (mr_header){table->names[table->name_ids[n]], mr_packed_at(&table->values, n)};
        }
    }
    MR_CHECK(n == table->name_ids_count);
    return list;
}

static mr_rows rows_of(const mr_edit *edit)
{
    switch (edit->kind) {
    case MR_EDIT_DROP:
        return edit->drop;
    case MR_EDIT_SET_BODIES:
        return edit->set_bodies.rows;
    case MR_EDIT_SET_HEADER:
        return edit->set_header.rows;
    case MR_EDIT_SPLIT:
        return edit->split.rows;
    case MR_EDIT_SET_HEADER_ON_ALL:
    case MR_EDIT_REMOVE_HEADER_ON_ALL:
        return (mr_rows){0};
    default:
        return edit->labelled.rows;
    }
}

/* The rule that an edit breaks, or NULL. */
static const char *broken(const mr_edit *edit, const row *rows, size_t count)
{
    mr_rows named = rows_of(edit);
    for (size_t i = 0; i < named.count; i++) {
        if (named.at[i] >= count) {
            return "broken: a row is out of range";
        }
        if (i > 0 && named.at[i - 1] >= named.at[i]) {
            return "broken: rows do not ascend";
        }
        const char *fate = rows[named.at[i]].fate;
        if (fate != NULL && strcmp(fate, "to") != 0) {
            return "broken: a row is gone already";
        }
    }
    if (edit->kind == MR_EDIT_SET_BODIES && edit->set_bodies.bodies.count != named.count) {
        return "broken: bodies and rows differ in number";
    }
    size_t values = edit->kind == MR_EDIT_SET_HEADER ? edit->set_header.values.count : 1;
    return values == 1 || values == named.count ? NULL : "broken: values and rows differ in number";
}

static void apply_to_row(const mr_edit *edit, row *row, size_t n, mr_event **split)
{
    switch (edit->kind) {
    case MR_EDIT_DROP:
        row->fate = "dropped";
        break;
    case MR_EDIT_SET_BODIES:
        row->events->body = mr_packed_at(&edit->set_bodies.bodies, n);
        break;
    case MR_EDIT_SET_HEADER: {
        mr_bytes value = mr_packed_at(&edit->set_header.values, edit->set_header.values.count == 1 ? 0 : n);
        set_header(row->events, edit->set_header.name, &value);
        break;
    }
    case MR_EDIT_REMOVE_HEADER:
        set_header(row->events, edit->labelled.name, NULL);
        break;
    case MR_EDIT_SPLIT:
        row->fate = "split";
        row->events = *split;
        row->count = edit->split.counts.at[n];
        *split += row->count;
        break;
    default:
        row->fate = edit->kind == MR_EDIT_ROUTE ? "to" : "rejected";
        row->label = edit->labelled.name;
        break;
    }
}

static void apply(const mr_edit *edit, row *rows, size_t count)
{
    bool sets = edit->kind == MR_EDIT_SET_HEADER_ON_ALL;
    if (sets || edit->kind == MR_EDIT_REMOVE_HEADER_ON_ALL) {
        for (size_t i = 0; i < count; i++) {
            bool is_gone = rows[i].fate != NULL && (rows[i].fate[0] == 'd' || rows[i].fate[0] == 'r');
            for (size_t e = 0; e < rows[i].count && !is_gone; e++) {
                const mr_bytes *value = sets ? &edit->set_header_on_all.value : NULL;
                set_header(&rows[i].events[e], sets ? edit->set_header_on_all.name : edit->remove_header_on_all, value);
            }
        }
        return;
    }
    mr_event *split = edit->kind == MR_EDIT_SPLIT ? list_of(&edit->split.events) : NULL;
    mr_rows named = rows_of(edit);
    for (size_t n = 0; n < named.count; n++) {
        apply_to_row(edit, &rows[named.at[n]], n, &split);
    }
}

static void put_event(text *out, const mr_event *event)
{
    put_bytes(out, event->body);
    for (size_t h = 0; h < event->headers_count; h++) {
        put(out, " ");
        put_bytes(out, event->headers[h].name);
        put(out, "=");
        put_bytes(out, event->headers[h].value);
    }
    put(out, "\n");
}

static void put_row(text *out, const row *row)
{
    for (size_t e = 0; e < row->count; e++) {
        put(out, row->fate == NULL ? "kept" : row->fate);
        if (row->label.size > 0) {
            put(out, " ");
            put_bytes(out, row->label);
        }
        put(out, ": ");
        put_event(out, &row->events[e]);
    }
}

const char *mr_test_intercept(mr_intercept_fn *intercept, const mr_event *events, size_t count)
{
    mr_batch batch = {.held = events, .held_count = count};
    mr_edits edits = {0};
    mr_failure why = intercept(&batch, &edits);
    if (why.why != MR_OK) {
        return failed(why);
    }
    row *rows = mr_alloc(count * sizeof *rows);
    for (size_t i = 0; i < count; i++) {
        mr_event *event = mr_alloc(sizeof *event);
        *event = events[i];
        rows[i] = (row){NULL, {0}, event, 1};
    }
    size_t edits_count;
    const mr_edit *list = mr_edits_finish(&edits, &edits_count);
    for (size_t i = 0; i < edits_count; i++) {
        const char *rule = broken(&list[i], rows, count);
        if (rule != NULL) {
            return rule;
        }
        apply(&list[i], rows, count);
    }
    text out = {0};
    for (size_t i = 0; i < count; i++) {
        put_row(&out, &rows[i]);
    }
    return shown(&out);
}

const char *mr_test_poll(mr_poll_fn *poll, uint32_t events_max, uint32_t bytes_max)
{
    mr_events events = {0};
    mr_polled polled = {.events = &events};
    mr_failure why = poll(events_max, bytes_max, &polled);
    if (why.why != MR_OK) {
        return failed(why);
    }
    MR_CHECK(mr_events_count(&events) <= events_max && mr_events_bytes(&events) <= bytes_max);
    mr_packed_events packed = mr_events_finish(&events);
    mr_event *list = list_of(&packed);
    text out = {0};
    for (size_t i = 0; i < packed.bodies.count; i++) {
        put_event(&out, &list[i]);
    }
    put(&out, "position ");
    put_bytes(&out, polled.position);
    put(&out, polled.pace == MR_NOW ? ", now" : polled.pace == MR_END ? ", end" : ", after ");
    if (polled.pace == MR_AFTER) {
        put_number(&out, polled.after_ms);
    }
    return shown(&out);
}

const char *mr_test_deliver(mr_deliver_fn *deliver, const char *id, const mr_event *events, size_t count)
{
    mr_batch batch = {.held = events, .held_count = count};
    mr_delivery delivery = {mr_text(id), 1};
    mr_refused refused = {0};
    mr_failure why = deliver(&batch, &delivery, &refused);
    if (why.why != MR_OK) {
        return failed(why);
    }
    text out = {0};
    for (size_t i = 0; i < refused.count; i++) {
        MR_CHECK(refused.list[i].row < count && (i == 0 || refused.list[i - 1].row < refused.list[i].row));
        put(&out, "refused ");
        put_number(&out, refused.list[i].row);
        put(&out, refused.list[i].why.why == MR_RETRY ? " retry" : " ");
        put(&out, refused.list[i].why.reason);
        put(&out, "\n");
    }
    return refused.count == 0 ? "delivered" : shown(&out);
}

const char *mr_test_frame(mr_frame_fn *frame, mr_bytes stream, bool at_end)
{
    mr_cut cut = {0};
    mr_failure why = frame(stream, at_end, &cut);
    if (why.why != MR_OK) {
        return failed(why);
    }
    text out = {0};
    put(&out, "ends");
    for (size_t i = 0; i < cut.ends.count; i++) {
        MR_CHECK(cut.ends.at[i] <= stream.size && (i == 0 || cut.ends.at[i - 1] < cut.ends.at[i]));
        put(&out, " ");
        put_number(&out, cut.ends.at[i]);
    }
    put(&out, ", wanted ");
    put_number(&out, cut.wanted);
    return shown(&out);
}

const char *mr_test_decode(mr_decode_fn *decode, const mr_packed *frames)
{
    mr_decoded decoded = {0};
    mr_failure why = decode(frames, &decoded);
    if (why.why != MR_OK) {
        return failed(why);
    }
    mr_decoded_close(&decoded);
    MR_CHECK(decoded.counts.rows.count == frames->count);
    mr_packed_events packed = mr_events_finish(&decoded.events);
    mr_event *list = list_of(&packed);
    text out = {0};
    for (size_t frame = 0; frame < frames->count; frame++) {
        for (uint32_t i = 0; i < decoded.counts.rows.at[frame]; i++) {
            put_number(&out, frame);
            put(&out, ": ");
            put_event(&out, list++);
        }
    }
    for (size_t i = 0; i < decoded.refused.count; i++) {
        put(&out, "refused ");
        put_number(&out, decoded.refused.list[i].row);
        put(&out, ": ");
        put(&out, decoded.refused.list[i].why.reason);
        put(&out, "\n");
    }
    return shown(&out);
}

mr_bytes mr_test_encode(mr_encode_fn *encode, const mr_event *events, size_t count)
{
    mr_batch batch = {.held = events, .held_count = count};
    mr_packer out = {0};
    mr_failure why = encode(&batch, &out);
    MR_CHECK(why.why == MR_OK && out.packed.count == count);
    return (mr_bytes){out.packed.bytes, out.packed.bytes_size};
}
