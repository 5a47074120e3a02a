#include "../src/plugin.c"

#include <millrace_test.h>

int main(void)
{
    MR_CHECK_TEXT(mr_test_configure(configure, "{\"up-to\":3}"), "");
    MR_CHECK(open(NULL).why == MR_OK);
    MR_CHECK_TEXT(mr_test_poll(poll, 2, 100), "1 source=my-plugin\n2 source=my-plugin\nposition 2, now");
    MR_CHECK_TEXT(mr_test_poll(poll, 2, 100), "3 source=my-plugin\nposition 3, end");

    mr_bytes position = mr_text("998");
    MR_CHECK_TEXT(mr_test_configure(configure, "{\"pause-ms\":5}"), "");
    MR_CHECK(open(&position).why == MR_OK);
    MR_CHECK_TEXT(mr_test_poll(poll, 9, 3), "999 source=my-plugin\nposition 999, after 5");
    position = mr_text("x");
    MR_CHECK(open(&position).why == MR_FATAL);
    MR_CHECK_TEXT(mr_test_configure(configure, "{\"up-to\":0}"),
                  "/up-to: expected an integer from 1 to 9223372036854775807, found a number\n");
    puts("ok");
    return 0;
}
