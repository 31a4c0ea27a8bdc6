// Everything a spool consists of, opened and caught up with its journal, before any thread of the
// committer runs. Used by the spool itself and by the offline audit.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "spool/file/attempt_marks.h"
#include "spool/file/content_files.h"
#include "spool/file/event_log.h"
#include "spool/file/file_spool.h"
#include "spool/file/group.h"
#include "spool/file/index.h"
#include "spool/file/journal.h"
#include "spool/file/stamp.h"
#include "spool/file/unreadable_messages.h"
#include "spool/file/working_set.h"

namespace mansio::spool {

class Store {
 public:
  /// `rebuild`: the index is put aside and made anew from what the journal holds; `notes` then says
  /// what was left out. Throws OpenError.
  Store(FileSpoolOptions options, Clock& clock, bool rebuild = false);

  std::filesystem::path path_of(const char* name) const { return options.path / name; }

  /// Lets go of the found marks whose recipients have had an outcome since; the rest stay, so that
  /// the next start finds them again. The index must hold everything that was merged.
  void release_settled_marks();

  FileSpoolOptions options;
  Clock& clock;
  std::shared_ptr<FileSystem> files;
  std::unique_ptr<SpoolLock> lock;
  Stamp stamp;
  std::unique_ptr<Journal> journal;
  std::unique_ptr<Index> index;
  std::unique_ptr<WorkingSet> set;
  std::unique_ptr<UnreadableMessages> unreadable;
  std::unique_ptr<HighWaterFile> high_water;
  std::unique_ptr<EventLog> events;
  std::shared_ptr<AttemptMarks> marks;
  std::unique_ptr<WorkQueue> content_work;
  std::unique_ptr<ContentFiles> contents;
  std::vector<FoundMark> found_marks;  ///< for recipients that had no outcome
  std::uint64_t last_group = 0;
  std::uint64_t replayed_groups = 0;
  std::vector<std::string> notes;

 private:
  void identify();
  void create();
  void raise_format();
  void open_parts(bool rebuild);
  HighWater read_high_water();
  void catch_up(const HighWater& mark);
  static std::uint64_t durable_before(const Segment& segment);
  void make_durable(const HighWater& mark);
  void replay_segment(const SegmentPtr& segment, std::uint64_t offset, bool& torn);
  void check_segments_are_there();
  void rebuild_index();
  void salvage_segment(const SegmentPtr& segment);
  void merge(Group group);
  void choose_head(const HighWater& mark, bool torn);
  void find_doubts();
  bool has_outcome_since(const Index::View& view, const FoundMark& mark, std::uint32_t recipient);
  void sweep_contents();

  /// A replayed group that nothing after it says was synced.
  struct TailGroup {
    SegmentPtr segment;
    std::uint64_t offset = 0, end = 0, number = 0, durable = 0;
  };

  SegmentPtr tail_;
  std::vector<TailGroup> tail_groups_;
  bool rebuilding_ = false;
};

/// Turns a failed file operation at start into an OpenError: 74, or 76 where a file that must be
/// there is missing.
[[noreturn]] void fail_open(const std::filesystem::path& what, const ErrorCode& error);

}  // namespace mansio::spool
