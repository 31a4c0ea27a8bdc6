// What tells a spool from an empty, foreign, older or newer folder: the stamp (who it is) and the
// high-water record (how far it had come), docs/FORMATS.md §1.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include "base/id.h"
#include "spool/file/file_system.h"

namespace mansio::spool {

/// 2: suspensions, later records of a message, notices of a delay. Format 1 is read and becomes 2.
inline constexpr std::uint32_t spool_format = 2;

struct Stamp {
  std::uint32_t format = spool_format;
  QueueId instance;
  bool ready = false;  ///< false: its creation has not finished; nothing is in it
};

std::string encode_stamp(const Stamp& stamp);
/// nullopt: not a stamp (foreign or damaged). A newer format decodes; compare `format`.
std::optional<Stamp> decode_stamp(std::string_view octets);

/// Lower bounds that a reopened spool must reach, or it is not the one that was closed.
struct HighWater {
  std::uint64_t group = 0;     ///< newest synced group
  std::uint64_t sequence = 0;  ///< next event sequence
  std::uint64_t messages = 0;  ///< exact only if clean
  bool clean = false;          ///< written by an orderly stop: nothing follows
};

/// Two slots written in turn, so that a torn write leaves the older one.
class HighWaterFile {
 public:
  HighWaterFile(std::unique_ptr<File> file) : file_(std::move(file)) {}

  /// nullopt: no slot is readable.
  Result<std::optional<HighWater>> read();
  Result<void> write(const HighWater& mark);

 private:
  std::unique_ptr<File> file_;
  std::uint64_t turn_ = 0;
};

/// The lock that one process holds for life. Throws OpenError 73 if another holds it.
class SpoolLock {
 public:
  explicit SpoolLock(const std::filesystem::path& path);
  ~SpoolLock();
  SpoolLock(const SpoolLock&) = delete;
  SpoolLock& operator=(const SpoolLock&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace mansio::spool
