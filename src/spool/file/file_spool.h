// The embedded spool: a journal of our own for durability, RocksDB as an index over it.
//
//   submit() → committer: apply (ledger), encode one record per operation, append the group
//            → sync thread: fdatasync, merge into the index, answer each sink with one vector
//            → housekeeper: prepares and recycles segments, flushes the index, relocates survivors
//   reads    → reader threads: index rows and journal octets
//
// Invariants
//  1. An answer `committed` is given after the fdatasync that covers its group.
//  2. A group is all or nothing, also in a torn write.
//  3. The index is the result of the journal up to the position stored in it; what comes after is
//     replayed at start.
//  4. A segment is reused only if no live message has its admit record there and the flushed index
//     covers it.
// The files are specified in docs/FORMATS.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "spool/file/file_system.h"
#include "spool/spool.h"

namespace mansio::spool {

struct FileSpoolOptions {
  std::filesystem::path path;
  /// Acceptance stops while less is free: the larger of octets and share of the file system.
  std::uint64_t reserve = 1ull << 30;
  double reserve_share = 0.05;
  bool must_exist = false;  ///< an empty or missing folder is an error (76)
  Duration history_keep = std::chrono::hours(24 * 7);
  std::uint64_t segment_size = 64ull << 20;        ///< octets; 256 KiB at least
  std::uint64_t index_memory = 48ull << 20;        ///< RocksDB: write buffers and block cache
  std::uint64_t state_memory = 32ull << 20;        ///< message states kept by the committer
  std::uint64_t overlay_memory = 8ull << 20;       ///< changes not yet handed to RocksDB
  std::uint64_t submit_memory = 64ull << 20;       ///< waiting admits; beyond it they are `full`
  Duration submit_age = std::chrono::seconds(10);  ///< waiting longer, new admits are `full`
  std::uint64_t events_keep = 256ull << 20;        ///< octets of the event log
  /// false: nothing is synced. Benchmarks and negative controls only; no setting reaches it.
  bool sync = true;
  /// Tests put a failing or forgetful one here; null: the machine's.
  std::shared_ptr<FileSystem> files;
  /// false: `stop` is not run by the destructor and nothing is written on the way out, as if the
  /// process had been killed. Tests only.
  bool clean_on_destruction = true;
};

/// Throws OpenError. `clock` must outlive the spool.
std::unique_ptr<Spool> open_file_spool(FileSpoolOptions options, Clock& clock);

struct CheckOptions {
  bool rebuild = false;  ///< make a new index from the journal; the old one goes to quarantine/
};

/// What the audit saw. The spool is sound if `problems` is empty.
struct CheckReport {
  std::vector<std::string> problems;
  std::vector<std::string> notes;  ///< what a rebuild did and what it may repeat
  std::uint64_t segments = 0, records = 0, messages = 0, recipients = 0, due_entries = 0;
  std::uint64_t contents = 0;  ///< read and compared with their checksums
  bool rebuilt = false;

  bool sound() const { return problems.empty(); }
};

/// Offline audit: every journal record, every index row, every content. Throws OpenError only for
/// 73 (a daemon holds the spool) and 74; damage is reported.
CheckReport check_file_spool(FileSpoolOptions options, CheckOptions check, Clock& clock);

}  // namespace mansio::spool
