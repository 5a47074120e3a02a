/* An interceptor that masks long numbers in bodies: the numbers of payment cards, above all.
 *
 * A place to begin: change configure, change intercept, run `make test`. */
#include <millrace.h>

/* How long a run of digits is that is masked. Longer and shorter ones stay. */
enum { SHORTEST = 13, LONGEST = 19, SIDE = SHORTEST / 2 };

/* The options: what takes the place of a digit, and how many digits at the end of each run stay. */
static uint8_t mask;
static size_t keep;

static void configure(mr_config *config, const mr_instance *instance)
{
    (void)instance;
    const char *text = mr_config_text(config, "mask", "#");
    if (strlen(text) != 1 || (uint8_t)text[0] >= 0x80) {
        mr_config_issue(config, "mask", "expected one ASCII character");
    }
    mask = (uint8_t)text[0];
    keep = (size_t)mr_config_integer(config, "keep", 4, 0, SHORTEST);
}

static bool is_digit(uint8_t byte) { return (uint8_t)(byte - '0') <= 9; }

/* Masks the runs in a body, in place, and says how many there were. */
static size_t redact(uint8_t *body, size_t size)
{
    size_t runs = 0;
    /* A run of 13 digits has one at every 13th place, and another six places before or behind it: only there is it
     * worth to look more closely. */
    for (size_t at = SHORTEST - 1; at < size; at += SHORTEST) {
        bool may_be = is_digit(body[at]) && (is_digit(body[at - SIDE]) || (at + SIDE < size && is_digit(body[at + SIDE])));
        if (!may_be) {
            continue;
        }
        size_t start = at, end = at + 1;
        while (start > 0 && is_digit(body[start - 1])) {
            start--;
        }
        while (end < size && is_digit(body[end])) {
            end++;
        }
        if (end - start >= SHORTEST && end - start <= LONGEST) {
            memset(body + start, mask, end - start - keep);
            runs++;
        }
        /* The next run begins behind the byte at end, which is no digit. */
        at = end;
    }
    return runs;
}

static mr_bytes decimal(size_t number)
{
    char *end = (char *)mr_alloc(20) + 20, *at = end;
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return (mr_bytes){(uint8_t *)at, (size_t)(end - at)};
}

/* Masks the runs of one batch, and counts them in the header "redacted". */
static mr_failure intercept(mr_batch *batch, mr_edits *edits)
{
    const mr_packed *bodies = mr_batch_bodies(batch);
    uint32_t start = 0;
    for (uint32_t row = 0; row < bodies->count; row++) {
        mr_bytes body = {bodies->bytes + start, bodies->ends[row] - start};
        size_t runs = redact(bodies->bytes + start, body.size);
        if (runs > 0) {
            mr_set_body(edits, row, body);
            mr_set_header(edits, row, "redacted", decimal(runs));
        }
        start = bodies->ends[row];
    }
    return mr_ok();
}

MR_INTERCEPTOR(configure, intercept)
