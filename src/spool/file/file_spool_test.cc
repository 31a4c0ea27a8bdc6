#include "spool/file/file_spool.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>
#include <fstream>
#include <future>

#include "spool/file/fault_file_system.h"

namespace mansio::spool {
namespace {

class FixedClock final : public Clock {
 public:
  Time now() const override { return Time(std::chrono::seconds(1'700'000'000)); }

  SteadyTime steady_now() const override { return SteadyTime(std::chrono::seconds(1)); }

  std::unique_ptr<Timer> make_timer(boost::asio::any_io_executor) override { return nullptr; }
};

/// Collects answers until as many have come as were asked for.
class Inbox final : public CompletionSink {
 public:
  void completed(std::vector<Answer> answers) override {
    const std::lock_guard lock(mutex_);
    for (Answer& answer : answers) answers_[answer.tag] = std::move(answer);
    changed_.notify_all();
  }

  std::map<std::uint64_t, Answer> wait(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return answers_.size() >= count; });
    return std::move(answers_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint64_t, Answer> answers_;
};

class FileSpoolTest : public ::testing::Test {
 protected:
  FileSpoolTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "mansio-file-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    options_.path = root_ / "spool";
    options_.reserve = 1 << 20;
    options_.reserve_share = 0;
    options_.segment_size = 512 << 10;
    options_.files = files_;
    options_.clean_on_destruction = false;
  }

  ~FileSpoolTest() override {
    spool_.reset();
    std::filesystem::remove_all(root_);
  }

  Spool& open() {
    spool_.reset();
    spool_ = open_file_spool(options_, clock_);
    return *spool_;
  }

  void crash() { spool_.reset(); }

  void stop() {
    spool_->stop();
    spool_.reset();
  }

  int exit_status_of_opening() {
    try {
      open();
      return 0;
    } catch (const OpenError& error) {
      return error.exit_status();
    }
  }

  Admit make_admit(std::size_t size = 1000) {
    Admit admit;
    Message& message = admit.message;
    message.id = ids_.next(clock_.now());
    message.envelope.recipients.push_back({Address{"a", "x.example"}, {}, {}, {}});
    message.lanes = {LaneKey{"x.example", "default"}};
    ContentScanner scanner;
    auto octets =
        std::make_shared<const std::string>("Subject: s\r\n\r\n" + std::string(size, 'x'));
    scanner.feed(*octets);
    message.content = {message.id, scanner.finish(), octets};
    message.accepted_at = clock_.now();
    admit.due = {clock_.now()};
    return admit;
  }

  Status commit(Operation operation) {
    Inbox inbox;
    std::vector<Request> requests;
    requests.push_back({1, std::move(operation)});
    spool_->submit(std::move(requests), inbox);
    return inbox.wait(1)[1].status;
  }

  Settle delivered(const QueueId& id) {
    Settle settle;
    settle.id = id;
    settle.at = clock_.now();
    RecipientOutcome outcome;
    outcome.disposition.outcome = Outcome::delivered;
    settle.outcomes.push_back(outcome);
    return settle;
  }

  Totals totals() {
    Totals sum;
    for (const TenantTotals& tenant : spool_->totals()) sum += tenant.totals;
    return sum;
  }

  double statistic(const std::string& name) {
    for (const auto& [known, value] : spool_->statistics()) {
      if (known == name) return value;
    }
    ADD_FAILURE() << name;
    return 0;
  }

  std::filesystem::path segment() {
    for (const auto& entry : std::filesystem::directory_iterator(options_.path / "journal")) {
      std::ifstream in(entry.path(), std::ios::binary);
      in.seekg(4096 + 8);
      if (entry.path().filename().string().starts_with("segment-") && in.get() == 1) {
        return entry.path();
      }
    }
    ADD_FAILURE() << "no segment in use";
    return {};
  }

  static void flip(const std::filesystem::path& path, std::uint64_t offset) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(offset));
    const char octet = static_cast<char>(file.get() ^ 1);
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(octet);
  }

  FixedClock clock_;
  SeededRandom random_{1};
  IdSource ids_{random_};
  std::shared_ptr<FaultFileSystem> files_ = std::make_shared<FaultFileSystem>();
  std::filesystem::path root_;
  FileSpoolOptions options_;
  std::unique_ptr<Spool> spool_;
};

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
    stamp.put(2);
  }
  EXPECT_EQ(exit_status_of_opening(), 76);
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

TEST_F(FileSpoolTest, ATornLastGroupIsDroppedWholeWhereverItWasTorn) {
  open();
  ASSERT_EQ(commit(make_admit(50)), Status::committed);
  spool_->checkpoint();
  crash();
  open();  // a new segment: the spool was not stopped
  ASSERT_EQ(commit(make_admit(50)), Status::committed);
  const auto length = static_cast<std::uint64_t>(statistic("journal_written_octets"));
  crash();
  for (std::uint64_t cut = 0; cut < length; cut += 37) {
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

TEST_F(FileSpoolTest, EveryOperationMayFailAndNothingAcknowledgedIsLost) {
  bool reached = true;
  for (std::uint64_t n = 1; reached && n < 400; n += 3) {
    std::filesystem::remove_all(options_.path);
    open();
    std::uint64_t admitted = 0, settled = 0;
    files_->fail(n);
    for (int i = 0; i < 12; ++i) {
      const Admit admit = make_admit();
      if (commit(admit) != Status::committed) continue;
      ++admitted;
      if (i % 2 == 0 && commit(delivered(admit.message.id)) == Status::committed) ++settled;
    }
    spool_->checkpoint();
    reached = files_->reached();
    crash();
    files_->fail(0);
    files_->lose_unsynced();
    open();
    EXPECT_GE(totals().accepted, admitted) << n;
    EXPECT_GE(totals().delivered, settled) << n;
    EXPECT_TRUE(totals().balanced());
    stop();
  }
  EXPECT_FALSE(reached);
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
