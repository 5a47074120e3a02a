/* The SDK's own logic, on the machine where it is written. */
#include "../src/inner.h"
#include "../src/json.h"
#include "../testing/millrace_test.h"

static mr_event abc[3];

static void make_events(void)
{
    abc[0] = mr_test_event("a", "k", "1", NULL);
    abc[1] = mr_test_event("b", "k", "2", NULL);
    abc[2] = mr_test_event("", NULL);
}

static mr_failure read_all(mr_batch *batch, mr_edits *edits)
{
    (void)edits;
    MR_CHECK(mr_batch_count(batch) == 3 && mr_batch_body_bytes(batch) == 2);
    MR_CHECK(mr_is(mr_packed_at(mr_batch_bodies(batch), 1), "b"));
    uint32_t rows[] = {2, 0, 0};
    mr_packed some = mr_batch_bodies_of(batch, rows, 3);
    MR_CHECK(some.count == 3 && mr_is(mr_packed_at(&some, 0), "") && mr_is(mr_packed_at(&some, 2), "a"));
    mr_header_column column = mr_batch_header_column(batch, "k");
    MR_CHECK(column.missing.count == 1 && column.missing.at[0] == 2 && mr_is(mr_packed_at(&column.values, 1), "2"));
    mr_header_table headers = mr_batch_headers(batch);
    MR_CHECK(headers.names_count == 1 && headers.counts_count == 3 && headers.counts[2] == 0);
    mr_bytes value;
    MR_CHECK(mr_batch_header(batch, 0, "k", &value) && mr_is(value, "1"));
    MR_CHECK(!mr_batch_header(batch, 2, "k", &value));
    MR_CHECK(mr_is(mr_batch_body_part(batch, 0, 0, 9), "a") && mr_batch_body_part(batch, 0, 9, 1).size == 0);
    return mr_ok();
}

static mr_failure change(mr_batch *batch, mr_edits *edits)
{
    (void)batch;
    mr_set_body(edits, 2, mr_text("C"));
    mr_set_body(edits, 0, mr_text("A"));
    mr_set_body(edits, 0, mr_text("AA"));
    memcpy(mr_set_body_room(edits, 1, 2), "BB", 2);
    mr_set_header(edits, 0, "k", mr_text("same"));
    mr_set_header(edits, 1, "k", mr_text("same"));
    mr_set_header(edits, 1, "k", mr_text("other"));
    mr_remove_header(edits, 2, "k");
    mr_set_header(edits, 2, "k", mr_text("again"));
    mr_set_header_on_all(edits, "all", mr_text("x"));
    mr_remove_header(edits, 1, "all");
    return mr_ok();
}

static mr_failure end_them(mr_batch *batch, mr_edits *edits)
{
    (void)batch;
    mr_drop(edits, 2);
    mr_drop(edits, 2);
    mr_set_body(edits, 2, mr_text("C"));
    mr_events *events = mr_split(edits, 0);
    mr_add_event(events, mr_text("a1"));
    mr_add_header(events, "n", mr_text("1"));
    memcpy(mr_add_event_room(events, 2), "a2", 2);
    mr_add_header(events, "m", mr_text(""));
    mr_add_header(events, "n", mr_text("2"));
    mr_reject_row(edits, 1, "bad");
    mr_set_header(edits, 1, "seen", mr_text("yes"));
    mr_set_header_on_all(edits, "all", mr_text("x"));
    return mr_ok();
}

static mr_failure route(mr_batch *batch, mr_edits *edits)
{
    (void)batch;
    mr_route(edits, 0, "x");
    mr_route(edits, 1, "audit");
    mr_route(edits, 2, "audit");
    mr_route(edits, 0, "audit");
    mr_remove_header_on_all(edits, "k");
    return mr_ok();
}

static mr_failure break_order(mr_batch *batch, mr_edits *edits)
{
    (void)batch;
    static uint32_t rows[] = {1, 0};
    mr_packer bodies = {0};
    mr_pack(&bodies, mr_text("x"));
    mr_pack(&bodies, mr_text("y"));
    mr_set_bodies(edits, (mr_rows){rows, 2}, bodies.packed);
    return mr_ok();
}

static mr_failure drop_twice(mr_batch *batch, mr_edits *edits)
{
    (void)batch;
    mr_drop(edits, 0);
    mr_reject_row(edits, 0, "x");
    return mr_ok();
}

