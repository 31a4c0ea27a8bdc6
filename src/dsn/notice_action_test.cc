// The matrix of RFC 3461: NOTIFY × RET × next hop × outcome, every cell by name. What each cell is
// to be stands in the two tables below, written out; docs/CONFORMANCE.md shows them.
#include "dsn/notice_action.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "dsn/bounce_builder.h"

namespace mansio::dsn {
namespace {

using testing::HasSubstr;
using testing::Not;

enum class Hop { with_dsn, without_dsn, lmtp };

constexpr std::string_view hop_names[] = {"hop_with_dsn", "hop_without_dsn", "lmtp"};
constexpr std::string_view outcome_names[] = {"delivered", "failed", "expired", "delayed"};
constexpr std::string_view ret_names[] = {"RET_absent", "RET_FULL", "RET_HDRS"};

/// One row per NOTIFY. Columns: delivered to a hop with DSN, without DSN, by LMTP; failed; expired;
/// delayed (the latter three by any hop). "-": nobody is told.
struct Row {
  std::string_view name;
  DsnNotify notify;
  std::array<std::string_view, 6> told;
};

constexpr DsnNotify listed(bool success, bool failure, bool delay) {
  return {.present = true, .never = false, .success = success, .failure = failure, .delay = delay};
}

// clang-format off
const Row rows[] = {
    //                                                       hop with  without    LMTP         failed    expired   delayed
    {"NOTIFY_absent",                {},                           {"-", "-",       "-",         "failed", "failed", "delayed"}},
    {"NOTIFY_NEVER",                 {.present = true, .never = true}, {"-", "-",   "-",         "-",      "-",      "-"}},
    {"NOTIFY_SUCCESS",               listed(true, false, false),   {"-", "relayed", "delivered", "-",      "-",      "-"}},
    {"NOTIFY_FAILURE",               listed(false, true, false),   {"-", "-",       "-",         "failed", "failed", "-"}},
    {"NOTIFY_DELAY",                 listed(false, false, true),   {"-", "-",       "-",         "-",      "-",      "delayed"}},
    {"NOTIFY_SUCCESS_FAILURE",       listed(true, true, false),    {"-", "relayed", "delivered", "failed", "failed", "-"}},
    {"NOTIFY_SUCCESS_DELAY",         listed(true, false, true),    {"-", "relayed", "delivered", "-",      "-",      "delayed"}},
    {"NOTIFY_FAILURE_DELAY",         listed(false, true, true),    {"-", "-",       "-",         "failed", "failed", "delayed"}},
    {"NOTIFY_SUCCESS_FAILURE_DELAY", listed(true, true, true),     {"-", "relayed", "delivered", "failed", "failed", "delayed"}},
};

/// What goes back, by RET and by what is told; the setting [notify] return is its default.
struct ReturnRow {
  std::string_view failed, delayed, relayed, delivered;
};
const ReturnRow returned_rows[] = {
    {"headers", "headers", "headers", "headers"},  // RET absent
    {"full",    "headers", "headers", "headers"},  // RET=FULL
    {"headers", "headers", "headers", "headers"},  // RET=HDRS
};

// clang-format on

struct Cell {
  std::size_t row, ret, hop, outcome;
};

std::vector<Cell> all_cells() {
  std::vector<Cell> cells;
  for (std::size_t row = 0; row < std::size(rows); ++row)
    for (std::size_t ret = 0; ret < std::size(ret_names); ++ret)
      for (std::size_t hop = 0; hop < std::size(hop_names); ++hop)
        for (std::size_t outcome = 0; outcome < std::size(outcome_names); ++outcome)
          cells.push_back({row, ret, hop, outcome});
  return cells;
}

std::string name_of(const testing::TestParamInfo<Cell>& cell) {
  std::string name(rows[cell.param.row].name);
  for (const std::string_view part :
       {ret_names[cell.param.ret], hop_names[cell.param.hop], outcome_names[cell.param.outcome]}) {
    name += "__";
    name += part;
  }
  return name;
}

Message message_with(const DsnNotify& notify) {
  Message message;
  message.id.octets[15] = 1;
  message.envelope.reverse_path = Address::parse("ann@sender.example", false).value();
  Recipient recipient;
  recipient.address = Address::parse("bob@dest.example", false).value();
  recipient.original = recipient.address;
  recipient.notify = notify;
  recipient.original_recipient = "rfc822;first+2Bbob@dest.example";
  message.envelope.recipients.push_back(recipient);
  message.envelope.envelope_id = "QQ+2B1";
  return message;
}

Disposition disposition_of(std::size_t outcome, Hop hop) {
  Disposition disposition;
  disposition.host = "mx.dest.example";
  constexpr Outcome outcomes[] = {Outcome::delivered, Outcome::failed, Outcome::expired,
                                  Outcome::deferred};
  disposition.outcome = outcomes[outcome];
  const Reply replies[] = {{250, {2, 0, 0}, "ok"},
                           {550, {5, 1, 1}, "no"},
                           {451, {4, 2, 0}, "later"},
                           {451, {4, 2, 0}, "later"}};
  disposition.reply = replies[outcome];
  if (disposition.outcome == Outcome::expired) disposition.cause = Cause::lifetime;
  // Only a peer that took the message can report about it (smtp_run.cc); a table must not rely on
  // it for the other outcomes.
  disposition.peer_has_dsn = hop == Hop::with_dsn;
  return disposition;
}

class DsnMatrix : public testing::TestWithParam<Cell> {};

TEST_P(DsnMatrix, Cell) {
  const Cell cell = GetParam();
  const auto hop = static_cast<Hop>(cell.hop);
  Message message = message_with(rows[cell.row].notify);
  constexpr DsnReturn rets[] = {DsnReturn::unspecified, DsnReturn::full, DsnReturn::headers};
  message.envelope.dsn_return = rets[cell.ret];
  const std::string content = "Subject: x\r\n\r\nThe body.\r\n";
  ContentScanner scanner;
  scanner.feed(content);
  message.content.facts = scanner.finish();

  const std::size_t column = cell.outcome == 0 ? cell.hop : cell.outcome + 2;
  const std::string_view expected = rows[cell.row].told.at(column);
  const Disposition disposition = disposition_of(cell.outcome, hop);
  const NoticeDecision decision =
      notice_action(message, 0, disposition, hop == Hop::lmtp ? NextHop::final : NextHop::relay);
  ASSERT_EQ(decision.action ? to_text(*decision.action) : "-", expected);
  if (!decision.action) {
    EXPECT_NE(decision.silence, Silence::none);
    return;
  }

  const ReturnRow& row = returned_rows[cell.ret];
  const std::string_view returns = expected == "failed"    ? row.failed
                                   : expected == "delayed" ? row.delayed
                                   : expected == "relayed" ? row.relayed
                                                           : row.delivered;
  const Returned returned =
      returned_part(message, decision.action == Action::failed, Returned::headers, 1000);
  EXPECT_EQ(returned, returns == "full" ? Returned::full : Returned::headers);

  ReportedRecipient reported;
  reported.action = *decision.action;
  reported.disposition = disposition;
  const NoticeRequest request{.original = message,
                              .recipients = {reported},
                              .to = message.envelope.reverse_path,
                              .hostname = "mail.example.org",
                              .returned = returned,
                              .octets = content,
                              .return_max = 1000,
                              .id = message.id};
  const auto notice = make_bounce_builder()->build(request);
  ASSERT_TRUE(notice);
  const std::string& octets = *notice->message.content.octets;
  EXPECT_THAT(octets, HasSubstr("\r\nAction: " + std::string(expected) + "\r\n"));
  EXPECT_THAT(octets, HasSubstr("\r\nOriginal-Envelope-Id: QQ+1\r\n"));
  EXPECT_THAT(octets, HasSubstr("\r\nOriginal-Recipient: rfc822; first+bob@dest.example\r\n"));
  const auto body = HasSubstr("The body.");
  if (returns == "full") {
    EXPECT_THAT(octets, body);
  } else {
    EXPECT_THAT(octets, Not(body));
  }
}

INSTANTIATE_TEST_SUITE_P(Rfc3461, DsnMatrix, testing::ValuesIn(all_cells()), name_of);

TEST(NoticeAction, N1_R35_NobodyIsToldOfTheNullPathOrOfANotice) {
  Message message = message_with(listed(true, true, true));
  for (std::size_t outcome = 0; outcome < 4; ++outcome) {
    const Disposition disposition = disposition_of(outcome, Hop::without_dsn);
    message.is_notice = true;
    EXPECT_EQ(notice_action(message, 0, disposition, NextHop::relay).silence,
              Silence::about_notice);
    message.is_notice = false;
    const Address sender = std::exchange(message.envelope.reverse_path, {});
    EXPECT_EQ(notice_action(message, 0, disposition, NextHop::relay).silence, Silence::null_path);
    message.envelope.reverse_path = sender;
  }
}

TEST(NoticeAction, NamesWhyNobodyIsTold) {
  const auto silence = [](const DsnNotify& notify, std::size_t outcome, Hop hop) {
    return notice_action(message_with(notify), 0, disposition_of(outcome, hop), NextHop::relay)
        .silence;
  };
  EXPECT_EQ(silence({.present = true, .never = true}, 1, Hop::without_dsn), Silence::never);
  EXPECT_EQ(silence(listed(true, false, false), 1, Hop::without_dsn), Silence::not_asked);
  EXPECT_EQ(silence(listed(true, false, false), 0, Hop::with_dsn), Silence::peer_reports);
  EXPECT_EQ(silence(listed(false, true, false), 1, Hop::without_dsn), Silence::none);
}

TEST(ReturnedPart, N8_FullOnlyForFailuresAndUpToTheLimit) {
  Message message = message_with({});
  message.content.facts.size = 1000;
  const auto part = [&message](bool failure, Returned fallback, std::uint64_t most) {
    return returned_part(message, failure, fallback, most);
  };
  EXPECT_EQ(part(true, Returned::nothing, 1000), Returned::nothing);
  EXPECT_EQ(part(true, Returned::full, 1000), Returned::full);
  EXPECT_EQ(part(true, Returned::full, 999), Returned::headers);
  EXPECT_EQ(part(false, Returned::full, 1000), Returned::headers);
  EXPECT_EQ(part(false, Returned::nothing, 1000), Returned::nothing);
  message.envelope.dsn_return = DsnReturn::full;
  EXPECT_EQ(part(true, Returned::nothing, 1000), Returned::full);
  EXPECT_EQ(part(true, Returned::nothing, 999), Returned::headers);
  EXPECT_EQ(part(false, Returned::nothing, 1000), Returned::headers);
  message.envelope.dsn_return = DsnReturn::headers;
  EXPECT_EQ(part(true, Returned::full, 1000), Returned::headers);
  EXPECT_EQ(part(true, Returned::nothing, 1000), Returned::headers);
}

TEST(ReturnedPart, NeverReturnsBinaryContent_R48) {
  Message message = message_with({});
  message.envelope.dsn_return = DsnReturn::full;
  EXPECT_EQ(returned_part(message, true, Returned::full, 1000), Returned::full);
  message.envelope.body = BodyType::binary_mime;
  EXPECT_EQ(returned_part(message, true, Returned::full, 1000), Returned::headers);
}

TEST(IsBulk, KnowsListsAndPrecedence) {
  EXPECT_TRUE(is_bulk("From: a@b\r\nList-Id: <x>\r\n\r\n"));
  EXPECT_TRUE(is_bulk("LIST-Unsubscribe: <mailto:x@y>\r\n\r\n"));
  EXPECT_TRUE(is_bulk("Precedence: Bulk \r\n\r\n"));
  EXPECT_TRUE(is_bulk("precedence:list\r\n\r\n"));
  EXPECT_TRUE(is_bulk("Precedence: junk"));
  EXPECT_FALSE(is_bulk("Precedence: first-class\r\n\r\n"));
  EXPECT_FALSE(is_bulk("Subject: x\r\n List-Id: folded\r\n\r\n"));
  EXPECT_FALSE(is_bulk("Subject: x\r\n\r\nList-Id: in the body\r\n"));
  EXPECT_FALSE(is_bulk("Listen: x\r\n\r\n"));
  EXPECT_FALSE(is_bulk(""));
}

}  // namespace
}  // namespace mansio::dsn
