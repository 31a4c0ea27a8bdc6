#include "spool/file/index.h"

#include <rocksdb/cache.h>
#include <rocksdb/compaction_filter.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/table_properties_collectors.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>

#include "base/assert.h"
#include "base/log.h"
#include "spool/file/keys.h"

namespace mansio::spool {
namespace {

constexpr std::array<const char*, families> family_names = {
    "default", "recipients", "due", "lanes", "flows", "totals", "history", "meta"};
/// A message with more rows than these is not searched for one that is replaced.
constexpr std::size_t owned_rows_searched = 16;
/// Messages with more recipients have their rows scanned.
constexpr std::size_t recipients_asked_for = 4;
/// What a row in the overlay takes besides its octets.
constexpr std::uint64_t overlay_row_octets = 96;
constexpr std::string_view applied_key = "applied";
constexpr std::string_view instance_key = "instance";

/// RocksDB's own log writer ends the process when the disk is full; ours loses a line instead.
class IndexLog final : public rocksdb::Logger {
 public:
  IndexLog() : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {}

  void Logv(const char* format, va_list arguments) override {
    char line[512];
    std::vsnprintf(line, sizeof line, format, arguments);
    log::warning("index_notice").field("text", line);
  }

  using rocksdb::Logger::Logv;
};

/// Drops history that is older than it has to be kept.
class HistoryFilter final : public rocksdb::CompactionFilter {
 public:
  HistoryFilter(Clock& clock, Duration keep) : clock_(clock), keep_(keep) {}

  bool Filter(int, const rocksdb::Slice&, const rocksdb::Slice& value, std::string*,
              bool*) const override {
    Decoder in(std::string_view(value.data(), value.size()));
    in.u8();
    const Time last = in.time();
    return in.ok() && last + keep_ < clock_.now();
  }

  const char* Name() const override { return "mansio.history"; }

 private:
  Clock& clock_;
  Duration keep_;
};

ErrorCode to_error(const rocksdb::Status& status) {
  if (status.ok()) return {};
  log::error("index_error").field("text", status.ToString());
  return make_error_code(status.IsCorruption() ? Errc::corrupt : Errc::io);
}

rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }

rocksdb::BlockBasedTableOptions table_options(const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.block_size = 8 << 10;
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = false;
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.partition_filters = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.format_version = 5;
  return table;
}

bool has_lz4() {
  for (const rocksdb::CompressionType type : rocksdb::GetSupportedCompressions()) {
    if (type == rocksdb::kLZ4Compression) return true;
  }
  return false;
}

}  // namespace

Index::Index(IndexOptions options, Clock& clock) : options_(std::move(options)), clock_(clock) {
  open(options_.create);
  check_identity(options_.create);
}

Index::~Index() {
  for (rocksdb::ColumnFamilyHandle* handle : handles_) db_->DestroyColumnFamilyHandle(handle);
}

void Index::open(bool create) {
  cache_ = rocksdb::NewLRUCache(static_cast<std::size_t>(options_.memory));
  buffers_ = std::make_shared<rocksdb::WriteBufferManager>(
      static_cast<std::size_t>(options_.memory / 2), cache_);

  rocksdb::DBOptions base;
  base.create_if_missing = create;
  base.create_missing_column_families = create;
  base.error_if_exists = create;
  base.paranoid_checks = true;
  base.atomic_flush = true;
  base.avoid_flush_during_shutdown = true;
  base.max_open_files = 256;
  base.max_background_jobs = 2;
  base.write_buffer_manager = buffers_;
  base.info_log = std::make_shared<IndexLog>();
  base.stats_dump_period_sec = 0;
  base.stats_persist_period_sec = 0;
  base.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;

  rocksdb::ColumnFamilyOptions rows;
  rows.write_buffer_size = 16 << 20;
  rows.max_write_buffer_number = 4;
  // Mail that comes and goes leaves deleted rows in its own stretch of the keys; to compact them
  // away rewrites the file that has this stretch, with the rows of all who wait beside it.
  rows.target_file_size_base = 2 << 20;
  rows.max_bytes_for_level_base = 64 << 20;
  rows.compression = has_lz4() ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
  rows.level_compaction_dynamic_level_bytes = true;
  rows.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table_options(cache_)));
  // Drained stretches are compacted away: without it a scan from a lane's start meets them all.
  rows.table_properties_collector_factories.push_back(
      rocksdb::NewCompactOnDeletionCollectorFactory(4096, 2048, 0.5));

  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const char* name : family_names) descriptors.emplace_back(name, rows);
  // Every admit asks for a message that is not there, and every read for recipients without a row.
  for (const Family family : {Family::messages, Family::recipients}) {
    auto& asked = descriptors[static_cast<std::size_t>(family)].options;
    asked.memtable_prefix_bloom_size_ratio = 0.05;
    asked.memtable_whole_key_filtering = true;
  }
  auto& history = descriptors[static_cast<std::size_t>(Family::history)].options;
  history.target_file_size_base = 16 << 20;
  // Rows come in the order of their ids, mostly behind all others: no search for their place.
  history.memtable_insert_with_hint_prefix_extractor.reset(rocksdb::NewCappedPrefixTransform(0));

  struct FilterFactory final : rocksdb::CompactionFilterFactory {
    FilterFactory(Clock& clock, Duration keep) : clock_(clock), keep_(keep) {}

    std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
        const rocksdb::CompactionFilter::Context&) override {
      return std::make_unique<HistoryFilter>(clock_, keep_);
    }

    const char* Name() const override { return "mansio.history_factory"; }

    Clock& clock_;
    Duration keep_;
  };

  history.compaction_filter_factory =
      std::make_shared<FilterFactory>(clock_, options_.history_keep);
  history.periodic_compaction_seconds = 24 * 3600;

  rocksdb::DB* db = nullptr;
  const auto status = rocksdb::DB::Open(base, options_.path.string(), descriptors, &handles_, &db);
  if (!status.ok()) {
    const bool device = status.IsIOError() && !status.IsPathNotFound();
    throw OpenError(device ? 74 : 76, "index: " + status.ToString());
  }
  db_.reset(db);
}

