#include "spool/file/attempt_marks.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/checksum.h"
#include "base/log.h"
#include "message/codec.h"

namespace mansio::spool {
namespace {

constexpr std::size_t slot_size = 512;
constexpr std::size_t slots_per_chunk = 2048;
constexpr std::size_t chunk_size = slot_size * slots_per_chunk;  // 1 MiB
constexpr std::size_t head_octets = 4 + 16 + 4 + 8 + 2;
constexpr std::size_t ranges_max = (slot_size - head_octets) / 8;

[[noreturn]] void fail(const std::filesystem::path& path) {
  throw OpenError(errno == ELOOP ? 76 : 74, path.string() + ": " + std::strerror(errno));
}

/// Runs of neighbouring indexes. If they are too many, the last covers all that remain: a
/// recipient too much in doubt repeats at worst, one too few would be forgotten.
std::vector<std::pair<std::uint32_t, std::uint32_t>> to_ranges(
    std::span<const std::uint32_t> recipients) {
  std::vector<std::uint32_t> sorted(recipients.begin(), recipients.end());
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges;
  for (const std::uint32_t index : sorted) {
    const bool joins = !ranges.empty() && index <= ranges.back().second + 1;
    if (joins || ranges.size() == ranges_max) {
      ranges.back().second = index;
    } else {
      ranges.emplace_back(index, index);
    }
  }
  return ranges;
}

std::optional<FoundMark> decode_slot(std::string_view slot) {
  Decoder in(slot);
  const std::uint32_t checksum = in.u32();
  FoundMark mark;
  mark.doubt.id = in.id();
  mark.doubt.attempt = in.u32();
  mark.sequence = in.u64();
  const std::uint16_t count = in.u16();
  if (count == 0 || count > ranges_max) return std::nullopt;
  if (crc32c(slot.substr(4, head_octets - 4 + count * 8u)) != checksum) return std::nullopt;
  for (std::uint16_t i = 0; i < count; ++i) {
    const std::uint32_t first = in.u32(), last = in.u32();
    for (std::uint64_t index = first; index <= last && index - first < 100'000; ++index) {
      mark.doubt.recipients.push_back(static_cast<std::uint32_t>(index));
    }
  }
  return mark;
}

}  // namespace

class AttemptMarks::Mark final : public AttemptMark {
 public:
  Mark(std::weak_ptr<AttemptMarks> owner, std::size_t index)
      : owner_(std::move(owner)), index_(index) {}

  ~Mark() override {
    if (const auto owner = owner_.lock()) owner->clear(index_);
  }

 private:
  const std::weak_ptr<AttemptMarks> owner_;
  const std::size_t index_;
};

AttemptMarks::AttemptMarks(FileSystem& files, const std::filesystem::path& path) {
  auto file = files.open(path, OpenMode::create);
  if (file) {
    if (auto done = files.sync_directory(path.parent_path()); !done) file = done.error();
  }
  if (!file) {
    throw OpenError(file.error().value() == ELOOP ? 76 : 74,
                    path.string() + ": " + file.error().message());
  }
  file_ = std::move(*file);
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor_ < 0) fail(path);

  struct stat facts {};

  if (::fstat(descriptor_, &facts) != 0) fail(path);
  const auto size = static_cast<std::size_t>(facts.st_size);
  if (size % slot_size != 0) {
    ::close(descriptor_);
    throw OpenError(76, path.string() + ": not a file of attempt marks");
  }
  const std::size_t chunks = std::max<std::size_t>(1, (size + chunk_size - 1) / chunk_size);
  for (std::size_t i = 0; i < chunks; ++i) grow();
}

AttemptMarks::~AttemptMarks() {
  for (char* chunk : chunks_) ::munmap(chunk, chunk_size);
  ::close(descriptor_);
}

void AttemptMarks::grow() {
  const auto offset = static_cast<off_t>(chunks_.size() * chunk_size);
  // Blocks are reserved first: a store into a mapped hole on a full disk would end the process.
  const int error = ::posix_fallocate(descriptor_, offset, chunk_size);
  void* chunk = error == 0 ? ::mmap(nullptr, chunk_size, PROT_READ | PROT_WRITE, MAP_SHARED,
                                    descriptor_, offset)
                           : MAP_FAILED;
  if (chunk == MAP_FAILED) {
    throw OpenError(74, std::string("attempt marks: ") + std::strerror(error != 0 ? error : errno));
  }
  const std::size_t first = chunks_.size() * slots_per_chunk;
  chunks_.push_back(static_cast<char*>(chunk));
  for (std::size_t i = slots_per_chunk; i > 0; --i) free_.push_back(first + i - 1);
}

char* AttemptMarks::slot(std::size_t index) {
  return chunks_[index / slots_per_chunk] + index % slots_per_chunk * slot_size;
}

std::vector<FoundMark> AttemptMarks::found() {
  const std::lock_guard lock(mutex_);
  std::vector<FoundMark> found;
  std::vector<std::size_t> free;
  for (std::size_t i = chunks_.size() * slots_per_chunk; i > 0; --i) {
    auto mark = decode_slot({slot(i - 1), slot_size});
    if (!mark) {
      std::memset(slot(i - 1), 0, head_octets);  // empty, or torn by a loss of power
      free.push_back(i - 1);
      continue;
    }
    mark->slot = i - 1;
    found.push_back(std::move(*mark));
  }
  free_ = std::move(free);
  return found;
}

void AttemptMarks::release(std::span<const FoundMark> marks) {
  for (const FoundMark& mark : marks) {
    {
      const std::lock_guard lock(mutex_);
      ++used_;
    }
    clear(mark.slot);
  }
}

std::unique_ptr<AttemptMark> AttemptMarks::mark(const QueueId& id,
                                                std::span<const std::uint32_t> recipients,
                                                std::uint32_t attempt, std::uint64_t sequence,
                                                bool durable) {
  const auto ranges = to_ranges(recipients);
  Encoder out;
  out.id(id);
  out.u32(attempt);
  out.u64(sequence);
  out.u16(static_cast<std::uint16_t>(ranges.size()));
  for (const auto& [first, last] : ranges) {
    out.u32(first);
    out.u32(last);
  }
  Encoder checksum;
  checksum.u32(crc32c(out.octets()));

  char* octets = nullptr;
  std::size_t index = 0;
  {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) {
      try {
        grow();
      } catch (const OpenError& error) {
        log::error("attempt_mark_failed").field("error", error.what());
        return durable ? nullptr : std::make_unique<AttemptMark>();
      }
    }
    index = free_.back();
    free_.pop_back();
    ++used_;
    octets = slot(index);
  }
  std::memcpy(octets + 4, out.octets().data(), out.size());
  std::atomic_signal_fence(std::memory_order_seq_cst);
  std::memcpy(octets, checksum.octets().data(), 4);
  auto mark = std::make_unique<Mark>(weak_from_this(), index);
  if (!durable) return mark;
  // fdatasync writes what was stored through the mapping, and the size of a file that has grown.
  if (auto done = file_->sync(); !done) {
    log::error("attempt_mark_failed").field("error", done.error().message());
    return nullptr;
  }
  return mark;
}

void AttemptMarks::clear(std::size_t index) {
  const std::lock_guard lock(mutex_);
  std::memset(slot(index), 0, head_octets);
  free_.push_back(index);
  --used_;
}

std::size_t AttemptMarks::in_use() const {
  const std::lock_guard lock(mutex_);
  return used_;
}

}  // namespace mansio::spool
