#include "../src/plugin.c"

#include <millrace_test.h>

static uint16_t status;
static mr_http_error error;

static mr_http_response answer(const mr_http_request *request)
{
    static mr_header header;
    header = (mr_header){mr_text("retry-after"), mr_text("2")};
    MR_CHECK(mr_is(request->method, "POST") && mr_is(request->url, "https://logs.example.com/v1"));
    MR_CHECK(mr_is(request->headers[1].name, "idempotency-key") && mr_is(request->headers[1].value, "d-1"));
    MR_CHECK(mr_is(request->body, "one\ntwo\n"));
    return (mr_http_response){.error = error, .status = status, .headers = &header, .headers_count = 1};
}

static const char *delivered(uint16_t answered, mr_http_error failed)
{
    status = answered;
    error = failed;
    mr_event events[] = {mr_test_event("one", NULL), mr_test_event("two", NULL)};
    return mr_test_deliver(deliver, "d-1", events, 2);
}

int main(void)
{
    mr_test_http = answer;
    MR_CHECK_TEXT(mr_test_configure(configure, "{\"url\":\"https://logs.example.com/v1\"}"), "");
    MR_CHECK_TEXT(delivered(204, MR_HTTP_OK), "delivered");
    MR_CHECK_TEXT(delivered(503, MR_HTTP_OK), "retry after 2000");
    MR_CHECK_TEXT(delivered(400, MR_HTTP_OK), "reject: the server answered 400");
    MR_CHECK_TEXT(delivered(0, MR_HTTP_TRANSPORT), "retry");
    MR_CHECK_TEXT(delivered(0, MR_HTTP_DENIED), "fatal: http: not granted");
    MR_CHECK_TEXT(mr_test_configure(configure, "{}"), ": the option \"url\" is missing\n");
    MR_CHECK_TEXT(mr_test_configure(configure, "{\"url\":\"logs\"}"),
                  "/url: expected a URL that begins with http:// or https://\n");
    puts("ok");
    return 0;
}
