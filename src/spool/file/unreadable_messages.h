// Messages whose stored row does not decode: each is reported once, counted, and its row copied to
// quarantine/ as it is. The row itself stays where it was found.
// Thread safety: every function from any thread.
#pragma once

#include <mutex>
#include <unordered_set>

#include "spool/file/file_system.h"
#include "spool/file/index.h"

namespace mansio::spool {

class UnreadableMessages {
 public:
  UnreadableMessages(FileSystem& files, std::filesystem::path quarantine, const Index& index)
      : files_(files), folder_(std::move(quarantine)), index_(index) {}

  void note(const QueueId& id);
  /// Found since opening.
  std::size_t count() const;

 private:
  FileSystem& files_;
  const std::filesystem::path folder_;
  const Index& index_;
  mutable std::mutex mutex_;
  std::unordered_set<QueueId> known_;
};

}  // namespace mansio::spool