static mr_failure try_later(mr_batch *batch, mr_edits *edits)
{
    (void)batch;
    mr_drop(edits, 0);
    return mr_retry(5);
}

static void edits_are_applied(void)
{
    MR_CHECK_TEXT(mr_test_intercept(read_all, abc, 3), "kept: a k=1\nkept: b k=2\nkept: \n");
    MR_CHECK_TEXT(mr_test_intercept(change, abc, 3), "kept: AA k=same all=x\nkept: BB k=other\nkept: C k=again all=x\n");
    MR_CHECK_TEXT(mr_test_intercept(end_them, abc, 3),
                  "split: a1 n=1 all=x\nsplit: a2 m= n=2 all=x\nrejected bad: b k=2 seen=yes\ndropped: C\n");
    MR_CHECK_TEXT(mr_test_intercept(route, abc, 3), "to audit: a\nto audit: b\nto audit: \n");
    MR_CHECK_TEXT(mr_test_intercept(break_order, abc, 3), "broken: rows do not ascend");
    MR_CHECK_TEXT(mr_test_intercept(drop_twice, abc, 3), "broken: a row is gone already");
    MR_CHECK_TEXT(mr_test_intercept(try_later, abc, 3), "retry after 5");
}

static void edits_of_one_kind_are_one_column(void)
{
    mr_edits edits = {0};
    for (uint32_t row = 0; row < 1000; row++) {
        mr_set_header(&edits, row, "same", mr_text("yes"));
        mr_set_body(&edits, row, mr_text("x"));
        mr_set_header(&edits, row, "own", mr_text(row % 2 == 0 ? "even" : "odd"));
    }
    size_t count;
    mr_edit *list = mr_edits_finish(&edits, &count);
    MR_CHECK(count == 3);
    MR_CHECK(list[0].set_header.rows.count == 1000 && list[0].set_header.values.count == 1);
    MR_CHECK(list[1].set_bodies.bodies.count == 1000 && list[1].set_bodies.bodies.bytes_size == 1000);
    MR_CHECK(list[2].set_header.values.count == 1000);
}

static void memory_of_a_call_is_used_again(void)
{
    uint8_t *first = mr_alloc(1 << 20);
    memset(first, 1, 1 << 20);
    mr_test_call();
    uint8_t *second = mr_alloc(2 << 20);
    memset(second, 2, 2 << 20);
    mr_test_call();
    for (int i = 0; i < 1000; i++) {
        memset(mr_alloc(1 << 20), 3, 1 << 20);
        mr_test_call();
    }
    MR_CHECK((uintptr_t)mr_alloc_aligned(1, 1) != 0 && (uintptr_t)mr_alloc(3) % 8 == 0);
}

static mr_json *json(const char *text) { return mr_json_read((const uint8_t *)text, strlen(text)); }

static void json_is_read(void)
{
    mr_json *value = json(" {\"a\\u00e4\\ud83d\\ude00\\n\\\"\": [1, -20, 1.5e3, true, false, null, \"\", {}]} ");
    MR_CHECK(value != NULL && value->kind == MR_JSON_OBJECT && value->count == 1);
    MR_CHECK_TEXT(value->first->name, "a\xc3\xa4\xf0\x9f\x98\x80\n\"");
    mr_json *item = value->first->first;
    MR_CHECK(value->first->count == 8 && item->integer == 1 && item->next->integer == -20);
    MR_CHECK(!item->next->next->is_integer && item->next->next->number == 1500);
    MR_CHECK(json("\"\\ud800x\"") == NULL && json("\"\\udc00\"") == NULL && json("\"\\ud83d\\u0041\"") == NULL);
    static const char *const none[] = {"", "{", "[1,]", "{\"a\"}", "{\"a\":}", "01", "-", "1.", "1e", "\"", "\"\\", "\"\\x\"",
                                       "\"\\u12\"", "\"\n\"", "tru", "1 2", "{,}", "nul", "+1", "'a'", "\"\\u00g0\""};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        if (json(none[i]) != NULL) {
            MR_CHECK_TEXT("read", none[i]);
        }
    }
    char deep[200];
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = 0;
    MR_CHECK(json(deep) == NULL);
    char number[100];
    memset(number, '9', sizeof number - 1);
    number[sizeof number - 1] = 0;
    MR_CHECK(json(number) == NULL);
}

