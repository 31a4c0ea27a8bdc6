#include "mansio/format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mansio::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Json parse(const char* text) { return Json::parse(text); }

TEST(Printable, LeavesNothingThatATerminalObeys) {
  EXPECT_EQ(printable("caf\xC3\xA9"), "caf\xC3\xA9");
  EXPECT_EQ(printable("\x1b[2J\x07"), "\\x1B[2J\\x07");
  EXPECT_EQ(printable("a\r\nb\tc"), "a  b c");
  EXPECT_EQ(printable("\x7f"), "\\x7F");
  EXPECT_EQ(printable("\xC2\x9B"
                      "2J"),
            "\\xC2\\x9B"
            "2J")
      << "C1: control sequence introducer";
  EXPECT_EQ(printable("\xE2\x80\xAE"
                      "gpj"),
            "\\xE2\\x80\\xAE"
            "gpj")
      << "right-to-left override";
  EXPECT_EQ(printable("\xE2\x81\xA6"), "\\xE2\\x81\\xA6") << "left-to-right isolate";
  EXPECT_EQ(printable("\xE2\x82\xAC"), "\xE2\x82\xAC") << "euro sign";
  EXPECT_EQ(printable("\xE2"), "\xE2") << "cut short";
  EXPECT_EQ(printable(std::string("\0", 1)), "\\x00");
}

TEST(Table, AlignsByCharactersAndPadsNoLastColumn) {
  EXPECT_EQ(table({{"a", "b"}, {"long", "x"}}), "a     b\nlong  x\n");
  EXPECT_EQ(table({{"\xC3\xA9", "b"}, {"ab", "c"}}, "  "), "  \xC3\xA9   b\n  ab  c\n");
  EXPECT_EQ(table({{"a", ""}, {"b", "c"}}), "a\nb  c\n");
  EXPECT_EQ(table({}), "");
}

TEST(Size, IsShownInTheLargestUnitThatFits) {
  EXPECT_EQ(size_text(0), "0 B");
  EXPECT_EQ(size_text(1023), "1023 B");
  EXPECT_EQ(size_text(1536), "1.5 KiB");
  EXPECT_EQ(size_text(50ull << 20), "50.0 MiB");
}

TEST(Why, IsOneLinePerRecipient) {
  const Json waits = parse(R"({"id":"X","waits":[
    {"recipient":0,"address":"bob@b.example","reason":"backoff","setting":"retry.min",
     "since":"2026-01-01T00:00:00.123Z","next_attempt":"2026-01-01T00:15:00.123Z",
     "detail":"451 4.3.0 later\nreally"},
    {"recipient":1,"address":"eve@b.example","reason":"held","setting":"","since":null,
     "next_attempt":null,"detail":""}]})");
  EXPECT_EQ(waits_text(waits),
            "bob@b.example: backoff (retry.min) since 2026-01-01T00:00:00Z, "
            "next try 2026-01-01T00:15:00Z: 451 4.3.0 later really\n"
            "eve@b.example: held, no next try by itself\n");
}

TEST(Listed, ShowsTheMessageAndARecipientPerLine) {
  const Json message = parse(R"({"id":"X","reverse_path":"<>","size":2048,
    "accepted_at":"2026-01-01T00:00:00.000Z","tenant":"default","recipients":[
    {"index":0,"address":"bob@b.example","destination":"b.example","binding":"default",
     "state":"deferred","due":"2026-01-01T00:15:00.000Z","tries":2,"retry_count":2,
     "last_reply":{"code":451,"enhanced":"4.3.0","text":"\u001b[31mlater","host":"mx","stage":"rcpt"}}]})");
  EXPECT_EQ(listed_text(message),
            "X  2026-01-01T00:00:00Z  2.0 KiB  from <>\n"
            "    0  deferred  bob@b.example  2026-01-01T00:15:00Z  2 tries  "
            "451 4.3.0 \\x1B[31mlater (mx, rcpt)\n");
}

TEST(Summary, SaysWhetherItBalances) {
  EXPECT_THAT(summary_text(parse(R"({"accepted":2,"queued":2,"balanced":true,"tenants":[]})")),
              HasSubstr("balanced: every"));
  EXPECT_THAT(summary_text(parse(R"({"accepted":2,"queued":1,"balanced":false,"tenants":[]})")),
              HasSubstr("NOT BALANCED"));
}

TEST(Summary, HasAColumnPerTenantWhereThereAreSeveral) {
  const Json one =
      parse(R"({"accepted":3,"balanced":true,"tenants":[{"tenant":"a","accepted":1}]})");
  EXPECT_EQ(summary_text(one).substr(0, 12), "accepted  3\n");
  const Json two = parse(
      R"({"accepted":3,"balanced":true,
          "tenants":[{"tenant":"a","accepted":1},{"tenant":"b","accepted":2}]})");
  EXPECT_THAT(summary_text(two), HasSubstr("          all  a  b\naccepted  3    1  2\n"));
}

TEST(Status, WarnsOfASpoolThatIsNotDurable) {
  const char* memory = R"({"version":"1","hostname":"h","accepting":true,
    "spool":{"url":"memory:","durable":false,"health":"ok"},"queue":{},"listeners":[]})";
  EXPECT_THAT(status_text(parse(memory)), HasSubstr("NOT DURABLE"));
  const char* file = R"({"version":"1","hostname":"h","accepting":false,"reason":"stopping",
    "spool":{"url":"file:/x","durable":true,"health":"ok"},"queue":{},"listeners":[]})";
  EXPECT_THAT(status_text(parse(file)), Not(HasSubstr("NOT DURABLE")));
  EXPECT_THAT(status_text(parse(file)), HasSubstr("no: stopping"));
}

TEST(Change, SaysWhyNotAllThatMatchedHasChanged) {
  EXPECT_EQ(change_text(parse(R"({"matched":3,"changed":3})"), "bounce", false),
            "matched 3, changed 3\n");
  EXPECT_EQ(change_text(parse(R"({"matched":9,"changed":4,"in_flight":3})"), "hold", false),
            "matched 9, changed 4\n"
            "3 in flight were left alone: a session works on them\n"
            "2 are not in a state that hold takes (active, deferred, suspended or in_doubt)\n");
  EXPECT_EQ(change_text(parse(R"({"matched":2,"changed":2})"), "hold", true),
            "matched 2, would change 2 (dry run: nothing has changed)\n");
  EXPECT_THAT(change_text(parse(R"({"matched":2,"changed":2,"cancelled":true})"), "hold", false),
              HasSubstr("ended early"));
}

TEST(Formatting, TakesAnAnswerWithoutAnyFieldForEmpty) {
  const Json empty = Json::object();
  EXPECT_NO_THROW({
    status_text(empty);
    summary_text(empty);
    listed_text(empty);
    message_text(empty);
    history_text(empty);
    waits_text(empty);
    change_text(empty, "hold", true);
  });
}

}  // namespace
}  // namespace mansio::cli
