/* Edits are collected as columns, because one edit per row would cost the agent an allocation for each string.
 *
 * Changes to one header, or to bodies, are sent in the order in which they were made. What ends an event is sent
 * behind what changes it, so that a row may be changed and dropped in any order. */
#include <stdlib.h>

#include "inner.h"

static mr_bytes kept_text(const char *text)
{
    return (mr_bytes){(const uint8_t *)mr_copy(mr_text(text)), strlen(text)};
}

static mr_change *add(mr_edits *edits, uint8_t kind, const char *label)
{
    edits->changes = mr_grow(edits->changes, edits->count, &edits->room, edits->count + 1, sizeof(mr_change));
    mr_change *change = &edits->changes[edits->count++];
    *change = (mr_change){.kind = kind, .label = kept_text(label)};
    return change;
}

static bool may_follow(const mr_change *change, uint32_t row)
{
    const mr_rows *rows = &change->rows.rows;
    return !change->closed && (rows->count == 0 || rows->at[rows->count - 1] <= row);
}

/* Adds a row; gives whether it was the last one already. */
static bool push_once(mr_change *change, uint32_t row)
{
    mr_rows *rows = &change->rows.rows;
    if (rows->count > 0 && rows->at[rows->count - 1] == row) {
        return true;
    }
    mr_row_push(&change->rows, row);
    return false;
}

static void pop(mr_packed *packed)
{
    packed->count--;
    packed->bytes_size = packed->count == 0 ? 0 : packed->ends[packed->count - 1];
}

/* The newest change of this kind, if the row may join it. */
static mr_change *open_change(mr_edits *edits, uint8_t kind, const char *label, uint32_t row)
{
    for (size_t i = edits->count; i-- > 0;) {
        mr_change *change = &edits->changes[i];
        if (change->kind == kind) {
            bool fits = mr_is(change->label, label) && may_follow(change, row);
            return fits ? change : add(edits, kind, label);
        }
    }
    return add(edits, kind, label);
}

/* The newest change of a header, if the row may join it. A change to all headers of any name is a border. */
static mr_change *open_header(mr_edits *edits, uint8_t kind, const char *name, uint32_t row)
{
    for (size_t i = edits->count; i-- > 0;) {
        mr_change *change = &edits->changes[i];
        if (change->kind == MR_EDIT_SET_BODIES || change->kind == MR_EDIT_ROUTE) {
            continue;
        }
        bool is_header = change->kind == MR_EDIT_SET_HEADER || change->kind == MR_EDIT_REMOVE_HEADER;
        if (!is_header) {
            break;
        }
        if (mr_is(change->label, name)) {
            return change->kind == kind && may_follow(change, row) ? change : add(edits, kind, name);
        }
    }
    return add(edits, kind, name);
}

void mr_drop(mr_edits *edits, uint32_t row) { mr_row_push(&edits->drops, row); }

uint8_t *mr_set_body_room(mr_edits *edits, uint32_t row, size_t size)
{
    mr_change *change = open_change(edits, MR_EDIT_SET_BODIES, "", row);
    if (push_once(change, row)) {
        pop(&change->packer.packed);
    }
    return mr_pack_room(&change->packer, size);
}

void mr_set_body(mr_edits *edits, uint32_t row, mr_bytes body)
{
    uint8_t *room = mr_set_body_room(edits, row, body.size);
    if (body.size > 0) {
        memcpy(room, body.at, body.size);
    }
}

void mr_set_bodies(mr_edits *edits, mr_rows rows, mr_packed bodies)
{
    if (rows.count == 0) {
        return;
    }
    mr_change *change = add(edits, MR_EDIT_SET_BODIES, "");
    change->rows.rows = rows;
    change->packer.packed = bodies;
    change->closed = true;
}

/* Gives every row a value of its own, once they are no longer all the same. */
static void expand(mr_change *change)
{
    if (change->packer.packed.count != 1) {
        return;
    }
    mr_bytes shared = mr_packed_at(&change->packer.packed, 0);
    shared.at = (uint8_t *)mr_copy(shared);
    for (size_t i = 1; i < change->rows.rows.count; i++) {
        mr_pack(&change->packer, shared);
    }
}

void mr_set_header(mr_edits *edits, uint32_t row, const char *name, mr_bytes value)
{
    mr_change *change = open_header(edits, MR_EDIT_SET_HEADER, name, row);
    mr_packed *values = &change->packer.packed;
    mr_rows *rows = &change->rows.rows;
    if (rows->count > 0 && rows->at[rows->count - 1] == row) {
        expand(change);
        pop(values);
        mr_pack(&change->packer, value);
        return;
    }
    /* As long as all rows get the same value, it is there once. */
    if (values->count != 1 || !mr_equal(mr_packed_at(values, 0), value)) {
        expand(change);
        mr_pack(&change->packer, value);
    }
    mr_row_push(&change->rows, row);
}

void mr_remove_header(mr_edits *edits, uint32_t row, const char *name)
{
    push_once(open_header(edits, MR_EDIT_REMOVE_HEADER, name, row), row);
}

void mr_route(mr_edits *edits, uint32_t row, const char *channel)
{
    push_once(open_change(edits, MR_EDIT_ROUTE, channel, row), row);
}

