#include "../src/crc32.c"
#include "../src/frames.c"

#include <millrace_test.h>

static mr_event sent[3];

/* Three frames, in memory that the test may change. */
static mr_bytes stream(void)
{
    sent[0] = mr_test_event("door open", "timestamp", "1795348800123", "level", "warning", "device", "gate-7", NULL);
    sent[1] = mr_test_event("", "timestamp", "0", "level", "debug", "device", "m\xc3\xb6we", NULL);
    sent[2] = mr_test_event("no headers", NULL);
    return mr_test_encode(encode, sent, 3);
}

/* The frames of a stream, as frame cuts them. */
static mr_packed cut_up(mr_bytes bytes, bool at_end)
{
    mr_cut cut = {0};
    MR_CHECK(frame(bytes, at_end, &cut).why == MR_OK);
    size_t last = cut.ends.count == 0 ? 0 : cut.ends.at[cut.ends.count - 1];
    return (mr_packed){(uint8_t *)bytes.at, last, cut.ends.at, cut.ends.count};
}

static void what_is_encoded_is_decoded_again(void)
{
    mr_packed frames = cut_up(stream(), true);
    MR_CHECK_TEXT(mr_test_decode(decode, &frames),
                  "0: door open timestamp=1795348800123 level=warning device=gate-7\n"
                  "1:  timestamp=0 level=debug device=m\xc3\xb6we\n"
                  "2: no headers timestamp=1700000000000 level=info device=unknown\n");
}

static void a_stream_is_cut_wherever_it_breaks(void)
{
    mr_bytes bytes = stream();
    mr_packed whole = cut_up(bytes, true);
    MR_CHECK(whole.count == 3 && whole.bytes_size == bytes.size);
    for (size_t size = 0; size <= bytes.size; size++) {
        mr_packed part = cut_up((mr_bytes){bytes.at, size}, false);
        for (size_t i = 0; i < part.count; i++) {
            MR_CHECK(part.ends[i] == whole.ends[i]);
        }
        MR_CHECK(part.count == 3 || whole.ends[part.count] > size);
    }
    MR_CHECK_TEXT(mr_test_frame(frame, (mr_bytes){bytes.at, 5}, false), "ends, wanted 6");
    MR_CHECK_TEXT(mr_test_frame(frame, (mr_bytes){bytes.at, 6}, false), "ends, wanted 35");
    MR_CHECK_TEXT(mr_test_frame(frame, (mr_bytes){bytes.at, 6}, true), "ends 6, wanted 35");
    MR_CHECK_TEXT(mr_test_frame(frame, mr_text("GET / HTTP/1.1"), false),
                  "reject: a frame begins with the bytes F1, and this one does not");
    MR_CHECK_TEXT(mr_test_frame(frame, mr_text("F1\xff\xff\xff\xff"), false), "reject: the payload is longer than payload-bytes-max");
}

static void a_damaged_frame_is_refused_by_itself(void)
{
    mr_bytes bytes = stream();
    mr_packed frames = cut_up(bytes, true);
    uint8_t *first = frames.bytes, *payload = first + HEAD;
    size_t size = u32_at(first + 2);
    payload[size - 1] ^= 1;
    MR_CHECK(strstr(mr_test_decode(decode, &frames), "refused 0: the checksum is wrong\n") != NULL);
    MR_CHECK(strncmp(mr_test_decode(decode, &frames), "1: ", 3) == 0);
    payload[9] = 200;
    put_u32(payload + size, crc32(payload, size));
    MR_CHECK(strstr(mr_test_decode(decode, &frames), "refused 0: the payload is too short for its fields\n") != NULL);
    payload[9] = 6;
    payload[8] = 4;
    put_u32(payload + size, crc32(payload, size));
    MR_CHECK(strstr(mr_test_decode(decode, &frames), "refused 0: the level is none of 0 to 3\n") != NULL);
    payload[8] = 0;
    payload[FIELDS] = 0xff;
    put_u32(payload + size, crc32(payload, size));
    MR_CHECK(strstr(mr_test_decode(decode, &frames), "refused 0: the name of the device is not UTF-8\n") != NULL);

    mr_packed cut_off = cut_up((mr_bytes){bytes.at, bytes.size - 1}, true);
    MR_CHECK(strstr(mr_test_decode(decode, &cut_off), "refused 2: the frame is cut off\n") != NULL);
}

int main(void)
{
    MR_CHECK(crc32((const uint8_t *)"123456789", 9) == 0xcbf43926);
    MR_CHECK_TEXT(mr_test_configure(configure, "{\"payload-bytes-max\":1}"),
                  "/payload-bytes-max: expected an integer from 16 to 16777216, found a number\n");
    MR_CHECK_TEXT(mr_test_configure(configure, "{}"), "");
    MR_CHECK(is_utf8((const uint8_t *)"a\xf0\x9f\x98\x80", 5) && !is_utf8((const uint8_t *)"\xed\xa0\x80", 3));
    MR_CHECK(!is_utf8((const uint8_t *)"\xc0\x80", 2) && !is_utf8((const uint8_t *)"\xf4\x90\x80\x80", 4) && !is_utf8((const uint8_t *)"\xe2\x82", 2));
    MR_CHECK(!is_utf8((const uint8_t *)"\x80\x80\x80\x80\x80\x80", 6));
    what_is_encoded_is_decoded_again();
    a_stream_is_cut_wherever_it_breaks();
    a_damaged_frame_is_refused_by_itself();
    puts("ok");
    return 0;
}
