#include "spool/file/journal.h"

#include <fmt/format.h>

#include <cerrno>

#include "base/assert.h"

namespace mansio::spool {
namespace {

// Recycled files spare the allocation and the zeros that are written into a new one. Under load
// several segments become free at once, when the index was flushed, and as many are wanted soon.
constexpr std::size_t free_files_max = 6;

std::optional<std::uint64_t> epoch_of(const std::string& name) {
  if (name.size() != 24 || !name.starts_with("segment-")) return std::nullopt;
  std::uint64_t epoch = 0;
  for (const char c : name.substr(8)) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return std::nullopt;
    epoch = epoch << 4 | static_cast<std::uint64_t>(digit);
  }
  return epoch;
}

bool half_used(const Segment& segment) { return segment.end >= segment.header.size / 2; }

bool is_no_space(const ErrorCode& error) {
  return error.value() == ENOSPC || error.value() == EDQUOT;
}

}  // namespace

Journal::Journal(FileSystem& files, std::filesystem::path folder, QueueId instance,
                 std::uint64_t segment_size)
    : files_(files), folder_(std::move(folder)), instance_(instance), segment_size_(segment_size) {}

std::filesystem::path Journal::segment_path(std::uint64_t epoch) const {
  return folder_ / fmt::format("segment-{:016x}", epoch);
}

Result<void> Journal::load(std::vector<std::string>& damage) {
  auto names = files_.list(folder_);
  if (!names) return names.error();
  for (const std::string& name : *names) {
    if (name.starts_with("free-")) {
      free_.push_back(folder_ / name);
      continue;
    }
    const auto epoch = epoch_of(name);
    if (!epoch) {
      damage.push_back(name + ": not a file of the journal");
      continue;
    }
    epoch_max_ = std::max(epoch_max_, *epoch);
    auto segment = std::make_shared<Segment>();
    segment->path = folder_ / name;
    auto file = files_.open(segment->path, OpenMode::update);
    if (!file) return file.error();
    segment->file = std::move(*file);
    std::string block(segment_header_size, '\0');
    auto got = segment->file->read_at(0, block);
    if (!got) return got.error();
    block.resize(*got);
    if (!decode_segment_header(block, segment->header)) {
      damage.push_back(name + ": the segment header does not decode");
    } else if (segment->header.instance != instance_) {
      damage.push_back(name + ": belongs to another spool");
    } else if (segment->header.epoch != *epoch || segment->header.first_group == 0) {
      // Prepared or renamed just before the end of the last process: nothing is in it.
      free_.push_back(segment->path);
    } else {
      segments_[*epoch] = std::move(segment);
    }
  }
  return {};
}

std::vector<SegmentPtr> Journal::segments() const {
  const std::lock_guard lock(mutex_);
  std::vector<SegmentPtr> out;
  for (const auto& [epoch, segment] : segments_) out.push_back(segment);
  return out;
}

Result<void> Journal::discard(const SegmentPtr& segment) {
  const std::lock_guard lock(mutex_);
  segments_.erase(segment->header.epoch);
  free_.push_back(segment->path);
  return {};
}

void Journal::set_head(SegmentPtr head, std::uint64_t last_group) {
  const std::lock_guard lock(mutex_);
  for (auto& [epoch, segment] : segments_) {
    if (segment->last_group == 0) segment->last_group = last_group;
  }
  head_ = std::move(head);
}

std::uint64_t Journal::room() const {
  const std::lock_guard lock(mutex_);
  return head_ ? head_->header.size - head_->end : 0;
}

bool Journal::want(std::uint64_t octets) {
  const std::lock_guard lock(mutex_);
  if (next_ != nullptr || (head_ && head_->header.size - head_->end >= octets)) return false;
  wanted_ = true;
  return true;
}

bool Journal::wait_for_room(std::uint64_t octets) {
  std::unique_lock lock(mutex_);
  const auto fits = [&] {
    return next_ != nullptr || (head_ && head_->header.size - head_->end >= octets);
  };
  prepared_.wait(lock, [&] { return fits() || short_of_space_ || stopped_; });
  return fits();
}

