/* A source that counts: its events are the numbers from 1 on.
 *
 * A place to begin: what poll reads, and what the position says about where reading stands. The agent stores the position
 * in the same commit as the events, so no number is lost or comes twice, whatever happens. */
#include <millrace.h>

/* The options: the last number, and how long to wait between two answers. */
static uint64_t up_to;
static uint32_t pause_ms;

/* The last number that was returned. */
static uint64_t last;

static void configure(mr_config *config, const mr_instance *instance)
{
    (void)instance;
    up_to = (uint64_t)mr_config_integer(config, "up-to", 1000, 1, INT64_MAX);
    pause_ms = (uint32_t)mr_config_integer(config, "pause-ms", 0, 0, UINT32_MAX);
}

static mr_bytes decimal(uint64_t number)
{
    uint8_t *end = (uint8_t *)mr_alloc(20) + 20, *at = end;
    do {
        *--at = (uint8_t)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return (mr_bytes){at, (size_t)(end - at)};
}

/* Goes on behind the last number that was committed. */
static mr_failure open(const mr_bytes *position)
{
    last = 0;
    for (size_t i = 0; position != NULL && i < position->size; i++) {
        uint8_t digit = (uint8_t)(position->at[i] - '0');
        if (digit > 9) {
            return mr_fatal("the position is no number");
        }
        last = last * 10 + digit;
    }
    return mr_ok();
}

/* Returns the next numbers. */
static mr_failure poll(uint32_t events_max, uint32_t bytes_max, mr_polled *polled)
{
    while (last < up_to && mr_events_count(polled->events) < events_max) {
        mr_bytes text = decimal(last + 1);
        if (mr_events_bytes(polled->events) + text.size > bytes_max) {
            break;
        }
        mr_add_event(polled->events, text);
        mr_add_header(polled->events, "source", mr_text("my-plugin"));
        last++;
    }
    polled->position = decimal(last);
    polled->pace = last >= up_to ? MR_END : pause_ms > 0 ? MR_AFTER : MR_NOW;
    polled->after_ms = pause_ms;
    return mr_ok();
}

MR_SOURCE(configure, open, poll, NULL)
