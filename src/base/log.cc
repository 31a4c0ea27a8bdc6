#include "base/log.h"

#include <fmt/format.h>
#include <poll.h>
#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <memory>
#include <mutex>
#include <thread>

#include "base/text.h"
#include "base/time.h"

namespace mansio::log {
namespace {

constexpr std::size_t kQueuedLines = 8192;
constexpr int kPatienceMilliseconds = 1000;

constexpr std::array<std::string_view, 4> kLevelNames{"debug", "info", "warning", "error"};

std::atomic<std::uint64_t> lost{0};
std::atomic<std::uint64_t> submitted{0};
std::atomic<std::uint64_t> handled{0};  // written or lost by the sink
std::atomic<Level> least{Level::info};
std::atomic<Format> chosen{Format::text};

/// Standard error by write(2): the reader of the pipe may be slow or gone, and neither may stop or
/// end the process. A line that cannot be written is counted.
class ErrorSink final : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& line) override {
    spdlog::memory_buf_t text;
    formatter_->format(line, text);
    if (!write_all({text.data(), text.size()})) lost.fetch_add(1, std::memory_order_relaxed);
    handled.fetch_add(1, std::memory_order_release);
  }

  void flush_() override {}

 private:
  bool write_all(std::string_view text) {
    while (!text.empty()) {
      pollfd ready{STDERR_FILENO, POLLOUT, 0};
      // One patient wait; while the reader stays stuck, later lines are dropped at once.
      const int events = ::poll(&ready, 1, stuck_ ? 0 : kPatienceMilliseconds);
      if (events < 0 && errno == EINTR) continue;
      stuck_ = events <= 0;
      if (stuck_) return false;
      const auto written = ::write(STDERR_FILENO, text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
  }

  bool stuck_ = false;
};

struct Output {
  std::shared_ptr<spdlog::details::thread_pool> pool;
  std::shared_ptr<spdlog::logger> logger;
};

std::unique_ptr<spdlog::formatter> plain_lines() {
  return std::make_unique<spdlog::pattern_formatter>("%v");
}

Output& output() {
  // Before configure(), and in tests, lines are written where they arise.
  static Output instance = [] {
    Output made;
    made.logger = std::make_shared<spdlog::logger>("mansio", std::make_shared<ErrorSink>());
    made.logger->set_formatter(plain_lines());
    made.logger->set_level(spdlog::level::trace);
    return made;
  }();
  return instance;
}

bool needs_quotes(std::string_view value) {
  if (value.empty()) return true;
  for (const char c : value) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet <= ' ' || octet == 0x7f || c == '"' || c == '\\' || c == '=') return true;
  }
  return false;
}

}  // namespace

void configure(Format format, Level level) {
  chosen = format;
  least = level;
  auto& current = output();
  if (current.pool) return;
  current.pool = std::make_shared<spdlog::details::thread_pool>(kQueuedLines, 1);
  auto logger =
      std::make_shared<spdlog::async_logger>("mansio", std::make_shared<ErrorSink>(), current.pool,
                                             spdlog::async_overflow_policy::overrun_oldest);
  logger->set_formatter(plain_lines());
  logger->set_level(spdlog::level::trace);
  current.logger = std::move(logger);
}

void flush() {
  auto& current = output();
  if (!current.pool) return;
  const auto wanted = submitted.load();
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  while (handled.load() + current.pool->overrun_counter() < wanted &&
         std::chrono::steady_clock::now() < patience) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

std::uint64_t dropped() {
  auto& current = output();
  const auto overrun = current.pool ? current.pool->overrun_counter() : 0;
  return lost.load(std::memory_order_relaxed) + overrun;
}

bool enabled(Level level) { return level >= least.load(std::memory_order_relaxed); }

Line::Line(Level level, std::string_view event) : level_(level), active_(enabled(level)) {
  if (!active_) return;
  const auto now = std::chrono::floor<Duration>(std::chrono::system_clock::now());
  const auto name = kLevelNames.at(static_cast<std::size_t>(level));
  text_ = chosen == Format::json ? fmt::format(R"({{"time":"{}","level":"{}","event":"{}")",
                                               to_rfc3339(now), name, json_escape(event))
                                 : fmt::format("{} {} {}", to_rfc3339(now), name, escape(event));
}

Line::Line(Line&& other) noexcept
    : level_(other.level_),
      active_(std::exchange(other.active_, false)),
      text_(std::move(other.text_)) {}

Line::~Line() {
  if (!active_) return;
  try {
    if (chosen == Format::json) text_ += '}';
    submitted.fetch_add(1, std::memory_order_relaxed);
    output().logger->log(spdlog::level::info, spdlog::string_view_t(text_));
  } catch (const std::exception&) {
    lost.fetch_add(1, std::memory_order_relaxed);  // out of memory: the line is lost, mail is not
  }
}

Line&& Line::field(std::string_view name, std::string_view value) && {
  if (!active_) return std::move(*this);
  if (chosen == Format::json) {
    text_ += fmt::format(R"(,"{}":"{}")", json_escape(name), json_escape(value));
  } else if (needs_quotes(value)) {
    text_ += fmt::format(" {}=\"{}\"", name, escape(value));
  } else {
    text_ += fmt::format(" {}={}", name, value);
  }
  return std::move(*this);
}

Line&& Line::raw(std::string_view name, std::string_view value) && {
  if (!active_) return std::move(*this);
  const bool json = chosen == Format::json;
  // "nan" and "inf" are no JSON numbers.
  const bool number = value.find('n') == value.npos || value == "true" || value == "false";
  text_ += json ? fmt::format(R"(,"{}":{})", json_escape(name), number ? value : "null")
                : fmt::format(" {}={}", name, value);
  return std::move(*this);
}

}  // namespace mansio::log
