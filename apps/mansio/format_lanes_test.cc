#include "mansio/format_lanes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mansio/format_top.h"

namespace mansio::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Json parse(const char* text) { return Json::parse(text); }

const char* const two_lanes = R"({"total":7,"lanes":[
  {"destination":"large.example","binding":"default","state":"busy","queued":1200,"due":3,
   "in_flight":2,"held":0,"sessions":2,"oldest":"2026-01-01T00:00:00.000Z","trouble":"",
   "delayed_until":null,"suspension":null},
  {"destination":"b.example","binding":"default","state":"suspended","queued":5,"due":5,
   "in_flight":0,"held":1,"sessions":0,"oldest":"2026-01-01T00:00:00.000Z","trouble":"",
   "delayed_until":null,"suspension":{"destination":"b.example","binding":"",
   "since":"2026-01-01T00:00:00.000Z","until":null,"reason":"\u001b[31mred","actor":"operator unix"}}
  ]})";

TEST(Lanes, AreATableWithNumbersUnderTheirHeads) {
  const std::string text = lanes_text(parse(two_lanes));
  EXPECT_THAT(text, HasSubstr("destination    binding  queued  due  in flight  held  sessions"));
  EXPECT_THAT(text, HasSubstr("large.example  default    1200    3          2     0         2"));
  EXPECT_THAT(text, HasSubstr("suspended  until it is resumed by operator unix: \\x1B[31mred\n"));
  EXPECT_THAT(text, HasSubstr("... and 5 more\n"));
}

TEST(Lanes, OfNothingAreNoTable) { EXPECT_EQ(lanes_text(parse(R"({"total":0,"lanes":[]})")), ""); }

TEST(Lane, SaysWhatStopsIt) {
  const std::string resting = lane_text(parse(
      R"({"destination":"b.example","state":"resting","queued":5,"trouble":"connect: refused",
          "delayed_until":"2026-01-01T00:05:00.000Z","suspension":null})"));
  EXPECT_THAT(resting, HasSubstr("resting until 2026-01-01T00:05:00Z: connect: refused\n"));
}

TEST(Suspension, TellsUntilWhenByWhomAndWhy) {
  const std::string text = suspension_text(parse(
      R"({"destination":"*.example","binding":"b1","since":"2026-01-01T00:00:00.000Z",
          "until":"2026-01-01T02:00:00.000Z","reason":"their request","actor":"operator unix"})"));
  EXPECT_EQ(text,
            "suspended *.example (binding b1) since 2026-01-01T00:00:00Z, until "
            "2026-01-01T02:00:00Z by operator unix: their request\n");
  EXPECT_EQ(suspensions_text(parse(R"({"suspensions":[]})")), "nothing is suspended\n");
}

TEST(ShapeOfTheQueue, IsAGridWhoseLastColumnIsOpen) {
  EXPECT_EQ(shape_text(parse(
                R"({"ages":["5m","1h"],"all":{"destination":"","total":13,"by_age":[1,2,10]},
                    "rows":[{"destination":"b.example","total":12,"by_age":[0,2,10]}]})")),
            "           total  5m  1h  1h+\n"
            "TOTAL         13   1   2   10\n"
            "b.example     12   0   2   10\n");
}