void Index::check_identity(bool create) {
  const std::string instance = message_key(options_.instance);
  if (create) {
    rocksdb::WriteBatch batch;
    auto* meta = handles_[static_cast<std::size_t>(Family::meta)];
    batch.Put(meta, slice(instance_key), slice(instance));
    batch.Put(meta, slice(applied_key), encode_row(Position{}));
    rocksdb::WriteOptions unlogged;
    unlogged.disableWAL = true;
    auto status = db_->Write(unlogged, &batch);
    if (status.ok()) status = db_->Flush(rocksdb::FlushOptions(), handles_);
    if (!status.ok()) throw OpenError(74, "index: " + status.ToString());
  }
  const auto owner = stored(Family::meta, instance_key);
  if (!owner) throw OpenError(76, "index: " + owner.error().message());
  if (!*owner) throw OpenError(76, "index: it is empty, but the spool is not new");
  if (**owner != instance) throw OpenError(76, "index: it belongs to another spool");
  const auto applied = stored(Family::meta, applied_key);
  if (!applied || !*applied || !decode_row(**applied, opened_at_)) {
    throw OpenError(76, "index: the journal position is missing or does not decode");
  }
  merged_ = flushed_ = opened_at_;
  written_group_ = flushed_group_ = opened_at_.group;
}

Result<std::optional<std::string>> Index::read(Family family, std::string_view key,
                                               const rocksdb::Snapshot* snapshot) const {
  rocksdb::ReadOptions how;
  how.snapshot = snapshot;
  std::string value;
  const auto status = db_->Get(how, handles_[static_cast<std::size_t>(family)], slice(key), &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  if (!status.ok()) return to_error(status);
  return std::optional<std::string>(std::move(value));
}

Result<void> Index::scan(Family family, std::string_view from, std::string_view to,
                         const View::Visit& visit, const rocksdb::Snapshot* snapshot) const {
  rocksdb::ReadOptions how;
  how.snapshot = snapshot;
  const rocksdb::Slice upper = slice(to);
  if (!to.empty()) how.iterate_upper_bound = &upper;
  const std::unique_ptr<rocksdb::Iterator> it(
      db_->NewIterator(how, handles_[static_cast<std::size_t>(family)]));
  for (it->Seek(slice(from)); it->Valid(); it->Next()) {
    const rocksdb::Slice key = it->key(), value = it->value();
    if (!visit({key.data(), key.size()}, {value.data(), value.size()})) break;
  }
  if (!it->status().ok()) return to_error(it->status());
  return {};
}

Result<std::optional<MessageRow>> Index::read_message(const QueueId& id,
                                                      const rocksdb::Snapshot* snapshot) const {
  auto value = read(Family::messages, message_key(id), snapshot);
  if (!value) return value.error();
  if (!*value) return std::optional<MessageRow>();
  return whole_message(id, **value, snapshot);
}

Result<std::optional<MessageRow>> Index::whole_message(const QueueId& id, std::string_view octets,
                                                       const rocksdb::Snapshot* snapshot) const {
  std::optional<MessageRow> row(std::in_place);
  if (!decode_row(octets, *row) || row->stored.message.id != id) {
    return make_error_code(Errc::corrupt);
  }
  if (auto done = read_recipients(message_key(id), *row, snapshot); !done) return done.error();
  return row;
}

/// Lays the rows of the recipients over their first statuses. Few are asked for one by one: most
/// have no row, and the filters know that without a look at the disk.
Result<void> Index::read_recipients(const std::string& key, MessageRow& row,
                                    const rocksdb::Snapshot* snapshot) const {
  std::vector<RecipientStatus>& statuses = row.stored.recipients;
  if (statuses.size() <= recipients_asked_for) {
    for (std::uint32_t index = 0; index < statuses.size(); ++index) {
      auto value = read(Family::recipients, recipient_key(row.stored.message.id, index), snapshot);
      if (!value) return value.error();
      if (!*value) continue;
      if (!decode_row(**value, statuses[index])) return make_error_code(Errc::corrupt);
      row.has_row[index] = true;
    }
    return {};
  }
  bool readable = true;
  auto scanned = scan(
      Family::recipients, key, end_of(key),
      [&](std::string_view row_key, std::string_view octets) {
        QueueId owner;
        const auto index = parse_recipient_key(row_key, owner);
        readable = index && *index < statuses.size() && decode_row(octets, statuses[*index]);
        if (readable) row.has_row[*index] = true;
        return readable;
      },
      snapshot);
  if (!scanned) return scanned.error();
  if (!readable) return make_error_code(Errc::corrupt);
  return {};
}

Result<std::optional<std::string>> Index::stored(Family family, std::string_view key) const {
  return read(family, key, nullptr);
}

Result<std::optional<MessageRow>> Index::stored_message(const QueueId& id) const {
  return read_message(id, nullptr);
}

Result<QueueId> Index::last_message() const {
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(
      rocksdb::ReadOptions(), handles_[static_cast<std::size_t>(Family::messages)]));
  it->SeekToLast();
  if (!it->status().ok()) return to_error(it->status());
  if (!it->Valid()) return QueueId();
  const auto id = parse_message_key({it->key().data(), it->key().size()});
  if (!id) return make_error_code(Errc::corrupt);
  return *id;
}