static void ask_all(mr_config *config, const mr_instance *instance)
{
    MR_CHECK_TEXT(instance->component, "plugin");
    MR_CHECK_TEXT(mr_config_text(config, "name", "none"), "n");
    MR_CHECK(mr_config_integer(config, "level", 7, 0, 9) == 7);
    MR_CHECK(mr_config_number(config, "rate", 0) == 1.5 && mr_config_flag(config, "on", false));
    const char *const *texts;
    MR_CHECK(mr_config_texts(config, "paths", &texts) == 1);
    MR_CHECK_TEXT(texts[0], "one");
    const int64_t *integers;
    MR_CHECK(mr_config_integers(config, "codes", &integers) == 2 && integers[1] == 500);
    mr_config *limits = mr_config_section(config, "limits");
    MR_CHECK(limits != NULL && limits == mr_config_section(config, "limits"));
    MR_CHECK(mr_config_integer(limits, "low", 0, 0, 9) == 3);
    mr_config *none = mr_config_section(config, "none");
    MR_CHECK(none == NULL && mr_config_integer(none, "low", 5, 0, 9) == 5 && !mr_config_has(none, "low"));
}

static void ask_wrong(mr_config *config, const mr_instance *instance)
{
    (void)instance;
    mr_config_require(config, "url");
    mr_config_text(config, "name", "");
    mr_config_integer(config, "level", 0, 1, 9);
    mr_config_flag(config, "on", false);
    mr_config *limits = mr_config_section(config, "limits");
    mr_config_integer(limits, "low", 0, 0, 9);
    mr_config_issue(limits, "low", "too low");
    mr_config_issue(config, "", "all wrong");
}

static void options_are_read(void)
{
    const char *good = "{\"name\":\"n\",\"rate\":1.5,\"on\":true,\"paths\":\"one\",\"codes\":[404,500],\"limits\":{\"low\":3}}";
    MR_CHECK_TEXT(mr_test_configure(ask_all, good), "");
    const char *bad = "{\"name\":1,\"level\":10,\"on\":\"x\",\"limits\":{\"l/~w\":1},\"nmae\":\"x\"}";
    MR_CHECK_TEXT(mr_test_configure(ask_wrong, bad), ": the option \"url\" is missing\n"
                                                     "/name: expected a text, found a number\n"
                                                     "/level: expected an integer from 1 to 9, found a number\n"
                                                     "/on: expected true or false, found a text\n"
                                                     "/limits/low: too low\n"
                                                     ": all wrong\n"
                                                     "/nmae: unknown option\n"
                                                     "/limits/l~1~0w: unknown option\n");
}

static void no_options(mr_config *config, const mr_instance *instance)
{
    (void)instance;
    MR_CHECK(!mr_config_has(config, "a"));
}

static void the_agent_is_played(void)
{
    mr_logf(MR_INFO, "%d rules", 3);
    const char *label = "ok";
    mr_counter_add("sent", 2, &label, 1);
    MR_CHECK_TEXT(mr_test_log(), "info 3 rules\ntrace counter sent 2 ok\n");
    int64_t sum;
    MR_CHECK(mr_state_increment(mr_text("n"), 2, &sum) == MR_STATE_OK && sum == 2);
    MR_CHECK(mr_state_increment(mr_text("n"), -3, &sum) == MR_STATE_OK && sum == -1);
    MR_CHECK(mr_state_set(mr_text("m"), mr_text("1"), 0) == MR_STATE_OK);
    MR_CHECK(mr_state_increment(mr_text("m"), 1, &sum) == MR_STATE_TOO_LARGE);
    mr_bytes *keys;
    size_t count;
    mr_state_list_keys(mr_text(""), mr_text("m"), 9, &keys, &count);
    MR_CHECK(count == 1 && mr_is(keys[0], "n"));
    mr_bytes value;
    mr_state_delete(mr_text("m"));
    MR_CHECK(mr_state_get(mr_text("m"), &value) == MR_STATE_OK && value.at == NULL);
    mr_http_request request = {.url = mr_text("http://a")};
    MR_CHECK(mr_http_failure(mr_http_send(&request).error).why == MR_FATAL);
    MR_CHECK(mr_http_failure(MR_HTTP_TIMEOUT).why == MR_RETRY);
}

int main(void)
{
    make_events();
    edits_are_applied();
    edits_of_one_kind_are_one_column();
    memory_of_a_call_is_used_again();
    json_is_read();
    options_are_read();
    MR_CHECK_TEXT(mr_test_configure(no_options, "[]"), ": expected a JSON object\n");
    the_agent_is_played();
    puts("ok");
    return 0;
}