Result<GroupPlace> Journal::place(std::uint64_t octets, std::uint64_t group,
                                  std::uint64_t durable) {
  MANSIO_ASSERT(octets <= capacity());
  std::unique_lock lock(mutex_);
  if (stopped_) return *stopped_;
  if (!head_ || head_->header.size - head_->end < octets) {
    prepared_.wait(lock,
                   [&] { return next_ != nullptr || stopped_ || (closing_ && short_of_space_); });
    if (stopped_) return *stopped_;
    if (next_ == nullptr) return ErrorCode(ENOSPC, boost::system::system_category());
    // The header goes to disk with the first group: both are in the file that is synced then.
    next_->header.first_group = group;
    next_->header.durable = durable;
    if (auto done = next_->file->write_at(0, encode_segment_header(next_->header)); !done) {
      return done.error();
    }
    head_ = std::move(next_);
    next_ = nullptr;
    segments_[head_->header.epoch] = head_;
  }
  return GroupPlace{head_, head_->end};
}

bool Journal::written(const GroupPlace& place, std::uint64_t octets, std::uint64_t group) {
  const std::lock_guard lock(mutex_);
  const bool was_half_used = half_used(*place.segment);
  place.segment->end = place.offset + octets;
  place.segment->last_group = group;
  written_total_ += octets;
  return !was_half_used && half_used(*place.segment);
}

/// A new one is made no earlier than it has to be: until then one that was in use is mostly free.
bool Journal::needs_preparation() const {
  const std::lock_guard lock(mutex_);
  if (next_ != nullptr || stopped_) return false;
  return wanted_ || !free_.empty() || !head_ || half_used(*head_);
}

Result<void> Journal::zero_fill(File& file) {
  // Written once, so that a later fdatasync has no block to convert and no size to store. In small
  // pieces: the page cache keeps what was written at once as one unit, and every later write and
  // sync goes through all of the unit that it touches.
  const std::string zeros(16 << 10, '\0');
  for (std::uint64_t at = 0; at < segment_size_; at += zeros.size()) {
    const std::uint64_t length = std::min<std::uint64_t>(zeros.size(), segment_size_ - at);
    auto done =
        file.write_at(at, std::string_view(zeros).substr(0, static_cast<std::size_t>(length)));
    if (!done) return done.error();
  }
  const std::lock_guard lock(mutex_);
  filled_total_ += segment_size_;
  return {};
}

Result<SegmentPtr> Journal::make_segment(std::uint64_t epoch) {
  auto segment = std::make_shared<Segment>();
  segment->path = segment_path(epoch);
  segment->header = {instance_, epoch, 0, 0, segment_size_};
  std::filesystem::path draft;
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      draft = free_.back();
      free_.pop_back();
    }
  }
  const bool recycled = !draft.empty();
  if (!recycled) draft = folder_ / fmt::format("free-{:016x}", epoch);
  auto file = files_.open(draft, recycled ? OpenMode::update : OpenMode::create);
  if (!file) return file.error();
  segment->file = std::move(*file);
  auto size = segment->file->size();
  if (!size) return size.error();
  const bool fresh = *size != segment_size_ || !recycled;
  {
    // A recycled file may be one whose making was interrupted: its blocks are asked for again.
    auto done = fresh ? segment->file->truncate(segment_size_) : Result<void>();
    if (done) done = segment->file->allocate(segment_size_);
    if (done && fresh) done = zero_fill(*segment->file);
    if (!done) {
      segment->file.reset();
      // Gives the blocks back at once: others need them. A leftover is found at the next start.
      (void)files_.unlink(draft);
      return done.error();
    }
  }
  auto done = segment->file->write_at(0, encode_segment_header(segment->header));
  if (done) done = segment->file->sync();
  if (done) done = files_.rename(draft, segment->path);
  if (done) done = files_.sync_directory(folder_);
  if (!done) return done.error();
  return segment;
}

Result<void> Journal::prepare() {
  std::uint64_t epoch = 0;
  {
    const std::lock_guard lock(mutex_);
    epoch = ++epoch_max_;
  }
  auto segment = make_segment(epoch);
  const std::lock_guard lock(mutex_);
  if (!segment) {
    short_of_space_ = is_no_space(segment.error());
    prepared_.notify_all();
    return segment.error();
  }
  short_of_space_ = false;
  wanted_ = false;
  next_ = std::move(*segment);
  prepared_.notify_all();
  return {};
}

bool Journal::short_of_space() const {
  const std::lock_guard lock(mutex_);
  return short_of_space_;
}

