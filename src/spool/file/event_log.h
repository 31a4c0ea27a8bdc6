// The stream of events in the order of their sequence, kept up to a stated size
// (docs/FORMATS.md §5). Not synced with each group: what a crash takes is written again by the
// replay of the journal, since the log is synced before the index moves on.
// Thread safety: append() and sync() by the sync thread or recovery; read() from any thread.
#pragma once

#include <deque>
#include <mutex>
#include <vector>

#include "spool/file/file_system.h"
#include "spool/spool.h"

namespace mansio::spool {

/// Events as the log stores them, in the order of their sequence.
class EventBatch {
 public:
  struct Place {
    std::uint64_t seq = 0;
    std::size_t offset = 0;
  };

  /// Gives the octets of its history entry; they stay valid until the next add().
  std::string_view add(const Event& event);

  bool empty() const { return places_.empty(); }

  const std::vector<Place>& places() const { return places_; }

  std::string_view octets() const { return octets_; }

 private:
  std::string octets_;
  std::vector<Place> places_;
};

class EventLog {
 public:
  EventLog(FileSystem& files, std::filesystem::path folder, std::uint64_t keep_octets);

  /// Finds the files and where the last one ends; a torn end is cut off.
  Result<void> load();
  /// Takes events in order; those that it has already are left out. An error costs events, which
  /// readers see as a gap, never mail.
  void append(const EventBatch& events);
  Result<void> sync();
  Result<EventPage> read(std::uint64_t seq, std::size_t limit);
  std::uint64_t octets() const;

 private:
  struct Piece {
    std::filesystem::path path;
    std::shared_ptr<File> file;
    std::uint64_t first = 0, last = 0;  // sequence numbers; last < first: empty
    std::uint64_t size = 0;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> places;  // (seq, offset), every so often
  };

  /// Gives the length of the frame at the start of the octets and its event's number; 0: none.
  using FrameParser = std::size_t (*)(std::string_view octets, std::uint64_t& seq);

  Result<void> load_piece(Piece& piece, FrameParser parse);
  Result<void> begin_piece(std::uint64_t first);
  Result<void> write(std::string_view octets);
  void drop_old();

  FileSystem& files_;
  const std::filesystem::path folder_;
  const std::uint64_t keep_octets_, piece_octets_;
  mutable std::mutex mutex_;
  std::deque<Piece> pieces_;
  std::uint64_t last_ = 0;
  bool unsynced_ = false;
};

}  // namespace mansio::spool
