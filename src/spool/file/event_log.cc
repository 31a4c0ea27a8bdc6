#include "spool/file/event_log.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/checksum.h"
#include "base/log.h"
#include "spool/file/rows.h"

namespace mansio::spool {
namespace {

constexpr std::size_t frame_head = 8;       // u32 length of the event, u32 CRC32C of it
constexpr std::uint64_t places_apart = 64;  // events between two remembered offsets
constexpr std::uint64_t event_octets_max = 1 << 20;
constexpr std::size_t read_ahead = 256 << 10;

/// The event at the start of `octets`; 0: none that is whole and right.
std::size_t parse_frame(std::string_view octets, Event& event) {
  Decoder head(octets);
  const std::uint32_t length = head.u32();
  const std::uint32_t checksum = head.u32();
  if (!head.ok() || length > event_octets_max || octets.size() < frame_head + length) return 0;
  const std::string_view body = octets.substr(frame_head, length);
  Decoder in(body);
  if (crc32c(body) != checksum || in.u8() != 1 || !decode(in, event) || !in.at_end()) return 0;
  return frame_head + length;
}

/// The same, when only the number of the event is asked for.
std::size_t parse_whole_frame(std::string_view octets, std::uint64_t& seq) {
  Event event;
  const std::size_t length = parse_frame(octets, event);
  seq = event.entry.seq;
  return length;
}

/// As parse_whole_frame, without a look at more than the head and the number.
std::size_t parse_frame_head(std::string_view octets, std::uint64_t& seq) {
  Decoder in(octets);
  const std::uint32_t length = in.u32();
  in.u32();
  const bool known = in.u8() == 1;
  in.id();
  seq = in.u64();
  if (!in.ok() || !known || length > event_octets_max || octets.size() < frame_head + length) {
    return 0;
  }
  return frame_head + length;
}

}  // namespace

std::string_view EventBatch::add(const Event& event) {
  const std::size_t start = octets_.size();
  Encoder out(std::move(octets_));
  out.u64(0);  // the head: length and checksum follow below
  out.u8(1);
  out.id(event.id);
  const std::size_t entry = out.size();
  encode(out, event.entry);
  const std::size_t entry_end = out.size();
  encode_rest(out, event);
  octets_ = std::move(out).octets();

  const std::string_view body = std::string_view(octets_).substr(start + frame_head);
  Encoder head;
  head.u32(static_cast<std::uint32_t>(body.size()));
  head.u32(crc32c(body));
  octets_.replace(start, frame_head, head.octets());
  places_.push_back({event.entry.seq, start});
  return std::string_view(octets_).substr(entry, entry_end - entry);
}

EventLog::EventLog(FileSystem& files, std::filesystem::path folder, std::uint64_t keep_octets)
    : files_(files),
      folder_(std::move(folder)),
      keep_octets_(keep_octets),
      piece_octets_(std::max<std::uint64_t>(keep_octets / 16, 64 << 10)) {}

Result<void> EventLog::load() {
  auto names = files_.list(folder_);
  if (!names) return names.error();
  const std::lock_guard lock(mutex_);
  for (const std::string& name : *names) {
    if (!name.starts_with("events-")) continue;
    Piece piece;
    piece.path = folder_ / name;
    // Only the last one can have a torn end; a start does not decode hundreds of megabytes. What
    // is read later has its checksum compared then.
    const bool last = name == names->back();
    const auto parse = last ? parse_whole_frame : parse_frame_head;
    if (auto done = load_piece(piece, parse); !done) return done.error();
    if (piece.last < piece.first || piece.first <= last_) {
      // Empty, or overlapping after a crash: the replay writes its events again.
      if (auto done = files_.unlink(piece.path); !done) return done.error();
      continue;
    }
    last_ = piece.last;
    pieces_.push_back(std::move(piece));
  }
  return {};
}

Result<void> EventLog::load_piece(Piece& piece, FrameParser parse) {
  auto file = files_.open(piece.path, OpenMode::update);
  if (!file) return file.error();
  piece.file = std::move(*file);
  auto size = piece.file->size();
  if (!size) return size.error();
  std::string octets(static_cast<std::size_t>(*size), '\0');
  auto got = piece.file->read_at(0, octets);
  if (!got) return got.error();
  octets.resize(*got);
  std::string_view rest = octets;
  piece.first = 1;
  std::uint64_t seq = 0;
  while (const std::size_t length = parse(rest, seq)) {
    if (piece.size == 0) piece.first = seq;
    if (piece.places.empty() || seq >= piece.places.back().first + places_apart) {
      piece.places.emplace_back(seq, piece.size);
    }
    piece.last = seq;
    piece.size += length;
    rest.remove_prefix(length);
  }
  if (!rest.empty()) return piece.file->truncate(piece.size);
  return {};
}

Result<void> EventLog::begin_piece(std::uint64_t first) {
  Piece piece;
  piece.path = folder_ / fmt::format("events-{:016x}", first);
  auto file = files_.open(piece.path, OpenMode::create);
  if (!file) return file.error();
  piece.file = std::move(*file);
  if (auto done = piece.file->truncate(0); !done) return done.error();
  piece.first = first;
  piece.last = first - 1;
  if (!pieces_.empty()) {
    if (auto done = pieces_.back().file->sync(); !done) return done.error();
  }
  if (auto done = files_.sync_directory(folder_); !done) return done.error();
  pieces_.push_back(std::move(piece));
  drop_old();
  return {};
}

void EventLog::drop_old() {
  std::uint64_t total = 0;
  for (const Piece& piece : pieces_) total += piece.size;
  while (pieces_.size() > 1 && total + piece_octets_ > keep_octets_) {
    total -= pieces_.front().size;
    if (auto done = files_.unlink(pieces_.front().path); !done) {
      log::warning("event_log_error").field("error", done.error().message());
    }
    pieces_.pop_front();
  }
}

void EventLog::append(const EventBatch& events) {
  const std::lock_guard lock(mutex_);
  const std::string_view octets = events.octets();
  const std::vector<EventBatch::Place>& places = events.places();
  std::size_t begin = octets.size();  // of what is to be written to the last piece
  for (std::size_t i = 0; i < places.size(); ++i) {
    const auto [seq, offset] = places[i];
    if (seq <= last_) continue;
    begin = std::min(begin, offset);
    const bool is_next = !pieces_.empty() && seq == last_ + 1;
    if (!is_next || pieces_.back().size + (offset - begin) >= piece_octets_) {
      auto done = write(octets.substr(begin, offset - begin));
      if (done) done = begin_piece(seq);
      if (!done) {
        log::warning("event_log_error").field("error", done.error().message());
        return;
      }
      begin = offset;
    }
    Piece& piece = pieces_.back();
    if (piece.places.empty() || seq >= piece.places.back().first + places_apart) {
      piece.places.emplace_back(seq, piece.size + (offset - begin));
    }
    piece.last = last_ = seq;
  }
  if (auto done = write(octets.substr(begin)); !done) {
    log::warning("event_log_error").field("error", done.error().message());
  }
}

/// At the end of the last piece.
Result<void> EventLog::write(std::string_view octets) {
  if (octets.empty()) return {};
  Piece& piece = pieces_.back();
  if (auto done = piece.file->write_at(piece.size, octets); !done) return done.error();
  piece.size += octets.size();
  unsynced_ = true;
  return {};
}

Result<void> EventLog::sync() {
  std::shared_ptr<File> file;
  {
    const std::lock_guard lock(mutex_);
    if (!unsynced_ || pieces_.empty()) return {};
    unsynced_ = false;
    file = pieces_.back().file;
  }
  return file->sync();
}

Result<EventPage> EventLog::read(std::uint64_t seq, std::size_t limit) {
  struct Span {
    std::shared_ptr<File> file;
    std::uint64_t offset, size;
  };

  std::vector<Span> spans;
  EventPage page;
  page.next_seq = std::max<std::uint64_t>(seq, 1);
  {
    const std::lock_guard lock(mutex_);
    for (const Piece& piece : pieces_) {
      if (piece.last < page.next_seq || piece.size == 0) continue;
      std::uint64_t offset = 0;
      for (const auto& [at, place] : piece.places) {
        if (at <= page.next_seq) offset = place;
      }
      spans.push_back({piece.file, offset, piece.size});
    }
  }
  for (const Span& span : spans) {
    std::string octets;
    for (std::uint64_t at = span.offset; at < span.size && page.events.size() < limit;) {
      std::string more(
          static_cast<std::size_t>(std::min<std::uint64_t>(read_ahead, span.size - at)), '\0');
      auto got = span.file->read_at(at, more);
      if (!got) return make_error_code(Errc::io);
      if (*got == 0) break;
      at += *got;
      octets.append(more, 0, *got);
      std::string_view rest = octets;
      Event event;
      while (page.events.size() < limit) {
        const std::size_t length = parse_frame(rest, event);
        if (length == 0) break;
        rest.remove_prefix(length);
        if (event.entry.seq >= page.next_seq) {
          page.lost += event.entry.seq - page.next_seq;
          page.next_seq = event.entry.seq + 1;
          page.events.push_back(std::move(event));
        }
        event = Event{};
      }
      octets.erase(0, octets.size() - rest.size());
    }
    if (page.events.size() >= limit) break;
  }
  return page;
}

std::uint64_t EventLog::octets() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t total = 0;
  for (const Piece& piece : pieces_) total += piece.size;
  return total;
}

}  // namespace mansio::spool
