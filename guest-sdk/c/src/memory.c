/* The memory of a call: handed out from chunks, never freed one by one, used again with the next call. What the agent
 * passes lands here, too. So a call of a thousand events costs no malloc, and nothing can leak. */
#include <stdlib.h>

#include "inner.h"

enum { CHUNK_BYTES_MIN = 64 << 10, CHUNKS_MAX = 32 };

static struct chunk {
    uint8_t *at;
    size_t size;
} chunks[CHUNKS_MAX];
static size_t chunk_count;
/* The chunk that is being filled, and how far. */
static size_t current;
static size_t used;
static bool is_over;

static void *kept(size_t size)
{
    void *at = malloc(size == 0 ? 1 : size);
    if (at == NULL) {
        __builtin_trap();
    }
    return at;
}

/* After a call that took several chunks: one of that size, so that the next one fits. */
static void join_chunks(void)
{
    size_t total = 0;
    for (size_t i = 0; i < chunk_count; i++) {
        total += chunks[i].size;
        free(chunks[i].at);
    }
    chunks[0] = (struct chunk){kept(total), total};
    chunk_count = 1;
}

static void *alloc_slowly(size_t size, size_t align)
{
    if (is_over) {
        is_over = false;
        if (current > 0) {
            join_chunks();
        }
        current = 0;
        used = 0;
        return mr_alloc_aligned(size, align);
    }
    if (chunk_count == CHUNKS_MAX) {
        __builtin_trap();
    }
    size_t chunk_size = chunk_count == 0 ? CHUNK_BYTES_MIN : chunks[chunk_count - 1].size * 2;
    if (chunk_size < size + align) {
        chunk_size = size + align;
    }
    chunks[chunk_count] = (struct chunk){kept(chunk_size), chunk_size};
    current = chunk_count++;
    used = 0;
    return mr_alloc_aligned(size, align);
}

void *mr_alloc_aligned(size_t size, size_t align)
{
    if (!is_over && current < chunk_count) {
        struct chunk *chunk = &chunks[current];
        size_t start = (used + align - 1) & ~(align - 1);
        if (start <= chunk->size && size <= chunk->size - start) {
            used = start + size;
            return chunk->at + start;
        }
    }
    return alloc_slowly(size, align);
}

void *mr_alloc(size_t size) { return mr_alloc_aligned(size, 8); }

void *mr_alloc_kept(size_t size) { return kept(size); }

void mr_memory_reset(void) { is_over = true; }

char *mr_copy(mr_bytes bytes)
{
    char *copy = mr_alloc_aligned(bytes.size + 1, 1);
    if (bytes.size > 0) {
        memcpy(copy, bytes.at, bytes.size);
    }
    copy[bytes.size] = 0;
    return copy;
}

void *mr_grow(void *at, size_t count, size_t *room, size_t wanted, size_t item_size)
{
    if (wanted <= *room) {
        return at;
    }
    size_t more = *room * 2 < 16 ? 16 : *room * 2;
    *room = more < wanted ? wanted : more;
    void *grown = mr_alloc_aligned(*room * item_size, 8);
    if (count > 0) {
        memcpy(grown, at, count * item_size);
    }
    return grown;
}

#ifdef __wasm__
/* The name is fixed by the component model. */
__attribute__((export_name("cabi_realloc"))) void *mr_export_realloc(void *old, size_t old_size, size_t align,
                                                                     size_t size)
{
    if (size == 0) {
        return (void *)align;
    }
    void *at = mr_alloc_aligned(size, align);
    if (old_size > 0) {
        memcpy(at, old, old_size < size ? old_size : size);
    }
    return at;
}
#endif
