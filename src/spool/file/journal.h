// The segments of the journal: where the next group goes, which files may be reused.
// Thread safety: place(), written() by the committer; prepare(), recycle() by the housekeeper; the
// rest from any thread.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>

#include "spool/file/rows.h"
#include "spool/file/segment.h"

namespace mansio::spool {

/// Where a group was or will be written.
struct GroupPlace {
  SegmentPtr segment;
  std::uint64_t offset = 0;
};

struct LiveChange {
  std::int64_t records = 0, octets = 0;
};

class Journal {
 public:
  Journal(FileSystem& files, std::filesystem::path folder, QueueId instance,
          std::uint64_t segment_size);

  // ---- start
  /// Opens every segment; unused and foreign-epoch files are sorted into the free list.
  /// `damage` gets the names of files whose header does not decode or that belong to another spool.
  Result<void> load(std::vector<std::string>& damage);
  std::vector<SegmentPtr> segments() const;  ///< by epoch
  /// Segments behind the end of the journal hold nothing that was promised: back to the free list.
  Result<void> discard(const SegmentPtr& segment);
  /// Goes on in `head` at its `end`, or in a new segment if null.
  void set_head(SegmentPtr head, std::uint64_t last_group);

  // ---- committer
  /// The largest group that any segment can take.
  std::uint64_t capacity() const { return segment_size_ - segment_header_size; }

  /// Room left in the head, 0 if a new segment is needed.
  std::uint64_t room() const;
  /// Asks for the next segment if a group of `octets` needs it. True: it has to be made first.
  bool want(std::uint64_t octets);
  /// Whether a group of `octets` finds its place; waits while that is not known. False: there is
  /// no space for the segment that it would need. Nothing was written or promised.
  bool wait_for_room(std::uint64_t octets);
  /// The place for a group; takes the prepared segment into use where the head is too full.
  /// Waits for the housekeeper while none is prepared. Errors end the journal.
  Result<GroupPlace> place(std::uint64_t octets, std::uint64_t group, std::uint64_t durable);
  /// True: half of the segment is used now, so that the next one should be made.
  bool written(const GroupPlace& place, std::uint64_t octets, std::uint64_t group);

  // ---- housekeeper
  bool needs_preparation() const;
  /// Makes the next segment ready: a recycled file or a new one. no_space: nothing was promised,
  /// try again later; any other error ends the journal.
  Result<void> prepare();
  /// Whether the last preparation failed for want of space.
  bool short_of_space() const;
  /// From now on place() does not wait for space: the spool is being closed.
  void close();
  /// Wakes a waiting place() with an error: the spool has failed.
  void stop(ErrorCode why);
  void adjust_live(std::uint64_t epoch, LiveChange change, std::uint64_t group);
  /// Frees every segment without live records whose groups are all in the flushed index. The one
  /// that the index's position is in stays: a start looks for it there.
  Result<std::size_t> recycle(const Position& flushed);
  /// All free files give their space back: nothing was written for a while.
  Result<void> give_back_free_files();
  /// Whether a segment could be freed if only the index were flushed.
  bool waits_for_flush(std::uint64_t flushed_group) const;
  /// The segment that is most worth emptying: less than half live, all in the
  /// flushed index; null while the journal as a whole is not much larger than what lives in it.
  SegmentPtr sparse(std::uint64_t flushed_group) const;
  /// Its survivors cannot be read out: sparse() names it no more. Nothing unreadable is deleted.
  void keep(const SegmentPtr& segment);

  // ---- readers
  /// Keeps the segment from being reused while held. Null: no such epoch.
  SegmentPtr pin(std::uint64_t epoch) const;

  std::uint64_t segments_in_use() const;
  std::uint64_t octets_on_disk() const;
  std::uint64_t written_total() const;  ///< octets appended since opening
  std::uint64_t filled_total() const;   ///< zeros written into new segments since opening

 private:
  std::filesystem::path segment_path(std::uint64_t epoch) const;
  Result<void> zero_fill(File& file);
  Result<SegmentPtr> make_segment(std::uint64_t epoch);
  Result<void> release_file(const std::filesystem::path& path);

  FileSystem& files_;
  const std::filesystem::path folder_;
  const QueueId instance_;
  const std::uint64_t segment_size_;

  mutable std::mutex mutex_;
  std::condition_variable prepared_;
  std::map<std::uint64_t, SegmentPtr> segments_;
  std::vector<std::filesystem::path> free_;
  SegmentPtr head_;
  SegmentPtr next_;
  std::uint64_t epoch_max_ = 0;
  bool wanted_ = false;  // the next segment, by a group that waits for it
  bool short_of_space_ = false;
  bool closing_ = false;
  std::optional<ErrorCode> stopped_;
  std::uint64_t written_total_ = 0, filled_total_ = 0;
};

}  // namespace mansio::spool
