/* A sink that posts each batch to a URL: one line per event.
 *
 * A place to begin: what the body looks like, and which answers mean what. The identifier of the delivery is sent as the
 * idempotency key: when a batch comes again after a failure, the other side can tell that it has it already. */
#include <millrace.h>

#include <stdlib.h>

/* The options: where batches are posted to, and the name of a granted secret that the agent adds. */
static mr_bytes url;
static mr_bytes secret;

static bool begins_with(mr_bytes text, const char *start)
{
    size_t size = strlen(start);
    return text.size >= size && memcmp(text.at, start, size) == 0;
}

static void configure(mr_config *config, const mr_instance *instance)
{
    (void)instance;
    url = mr_text(mr_config_text(config, "url", ""));
    secret = mr_text(mr_config_text(config, "secret", ""));
    if (mr_config_require(config, "url") && !begins_with(url, "http://") && !begins_with(url, "https://")) {
        mr_config_issue(config, "url", "expected a URL that begins with http:// or https://");
    }
}

/* One line per event. */
static mr_bytes lines(mr_batch *batch)
{
    const mr_packed *bodies = mr_batch_bodies(batch);
    uint8_t *text = mr_alloc(bodies->bytes_size + bodies->count), *out = text;
    for (size_t row = 0; row < bodies->count; row++) {
        mr_bytes line = mr_packed_at(bodies, row);
        memcpy(out, line.at, line.size);
        out += line.size;
        *out++ = '\n';
    }
    return (mr_bytes){text, (size_t)(out - text)};
}

/* How long the server asks to wait; negative where it does not say. */
static int64_t retry_after_ms(const mr_http_response *response)
{
    for (size_t i = 0; i < response->headers_count; i++) {
        if (mr_is(response->headers[i].name, "retry-after")) {
            long seconds = strtol(mr_copy(response->headers[i].value), NULL, 10);
            return seconds > 0 ? (int64_t)seconds * 1000 : -1;
        }
    }
    return -1;
}

/* Says what an answer means for the batch. */
static mr_failure judge(const mr_http_response *response)
{
    static char reason[] = "the server answered 000";
    uint16_t status = response->status;
    if (status >= 200 && status < 300) {
        return mr_ok();
    }
    if (status == 408 || status == 429 || status >= 500) {
        return mr_retry(retry_after_ms(response));
    }
    for (size_t i = 0, at = sizeof reason - 2; i < 3; i++, at--) {
        reason[at] = (char)('0' + status % 10);
        status /= 10;
    }
    return mr_reject(reason);
}

/* Posts one batch. */
static mr_failure deliver(mr_batch *batch, const mr_delivery *delivery, mr_refused *refused)
{
    (void)refused;
    mr_header headers[] = {
        {mr_text("content-type"), mr_text("text/plain")},
        {mr_text("idempotency-key"), delivery->id},
    };
    mr_http_request request = {
        .method = mr_text("POST"),
        .url = url,
        .headers = headers,
        .headers_count = 2,
        .body = lines(batch),
        .auth = secret,
    };
    mr_http_response response = mr_http_send(&request);
    return response.error == MR_HTTP_OK ? judge(&response) : mr_http_failure(response.error);
}

MR_SINK(configure, deliver)