/// A message that RocksDB never saw and that ends leaves nothing behind but its history.
void Index::merge_message_row(RowChange change) {
  PendingMessage& message = messages_[change.owner];
  if (!message.row_known) message.fresh = change.created;
  if (!change.value && message.fresh) {
    rows_saved_ += 2 * (1 + message.owned.size());
    overlay_octets_ -= message.octets - message.history.size();
    message.octets = message.history.size();
    message.row_known = false;
    message.row.reset();
    message.owned.clear();
    return;
  }
  count(message, change.value ? change.value->size() : 0);
  message.row_known = true;
  message.row = std::move(change.value);
}

/// Comes after the row of its message. Few messages have many rows: those few may write one twice.
void Index::merge_owned_row(RowChange change) {
  PendingMessage& message = messages_[change.owner];
  // Its own row comes first in a group, so what follows the end of a message is overtaken by it.
  const bool ended = message.fresh && !message.row_known;
  if (ended) return;
  const bool few = message.owned.size() <= owned_rows_searched;
  const auto found =
      few ? std::ranges::find_if(message.owned,
                                 [&](const RowChange& row) {
                                   return row.family == change.family && row.key == change.key;
                                 })
          : message.owned.end();
  if (found != message.owned.end()) {
    if (!change.value && message.fresh && few) {
      rows_saved_ += 2;
      message.owned.erase(found);
    } else {
      found->value = std::move(change.value);
    }
    return;
  }
  count(message, change.key.size() + (change.value ? change.value->size() : 0));
  message.owned.push_back(std::move(change));
}

void Index::merge_row(RowChange change) {
  auto& rows = others_[static_cast<std::size_t>(change.family)];
  const std::size_t octets = change.key.size() + (change.value ? change.value->size() : 0);
  const auto [row, is_new] = rows.try_emplace(std::move(change.key));
  row->second = std::move(change.value);
  if (is_new) overlay_octets_ += octets + overlay_row_octets;
}

void Index::merge_history(HistoryChange change) {
  PendingMessage& message = messages_[change.id];
  count(message, change.entry.size());
  if (message.history.empty()) {
    message.first_seq = change.seq;
    Encoder head;
    head.u8(1);
    head.time(change.at);
    message.history = std::move(head).octets();
  }
  message.history += change.entry;
}

void Index::count(PendingMessage& message, std::size_t octets) {
  message.octets += octets + overlay_row_octets;
  overlay_octets_ += octets + overlay_row_octets;
}

void Index::merge(IndexChanges changes) {
  const std::lock_guard lock(mutex_);
  for (RowChange& row : changes.rows) {
    if (row.family == Family::messages) {
      merge_message_row(std::move(row));
    } else if (!row.owner.is_nil()) {
      merge_owned_row(std::move(row));
    } else {
      merge_row(std::move(row));
    }
  }
  for (HistoryChange& change : changes.history) merge_history(std::move(change));
  merged_ = changes.position;
}

