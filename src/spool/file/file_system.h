// The file operations of the spool as a port, so that tests can fail the Nth one and drop what was
// not synced. RocksDB's own files do not pass through it.
// Thread safety: FileSystem from any thread; a File from any thread as long as ranges do not
// overlap.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace mansio::spool {

/// An open file. Closing is silent: what matters was synced before.
class File {
 public:
  virtual ~File() = default;
  /// Writes all of it or fails; after an error the range's content is unknown.
  virtual Result<void> write_at(std::uint64_t offset, std::string_view octets) = 0;
  /// Reads until the buffer is full or the file ends; gives the number of octets.
  virtual Result<std::size_t> read_at(std::uint64_t offset, std::span<char> buffer) = 0;
  /// fdatasync. After an error nobody knows what is on disk: never retry and believe it.
  virtual Result<void> sync() = 0;
  /// Reserves disk blocks, so that later writes cannot run out of space.
  virtual Result<void> allocate(std::uint64_t size) = 0;
  virtual Result<void> truncate(std::uint64_t size) = 0;
  virtual Result<std::uint64_t> size() = 0;
};

/// Who writes much at once syncs as often as this. A disk keeps no order: the sync of a commit
/// waits for everything that was written before, whoever wrote it; ten MiB take a disk of 150 MB/s
/// 70 ms.
inline constexpr std::uint64_t sync_octets_max = 512u << 10;

enum class OpenMode {
  read,
  update,      ///< read and write an existing file
  create,      ///< read and write, made if absent
  create_new,  ///< fails if it exists
};

struct FreeSpace {
  std::uint64_t available = 0;  ///< octets
  std::uint64_t total = 0;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  /// Files are made with mode 0600; symbolic links are refused (O_NOFOLLOW).
  virtual Result<std::unique_ptr<File>> open(const std::filesystem::path& path, OpenMode mode) = 0;
  virtual Result<void> rename(const std::filesystem::path& from,
                              const std::filesystem::path& to) = 0;
  virtual Result<void> unlink(const std::filesystem::path& path) = 0;
  /// Makes earlier creations, renames and removals in the folder durable.
  virtual Result<void> sync_directory(const std::filesystem::path& path) = 0;
  /// Mode 0700; an existing folder is fine.
  virtual Result<void> make_directory(const std::filesystem::path& path) = 0;
  /// Names of the entries, sorted.
  virtual Result<std::vector<std::string>> list(const std::filesystem::path& path) = 0;
  virtual Result<bool> exists(const std::filesystem::path& path) = 0;
  virtual Result<FreeSpace> free_space(const std::filesystem::path& path) = 0;
};

/// The machine's. `sync` false turns every sync into nothing: for benchmarks and as the negative
/// control of crash tests only.
std::shared_ptr<FileSystem> make_posix_file_system(bool sync = true);

/// The whole file; at most `limit` octets are accepted.
Result<std::string> read_whole(FileSystem& files, const std::filesystem::path& path,
                               std::uint64_t limit);

/// Writes PATH.tmp, syncs it, renames it over PATH and syncs the folder.
Result<void> replace_durably(FileSystem& files, const std::filesystem::path& path,
                             std::string_view octets);

}  // namespace mansio::spool
