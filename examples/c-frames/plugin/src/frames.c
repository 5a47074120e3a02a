/* A codec of the frames that field devices send over TCP. All numbers have the big end first:
 *
 *   magic    2 bytes  0x46 0x31, "F1"
 *   length   u32      bytes of the payload
 *   payload  time     u64      milliseconds since 1970
 *            level    u8       0 debug, 1 info, 2 warning, 3 error
 *            device   u8       bytes of its name, then the name, UTF-8
 *            text              the rest: the body of the event
 *   checksum u32      CRC-32 of the payload
 *
 * A frame whose checksum or fields are wrong is refused by itself; the stream goes on behind it. A stream that does not
 * begin with the magic where a frame should is not of this protocol, and is closed. */
#include <millrace.h>

#include "crc32.h"

enum { HEAD = 6, TAIL = 4, FIELDS = 10, DEVICE_BYTES_MAX = 255 };

static const uint8_t magic[2] = {'F', '1'};
static const char *const levels[] = {"debug", "info", "warning", "error"};
enum { LEVELS = 4, INFO = 1 };

/* The options. */
static uint32_t payload_bytes_max;
static mr_bytes default_device;

static void configure(mr_config *config, const mr_instance *instance)
{
    (void)instance;
    payload_bytes_max = (uint32_t)mr_config_integer(config, "payload-bytes-max", 1 << 20, 16, 16 << 20);
    default_device = mr_text(mr_config_text(config, "device", "unknown"));
    if (default_device.size > DEVICE_BYTES_MAX) {
        mr_config_issue(config, "device", "expected at most 255 bytes");
    }
}

