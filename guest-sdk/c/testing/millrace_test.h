/* Runs plugins on the machine where they are written, without an agent: batches are made from events, and edits are applied as
 * the agent does, with all its rules. Compile it together with src/ of the SDK and the plugin. */
#ifndef MILLRACE_TEST_H
#define MILLRACE_TEST_H

#include <stdio.h>
#include <stdlib.h>

#include "millrace.h"

/* Ends the test run with the place, if it does not hold. */
#define MR_CHECK(condition)                                                                       \
    do {                                                                                          \
        if (!(condition)) {                                                                       \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);        \
            exit(1);                                                                              \
        }                                                                                         \
    } while (0)

/* Two texts are the same; shows both if not. */
#define MR_CHECK_TEXT(found, wanted)                                                              \
    do {                                                                                          \
        const char *mr_found = (found), *mr_wanted = (wanted);                                    \
        if (strcmp(mr_found, mr_wanted) != 0) {                                                   \
            fprintf(stderr, "%s:%d: found  %s\n", __FILE__, __LINE__, mr_found);                  \
            fprintf(stderr, "%s:%d: wanted %s\n", __FILE__, __LINE__, mr_wanted);                 \
            exit(1);                                                                              \
        }                                                                                         \
    } while (0)

/* Begins a call: what the one before it left is gone. */
void mr_test_call(void);

/* Configures; gives the issues as text, `path: reason` and a line break each; empty if there are none. */
const char *mr_test_configure(mr_configure_fn *configure, const char *options);

/* An event with headers, given as name and value in turn; ends with NULL. */
mr_event mr_test_event(const char *body, ...) __attribute__((sentinel));

/* Runs one call of an interceptor, and gives what became of the events as text: a line per event in the order of the
 * batch, `kept`, `dropped`, `to CHANNEL` or `rejected (REASON)`, then the body, then ` name=value` for each header. A failure
 * is `retry`, `reject: REASON` or `fatal: REASON`; a broken rule begins with `broken`. */
const char *mr_test_intercept(mr_intercept_fn *intercept, const mr_event *events, size_t count);

/* Runs one call of a source: a line per event, then `position P, now|after N|end`. */
const char *mr_test_poll(mr_poll_fn *poll, uint32_t events_max, uint32_t bytes_max);

/* Runs one call of a sink: `delivered`, a line `refused ROW retry|REASON` for each row, or a failure. */
const char *mr_test_deliver(mr_deliver_fn *deliver, const char *id, const mr_event *events, size_t count);

/* Runs one call of a codec: `ends E E, wanted W`, or a failure. */
const char *mr_test_frame(mr_frame_fn *frame, mr_bytes stream, bool at_end);
/* A line per event with the number of its frame in front, `refused FRAME: REASON` for each refused one. */
const char *mr_test_decode(mr_decode_fn *decode, const mr_packed *frames);
/* Encodes events to one byte string. */
mr_bytes mr_test_encode(mr_encode_fn *encode, const mr_event *events, size_t count);

/* What was logged so far, a line each; it begins anew. */
const char *mr_test_log(void);

/* Answers HTTP; NULL denies. */
typedef mr_http_response mr_test_http_fn(const mr_http_request *request);
extern mr_test_http_fn *mr_test_http;
/* What the clocks say. */
extern uint64_t mr_test_nanos;

#endif