TEST(Probe, ShowsWhatEachAddressSaidAndWhatWasLeftOut) {
  const std::string text = probe_text(parse(
      R"({"destination":"b.example","route":"*","channel":"smtp","how":"mx","tls":"opportunistic",
          "failure":"","failure_is_final":false,"left_out":["mx9.b.example: not allowed: 10.0.0.1"],
          "addresses":[{"host":"mx1.b.example","address":"192.0.2.1:25","preference":10,"ok":true,
          "greeting":"220 hi \u001b[2J","extensions":["PIPELINING","STARTTLS"],
          "tls":"TLSv1.3 TLS_AES_256_GCM_SHA384","tls_verified":false,"tls_trouble":"","trouble":"",
          "seconds":0.123},{"host":"mx2.b.example","address":"192.0.2.2:25","preference":null,
          "ok":false,"trouble":"connect: refused","seconds":0.1}]})"));
  EXPECT_THAT(text, HasSubstr("route         [route.\"*\"]\n"));
  EXPECT_THAT(text, HasSubstr("mx1.b.example 192.0.2.1:25, preference 10: ready (0.12 s)\n"));
  EXPECT_THAT(text, HasSubstr("TLSv1.3 TLS_AES_256_GCM_SHA384, not verified\n"));
  EXPECT_THAT(text, HasSubstr("PIPELINING, STARTTLS\n"));
  EXPECT_THAT(text, HasSubstr("mx2.b.example 192.0.2.2:25: NOT READY (0.10 s)\n"));
  EXPECT_THAT(text, HasSubstr("left out: mx9.b.example: not allowed: 10.0.0.1\n"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

TEST(Probe, SaysWhetherMailWaitsOrFailsWithoutHosts) {
  EXPECT_THAT(probe_text(parse(R"({"failure":"NXDOMAIN","failure_is_final":true})")),
              HasSubstr("NXDOMAIN (mail fails at once)"));
  EXPECT_THAT(probe_text(parse(R"({"failure":"SERVFAIL","failure_is_final":false})")),
              HasSubstr("SERVFAIL (mail waits)"));
}

TEST(TraceLines, TellTheSidesApart) {
  EXPECT_EQ(trace_line_text(parse(R"({"side":"us","text":"EHLO a"})")), "> EHLO a\n");
  EXPECT_EQ(trace_line_text(parse(R"({"side":"them","text":"250 \u0007"})")), "< 250 \\x07\n");
  EXPECT_EQ(trace_line_text(parse(R"({"side":"note","text":"connects"})")), "* connects\n");
}

TopSample sample(double at, std::uint64_t accepted, std::uint64_t deferrals) {
  TopSample made;
  made.at = at;
  made.status = parse(R"({"hostname":"h","accepting":true,"time":"2026-01-01T00:00:00.000Z",
                          "queue":{"sessions":4}})");
  made.status["queue"]["deferrals"] = deferrals;
  made.summary = parse(R"({"queued":10,"held":1,"delivered":0})");
  made.summary["accepted"] = accepted;
  made.lanes = parse(two_lanes);
  return made;
}

TEST(Top, GivesRatesBetweenTwoSamples) {
  const Json frame = top_frame(sample(10, 100, 5), sample(12, 150, 6), 5);
  EXPECT_EQ(frame["rates"]["accepted"], 25.0);
  EXPECT_EQ(frame["rates"]["deferred"], 0.5);
  EXPECT_EQ(frame["rates"]["delivered"], 0.0);
  EXPECT_EQ(frame["sessions"], 4);
  const std::string text = top_text(frame, 0);
  EXPECT_THAT(text, HasSubstr("per second:  accepted 25.0  delivered 0.0  deferred 0.5"));
}

TEST(Top, GivesNoRateWhereACounterBeganAnew) {
  const Json frame = top_frame(sample(10, 100, 5), sample(12, 0, 0), 5);
  EXPECT_TRUE(frame["rates"]["accepted"].is_null());
  EXPECT_THAT(top_text(frame, 0), HasSubstr("accepted -"));
  EXPECT_TRUE(top_frame(sample(10, 1, 1), sample(10, 2, 2), 5)["rates"]["accepted"].is_null());
}

TEST(Top, ShowsLanesInTroubleApartAndKeepsWithinTheColumns) {
  const Json frame = top_frame(sample(10, 1, 1), sample(12, 1, 1), 5);
  EXPECT_EQ(frame["busy"].size(), 1u);
  EXPECT_EQ(frame["troubled"][0]["destination"], "b.example");
  const std::string text = top_text(frame, 30);
  EXPECT_THAT(text, HasSubstr("in trouble or suspended\n"));
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    EXPECT_LE(end - begin, 30u);
    begin = end + 1;
  }
}

TEST(Top, TakesAnswersWithoutAnyFieldForEmpty) {
  const TopSample empty;
  EXPECT_NO_THROW(top_text(top_frame(empty, empty, 3), 80));
}

}  // namespace
}  // namespace mansio::cli
