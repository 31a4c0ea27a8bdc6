#include "spool/file/stamp.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/checksum.h"
#include "message/codec.h"
#include "spool/spool.h"

namespace mansio::spool {
namespace {

constexpr std::string_view stamp_magic = "MANSIOSP";
constexpr std::string_view mark_magic = "MANSIOHW";
constexpr std::uint64_t slot_size = 512;
constexpr std::size_t mark_octets = 8 + 8 + 8 + 8 + 8 + 1;

std::string encode_mark(std::uint64_t turn, const HighWater& mark) {
  Encoder out;
  out.raw(mark_magic);
  out.u64(turn);
  out.u64(mark.group);
  out.u64(mark.sequence);
  out.u64(mark.messages);
  out.boolean(mark.clean);
  const std::uint32_t checksum = crc32c(out.octets());
  out.u32(checksum);
  std::string octets = std::move(out).octets();
  octets.resize(slot_size, '\0');
  return octets;
}

bool decode_mark(std::string_view slot, std::uint64_t& turn, HighWater& mark) {
  if (slot.size() < mark_octets + 4 || !slot.starts_with(mark_magic)) return false;
  Decoder in(slot.substr(mark_magic.size()));
  turn = in.u64();
  mark.group = in.u64();
  mark.sequence = in.u64();
  mark.messages = in.u64();
  mark.clean = in.boolean();
  return in.u32() == crc32c(slot.substr(0, mark_octets)) && in.ok();
}

}  // namespace

std::string encode_stamp(const Stamp& stamp) {
  Encoder out;
  out.raw(stamp_magic);
  out.u32(stamp.format);
  out.id(stamp.instance);
  out.boolean(stamp.ready);
  const std::uint32_t checksum = crc32c(out.octets());
  out.u32(checksum);
  return std::move(out).octets();
}

std::optional<Stamp> decode_stamp(std::string_view octets) {
  if (!octets.starts_with(stamp_magic)) return std::nullopt;
  Decoder in(octets.substr(stamp_magic.size()));
  Stamp stamp;
  stamp.format = in.u32();
  // A newer format may add to the stamp: its number alone decides.
  if (in.ok() && stamp.format > spool_format) return stamp;
  stamp.instance = in.id();
  stamp.ready = in.boolean();
  const std::uint32_t checksum = in.u32();
  if (!in.ok() || checksum != crc32c(octets.substr(0, 8 + 4 + 16 + 1))) return std::nullopt;
  return stamp;
}

Result<std::optional<HighWater>> HighWaterFile::read() {
  std::string octets(2 * slot_size, '\0');
  auto got = file_->read_at(0, octets);
  if (!got) return got.error();
  octets.resize(*got);
  std::optional<HighWater> best;
  for (std::size_t slot = 0; slot < 2; ++slot) {
    std::uint64_t turn = 0;
    HighWater mark;
    if (octets.size() < (slot + 1) * slot_size) break;
    if (!decode_mark(std::string_view(octets).substr(slot * slot_size), turn, mark)) continue;
    if (best && turn < turn_) continue;
    best = mark;
    turn_ = turn;
  }
  return best;
}

Result<void> HighWaterFile::write(const HighWater& mark) {
  ++turn_;
  auto done = file_->write_at(turn_ % 2 * slot_size, encode_mark(turn_, mark));
  if (done) done = file_->sync();
  return done;
}

SpoolLock::SpoolLock(const std::filesystem::path& path) {
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor_ < 0) {
    throw OpenError(errno == ELOOP ? 76 : 74, path.string() + ": " + std::strerror(errno));
  }
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    ::close(descriptor_);
    if (error == EWOULDBLOCK) {
      throw OpenError(73, path.string() + ": another process has locked this spool");
    }
    throw OpenError(74, path.string() + ": " + std::strerror(error));
  }
}

SpoolLock::~SpoolLock() { ::close(descriptor_); }

}  // namespace mansio::spool