bool Index::overlay_is_full() const {
  const std::lock_guard lock(mutex_);
  return overlay_octets_ > options_.overlay_memory;
}

Result<void> Index::write_pending() {
  const std::lock_guard lock(mutex_);
  return write_pending_locked();
}

void Index::add_to_batch(rocksdb::WriteBatch& batch, Family family, std::string_view key,
                         const Value& value) const {
  auto* handle = handles_[static_cast<std::size_t>(family)];
  if (value) {
    batch.Put(handle, slice(key), *value);
  } else {
    batch.Delete(handle, slice(key));
  }
}

void Index::add_to_batch(rocksdb::WriteBatch& batch, const QueueId& id,
                         const PendingMessage& message) const {
  if (message.row_known) add_to_batch(batch, Family::messages, message_key(id), message.row);
  for (const RowChange& row : message.owned) add_to_batch(batch, row.family, row.key, row.value);
  if (!message.history.empty()) {
    add_to_batch(batch, Family::history, history_key(id, message.first_seq), message.history);
  }
}

Result<void> Index::write_pending_locked() {
  if (merged_.group == written_group_.load()) return {};
  rocksdb::WriteBatch batch;
  // In the order of the ids: RocksDB finds the place of a key next to that of the one before.
  std::vector<std::pair<QueueId, const PendingMessage*>> messages;
  messages.reserve(messages_.size());
  for (const auto& [id, message] : messages_) messages.emplace_back(id, &message);
  std::ranges::sort(messages, {}, &std::pair<QueueId, const PendingMessage*>::first);
  for (const auto& [id, message] : messages) add_to_batch(batch, id, *message);
  for (std::size_t family = 0; family < families; ++family) {
    for (const auto& [key, value] : others_[family]) {
      add_to_batch(batch, static_cast<Family>(family), key, value);
    }
  }
  add_to_batch(batch, Family::meta, applied_key, encode_row(merged_));
  rocksdb::WriteOptions unlogged;
  unlogged.disableWAL = true;
  const auto status = db_->Write(unlogged, &batch);
  if (!status.ok()) return to_error(status);
  rows_written_ += batch.Count();
  messages_.clear();
  for (auto& rows : others_) rows.clear();
  overlay_octets_ = 0;
  written_group_.store(merged_.group, std::memory_order_release);
  return {};
}

Result<void> Index::flush() {
  const std::lock_guard one_flush(flush_mutex_);
  Position written;
  {
    const std::lock_guard lock(mutex_);
    if (auto done = write_pending_locked(); !done) return done.error();
    written = merged_;
  }
  if (written.group == flushed_group_.load()) return {};
  const auto status = db_->Flush(rocksdb::FlushOptions(), handles_);
  if (!status.ok()) return to_error(status);
  const std::lock_guard lock(mutex_);
  flushed_ = written;
  flushed_group_.store(written.group, std::memory_order_release);
  return {};
}

Position Index::flushed() const {
  const std::lock_guard lock(mutex_);
  return flushed_;
}

Result<std::unique_ptr<Index::View>> Index::view() {
  if (auto done = write_pending(); !done) return done.error();
  return std::make_unique<View>(*this);
}

Index::View::View(const Index& index)
    : index_(index), group_(index.written_group()), snapshot_(index.db_->GetSnapshot()) {}

Index::View::~View() { index_.db_->ReleaseSnapshot(snapshot_); }

Result<std::optional<std::string>> Index::View::get(Family family, std::string_view key) const {
  return index_.read(family, key, snapshot_);
}

Result<std::optional<MessageRow>> Index::View::message(const QueueId& id) const {
  return index_.read_message(id, snapshot_);
}

Result<std::optional<MessageRow>> Index::View::message(const QueueId& id,
                                                       std::string_view row) const {
  return index_.whole_message(id, row, snapshot_);
}

Result<void> Index::View::scan(Family family, std::string_view from, std::string_view to,
                               const Visit& visit) const {
  return index_.scan(family, from, to, visit, snapshot_);
}

std::vector<std::pair<std::string, double>> Index::statistics() const {
  const std::lock_guard lock(mutex_);
  return {{"index_overlay_octets", static_cast<double>(overlay_octets_)},
          {"index_rows_written", static_cast<double>(rows_written_)},
          {"index_rows_saved", static_cast<double>(rows_saved_)},
          {"index_buffers_octets", static_cast<double>(buffers_->memory_usage())},
          {"index_cache_octets", static_cast<double>(cache_->GetUsage())},
          {"index_flushed_group", static_cast<double>(flushed_group())}};
}

}  // namespace mansio::spool
