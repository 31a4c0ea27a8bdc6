// What may go wrong between the spool and its disk: loss of power, death of the process, failing
// operations, a full disk, torn writes. What was acknowledged must be there, whatever it was.
#include "spool/file/file_spool_fixture.h"

namespace mansio::spool {
namespace {

using FileSpoolFault = FileSpoolTest;

TEST_F(FileSpoolFault, TheSegmentOfTheIndexPositionIsNotGivenBack) {
  open();
  const Admit admit = make_admit();
  ASSERT_EQ(commit(admit), Status::committed);
  ASSERT_EQ(commit(delivered(admit.message.id)), Status::committed);
  for (int i = 0; i < 4; ++i) {
    crash();
    files_->lose_unsynced();
    open();  // nothing lives in the old segment, and no new one is begun
    spool_->checkpoint();
    spool_->checkpoint();
  }
  EXPECT_EQ(totals().delivered, 1u);
  EXPECT_EQ(commit(make_admit()), Status::committed);
  crash();
  open();
  EXPECT_EQ(totals().accepted, 2u);
}

TEST_F(FileSpoolFault, WhatAReplayBelievesIsMadeDurableFirst) {
  open();
  ASSERT_EQ(commit(make_admit()), Status::committed);
  // Written, never synced: the process dies, the system lives on.
  files_->fail_syncs(true);
  ASSERT_EQ(commit(make_admit()), Status::unknown);
  crash();
  files_->fail_syncs(false);
  open();
  ASSERT_EQ(totals().accepted, 2u);
  ASSERT_EQ(commit(make_admit()), Status::committed);
  crash();
  files_->lose_unsynced();
  open();
  EXPECT_EQ(totals().accepted, 3u);
}

TEST_F(FileSpoolFault, TheNameOfTheSpoolItselfSurvivesTheLossOfPower) {
  open();
  ASSERT_EQ(commit(make_admit()), Status::committed);
  crash();
  files_->lose_unsynced();
  options_.must_exist = true;
  open();
  EXPECT_EQ(totals().accepted, 1u);
}

TEST_F(FileSpoolFault, NegativeControlWithoutSyncsTheLossOfPowerLoses) {
  files_ = std::make_shared<FaultFileSystem>(false);
  files_->set_scratch(root_);
  options_.files = files_;
  options_.must_exist = false;
  open();
  ASSERT_EQ(commit(make_admit()), Status::committed);
  crash();
  files_->lose_unsynced();
  std::uint64_t found = 0;
  if (exit_status_of_opening() == 0) found = totals().accepted;
  EXPECT_EQ(found, 0u) << "a test that cannot lose proves nothing";
}

TEST_F(FileSpoolFault, AnInterruptedRebuildIsNotTakenForTheSpool) {
  open();
  ASSERT_EQ(commit(make_admit()), Status::committed);
  stop();
  std::ofstream(options_.path / "rebuilding") << "\n";
  EXPECT_EQ(exit_status_of_opening(), 76);
  EXPECT_TRUE(check_file_spool(options_, {.rebuild = true}, clock_).sound());
  EXPECT_EQ(exit_status_of_opening(), 0);
  EXPECT_EQ(totals().queued, 1u);
}

TEST_F(FileSpoolFault, AnIdThatIsUsedAgainAtOnceLeavesNoOldRowBehind) {
  open();
  Admit admit = make_admit();
  ASSERT_EQ(commit(admit), Status::committed);
  spool_->checkpoint();  // RocksDB has its rows now
  Inbox inbox;
  std::vector<Request> requests;
  requests.push_back({1, delivered(admit.message.id)});
  requests.push_back({2, admit});
  spool_->submit(std::move(requests), inbox);
  ASSERT_EQ(inbox.wait(2)[2].status, Status::committed);
  ASSERT_EQ(commit(delivered(admit.message.id)), Status::committed);
  EXPECT_EQ(totals().delivered, 2u);
  stop();
  const CheckReport report = check_file_spool(options_, {}, clock_);
  EXPECT_EQ(report.messages, 0u);
  EXPECT_TRUE(report.sound()) << report.problems.front();
}

TEST_F(FileSpoolFault, AMarkThatCannotBeMadeDurableIsNull) {
  open();
  const Admit admit = make_admit();
  ASSERT_EQ(commit(admit), Status::committed);
  const std::vector<std::uint32_t> recipients{0};
  files_->fail_syncs(true);
  EXPECT_EQ(spool_->mark_attempt(admit.message.id, recipients, 1, true), nullptr);
  EXPECT_NE(spool_->mark_attempt(admit.message.id, recipients, 1, false), nullptr);
  files_->fail_syncs(false);
  EXPECT_NE(spool_->mark_attempt(admit.message.id, recipients, 1, true), nullptr);
}

TEST_F(FileSpoolFault, ADoubtWithoutAnOutcomeOutlivesAnOrderlyStop) {
  open();
  const Admit admit = make_admit();
  ASSERT_EQ(commit(admit), Status::committed);
  const std::vector<std::uint32_t> recipients{0};
  const auto mark = spool_->mark_attempt(admit.message.id, recipients, 1, true);
  crash();
  open();
  stop();  // nobody has asked
  open();
  EXPECT_EQ(spool_->take_in_doubt().size(), 1u);
  ASSERT_EQ(commit(delivered(admit.message.id)), Status::committed);
  stop();
  open();
  EXPECT_TRUE(spool_->take_in_doubt().empty());
}

TEST_F(FileSpoolFault, WhatIsSubmittedAfterTheStopIsUnknown) {
  open();
  std::atomic<bool> go_on{true};
  const Admit late = make_admit();
  std::thread submitter([&] {
    while (go_on) EXPECT_NE(commit(make_admit()), Status::refused);
  });
  while (statistic("commit_groups") < 3) std::this_thread::yield();
  spool_->stop();
  EXPECT_EQ(commit(late), Status::unknown);
  go_on = false;
  submitter.join();
}

TEST_F(FileSpoolFault, LatchingIsToldOnce) {
  open();
  std::atomic<int> told{0};
  spool_->on_latched([&](std::string) { ++told; });
  ASSERT_EQ(commit(make_admit()), Status::committed);
  files_->fail(1);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(commit(make_admit()), Status::unknown);
  spool_->checkpoint();
  EXPECT_EQ(told, 1);
}

TEST_F(FileSpoolFault, AFullDiskIsFullAndTheSameProcessGoesOnWhenThereIsSpace) {
  open();
  std::vector<QueueId> ids;
  ASSERT_EQ(commit(make_admit()), Status::committed);
  files_->set_full(true);
  Status last = Status::committed;
  for (int i = 0; i < 3000 && last == Status::committed; ++i) {
    const Admit admit = make_admit();
    last = commit(admit);
    if (last == Status::committed) ids.push_back(admit.message.id);
  }
  EXPECT_EQ(last, Status::full);
  EXPECT_EQ(spool_->health(), Health::reserve);
  ASSERT_FALSE(ids.empty());
  // Room was kept for what ends deliveries.
  EXPECT_EQ(commit(delivered(ids.front())), Status::committed);
  files_->set_full(false);
  while (spool_->health() != Health::ok) spool_->checkpoint();
  EXPECT_EQ(commit(make_admit()), Status::committed);
  EXPECT_EQ(totals().accepted, ids.size() + 2);
}

TEST_F(FileSpoolFault, AnUnreadableMessageIsCountedAndKeptApart) {
  open();
  const Admit admit = make_admit();
  ASSERT_EQ(commit(admit), Status::committed);
  stop();
  damage_row(admit.message.id);
  open();
  for (int i = 0; i < 2; ++i) {
    auto found = read<std::vector<StoredMessagePtr>>(
        [&](auto done) { spool_->get({admit.message.id}, std::move(done)); });
    ASSERT_TRUE(found);
    EXPECT_TRUE(found->empty());
  }
  EXPECT_EQ(commit(delivered(admit.message.id)), Status::corrupt);
  EXPECT_EQ(statistic("messages_unreadable"), 1);
  const auto copy = options_.path / "quarantine" / ("message-" + admit.message.id.to_string());
  EXPECT_TRUE(std::filesystem::exists(copy));
}

TEST_F(FileSpoolFault, ContentThatIsAboutToGoIsNotSharedAnyMore) {
  open();
  Admit first = make_admit();
  const auto octets = first.message.content.octets;
  first.message.content.octets = nullptr;
  auto writer = spool_->open_content(first.message.content.id);
  ASSERT_TRUE(read<void>([&](auto done) { writer->append(*octets, std::move(done)); }));
  ASSERT_TRUE(read<void>([&](auto done) { writer->seal(std::move(done)); }));
  ASSERT_EQ(commit(first), Status::committed);
  Admit second = first;
  second.message.id = ids_.next(clock_.now());
  ASSERT_EQ(commit(second), Status::committed);
  ASSERT_EQ(commit(delivered(first.message.id)), Status::committed);
  const auto content = read<std::string>(
      [&](auto done) { spool_->read_content(second.message.id, 0, 1 << 20, std::move(done)); });
  ASSERT_TRUE(content);
  EXPECT_EQ(*content, *octets);
  ASSERT_EQ(commit(delivered(second.message.id)), Status::committed);
  Admit third = first;
  third.message.id = ids_.next(clock_.now());
  EXPECT_EQ(commit(third), Status::refused);
}

TEST_F(FileSpoolFault, ATornLastGroupIsDroppedWholeWhereverItWasTorn) {
  options_.segment_size = 64 << 10;
  open();
  ASSERT_EQ(commit(make_admit(50)), Status::committed);
  spool_->checkpoint();
  crash();
  open();  // a new segment: the spool was not stopped
  ASSERT_EQ(commit(make_admit(50)), Status::committed);
  const auto length = static_cast<std::uint64_t>(statistic("journal_written_octets"));
  crash();
  for (std::uint64_t cut = 0; cut < length; cut += 23) {
    const auto copy = root_ / "copy";
    std::filesystem::remove_all(copy);
    std::filesystem::copy(options_.path, copy, std::filesystem::copy_options::recursive);
    std::filesystem::path last;
    for (const auto& entry : std::filesystem::directory_iterator(copy / "journal")) {
      std::ifstream in(entry.path(), std::ios::binary);
      in.seekg(4096 + 8);
      if (in.get() == 1) last = std::max(last, entry.path());
    }
    std::fstream file(last, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(4096 + cut));
    file << std::string(2000, '\0');
    file.close();
    FileSpoolOptions options = options_;
    options.path = copy;
    const auto torn = open_file_spool(options, clock_);
    EXPECT_EQ(torn->totals().front().totals.accepted, 1u) << cut;
  }
}

TEST_F(FileSpoolFault, SyncedGroupsBehindAHoleAreDamageAlsoInTheNextSegment) {
  options_.segment_size = 64 << 10;
  open();
  ASSERT_EQ(commit(make_admit(100)), Status::committed);
  const auto first = segment();
  ASSERT_EQ(commit(make_admit(40'000)), Status::committed);
  const auto offset = static_cast<std::uint64_t>(statistic("journal_written_octets"));
  ASSERT_EQ(commit(make_admit(40'000)), Status::committed);  // in the next segment
  ASSERT_EQ(commit(make_admit(100)), Status::committed);
  crash();
  flip(first, 4096 + offset - 100);
  EXPECT_EQ(exit_status_of_opening(), 76);
}

// ---- every Nth operation ------------------------------------------------------------------------

/// What was told to the callers.
struct Told {
  std::uint64_t admitted = 0, settled = 0;
  bool suspended = false, resumed = false;
};

class FileSpoolSweep : public FileSpoolTest {
 protected:
  void SetUp() override { options_.segment_size = 64 << 10; }

  Told work() {
    Told told;
    for (int i = 0; i < 8; ++i) {
      const Admit admit = make_admit(12'000);
      if (commit(admit) != Status::committed) continue;
      ++told.admitted;
      const Suspension place{i < 4 ? "x.example" : "y.example", "", clock_.now(), {}, "", ""};
      told.suspended = commit(Suspend{place, false}) == Status::committed;
      if (i % 2 == 0 && commit(delivered(admit.message.id)) == Status::committed) ++told.settled;
    }
    const Suspension place{"x.example", "", clock_.now(), {}, "", ""};
    told.resumed = told.suspended && commit(Suspend{place, true}) == Status::committed;
    spool_->checkpoint();
    return told;
  }

  void expect_all(const Told& told, std::uint64_t n) {
    ASSERT_EQ(exit_status_of_opening(), 0) << n;
    EXPECT_GE(totals().accepted, told.admitted) << n;
    EXPECT_GE(totals().delivered, told.settled) << n;
    EXPECT_TRUE(totals().balanced()) << n;
    EXPECT_TRUE(!told.suspended || !spool_->suspensions().empty()) << n;
    EXPECT_TRUE(!told.resumed || spool_->suspensions().front().destination == "y.example") << n;
    EXPECT_LE(totals().accepted, 8u) << n;
    stop();
    const CheckReport report = check_file_spool(options_, {}, clock_);
    EXPECT_TRUE(report.sound()) << n << ": " << report.problems.front();
  }

  void sweep_work(bool from_then_on) {
    bool reached = true;
    for (std::uint64_t n = 1; reached && n < 2000; ++n) {
      start_over();
      open();
      files_->fail(n, EIO, from_then_on);
      const Told told = work();
      reached = files_->reached();
      crash();
      files_->fail(0);
      files_->lose_unsynced();
      expect_all(told, n);
      if (HasFailure()) return;
    }
    EXPECT_FALSE(reached);
  }

  void sweep_start(bool from_then_on, bool fresh) {
    bool failed = true;
    for (std::uint64_t n = 1; failed && n < 2000; ++n) {
      start_over();
      Told told;
      if (!fresh) {
        open();
        told = work();
        crash();
        files_->lose_unsynced();
      }
      files_->fail(n, EIO, from_then_on);
      failed = exit_status_of_opening() != 0 || files_->reached();
      crash();
      files_->fail(0);
      files_->lose_unsynced();
      expect_all(told, n);
      if (HasFailure()) return;
    }
    EXPECT_FALSE(failed);
  }
};

TEST_F(FileSpoolSweep, EveryOperationMayFailFromThenOnAndNothingAcknowledgedIsLost) {
  sweep_work(true);
}

TEST_F(FileSpoolSweep, EveryOperationMayFailOnceAndNothingAcknowledgedIsLost) { sweep_work(false); }

TEST_F(FileSpoolSweep, EveryOperationOfAStartMayFailAndTheNextStartSucceeds) {
  sweep_start(true, false);
  sweep_start(false, false);
}

TEST_F(FileSpoolSweep, EveryOperationOfACreationMayFailAndTheNextStartSucceeds) {
  sweep_start(true, true);
  sweep_start(false, true);
}

}  // namespace
}  // namespace mansio::spool
