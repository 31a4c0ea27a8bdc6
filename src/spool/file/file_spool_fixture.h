// What the tests of the file backend share: a spool over a file system with faults, and blocking
// forms of its functions. For tests only.
#pragma once

#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <unistd.h>

#include <condition_variable>
#include <fstream>
#include <future>

#include "base/random.h"
#include "message/codec.h"
#include "spool/file/fault_file_system.h"
#include "spool/file/file_spool.h"
#include "spool/file/keys.h"
#include "spool/file/stamp.h"

namespace mansio::spool {

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
    // What is lost with the power is simulated, so that real syncs only take time.
    const bool memory = ::access("/dev/shm", W_OK) == 0;
    const std::filesystem::path parent =
        memory ? std::filesystem::path("/dev/shm") : std::filesystem::temp_directory_path();
    std::string pattern = (parent / "mansio-file-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    files_->set_scratch(root_);
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

  /// A new spool in a new folder.
  void start_over() {
    spool_.reset();
    files_->fail(0);
    files_->forget();
    std::filesystem::remove_all(options_.path);
  }

  template <class T, class Start>
  Result<T> read(Start start) {
    std::promise<Result<T>> answer;
    start(Done<T>([&answer](Result<T> result) { answer.set_value(std::move(result)); }));
    return answer.get_future().get();
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

  /// While closed: the stored row of the message no longer decodes.
  void damage_row(const QueueId& id) const {
    put_row(rocksdb::kDefaultColumnFamilyName, message_key(id), "not a row");
  }

  /// While closed: writes a row of the index.
  void put_row(const std::string& family, const std::string& key, const std::string& value) const {
    const std::string path = (options_.path / "index").string();
    std::vector<std::string> names;
    rocksdb::DB::ListColumnFamilies(rocksdb::DBOptions(), path, &names);
    std::vector<rocksdb::ColumnFamilyDescriptor> found;
    for (const std::string& name : names) {
      found.emplace_back(name, rocksdb::ColumnFamilyOptions());
    }
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    ASSERT_TRUE(rocksdb::DB::Open(rocksdb::DBOptions(), path, found, &handles, &db).ok());
    const std::unique_ptr<rocksdb::DB> owner(db);
    for (auto* handle : handles) {
      if (handle->GetName() != family) continue;
      EXPECT_TRUE(db->Put(rocksdb::WriteOptions(), handle, key, value).ok());
      EXPECT_TRUE(db->Flush(rocksdb::FlushOptions(), handle).ok());
    }
    for (auto* handle : handles) db->DestroyColumnFamilyHandle(handle);
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

}  // namespace mansio::spool
