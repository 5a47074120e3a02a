/* The exports of a plugin: one role, perhaps handover. Included by millrace.h. */
#ifndef MILLRACE_EXPORT_H
#define MILLRACE_EXPORT_H

#ifdef __wasm__

#define MR_NAMED(name) __attribute__((export_name(name)))

void *mr_run_configure(mr_configure_fn *, mr_bytes, mr_bytes, mr_bytes, uint32_t, uint32_t, uint64_t);
void *mr_run_intercept(mr_intercept_fn *, uint32_t);
void *mr_run_open(mr_open_fn *, bool, mr_bytes);
void *mr_run_poll(mr_poll_fn *, uint32_t, uint32_t);
void *mr_run_committed(mr_committed_fn *, mr_bytes);
void *mr_run_deliver(mr_deliver_fn *, uint32_t, mr_bytes, uint32_t);
void *mr_run_frame(mr_frame_fn *, mr_bytes, bool);
void *mr_run_decode(mr_decode_fn *, mr_packed);
void *mr_run_encode(mr_encode_fn *, uint32_t);
void *mr_run_save(mr_save_fn *);
void *mr_run_restore(mr_restore_fn *, mr_snapshot);

#define MR_PLUGIN(configure)                                                                                       \
    MR_NAMED("millrace:plugin/lifecycle@0.1.0#configure")                                                          \
    void *mr_export_configure(uint8_t *o, size_t o_size, uint8_t *a, size_t a_size, uint8_t *c, size_t c_size,     \
                              uint32_t lane, uint32_t lanes, uint64_t generation)                                  \
    {                                                                                                              \
        return mr_run_configure(configure, (mr_bytes){o, o_size}, (mr_bytes){a, a_size}, (mr_bytes){c, c_size},    \
                                lane, lanes, generation);                                                          \
    }                                                                                                              \
    MR_NAMED("millrace:plugin/lifecycle@0.1.0#stop") void mr_export_stop(uint32_t deadline_ms) { (void)deadline_ms; }

/* An interceptor: mr_configure_fn, mr_intercept_fn. */
#define MR_INTERCEPTOR(configure, intercept)                                                                       \
    MR_PLUGIN(configure)                                                                                           \
    MR_NAMED("millrace:plugin/interceptor@0.1.0#intercept") void *mr_export_intercept(uint32_t batch)              \
    {                                                                                                              \
        return mr_run_intercept(intercept, batch);                                                                 \
    }

/* A source: mr_configure_fn, mr_open_fn, mr_poll_fn, mr_committed_fn or NULL. */
#define MR_SOURCE(configure, open, poll, committed)                                                                \
    MR_PLUGIN(configure)                                                                                           \
    MR_NAMED("millrace:plugin/source@0.1.0#open") void *mr_export_open(uint32_t has, uint8_t *at, size_t size)     \
    {                                                                                                              \
        return mr_run_open(open, has != 0, (mr_bytes){at, size});                                                  \
    }                                                                                                              \
    MR_NAMED("millrace:plugin/source@0.1.0#poll") void *mr_export_poll(uint32_t events_max, uint32_t bytes_max)    \
    {                                                                                                              \
        return mr_run_poll(poll, events_max, bytes_max);                                                           \
    }                                                                                                              \
    MR_NAMED("millrace:plugin/source@0.1.0#committed") void *mr_export_committed(uint8_t *at, size_t size)         \
    {                                                                                                              \
        return mr_run_committed(committed, (mr_bytes){at, size});                                                  \
    }

/* A sink: mr_configure_fn, mr_deliver_fn. */
#define MR_SINK(configure, deliver)                                                                                \
    MR_PLUGIN(configure)                                                                                           \
    MR_NAMED("millrace:plugin/sink@0.1.0#deliver")                                                                 \
    void *mr_export_deliver(uint32_t batch, uint8_t *id, size_t id_size, uint32_t attempt)                         \
    {                                                                                                              \
        return mr_run_deliver(deliver, batch, (mr_bytes){id, id_size}, attempt);                                   \
    }

/* A codec: mr_configure_fn, mr_frame_fn, mr_decode_fn, mr_encode_fn. */
#define MR_CODEC(configure, frame, decode, encode)                                                                 \
    MR_PLUGIN(configure)                                                                                           \
    MR_NAMED("millrace:plugin/codec@0.1.0#frame") void *mr_export_frame(uint8_t *at, size_t size, uint32_t at_end) \
    {                                                                                                              \
        return mr_run_frame(frame, (mr_bytes){at, size}, at_end != 0);                                             \
    }                                                                                                              \
    MR_NAMED("millrace:plugin/codec@0.1.0#decode")                                                                 \
    void *mr_export_decode(uint8_t *bytes, size_t size, uint32_t *ends, size_t count)                              \
    {                                                                                                              \
        return mr_run_decode(decode, (mr_packed){bytes, size, ends, count});                                       \
    }                                                                                                              \
    MR_NAMED("millrace:plugin/codec@0.1.0#encode") void *mr_export_encode(uint32_t batch)                          \
    {                                                                                                              \
        return mr_run_encode(encode, batch);                                                                       \
    }

/* Beside a role: mr_save_fn, mr_restore_fn. */
#define MR_HANDOVER(save, restore)                                                                                 \
    MR_NAMED("millrace:plugin/handover@0.1.0#save") void *mr_export_save(void) { return mr_run_save(save); }       \
    MR_NAMED("millrace:plugin/handover@0.1.0#restore")                                                             \
    void *mr_export_restore(uint8_t *schema, size_t schema_size, uint32_t version, uint8_t *data, size_t size)     \
    {                                                                                                              \
        return mr_run_restore(restore, (mr_snapshot){{schema, schema_size}, version, {data, size}});               \
    }

#else

/* In native tests there is no agent: the functions of a plugin are called as they are. */
#define MR_INTERCEPTOR(configure, intercept)                                                                       \
    mr_configure_fn *const mr_plugin_configure = configure;                                                        \
    mr_intercept_fn *const mr_plugin_intercept = intercept;
#define MR_SOURCE(configure, open, poll, committed)                                                                \
    mr_configure_fn *const mr_plugin_configure = configure;                                                        \
    mr_open_fn *const mr_plugin_open = open;                                                                       \
    mr_poll_fn *const mr_plugin_poll = poll;                                                                       \
    mr_committed_fn *const mr_plugin_committed = committed;
#define MR_SINK(configure, deliver)                                                                                \
    mr_configure_fn *const mr_plugin_configure = configure;                                                        \
    mr_deliver_fn *const mr_plugin_deliver = deliver;
#define MR_CODEC(configure, frame, decode, encode)                                                                 \
    mr_configure_fn *const mr_plugin_configure = configure;                                                        \
    mr_frame_fn *const mr_plugin_frame = frame;                                                                    \
    mr_decode_fn *const mr_plugin_decode = decode;                                                                 \
    mr_encode_fn *const mr_plugin_encode = encode;
#define MR_HANDOVER(save, restore)                                                                                 \
    mr_save_fn *const mr_plugin_save = save;                                                                       \
    mr_restore_fn *const mr_plugin_restore = restore;

#endif
#endif