mr_events *mr_split(mr_edits *edits, uint32_t row)
{
    if (edits->split_events == NULL) {
        edits->split_events = mr_alloc(sizeof(mr_events));
        *edits->split_events = (mr_events){0};
    }
    /* For now, how many events there were before; the difference is taken at the end. */
    mr_row_push(&edits->split_rows, row);
    mr_row_push(&edits->split_counts, (uint32_t)mr_events_count(edits->split_events));
    return edits->split_events;
}

void mr_reject_row(mr_edits *edits, uint32_t row, const char *reason)
{
    for (size_t i = edits->rejects_count; i-- > 0;) {
        if (mr_is(edits->rejects[i].label, reason)) {
            mr_row_push(&edits->rejects[i].rows, row);
            return;
        }
    }
    size_t count = edits->rejects_count;
    edits->rejects = mr_grow(edits->rejects, count, &edits->rejects_room, count + 1, sizeof(mr_change));
    mr_change *reject = &edits->rejects[edits->rejects_count++];
    *reject = (mr_change){.kind = MR_EDIT_REJECT, .closed = true, .label = kept_text(reason)};
    mr_row_push(&reject->rows, row);
}

static int by_row(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

/* Sorts rows unless they ascend already, as they nearly always do, and keeps each once. */
static void ascend(mr_rows *rows)
{
    size_t i = 1;
    while (i < rows->count && rows->at[i - 1] < rows->at[i]) {
        i++;
    }
    if (i >= rows->count) {
        return;
    }
    qsort(rows->at, rows->count, sizeof(uint32_t), by_row);
    size_t kept = 1;
    for (i = 1; i < rows->count; i++) {
        if (rows->at[i] != rows->at[kept - 1]) {
            rows->at[kept++] = rows->at[i];
        }
    }
    rows->count = kept;
}

/* Moves what ends events behind the changes made so far. */
static void close_ended(mr_edits *edits)
{
    if (edits->drops.rows.count > 0) {
        mr_change *change = add(edits, MR_EDIT_DROP, "");
        ascend(&edits->drops.rows);
        change->rows = edits->drops;
        change->closed = true;
        edits->drops = (mr_row_list){0};
    }
    if (edits->split_rows.rows.count > 0) {
        mr_change *change = add(edits, MR_EDIT_SPLIT, "");
        mr_rows *counts = &edits->split_counts.rows;
        uint32_t end = (uint32_t)mr_events_count(edits->split_events);
        for (size_t i = counts->count; i-- > 0;) {
            uint32_t begin = counts->at[i];
            counts->at[i] = end - begin;
            end = begin;
        }
        change->rows = edits->split_rows;
        change->counts = edits->split_counts;
        change->events = edits->split_events;
        change->closed = true;
        edits->split_rows = (mr_row_list){0};
        edits->split_counts = (mr_row_list){0};
        edits->split_events = NULL;
    }
    for (size_t i = 0; i < edits->rejects_count; i++) {
        mr_change *change = add(edits, MR_EDIT_REJECT, "");
        *change = edits->rejects[i];
        ascend(&change->rows.rows);
    }
    edits->rejects_count = 0;
}

void mr_set_header_on_all(mr_edits *edits, const char *name, mr_bytes value)
{
    close_ended(edits);
    mr_change *change = add(edits, MR_EDIT_SET_HEADER_ON_ALL, name);
    change->value = (mr_bytes){(uint8_t *)mr_copy(value), value.size};
    change->closed = true;
}

void mr_remove_header_on_all(mr_edits *edits, const char *name)
{
    close_ended(edits);
    add(edits, MR_EDIT_REMOVE_HEADER_ON_ALL, name)->closed = true;
}

static void finish(const mr_change *change, mr_edit *edit)
{
    memset(edit, 0, sizeof *edit);
    edit->kind = change->kind;
    switch (change->kind) {
    case MR_EDIT_DROP:
        edit->drop = change->rows.rows;
        break;
    case MR_EDIT_SET_BODIES:
        edit->set_bodies.rows = change->rows.rows;
        edit->set_bodies.bodies = change->packer.packed;
        break;
    case MR_EDIT_SET_HEADER:
        edit->set_header.name = change->label;
        edit->set_header.rows = change->rows.rows;
        edit->set_header.values = change->packer.packed;
        break;
    case MR_EDIT_SET_HEADER_ON_ALL:
        edit->set_header_on_all.name = change->label;
        edit->set_header_on_all.value = change->value;
        break;
    case MR_EDIT_REMOVE_HEADER_ON_ALL:
        edit->remove_header_on_all = change->label;
        break;
    case MR_EDIT_SPLIT:
        edit->split.rows = change->rows.rows;
        edit->split.counts = change->counts.rows;
        edit->split.events = mr_events_finish(change->events);
        break;
    default:
        edit->labelled.name = change->label;
        edit->labelled.rows = change->rows.rows;
        break;
    }
}

mr_edit *mr_edits_finish(mr_edits *edits, size_t *count)
{
    close_ended(edits);
    *count = edits->count;
    mr_edit *list = mr_alloc(edits->count * sizeof(mr_edit));
    for (size_t i = 0; i < edits->count; i++) {
        finish(&edits->changes[i], &list[i]);
    }
    return list;
}
