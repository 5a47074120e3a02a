/* Columns that grow: packed strings, row numbers, events. All of it is memory of the call. */
#include "inner.h"

uint8_t *mr_pack_room(mr_packer *packer, size_t size)
{
    mr_packed *packed = &packer->packed;
    packed->bytes = mr_grow(packed->bytes, packed->bytes_size, &packer->bytes_room, packed->bytes_size + size, 1);
    packed->ends = mr_grow(packed->ends, packed->count, &packer->ends_room, packed->count + 1, sizeof(uint32_t));
    uint8_t *room = packed->bytes + packed->bytes_size;
    packed->bytes_size += size;
    packed->ends[packed->count++] = (uint32_t)packed->bytes_size;
    return room;
}

void mr_pack(mr_packer *packer, mr_bytes bytes)
{
    uint8_t *room = mr_pack_room(packer, bytes.size);
    if (bytes.size > 0) {
        memcpy(room, bytes.at, bytes.size);
    }
}

void mr_row_push(mr_row_list *list, uint32_t row)
{
    mr_rows *rows = &list->rows;
    rows->at = mr_grow(rows->at, rows->count, &list->room, rows->count + 1, sizeof(uint32_t));
    rows->at[rows->count++] = row;
}

size_t mr_events_count(const mr_events *events) { return events->bodies.packed.count; }

size_t mr_events_bytes(const mr_events *events) { return events->bodies.packed.bytes_size; }

uint8_t *mr_add_event_room(mr_events *events, size_t size)
{
    mr_row_push(&events->counts, 0);
    return mr_pack_room(&events->bodies, size);
}

void mr_add_event(mr_events *events, mr_bytes body)
{
    uint8_t *room = mr_add_event_room(events, body.size);
    if (body.size > 0) {
        memcpy(room, body.at, body.size);
    }
}

/* The number of a name. Headers mostly come in the same order, so the search begins behind the last one. */
static uint32_t id_of(mr_events *events, const char *name)
{
    for (size_t n = 0; n < events->names_count; n++) {
        size_t id = (events->hint + n) % events->names_count;
        if (mr_is(events->names[id], name)) {
            events->hint = id + 1;
            return (uint32_t)id;
        }
    }
    size_t count = events->names_count;
    events->names = mr_grow(events->names, count, &events->names_room, count + 1, sizeof(mr_bytes));
    events->names[count] = (mr_bytes){(uint8_t *)mr_copy(mr_text(name)), strlen(name)};
    events->names_count++;
    events->hint = 0;
    return (uint32_t)count;
}

void mr_add_header(mr_events *events, const char *name, mr_bytes value)
{
    mr_row_push(&events->name_ids, id_of(events, name));
    mr_pack(&events->values, value);
    events->counts.rows.at[events->counts.rows.count - 1]++;
}

mr_packed_events mr_events_finish(const mr_events *events)
{
    mr_header_table headers = {
        .names = events->names,
        .names_count = events->names_count,
        .counts = events->counts.rows.at,
        .counts_count = events->counts.rows.count,
        .name_ids = events->name_ids.rows.at,
        .name_ids_count = events->name_ids.rows.count,
        .values = events->values.packed,
    };
    return (mr_packed_events){headers, events->bodies.packed};
}

void mr_cut_at(mr_cut *cut, uint32_t end)
{
    mr_row_list list = {cut->ends, cut->room};
    mr_row_push(&list, end);
    cut->ends = list.rows;
    cut->room = list.room;
}

void mr_refuse(mr_refused *refused, uint32_t row, mr_failure why)
{
    refused->list = mr_grow(refused->list, refused->count, &refused->room, refused->count + 1, sizeof(mr_refusal));
    refused->list[refused->count++] = (mr_refusal){row, why};
}

void mr_decoded_close(mr_decoded *decoded)
{
    size_t made = mr_events_count(&decoded->events) - decoded->begun;
    if (decoded->counts.rows.count > 0) {
        decoded->counts.rows.at[decoded->counts.rows.count - 1] += (uint32_t)made;
    }
    decoded->begun += made;
}

mr_events *mr_frame_events(mr_decoded *decoded)
{
    mr_decoded_close(decoded);
    mr_row_push(&decoded->counts, 0);
    return &decoded->events;
}

void mr_frame_refused(mr_decoded *decoded, const char *reason)
{
    mr_decoded_close(decoded);
    mr_refuse(&decoded->refused, (uint32_t)decoded->counts.rows.count, mr_reject(reason));
    mr_row_push(&decoded->counts, 0);
}

mr_failure mr_http_failure(mr_http_error error)
{
    switch (error) {
    case MR_HTTP_OK:
        return mr_ok();
    case MR_HTTP_DENIED:
        return mr_fatal("http: not granted");
    case MR_HTTP_TOO_LARGE:
        return mr_reject("http: the response is too large");
    case MR_HTTP_INVALID:
        return mr_reject("http: invalid request");
    default:
        return mr_retry(-1);
    }
}
