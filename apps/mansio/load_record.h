// What the load generator and the sink write down and how they measure themselves: JSON lines, and
// the processor time of this process.
#pragma once

#include <chrono>
#include <cstdio>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace mansio::load {

/// First header field of every generated message: all octets from here on arrive unchanged, so
/// that this is where the checksum of content starts on both sides.
constexpr std::string_view token_field = "X-Load-Id: ";

/// Text as a JSON string with its quotes. Octets that are not UTF-8 become U+FFFD.
std::string json_string(std::string_view text);
std::string json_strings(const std::vector<std::string>& texts);

/// Seconds of processor time, user and system, that this process has used.
double processor_seconds();

/// A moment of the monotonic clock in seconds, which other processes of this machine read alike.
double monotonic_seconds(std::chrono::steady_clock::time_point moment);

/// Allows this process as many descriptors, and so sessions, as the system lets it have.
void raise_descriptor_limit();

/// A file of lines, written behind in large pieces. Thread safety: all functions from any thread.
class RecordFile {
 public:
  RecordFile() = default;  ///< records nothing
  /// Throws std::runtime_error when the file cannot be made. "-" is standard output.
  explicit RecordFile(const std::string& path);
  ~RecordFile();
  RecordFile(const RecordFile&) = delete;
  RecordFile& operator=(const RecordFile&) = delete;

  bool active() const { return file_ != nullptr; }

  void line(std::string_view json);
  void flush();

  /// False once the disk refused something: the record is not to be trusted.
  bool good() const { return good_; }

 private:
  std::mutex mutex_;
  std::FILE* file_ = nullptr;
  bool good_ = true;
};

}  // namespace mansio::load
