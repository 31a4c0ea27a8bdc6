// The file spool alone: messages of one recipient are admitted and, once durable, settled as
// delivered, with a fixed number outstanding. Prints one JSON object per run:
//
//   spool_bench [--folder PATH] [--messages N] [--size OCTETS] [OUTSTANDING...]
//
// Octets are those of the journal; index and event log, a few hundred each, come on top.
// CPU counts all threads of the process, this program's own included.
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "spool/file/file_spool.h"

namespace {

using namespace mansio;
using namespace mansio::spool;

constexpr std::uint64_t settle_bit = 1ull << 40;

class BenchClock final : public Clock {
 public:
  Time now() const override {
    return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
  }

  SteadyTime steady_now() const override {
    return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
  }

  std::unique_ptr<Timer> make_timer(boost::asio::any_io_executor) override { return nullptr; }
};

class Inbox final : public CompletionSink {
 public:
  void completed(std::vector<Answer> answers) override {
    const std::lock_guard lock(mutex_);
    for (Answer& answer : answers) answers_.push_back(std::move(answer));
    arrived_.notify_one();
  }

  std::vector<Answer> take() {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [this] { return !answers_.empty(); });
    return std::exchange(answers_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<Answer> answers_;
};

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Options {
  std::filesystem::path folder = std::filesystem::temp_directory_path();
  std::uint64_t messages = 50'000;
  std::size_t size = 4096;
  std::vector<std::uint64_t> outstanding;
};

class Bench {
 public:
  Bench(const Options& options, std::uint64_t outstanding)
      : options_(options), outstanding_(outstanding) {
    std::string pattern = (options.folder / "mansio-bench-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp: " + pattern);
    folder_ = pattern;
    FileSpoolOptions spool;
    spool.path = folder_ / "spool";
    spool.reserve = 0;
    spool.reserve_share = 0;
    spool_ = open_file_spool(std::move(spool), clock_);
    const std::string head = "Subject: bench\r\n\r\n";
    octets_ = std::make_shared<const std::string>(
        head + std::string(options.size - std::min(options.size, head.size()), 'x'));
    ContentScanner scanner;
    scanner.feed(*octets_);
    facts_ = scanner.finish();
  }

  ~Bench() {
    spool_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  void run() {
    ids_.reserve(options_.messages);
    send_first();
    warm_up();
    const double cpu = cpu_seconds(), written = statistic("journal_written_octets"),
                 syncs = statistic("commit_syncs");
    const std::uint64_t before = settled_;
    const auto start = std::chrono::steady_clock::now();
    while (settled_ < options_.messages) answer();
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const auto pairs = static_cast<double>(settled_ - before);
    std::printf(
        "{\"outstanding\": %llu, \"size\": %zu, \"pairs\": %.0f, \"pairs_per_second\": %.0f, "
        "\"cpu_us_per_pair\": %.2f, \"fdatasyncs\": %.0f, \"syncs_per_second\": %.0f, "
        "\"journal_octets_per_message\": %.0f}\n",
        static_cast<unsigned long long>(outstanding_), options_.size, pairs, pairs / seconds,
        (cpu_seconds() - cpu) / pairs * 1e6, statistic("commit_syncs") - syncs,
        (statistic("commit_syncs") - syncs) / seconds,
        (statistic("journal_written_octets") - written) / pairs);
    std::fflush(stdout);
    spool_->stop();
  }

 private:
  Request next_admit() {
    Admit admit;
    Message& message = admit.message;
    message.id = id_source_.next(clock_.now());
    message.tenant = "default";
    message.envelope.recipients.push_back({Address{"user", "destination.example"}, {}, {}, {}});
    message.lanes = {LaneKey{"destination.example", "default"}};
    message.content = {message.id, facts_, octets_};
    message.accepted_at = clock_.now();
    admit.due = {message.accepted_at};
    ids_.push_back(message.id);
    return {ids_.size() - 1, Operation(std::move(admit))};
  }

  Request settle_of(std::uint64_t number) {
    Settle settle;
    settle.id = ids_[static_cast<std::size_t>(number)];
    settle.at = clock_.now();
    RecipientOutcome outcome;
    outcome.disposition.outcome = Outcome::delivered;
    outcome.disposition.reply.code = 250;
    outcome.disposition.reply.text = "2.0.0 Ok: queued as 01HF7YAT00D1QPHETZQN2J4KQT";
    outcome.disposition.host = "mx.destination.example";
    settle.outcomes.push_back(std::move(outcome));
    return {number | settle_bit, Operation(std::move(settle))};
  }

  void send_first() {
    std::vector<Request> requests;
    for (std::uint64_t i = 0; i < std::min(outstanding_, options_.messages); ++i) {
      requests.push_back(next_admit());
    }
    spool_->submit(std::move(requests), inbox_);
  }

  void warm_up() {
    while (settled_ < options_.messages / 10) answer();
  }

  void answer() {
    std::vector<Request> requests;
    for (const Answer& answer : inbox_.take()) {
      if (answer.status != Status::committed) throw std::runtime_error("not committed");
      if ((answer.tag & settle_bit) == 0) {
        requests.push_back(settle_of(answer.tag));
      } else {
        ++settled_;
        if (ids_.size() < options_.messages) requests.push_back(next_admit());
      }
    }
    if (!requests.empty()) spool_->submit(std::move(requests), inbox_);
  }

  double statistic(const char* name) const {
    for (const auto& [known, value] : spool_->statistics()) {
      if (known == name) return value;
    }
    return 0;
  }

  const Options& options_;
  const std::uint64_t outstanding_;
  BenchClock clock_;
  SeededRandom random_{1};
  IdSource id_source_{random_};
  Inbox inbox_;
  std::filesystem::path folder_;
  std::unique_ptr<Spool> spool_;
  std::shared_ptr<const std::string> octets_;
  ContentFacts facts_;
  std::vector<QueueId> ids_;
  std::uint64_t settled_ = 0;
};

Options parse(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string word = arguments[i];
    const bool has_value = word == "--folder" || word == "--messages" || word == "--size";
    if (!has_value) {
      options.outstanding.push_back(std::strtoull(word.c_str(), nullptr, 10));
      if (options.outstanding.back() == 0) throw std::runtime_error("not a number: " + word);
      continue;
    }
    if (++i == count) throw std::runtime_error(word + " wants a value");
    if (word == "--folder") options.folder = arguments[i];
    if (word == "--messages") options.messages = std::strtoull(arguments[i], nullptr, 10);
    if (word == "--size") options.size = std::strtoull(arguments[i], nullptr, 10);
  }
  if (options.outstanding.empty()) options.outstanding = {1, 64, 256};
  return options;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    const Options options = parse(count, arguments);
    for (const std::uint64_t outstanding : options.outstanding) {
      Options run = options;
      // One at a time waits for two syncs per message: fewer will do.
      if (outstanding == 1) run.messages = std::min<std::uint64_t>(run.messages, 5000);
      Bench(run, outstanding).run();
    }
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "spool_bench: %s\n", error.what());
    return 1;
  }
}
