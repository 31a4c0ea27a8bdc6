#include "spool/file/file_spool_fixture.h"

namespace mansio::spool {
namespace {

TEST_F(FileSpoolTest, WhatWasAcknowledgedSurvivesTheLossOfPower) {
  open();
  const Admit first = make_admit(), second = make_admit();
  ASSERT_EQ(commit(first), Status::committed);
  ASSERT_EQ(commit(second), Status::committed);
  ASSERT_EQ(commit(delivered(first.message.id)), Status::committed);
  crash();
  files_->lose_unsynced();
  open();
  EXPECT_EQ(totals().accepted, 2u);
  EXPECT_EQ(totals().delivered, 1u);
  EXPECT_EQ(totals().queued, 1u);
  stop();
  EXPECT_TRUE(check_file_spool(options_, {}, clock_).sound());
}

TEST_F(FileSpoolTest, AMessageThatEndsInTheGroupThatChangesItLeavesNoRowBehind) {
  open();
  Admit admit = make_admit();
  Message& message = admit.message;
  message.envelope.recipients.resize(2, message.envelope.recipients[0]);
  message.lanes.resize(2, message.lanes[0]);
  admit.due.resize(2, admit.due[0]);
  ASSERT_EQ(commit(admit), Status::committed);
  // Both halves of the message end at once, as over two sessions: one due entry changes, then goes.
  Inbox inbox;
  std::vector<Request> requests;
  requests.push_back({1, delivered(message.id)});
  Settle second = delivered(message.id);
  second.outcomes[0].recipient = 1;
  requests.push_back({2, std::move(second)});
  spool_->submit(std::move(requests), inbox);
  for (auto& [tag, answer] : inbox.wait(2)) EXPECT_EQ(answer.status, Status::committed);
  stop();
  const auto report = check_file_spool(options_, {}, clock_);
  EXPECT_TRUE(report.sound());
}

TEST_F(FileSpoolTest, AFailedSyncMakesEverythingUnknownFromThenOn) {
  open();
  ASSERT_EQ(commit(make_admit()), Status::committed);
  std::promise<std::string> latched;
  spool_->on_latched([&](std::string why) { latched.set_value(std::move(why)); });
  files_->fail_syncs(true);
  EXPECT_EQ(commit(make_admit()), Status::unknown);
  EXPECT_FALSE(latched.get_future().get().empty());
  files_->fail_syncs(false);
  EXPECT_EQ(commit(make_admit()), Status::unknown);
  EXPECT_EQ(spool_->health(), Health::latched);
  crash();
  open();
  EXPECT_GE(totals().accepted, 1u);
  EXPECT_EQ(spool_->health(), Health::ok);
}

TEST_F(FileSpoolTest, TheNextSegmentIsMadeWhenHalfOfTheOneInUseIsUsed) {
  open();
  const auto made = [this] {
    spool_->checkpoint();
    return statistic("journal_filled_octets") / static_cast<double>(options_.segment_size);
  };
  EXPECT_EQ(commit(make_admit(options_.segment_size / 4)), Status::committed);
  EXPECT_EQ(made(), 1);
  EXPECT_EQ(commit(make_admit(options_.segment_size / 4)), Status::committed);
  EXPECT_EQ(made(), 2);
}

TEST_F(FileSpoolTest, ACommitThatNeedsTheNextSegmentEarlyGetsIt) {
  open();
  EXPECT_EQ(commit(make_admit(options_.segment_size / 4)), Status::committed);
  EXPECT_EQ(commit(make_admit(options_.segment_size / 10 * 9)), Status::committed);
  EXPECT_EQ(commit(make_admit(options_.segment_size / 10 * 9)), Status::committed);
}

TEST_F(FileSpoolTest, ManySubmittersShareFewSyncs) {
  open();
  Inbox inbox;
  std::vector<Request> requests;
  for (std::uint64_t tag = 0; tag < 200; ++tag) requests.push_back({tag, make_admit()});
  const std::uint64_t before = files_->syncs();
  spool_->submit(std::move(requests), inbox);
  for (const auto& [tag, answer] : inbox.wait(200)) EXPECT_EQ(answer.status, Status::committed);
  EXPECT_LT(files_->syncs() - before, 20u);
}

TEST_F(FileSpoolTest, ASecondProcessIsRefusedWith73) {
  open();
  try {
    const auto second = open_file_spool(options_, clock_);
    FAIL();
  } catch (const OpenError& error) {
    EXPECT_EQ(error.exit_status(), 73);
  }
}

TEST_F(FileSpoolTest, EmptyForeignAndNewerSpoolsAreRefusedWith76) {
  options_.must_exist = true;
  EXPECT_EQ(exit_status_of_opening(), 76);
  options_.must_exist = false;
  std::filesystem::create_directory(options_.path);
  std::ofstream(options_.path / "letter.txt") << "not a spool";
  EXPECT_EQ(exit_status_of_opening(), 76);
  std::filesystem::remove(options_.path / "letter.txt");
  EXPECT_EQ(exit_status_of_opening(), 0);
  ASSERT_EQ(commit(make_admit()), Status::committed);
  stop();
  {
    std::fstream stamp(options_.path / "stamp", std::ios::in | std::ios::out | std::ios::binary);
    stamp.seekp(8);
    stamp.put(3);
  }
  EXPECT_EQ(exit_status_of_opening(), 76);
}

TEST_F(FileSpoolTest, ASpoolOfFormatOneIsReadAndBecomesFormatTwo) {
  open();
  const Admit admit = make_admit();
  ASSERT_EQ(commit(admit), Status::committed);
  stop();
  const auto stamp_now = [&] {
    std::ifstream in(options_.path / "stamp", std::ios::binary);
    return decode_stamp(std::string(std::istreambuf_iterator<char>(in), {})).value();
  };
  Stamp old = stamp_now();
  EXPECT_EQ(old.format, 2u);
  old.format = 1;
  std::ofstream(options_.path / "stamp", std::ios::binary | std::ios::trunc) << encode_stamp(old);
  // The status of a recipient as format 1 wrote it (docs/FORMATS.md: u8:1 status).
  Encoder row;
  row.u8(1);
  row.u8(1);
  row.u8(static_cast<std::uint8_t>(RecipientState::queued));
  row.time(clock_.now());
  row.varint(2);
  row.varint(3);
  row.time(clock_.now());
  encode(row, Disposition{});
  put_row("recipients", recipient_key(admit.message.id, 0), row.octets());
  open();
  EXPECT_EQ(stamp_now().format, 2u);
  EXPECT_EQ(stamp_now().instance, old.instance);
  auto found = read<std::vector<StoredMessagePtr>>(
      [&](auto done) { spool_->get({admit.message.id}, std::move(done)); });
  ASSERT_EQ(found->size(), 1u);
  EXPECT_EQ((*found)[0]->recipients[0].tries, 2u);
  EXPECT_EQ((*found)[0]->recipients[0].retry_count, 3u);
  EXPECT_EQ((*found)[0]->recipients[0].delay_notices, 0u);
}

TEST_F(FileSpoolTest, SuspensionsOutliveTheSegmentOfTheirRecordAlsoForARebuild) {
  options_.segment_size = 64 << 10;
  open();
  const Suspension kept{"x.example", "", clock_.now(), {}, "why", "operator root"};
  Suspension ended = kept;
  ended.destination = "y.example";
  // A message that stays keeps the segment in which both are suspended.
  ASSERT_EQ(commit(make_admit()), Status::committed);
  ASSERT_EQ(commit(Suspend{kept, false}), Status::committed);
  ASSERT_EQ(commit(Suspend{ended, false}), Status::committed);
  const auto fill = [&] {
    for (int i = 0; i < 20; ++i) {
      const Admit admit = make_admit(12'000);
      ASSERT_EQ(commit(admit), Status::committed);
      ASSERT_EQ(commit(delivered(admit.message.id)), Status::committed);
    }
    spool_->checkpoint();
  };
  fill();
  ASSERT_EQ(commit(Suspend{ended, true}), Status::committed);
  fill();
  EXPECT_EQ(spool_->suspensions(), std::vector<Suspension>{kept});
  stop();
  CheckOptions rebuild;
  rebuild.rebuild = true;
  EXPECT_TRUE(check_file_spool(options_, rebuild, clock_).sound());
  open();
  EXPECT_EQ(spool_->suspensions(), std::vector<Suspension>{kept});
}

TEST_F(FileSpoolTest, PartsThatAreMissingAreAnErrorAndNeverAFreshStart) {
  for (const char* part : {"index/CURRENT", "high-water", "stamp", "journal", "index"}) {
    std::filesystem::remove_all(options_.path);
    open();
    ASSERT_EQ(commit(make_admit()), Status::committed);
    crash();
    std::filesystem::remove_all(options_.path / part);
    EXPECT_EQ(exit_status_of_opening(), 76) << part;
  }
}

TEST_F(FileSpoolTest, slimta_62_ADamagedOctetInTheMiddleIsRefusedAndRebuiltOnOrder) {
  open();
  for (int i = 0; i < 5; ++i) ASSERT_EQ(commit(make_admit()), Status::committed);
  const auto path = segment();
  crash();
  flip(path, 4096 + 400);
  EXPECT_EQ(exit_status_of_opening(), 76);
  EXPECT_FALSE(check_file_spool(options_, {}, clock_).sound());
  const CheckReport report = check_file_spool(options_, {.rebuild = true}, clock_);
  EXPECT_TRUE(report.rebuilt);
  EXPECT_TRUE(report.sound()) << report.problems.front();
  EXPECT_EQ(report.messages, 4u);
  EXPECT_EQ(exit_status_of_opening(), 0);
}

TEST_F(FileSpoolTest, BelowTheReserveAdmitsAreFullAndSettlingGoesOn) {
  open();
  const Admit admit = make_admit();
  ASSERT_EQ(commit(admit), Status::committed);
  files_->set_free(1000);
  EXPECT_EQ(commit(make_admit()), Status::full);
  EXPECT_EQ(spool_->health(), Health::reserve);
  EXPECT_EQ(commit(delivered(admit.message.id)), Status::committed);
  files_->set_free(1ull << 39);
  EXPECT_EQ(commit(make_admit()), Status::committed);
  EXPECT_EQ(spool_->health(), Health::ok);
}

TEST_F(FileSpoolTest, TheJournalShrinksWhenMessagesAreDrained) {
  options_.segment_size = 1 << 20;
  open();
  Inbox inbox;
  std::vector<QueueId> ids;
  std::vector<Request> admits, settles;
  for (std::uint64_t tag = 0; tag < 20'000; ++tag) {
    Admit admit = make_admit(300);
    ids.push_back(admit.message.id);
    admits.push_back({tag, std::move(admit)});
  }
  spool_->submit(std::move(admits), inbox);
  inbox.wait(ids.size());
  const double full = statistic("journal_segments");
  EXPECT_GT(full, 8);
  // One of a hundred stays, so that survivors have to be moved.
  for (std::uint64_t tag = 0; tag < ids.size(); ++tag) {
    if (tag % 100 != 0) settles.push_back({tag, delivered(ids[tag])});
  }
  const std::size_t settled = settles.size();
  spool_->submit(std::move(settles), inbox);
  inbox.wait(settled);
  for (int i = 0; i < 60; ++i) spool_->checkpoint();
  EXPECT_LE(statistic("journal_segments"), 4);
  EXPECT_EQ(totals().queued, 200u);
  stop();
  const CheckReport report = check_file_spool(options_, {}, clock_);
  EXPECT_TRUE(report.sound()) << report.problems.front();
  EXPECT_EQ(report.contents, 200u);
}

TEST_F(FileSpoolTest, AHundredThousandDrainedMessagesGiveTheirSpaceBack) {
  files_ = nullptr;  // the machine's own: it is the fastest
  options_.files = make_posix_file_system(false);
  options_.segment_size = 4 << 20;
  open();
  Inbox inbox;
  const auto octets = make_admit(100);
  for (int batch = 0; batch < 10; ++batch) {
    std::vector<Request> requests;
    for (std::uint64_t tag = 0; tag < 10'000; ++tag) {
      Admit admit = octets;
      admit.message.id = ids_.next(clock_.now());
      admit.message.content.id = admit.message.id;
      Settle settle = delivered(admit.message.id);
      requests.push_back({2 * tag, std::move(admit)});
      // A hundred stay.
      if (tag % 1000 != 0) requests.push_back({2 * tag + 1, std::move(settle)});
    }
    const std::size_t count = requests.size();
    spool_->submit(std::move(requests), inbox);
    inbox.wait(count);
  }
  EXPECT_EQ(totals().delivered, 99'900u);
  for (int i = 0; i < 100 && statistic("journal_segments") > 2; ++i) spool_->checkpoint();
  const double live = 100 * 1000;
  EXPECT_LE(statistic("journal_segments"), 2);
  // Beside those in use, one that is prepared and one to be used again.
  EXPECT_LE(statistic("journal_octets"), 1.1 * live + 4.0 * (4 << 20));
  EXPECT_EQ(totals().queued, 100u);
}

TEST_F(FileSpoolTest, MarksWithoutAnOutcomeAreInDoubtAfterACrash) {
  open();
  const Admit first = make_admit(), second = make_admit();
  ASSERT_EQ(commit(first), Status::committed);
  ASSERT_EQ(commit(second), Status::committed);
  const std::vector<std::uint32_t> recipients{0};
  auto lost = spool_->mark_attempt(first.message.id, recipients, 1, true);
  auto done = spool_->mark_attempt(second.message.id, recipients, 1, false);
  ASSERT_EQ(commit(delivered(second.message.id)), Status::committed);
  crash();
  for (int opening = 0; opening < 2; ++opening) {
    open();
    const auto doubts = spool_->take_in_doubt();
    ASSERT_EQ(doubts.size(), 1u);
    EXPECT_EQ(doubts[0].id, first.message.id);
    EXPECT_EQ(doubts[0].recipients, recipients);
    EXPECT_TRUE(spool_->take_in_doubt().empty());
    crash();
  }
}

}  // namespace
}  // namespace mansio::spool
