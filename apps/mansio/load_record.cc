#include "mansio/load_record.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace mansio::load {

std::string json_string(std::string_view text) {
  const nlohmann::json value = std::string(text);
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string json_strings(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ',';
    out += json_string(text);
  }
  return out += ']';
}

double processor_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double monotonic_seconds(std::chrono::steady_clock::time_point moment) {
  return std::chrono::duration<double>(moment.time_since_epoch()).count();
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);  // refused: it stays as it was, and sessions are retried
}

RecordFile::RecordFile(const std::string& path) {
  file_ = path == "-" ? stdout : std::fopen(path.c_str(), "w");
  if (file_ == nullptr) {
    throw std::runtime_error(fmt::format("cannot write {}: {}", path, std::strerror(errno)));
  }
  if (file_ != stdout) std::setvbuf(file_, nullptr, _IOFBF, 1 << 18);
}

RecordFile::~RecordFile() {
  if (file_ != nullptr && file_ != stdout) std::fclose(file_);
}

void RecordFile::line(std::string_view json) {
  const std::lock_guard lock(mutex_);
  const bool written = std::fwrite(json.data(), 1, json.size(), file_) == json.size() &&
                       std::fputc('\n', file_) != EOF;
  // A reader of standard output or of a short run wants to see lines as they come.
  if (!written || (file_ == stdout && std::fflush(file_) != 0)) good_ = false;
}

void RecordFile::flush() {
  const std::lock_guard lock(mutex_);
  if (file_ != nullptr && std::fflush(file_) != 0) good_ = false;
}

}  // namespace mansio::load
