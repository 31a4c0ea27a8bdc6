// Slots in a mapped file, one per transaction whose final dot is about to be sent
// (docs/FORMATS.md §6). They survive the end of the process; `durable` ones the loss of power.
// Thread safety: mark() and the marks from any thread.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "spool/file/file_system.h"
#include "spool/spool.h"

namespace mansio::spool {

/// A mark as it was found. `sequence`: events up to this one were committed when it was set.
struct FoundMark {
  InDoubt doubt;
  std::uint64_t sequence = 0;
  std::size_t slot = 0;
};

class AttemptMarks : public std::enable_shared_from_this<AttemptMarks> {
 public:
  /// Maps the file, made if absent; keeps what it finds and clears nothing.
  /// Throws OpenError 74, or 76 if it is not such a file. `files` syncs what has to be synced.
  AttemptMarks(FileSystem& files, const std::filesystem::path& path);
  ~AttemptMarks();
  AttemptMarks(const AttemptMarks&) = delete;
  AttemptMarks& operator=(const AttemptMarks&) = delete;

  /// The marks of the last process. Their slots stay as they are, so that a second crash finds them
  /// again, until release() says that they have no more to tell.
  std::vector<FoundMark> found();
  void release(std::span<const FoundMark> marks);
  /// Null: a durable mark was asked for and could not be made. One that need not be durable is
  /// empty where there is no room for a slot, which a crash turns into a repeat. A mark that
  /// outlives this object clears nothing.
  std::unique_ptr<AttemptMark> mark(const QueueId& id, std::span<const std::uint32_t> recipients,
                                    std::uint32_t attempt, std::uint64_t sequence, bool durable);
  std::size_t in_use() const;

 private:
  class Mark;
  struct Chunk;

  void grow();
  char* slot(std::size_t index);
  void clear(std::size_t index);

  std::unique_ptr<File> file_;  // the same file as the descriptor; for syncing
  int descriptor_ = -1;
  mutable std::mutex mutex_;
  std::vector<char*> chunks_;
  std::vector<std::size_t> free_;
  std::size_t used_ = 0;
};

}  // namespace mansio::spool
