// The index: small rows in RocksDB, derived from the journal. Its write-ahead log is off; the
// applied position of the journal goes with every batch, and a flush of all families is atomic, so
// that whatever survives is the exact result of the journal up to that position.
//
// Changes gather in an overlay first: a message that comes and goes quickly never reaches RocksDB
// (except its history). Readers write the overlay out before they look.
//
// Thread safety: merge() from one thread; everything else from any.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "spool/file/rows.h"
#include "spool/spool.h"

namespace rocksdb {
class Cache;
class ColumnFamilyHandle;
class DB;
class Snapshot;
class WriteBatch;
class WriteBufferManager;
}  // namespace rocksdb

namespace mansio::spool {

enum class Family : std::uint8_t { messages, recipients, due, lanes, flows, totals, history, meta };
inline constexpr std::size_t families = 8;

struct RowChange {
  Family family = Family::meta;
  std::string key;
  std::optional<std::string> value;  ///< nullopt: delete
  QueueId owner;                     ///< message of rows in messages, recipients and due; else nil
  bool created = false;              ///< the row of a message that did not exist before
};

struct HistoryChange {
  QueueId id;
  std::uint64_t seq = 0;
  Time at{};
  std::string entry;  ///< encoded
};

/// What a group changes, with the position behind it. Rows of a message come after its own row.
struct IndexChanges {
  std::vector<RowChange> rows;
  std::vector<HistoryChange> history;
  Position position;
};

struct IndexOptions {
  std::filesystem::path path;
  QueueId instance;
  bool create = false;  ///< false: a missing store is an error (76)
  std::uint64_t memory = 48ull << 20;
  std::uint64_t overlay_memory = 8ull << 20;
  Duration history_keep{};
};

class Index {
 public:
  /// Throws OpenError 74 or 76.
  Index(IndexOptions options, Clock& clock);
  ~Index();
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  /// As found at opening.
  const Position& opened_at() const { return opened_at_; }

  // ---- what RocksDB holds, without the overlay: for the committer, which keeps the rest itself
  Result<std::optional<std::string>> stored(Family family, std::string_view key) const;
  Result<std::optional<MessageRow>> stored_message(const QueueId& id) const;
  /// The greatest id that has a row; nil: none has.
  Result<QueueId> last_message() const;

  /// Groups up to this one are in RocksDB, so that the committer may forget what it knew of them.
  std::uint64_t written_group() const { return written_group_.load(std::memory_order_acquire); }

  /// Groups up to this one survive a loss of power.
  std::uint64_t flushed_group() const { return flushed_group_.load(std::memory_order_acquire); }

  /// The position that goes with it: a start begins there or behind.
  Position flushed() const;

  // ---- changes
  void merge(IndexChanges changes);
  bool overlay_is_full() const;
  Result<void> write_pending();
  /// Writes what is pending and makes it durable.
  Result<void> flush();

  // ---- reading
  /// A consistent view of everything merged so far.
  class View {
   public:
    explicit View(const Index& index);
    ~View();
    View(const View&) = delete;
    View& operator=(const View&) = delete;

    Result<std::optional<std::string>> get(Family family, std::string_view key) const;
    Result<std::optional<MessageRow>> message(const QueueId& id) const;
    /// The same, when a scan has met its row already.
    Result<std::optional<MessageRow>> message(const QueueId& id, std::string_view row) const;
    /// Keys in [from, to), `to` empty: to the end. `visit` returns false to stop. An error of the
    /// iterator is an error of the scan: a scan never ends early in silence.
    using Visit = std::function<bool(std::string_view key, std::string_view value)>;
    Result<void> scan(Family family, std::string_view from, std::string_view to,
                      const Visit& visit) const;

    /// Everything up to this group is in it; of later ones perhaps some.
    std::uint64_t group() const { return group_; }

   private:
    const Index& index_;
    const std::uint64_t group_;
    const rocksdb::Snapshot* snapshot_;
  };

  /// Writes the overlay first.
  Result<std::unique_ptr<View>> view();

  std::vector<std::pair<std::string, double>> statistics() const;

 private:
  using Value = std::optional<std::string>;  // nullopt: delete

  /// What waits of one message: its own row, the rows that belong to it, and its history.
  struct PendingMessage {
    bool fresh = false;      // RocksDB has none of its rows: when it ends they are just forgotten
    bool row_known = false;  // `row` is to be written; if not and `fresh`, the message has ended
    Value row;
    std::vector<RowChange> owned;
    std::uint64_t first_seq = 0;
    std::string history;
    std::uint64_t octets = 0;  // counted in overlay_octets_
  };

  void open(bool create);
  void check_identity(bool create);
  void merge_message_row(RowChange row);
  void merge_owned_row(RowChange row);
  void merge_row(RowChange row);
  void merge_history(HistoryChange change);
  void count(PendingMessage& message, std::size_t octets);
  void add_to_batch(rocksdb::WriteBatch& batch, Family family, std::string_view key,
                    const Value& value) const;
  void add_to_batch(rocksdb::WriteBatch& batch, const QueueId& id,
                    const PendingMessage& message) const;
  Result<void> write_pending_locked();
  Result<std::optional<std::string>> read(Family family, std::string_view key,
                                          const rocksdb::Snapshot* snapshot) const;
  Result<std::optional<MessageRow>> read_message(const QueueId& id,
                                                 const rocksdb::Snapshot* snapshot) const;
  Result<std::optional<MessageRow>> whole_message(const QueueId& id, std::string_view octets,
                                                  const rocksdb::Snapshot* snapshot) const;
  Result<void> read_recipients(const std::string& key, MessageRow& row,
                               const rocksdb::Snapshot* snapshot) const;
  Result<void> scan(Family family, std::string_view from, std::string_view to,
                    const View::Visit& visit, const rocksdb::Snapshot* snapshot) const;

  const IndexOptions options_;
  Clock& clock_;
  std::shared_ptr<rocksdb::Cache> cache_;
  std::shared_ptr<rocksdb::WriteBufferManager> buffers_;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
  Position opened_at_;

  mutable std::mutex mutex_;  // the overlay, and the order of writes
  std::mutex flush_mutex_;    // one flush at a time
  std::unordered_map<QueueId, PendingMessage> messages_;
  std::array<std::unordered_map<std::string, Value>, families> others_;  // rows without a message
  Position merged_, flushed_;
  std::uint64_t overlay_octets_ = 0;
  std::uint64_t rows_written_ = 0, rows_saved_ = 0;
  std::atomic<std::uint64_t> written_group_{0}, flushed_group_{0};
};

}  // namespace mansio::spool
