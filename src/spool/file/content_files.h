// Content that is too large for a journal record: one file per content, written ahead of its admit.
// Thread safety: all functions from any thread.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "spool/file/file_system.h"
#include "spool/file/work_queue.h"
#include "spool/spool.h"

namespace mansio::spool {

class ContentFiles {
 public:
  /// `work` runs the writes and must outlive the writers.
  ContentFiles(FileSystem& files, std::filesystem::path folder, WorkQueue& work)
      : files_(files), folder_(std::move(folder)), work_(work) {}

  std::unique_ptr<ContentWriter> open(const QueueId& content);
  /// The size of a sealed content; nullopt: none.
  std::optional<std::uint64_t> sealed_size(const QueueId& content);
  Result<std::string> read(const QueueId& content, std::uint64_t offset, std::uint64_t length);
  /// No message uses it any more, as far as the committer has come: no admit may refer to it from
  /// now on. remove() follows when that is durable.
  void retire(const QueueId& content);
  void remove(const QueueId& content);
  /// At start: files that no message refers to, left by writers that never got to their admit.
  Result<std::size_t> sweep(const std::function<bool(const QueueId&)>& referenced);

  void latch() { latched_ = true; }

 private:
  friend class ContentFileWriter;
  std::filesystem::path path_of(const QueueId& content) const;
  bool begin_sealing(const QueueId& content);
  bool end_sealing(const QueueId& content, bool sealed, std::uint64_t size);

  FileSystem& files_;
  const std::filesystem::path folder_;
  WorkQueue& work_;
  std::atomic<bool> latched_ = false;
  std::mutex mutex_;
  std::unordered_map<QueueId, std::uint64_t> sealed_;  // sealed, not yet removed, since opening
  std::unordered_set<QueueId> retired_;                // about to be removed
  std::unordered_map<QueueId, bool> sealing_;  // true: retired meanwhile, so the file may go
};

}  // namespace mansio::spool
