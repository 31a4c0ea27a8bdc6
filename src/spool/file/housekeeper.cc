#include "spool/file/housekeeper.h"

#include <algorithm>
#include <cerrno>

#include "base/checksum.h"
#include "base/log.h"

namespace mansio::spool {
namespace {

constexpr auto round_every = std::chrono::milliseconds(250);
constexpr std::uint64_t rounds_per_note = 4;
constexpr std::uint64_t quiet_rounds_to_give_back = 12;  // 3 s
// Half of what a start may have to replay, since the next flush takes its time.
constexpr std::uint64_t journal_per_flush_max = 128ull << 20;
constexpr std::uint64_t relocation_octets_max = 4ull << 20;  // per round, beside the traffic

}  // namespace

void Housekeeper::start(Committer& committer) {
  committer_ = &committer;
  thread_ = std::thread([this] { run(); });
}

void Housekeeper::kick() {
  const std::lock_guard lock(mutex_);
  kicked_ = true;
  wake_.notify_all();
}

void Housekeeper::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Housekeeper::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    round(false);
    lock.lock();
    wake_.wait_for(lock, round_every, [this] { return kicked_ || stopping_; });
    kicked_ = false;
  }
}

void Housekeeper::checkpoint() {
  committer_->wait_idle();
  round(true);
}

void Housekeeper::round(bool flush) {
  const std::lock_guard lock(round_mutex_);
  if (committer_->health() == Health::latched) return;
  prepare();
  committer_->check_space();
  if (auto done = store_.index->write_pending(); !done) {
    return committer_->latch("the index cannot be written");
  }
  const std::uint64_t per_flush = std::min(journal_per_flush_max, 4 * store_.options.segment_size);
  const std::uint64_t unflushed = store_.journal->written_total() - flushed_total_;
  if (flush || unflushed >= per_flush ||
      store_.journal->waits_for_flush(store_.index->flushed_group())) {
    flush_index();
  }
  auto freed = store_.journal->recycle(store_.index->flushed());
  if (!freed)
    return committer_->latch("a segment cannot be given back: " + freed.error().message());
  relocate();
  give_back_space(flush);
  {
    const std::lock_guard counters(mutex_);
    recycled_ += *freed;
  }
  if (flush || ++rounds_ % rounds_per_note == 0) note_high_water();
}

void Housekeeper::prepare() {
  if (!store_.journal->needs_preparation()) return;
  const auto done = store_.journal->prepare();
  if (done) return;
  if (store_.journal->short_of_space()) {
    log::warning("segment_without_space").field("error", done.error().message());
    return;  // the next round tries again
  }
  committer_->latch("a segment cannot be prepared: " + done.error().message());
}

void Housekeeper::flush_index() {
  const std::uint64_t total = store_.journal->written_total();
  // Events go first: a replay writes them again only for groups that the index does not have.
  if (auto done = store_.events->sync(); !done) {
    return committer_->latch("the event log cannot be synced: " + done.error().message());
  }
  if (auto done = store_.index->flush(); !done) {
    return committer_->latch("the index cannot be flushed");
  }
  flushed_total_ = total;
  const std::lock_guard lock(mutex_);
  ++flushes_;
}

void Housekeeper::relocate() {
  // Never waited for: the committer may be waiting for the segment that this thread prepares.
  if (committer_->relocating()) return;
  const SegmentPtr segment = store_.journal->sparse(store_.index->flushed_group());
  if (segment == nullptr) return;
  const Index::View view(*store_.index);
  std::vector<Relocation> survivors;
  std::uint64_t octets = 0;
  auto done = salvage_records(
      *segment,
      [&](const RecordAt& at) {
        const RecordType type = at.view.header.type;
        if (octets > relocation_octets_max) return;
        if (type != RecordType::admit && type != RecordType::relocate) return;
        const auto record = decode_record(at.view);
        if (!record) return;
        const QueueId id = type == RecordType::admit ? std::get<Admit>(record->operation).message.id
                                                     : record->snapshot.stored.message.id;
        auto row = view.message(id);
        if (!row || !*row || (*row)->location.epoch != segment->header.epoch ||
            (*row)->location.record_offset != at.offset) {
          return;
        }
        const auto content = at.view.body.substr(record->content.offset - record_header_size,
                                                 record->content.length);
        // A row that is about to be overtaken, or octets that are not its own any more.
        if (record->content.in_record &&
            crc32c(content) != (*row)->stored.message.content.facts.checksum) {
          return;
        }
        octets += at.view.header.length;
        survivors.push_back({id, segment->header.epoch, std::string(content)});
      },
      [](std::uint64_t, std::uint64_t) {});
  if (!done || survivors.empty()) {
    log::warning("segment_kept").field("file", segment->path.string());
    return store_.journal->keep(segment);
  }
  const std::size_t count = survivors.size();
  committer_->submit(std::move(survivors));
  const std::lock_guard lock(mutex_);
  relocated_ += count;
}

/// Under load freed segments are wanted again at once; when it is over, others may have the space.
void Housekeeper::give_back_space(bool now) {
  const std::uint64_t total = store_.journal->written_total();
  quiet_rounds_ = total == written_total_ ? quiet_rounds_ + 1 : 0;
  written_total_ = total;
  const bool wanted = quiet_rounds_ < quiet_rounds_to_give_back;
  if (wanted && !now && !store_.journal->short_of_space()) return;
  if (auto done = store_.journal->give_back_free_files(); !done) {
    committer_->latch("a free segment cannot be removed: " + done.error().message());
  }
}

void Housekeeper::note_high_water() {
  const std::uint64_t group = committer_->durable_group();
  if (group == noted_group_) return;
  auto done = store_.high_water->write(
      {group, committer_->durable_sequence(), committer_->message_count(), false});
  if (!done) {
    return committer_->latch("the high-water record cannot be written: " + done.error().message());
  }
  noted_group_ = group;
}

std::vector<std::pair<std::string, double>> Housekeeper::statistics() const {
  const std::lock_guard lock(mutex_);
  return {{"segments_recycled", static_cast<double>(recycled_)},
          {"messages_relocated", static_cast<double>(relocated_)},
          {"index_flushes", static_cast<double>(flushes_)}};
}

}  // namespace mansio::spool