void Journal::close() {
  const std::lock_guard lock(mutex_);
  closing_ = true;
  prepared_.notify_all();
}

void Journal::stop(ErrorCode why) {
  const std::lock_guard lock(mutex_);
  if (!stopped_) stopped_ = why;
  prepared_.notify_all();
}

void Journal::adjust_live(std::uint64_t epoch, LiveChange change, std::uint64_t group) {
  const std::lock_guard lock(mutex_);
  const auto found = segments_.find(epoch);
  if (found == segments_.end()) return;
  Segment& segment = *found->second;
  segment.live_records += static_cast<std::uint64_t>(change.records);
  segment.live_octets += static_cast<std::uint64_t>(change.octets);
  segment.changed_group = group;
}

Result<std::size_t> Journal::recycle(const Position& flushed) {
  std::vector<SegmentPtr> freed;
  {
    const std::lock_guard lock(mutex_);
    for (auto it = segments_.begin(); it != segments_.end();) {
      const SegmentPtr& segment = it->second;
      const bool covered = segment->last_group <= flushed.group &&
                           segment->changed_group <= flushed.group && it->first < flushed.epoch;
      // One owner is the map: a reader that holds the segment delays its reuse.
      if (segment != head_ && segment->live_records == 0 && covered && segment.use_count() == 1) {
        freed.push_back(segment);
        it = segments_.erase(it);
      } else {
        ++it;
      }
    }
  }
  for (const SegmentPtr& segment : freed) {
    auto done = release_file(segment->path);
    if (!done) return done.error();
  }
  return freed.size();
}

Result<void> Journal::release_file(const std::filesystem::path& path) {
  {
    const std::lock_guard lock(mutex_);
    if (free_.size() >= free_files_max) {
      // fall through to unlink, outside the lock
    } else {
      const std::filesystem::path spare = folder_ / ("free-" + path.filename().string().substr(8));
      auto done = files_.rename(path, spare);
      if (!done) return done.error();
      free_.push_back(spare);
      return {};
    }
  }
  return files_.unlink(path);
}

Result<void> Journal::give_back_free_files() {
  while (true) {
    std::filesystem::path path;
    {
      const std::lock_guard lock(mutex_);
      if (free_.empty()) return {};
      path = free_.back();
      free_.pop_back();
    }
    if (auto done = files_.unlink(path); !done) return done.error();
  }
}

bool Journal::waits_for_flush(std::uint64_t flushed_group) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [epoch, segment] : segments_) {
    const std::uint64_t needed = std::max(segment->last_group, segment->changed_group);
    if (segment != head_ && segment->live_records == 0 && needed > flushed_group) return true;
  }
  return false;
}

SegmentPtr Journal::sparse(std::uint64_t flushed_group) const {
  const std::lock_guard lock(mutex_);
  SegmentPtr best;
  std::uint64_t live = 0;
  for (const auto& [epoch, segment] : segments_) live += segment->live_octets;
  if (segments_.size() * segment_size_ <= 2 * live + 2 * segment_size_) return best;
  for (const auto& [epoch, segment] : segments_) {
    if (segment == head_ || segment->live_records == 0 || segment->kept) continue;
    if (segment->last_group > flushed_group) continue;
    if (segment->live_octets * 2 >= segment->header.size) continue;
    if (!best || segment->live_octets < best->live_octets) best = segment;
  }
  return best;
}

void Journal::keep(const SegmentPtr& segment) {
  const std::lock_guard lock(mutex_);
  segment->kept = true;
}

SegmentPtr Journal::pin(std::uint64_t epoch) const {
  const std::lock_guard lock(mutex_);
  const auto found = segments_.find(epoch);
  return found == segments_.end() ? nullptr : found->second;
}

std::uint64_t Journal::segments_in_use() const {
  const std::lock_guard lock(mutex_);
  return segments_.size();
}

std::uint64_t Journal::octets_on_disk() const {
  const std::lock_guard lock(mutex_);
  return (segments_.size() + free_.size() + (next_ ? 1 : 0)) * segment_size_;
}

std::uint64_t Journal::filled_total() const {
  const std::lock_guard lock(mutex_);
  return filled_total_;
}

std::uint64_t Journal::written_total() const {
  const std::lock_guard lock(mutex_);
  return written_total_;
}

}  // namespace mansio::spool