static uint32_t u32_at(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint64_t u64_at(const uint8_t *at) { return (uint64_t)u32_at(at) << 32 | u32_at(at + 4); }

static uint8_t *put_u32(uint8_t *out, uint32_t number)
{
    for (int shift = 24; shift >= 0; shift -= 8) {
        *out++ = (uint8_t)(number >> shift);
    }
    return out;
}

static uint8_t *put_u64(uint8_t *out, uint64_t number) { return put_u32(put_u32(out, (uint32_t)(number >> 32)), (uint32_t)number); }

static uint8_t *put_bytes(uint8_t *out, mr_bytes bytes)
{
    if (bytes.size > 0) {
        memcpy(out, bytes.at, bytes.size);
    }
    return out + bytes.size;
}

static mr_failure frame(mr_bytes stream, bool at_end, mr_cut *cut)
{
    size_t at = 0;
    while (at < stream.size) {
        const uint8_t *rest = stream.at + at;
        size_t size = stream.size - at;
        if (memcmp(rest, magic, size < sizeof magic ? size : sizeof magic) != 0) {
            return mr_reject("a frame begins with the bytes F1, and this one does not");
        }
        if (size < HEAD) {
            cut->wanted = HEAD;
            break;
        }
        uint32_t length = u32_at(rest + 2);
        if (length > payload_bytes_max) {
            return mr_reject("the payload is longer than payload-bytes-max");
        }
        if (size < HEAD + (size_t)length + TAIL) {
            cut->wanted = HEAD + length + TAIL;
            break;
        }
        at += HEAD + (size_t)length + TAIL;
        mr_cut_at(cut, (uint32_t)at);
    }
    /* What was cut off at the end of the stream is a frame, too: decode refuses it, and so it is not lost without a word. */
    if (at_end && at < stream.size) {
        mr_cut_at(cut, (uint32_t)stream.size);
    }
    return mr_ok();
}

/* How many bytes follow the first one of a character in UTF-8; negative where none can begin so. */
static int following(uint8_t first)
{
    if (first < 0x80) {
        return 0;
    }
    return first < 0xc2 || first > 0xf4 ? -1 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
}

static bool is_utf8(const uint8_t *at, size_t size)
{
    for (size_t i = 0; i < size;) {
        uint8_t first = at[i++];
        int more = following(first);
        if (more < 0 || (size_t)more > size - i) {
            return false;
        }
        /* The second byte has a narrower range where the form would be too long, a surrogate, or too large. */
        uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
        uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
        for (; more > 0; more--, i++) {
            if (at[i] < low || at[i] > high) {
                return false;
            }
            low = 0x80;
            high = 0xbf;
        }
    }
    return true;
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

/* Why a frame is refused; NULL: its payload is good. */
static const char *damage(mr_bytes whole)
{
    if (whole.size < HEAD + TAIL || whole.size != HEAD + (size_t)u32_at(whole.at + 2) + TAIL) {
        return "the frame is cut off";
    }
    const uint8_t *payload = whole.at + HEAD;
    size_t size = whole.size - HEAD - TAIL;
    if (crc32(payload, size) != u32_at(payload + size)) {
        return "the checksum is wrong";
    }
    if (size < FIELDS || size - FIELDS < payload[9]) {
        return "the payload is too short for its fields";
    }
    if (payload[8] >= LEVELS) {
        return "the level is none of 0 to 3";
    }
    return is_utf8(payload + FIELDS, payload[9]) ? NULL : "the name of the device is not UTF-8";
}

static mr_failure decode(const mr_packed *frames, mr_decoded *decoded)
{
    for (size_t i = 0; i < frames->count; i++) {
        mr_bytes whole = mr_packed_at(frames, i);
        const char *why = damage(whole);
        if (why != NULL) {
            mr_frame_refused(decoded, why);
            continue;
        }
        const uint8_t *payload = whole.at + HEAD, *device = payload + FIELDS, *text = device + payload[9];
        mr_events *events = mr_frame_events(decoded);
        mr_add_event(events, (mr_bytes){text, (size_t)(whole.at + whole.size - TAIL - text)});
        mr_add_header(events, "timestamp", decimal(u64_at(payload)));
        mr_add_header(events, "level", mr_text(levels[payload[8]]));
        mr_add_header(events, "device", (mr_bytes){device, payload[9]});
    }
    return mr_ok();
}

/* The number of a level; info for one that is not known. */
static uint8_t level_of(mr_bytes name)
{
    for (uint8_t level = 0; level < LEVELS; level++) {
        if (mr_is(name, levels[level])) {
            return level;
        }
    }
    return INFO;
}

/* The number in a header; the time of the batch where there is none. */
static uint64_t time_of(mr_bytes text, uint64_t otherwise)
{
    uint64_t number = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t digit = (uint8_t)(text.at[i] - '0');
        if (digit > 9 || number > (UINT64_MAX - 9) / 10) {
            return otherwise;
        }
        number = number * 10 + digit;
    }
    return text.size == 0 ? otherwise : number;
}

static mr_failure encode(mr_batch *batch, mr_packer *out)
{
    uint64_t now_ms = mr_batch_formed_at(batch) / 1000000;
    const mr_packed *bodies = mr_batch_bodies(batch);
    mr_header_column times = mr_batch_header_column(batch, "timestamp");
    mr_header_column names = mr_batch_header_column(batch, "level");
    mr_header_column devices = mr_batch_header_column(batch, "device");
    for (size_t row = 0; row < bodies->count; row++) {
        mr_bytes body = mr_packed_at(bodies, row), device = mr_packed_at(&devices.values, row);
        if (device.size == 0 || device.size > DEVICE_BYTES_MAX) {
            device = default_device;
        }
        size_t size = FIELDS + device.size + body.size;
        uint8_t *at = mr_pack_room(out, HEAD + size + TAIL);
        at = put_u32(put_bytes(at, (mr_bytes){magic, sizeof magic}), (uint32_t)size);
        const uint8_t *payload = at;
        at = put_u64(at, time_of(mr_packed_at(&times.values, row), now_ms));
        *at++ = level_of(mr_packed_at(&names.values, row));
        *at++ = (uint8_t)device.size;
        at = put_bytes(put_bytes(at, device), body);
        put_u32(at, crc32(payload, size));
    }
    return mr_ok();
}

MR_CODEC(configure, frame, decode, encode)
