#include "../src/plugin.c"

#include <millrace_test.h>

static const char *redacted(const char *options, const char *body)
{
    mr_test_call();
    MR_CHECK_TEXT(mr_test_configure(configure, options), "");
    mr_event event = mr_test_event(body, NULL);
    return mr_test_intercept(intercept, &event, 1);
}

int main(void)
{
    MR_CHECK_TEXT(redacted("{}", "card 4111111111111111, thanks"), "kept: card ############1111, thanks redacted=1\n");
    MR_CHECK_TEXT(redacted("{}", "1234567890123"), "kept: #########0123 redacted=1\n");
    MR_CHECK_TEXT(redacted("{}", "123456789012"), "kept: 123456789012\n");
    MR_CHECK_TEXT(redacted("{}", "1234567890123456789"), "kept: ###############6789 redacted=1\n");
    MR_CHECK_TEXT(redacted("{}", "12345678901234567890"), "kept: 12345678901234567890\n");
    MR_CHECK_TEXT(redacted("{}", "4111111111111111 4111111111111111x4111111111111111"),
                  "kept: ############1111 ############1111x############1111 redacted=3\n");
    MR_CHECK_TEXT(redacted("{\"mask\":\"*\",\"keep\":0}", "\xff" "4111111111111111" "\xfe"),
                  "kept: \xff****************\xfe redacted=1\n");
    MR_CHECK_TEXT(redacted("{\"keep\":13}", "1234567890123"), "kept: 1234567890123 redacted=1\n");
    MR_CHECK_TEXT(redacted("{}", ""), "kept: \n");
    MR_CHECK_TEXT(mr_test_configure(configure, "{\"mask\":\"##\",\"keep\":14}"),
                  "/mask: expected one ASCII character\n/keep: expected an integer from 0 to 13, found a number\n");
    puts("ok");
    return 0;
}
