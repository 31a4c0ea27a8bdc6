// Opening, step by step: lock; identify (stamp, owner, format); or create. Then the parts, the
// high-water record, the replay of the journal behind the index's position, and the comparison of
// what was reached with what the high-water record demands. Every doubt is an error with exit
// status 76: a spool never opens smaller than it was closed.
#include "spool/file/store.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <random>
#include <utility>

#include "base/log.h"
#include "spool/file/keys.h"

namespace mansio::spool {
namespace {

void require(const Result<void>& done, const std::filesystem::path& what) {
  if (!done) fail_open(what, done.error());
}

QueueId new_instance() {
  std::random_device device;
  QueueId id;
  for (auto& octet : id.octets) octet = static_cast<std::uint8_t>(device());
  return id;
}

constexpr std::size_t merge_octets = 4 << 20;  // replayed changes handed to the index at once

}  // namespace

void fail_open(const std::filesystem::path& what, const ErrorCode& error) {
  const bool wrong = error.value() == ENOENT || error.value() == ELOOP || error.value() == ENOTDIR;
  throw OpenError(wrong ? 76 : 74, what.string() + ": " + error.message());
}

Store::Store(FileSpoolOptions given, Clock& the_clock, bool rebuild)
    : options(std::move(given)), clock(the_clock), rebuilding_(rebuild) {
  files = options.files ? options.files : make_posix_file_system(options.sync);
  identify();
  open_parts(rebuild);
  const HighWater mark = read_high_water();
  if (rebuild) {
    rebuild_index();
  } else {
    catch_up(mark);
  }
  find_doubts();
  sweep_contents();
  raise_format();
  require(high_water->write({last_group, set->next_sequence, set->message_count(), false}),
          path_of("high-water"));
}

void Store::identify() {
  struct stat facts {};

  const bool present = ::lstat(options.path.c_str(), &facts) == 0;
  if (!present && options.must_exist) {
    throw OpenError(76, options.path.string() + ": there is no spool, but there should be one");
  }
  if (present && (!S_ISDIR(facts.st_mode) || facts.st_uid != ::geteuid())) {
    throw OpenError(76, options.path.string() + ": not a folder of this user");
  }
  require(files->make_directory(options.path), options.path);
  lock = std::make_unique<SpoolLock>(path_of("lock"));
  auto octets = read_whole(*files, path_of("stamp"), 4096);
  if (!octets && octets.error().value() != ENOENT) fail_open(path_of("stamp"), octets.error());
  if (!octets) {
    auto names = files->list(options.path);
    if (!names) fail_open(options.path, names.error());
    std::erase_if(*names, [](const std::string& name) {
      return name == "lock" || name == "stamp.tmp" || name == "lost+found";
    });
    if (!names->empty()) {
      throw OpenError(
          76, options.path.string() + ": not a spool: it has no stamp, but " + names->front());
    }
    if (options.must_exist) {
      throw OpenError(76, options.path.string() + ": empty, but there should be a spool");
    }
    return create();
  }
  const auto found = decode_stamp(*octets);
  if (!found) throw OpenError(76, path_of("stamp").string() + ": not a stamp, or damaged");
  if (found->format > spool_format) {
    throw OpenError(76, fmt::format("{}: format {} is newer than this program's {}",
                                    options.path.string(), found->format, spool_format));
  }
  stamp = *found;
  if (!stamp.ready) create();
}

/// An older program must refuse the spool before it meets what it does not know.
void Store::raise_format() {
  if (stamp.format >= spool_format) return;
  log::info("spool_format_raised").field("from", stamp.format).field("to", spool_format);
  stamp.format = spool_format;
  require(replace_durably(*files, path_of("stamp"), encode_stamp(stamp)), path_of("stamp"));
}

void Store::create() {
  // An earlier creation that did not finish has promised nothing: its parts are made again.
  // The folder's own name must last as well as what is in it.
  const auto parent = std::filesystem::absolute(options.path).parent_path();
  const auto named = files->sync_directory(parent);
  // A parent that this user may enter, but not read, was made by somebody else long ago.
  if (!named && named.error().value() != EACCES) fail_open(parent, named.error());
  stamp = {spool_format, new_instance(), false};
  require(replace_durably(*files, path_of("stamp"), encode_stamp(stamp)), path_of("stamp"));
  for (const char* folder : {"journal", "content", "events", "quarantine"}) {
    require(files->make_directory(path_of(folder)), path_of(folder));
  }
  std::error_code ignored;
  std::filesystem::remove_all(path_of("index"), ignored);
  require(files->make_directory(path_of("index")), path_of("index"));
  {
    const Index first({path_of("index"), stamp.instance, true, options.index_memory,
                       options.overlay_memory, options.history_keep},
                      clock);
  }
  auto file = files->open(path_of("high-water"), OpenMode::create);
  if (!file) fail_open(path_of("high-water"), file.error());
  HighWaterFile mark(std::move(*file));
  require(mark.write({0, 1, 0, true}), path_of("high-water"));
  require(files->sync_directory(options.path), options.path);
  stamp.ready = true;
  require(replace_durably(*files, path_of("stamp"), encode_stamp(stamp)), path_of("stamp"));
}

void Store::open_parts(bool rebuild) {
  for (const char* folder : {"journal", "content", "events", "quarantine"}) {
    auto there = files->exists(path_of(folder));
    if (!there) fail_open(path_of(folder), there.error());
    if (!*there && std::string_view(folder) != "quarantine") {
      throw OpenError(76, path_of(folder).string() + ": missing");
    }
  }
  require(files->make_directory(path_of("quarantine")), path_of("quarantine"));
  journal =
      std::make_unique<Journal>(*files, path_of("journal"), stamp.instance, options.segment_size);
  std::vector<std::string> damage;
  require(journal->load(damage), path_of("journal"));
  if (!damage.empty()) {
    if (!rebuild) throw OpenError(76, "journal: " + damage.front());
    for (const std::string& text : damage) notes.push_back("journal: left out " + text);
  }
  const auto unfinished = files->exists(path_of("rebuilding"));
  if (!unfinished) fail_open(path_of("rebuilding"), unfinished.error());
  if (*unfinished && !rebuild) {
    throw OpenError(76, options.path.string() +
                            ": a rebuild of the index was interrupted; run "
                            "`mansio spool check --rebuild` again");
  }
  if (rebuild) {
    // Until the new index is whole and flushed, nothing but another rebuild may use it.
    require(replace_durably(*files, path_of("rebuilding"), "\n"), path_of("rebuilding"));
    const auto aside =
        path_of("quarantine") / fmt::format("index-{}", clock.now().time_since_epoch().count());
    if (std::filesystem::exists(path_of("index"))) {
      require(files->rename(path_of("index"), aside), path_of("index"));
      notes.push_back("the old index is kept as " + aside.string());
    }
    require(files->make_directory(path_of("index")), path_of("index"));
  } else if (auto there = files->exists(path_of("index") / "CURRENT"); !there || !*there) {
    throw OpenError(76, path_of("index").string() + ": the index is missing or empty");
  }
  index = std::make_unique<Index>(
      IndexOptions{path_of("index"), stamp.instance, rebuild, options.index_memory,
                   options.overlay_memory, options.history_keep},
      clock);
  unreadable = std::make_unique<UnreadableMessages>(*files, path_of("quarantine"), *index);
  set = std::make_unique<WorkingSet>(*index, options.state_memory);
  require(set->load(), path_of("index"));
  events = std::make_unique<EventLog>(*files, path_of("events"), options.events_keep);
  require(events->load(), path_of("events"));
  marks = std::make_shared<AttemptMarks>(*files, path_of("marks"));
  content_work = std::make_unique<WorkQueue>(2);
  contents = std::make_unique<ContentFiles>(*files, path_of("content"), *content_work);
}

HighWater Store::read_high_water() {
  auto file = files->open(path_of("high-water"), OpenMode::update);
  if (!file && rebuilding_ && file.error().value() == ENOENT) {
    file = files->open(path_of("high-water"), OpenMode::create);
  }
  if (!file) fail_open(path_of("high-water"), file.error());
  high_water = std::make_unique<HighWaterFile>(std::move(*file));
  auto mark = high_water->read();
  if (!mark) fail_open(path_of("high-water"), mark.error());
  if (!*mark) {
    if (rebuilding_) return {};
    throw OpenError(76, path_of("high-water").string() + ": does not decode");
  }
  return **mark;
}

void Store::catch_up(const HighWater& mark) {
  const Position from = index->opened_at();
  last_group = from.group;
  check_segments_are_there();
  bool torn = false, begun = from.epoch == 0;
  for (const SegmentPtr& segment : journal->segments()) {
    if (segment->header.epoch < from.epoch) continue;
    const bool first = segment->header.epoch == from.epoch;
    begun = begun || first;
    if (!first && segment->header.first_group != last_group + 1) {
      // The groups before this segment are not there. Written but never synced: nobody was told.
      if (durable_before(*segment) > last_group || segment->header.first_group <= last_group) {
        throw OpenError(76, fmt::format("journal: groups {} to {} are missing; `mansio spool check "
                                        "--rebuild` recovers what is left",
                                        last_group + 1, segment->header.first_group - 1));
      }
      require(journal->discard(segment), segment->path);
      torn = true;
      continue;
    }
    replay_segment(segment, first ? from.offset : segment_header_size, torn);
    tail_ = segment;
  }
  if (!begun) throw OpenError(76, "journal: the segment that the index was at is missing");
  if (last_group < mark.group) {
    throw OpenError(76, fmt::format("journal: it ends at group {}, but {} had been synced",
                                    last_group, mark.group));
  }
  if (mark.clean && (last_group != mark.group || set->message_count() != mark.messages)) {
    throw OpenError(76, fmt::format("the spool holds {} messages, but was closed with {}",
                                    set->message_count(), mark.messages));
  }
  make_durable(mark);
  choose_head(mark, torn);
}

/// The newest group that the segment says was synced: damage is told from a torn end by it.
std::uint64_t Store::durable_before(const Segment& segment) {
  std::uint64_t durable = segment.header.durable;
  auto end = scan_groups(segment, segment_header_size, segment.header.first_group,
                         [&](const GroupView& group) {
                           durable = std::max(durable, group.body.durable);
                           return true;
                         });
  if (!end) fail_open(segment.path, end.error());
  return durable;
}

/// Groups that a killed process had written, but not synced, were read from memory. They count
/// from now on, so they must be on disk: written again, because a failed sync may have left pages
/// that the system takes for clean.
void Store::make_durable(const HighWater& mark) {
  std::uint64_t known = mark.group;
  for (const TailGroup& group : tail_groups_) known = std::max(known, group.durable);
  for (const TailGroup& group : tail_groups_) {
    if (group.number <= known) continue;
    const Segment& segment = *group.segment;
    std::string octets(static_cast<std::size_t>(group.end - group.offset), '\0');
    auto got = segment.file->read_at(group.offset, octets);
    if (!got) fail_open(segment.path, got.error());
    require(segment.file->write_at(group.offset, octets), segment.path);
    require(segment.file->write_at(0, encode_segment_header(segment.header)), segment.path);
    require(segment.file->sync(), segment.path);
  }
  tail_groups_.clear();
}

void Store::check_segments_are_there() {
  for (const auto& [epoch, live] : set->all_live()) {
    const SegmentPtr segment = journal->pin(epoch);
    if (live.records > 0 && segment == nullptr) {
      throw OpenError(76, fmt::format("journal: segment {:016x} with {} messages is missing", epoch,
                                      live.records));
    }
    if (segment != nullptr) {
      segment->live_records = live.records;
      segment->live_octets = live.octets;
    }
  }
}

void Store::merge(Group group) {
  for (const auto& [epoch, change] : group.live) journal->adjust_live(epoch, change, group.number);
  events->append(group.events);
  index->merge(std::move(group.changes));
  if (index->overlay_is_full()) {
    require(index->write_pending(), path_of("index"));
    set->trim();
  }
}

void Store::replay_segment(const SegmentPtr& segment, std::uint64_t offset, bool& torn) {
  GroupBuilder builder(*set);
  std::string misfit;
  auto end = scan_groups(*segment, offset, last_group + 1, [&](const GroupView& view) {
    builder.begin(view.body.number);
    for (const RecordAt& record : view.records) {
      const auto decoded = decode_record(record.view);
      if (!decoded) {
        misfit = fmt::format("a record at {} does not decode", record.offset);
        return false;
      }
      const auto effect = builder.replay(*decoded, record.view.header, record.offset);
      if (!effect || *effect == Effect::none) {
        misfit = fmt::format("the record at {} does not fit the index", record.offset);
        return false;
      }
    }
    auto group = builder.finish_replay(
        {segment->header.epoch, view.end, view.body.number, set->next_sequence});
    if (!group) {
      misfit = "index: " + group.error().message();
      return false;
    }
    merge(std::move(*group));
    ++replayed_groups;
    std::erase_if(tail_groups_,
                  [&](const TailGroup& tail) { return tail.number <= view.body.durable; });
    tail_groups_.push_back({segment, view.offset, view.end, view.body.number, view.body.durable});
    return true;
  });
  if (!end) fail_open(segment->path, end.error());
  if (!misfit.empty()) throw OpenError(76, segment->path.string() + ": " + misfit);
  if (end->damaged) {
    throw OpenError(76, fmt::format("{}: damaged at {}, in the middle of what had been synced; "
                                    "`mansio spool check --rebuild` recovers what is left",
                                    segment->path.string(), end->offset));
  }
  segment->end = end->offset;
  segment->last_group = last_group = end->last_group;
  torn = torn || end->leftovers;
}

void Store::choose_head(const HighWater& mark, bool torn) {
  // Behind a torn end old octets of the same epoch may stand: go on in a new segment then.
  const bool go_on = mark.clean && !torn && tail_ != nullptr;
  journal->set_head(go_on ? tail_ : nullptr, last_group);
}

void Store::rebuild_index() {
  for (const SegmentPtr& segment : journal->segments()) salvage_segment(segment);
  journal->set_head(nullptr, last_group);
  require(index->flush(), path_of("index"));
  require(files->unlink(path_of("rebuilding")), path_of("rebuilding"));
  require(files->sync_directory(options.path), options.path);
  notes.push_back(
      fmt::format("{} messages were found; outcomes that only the old index knew are "
                  "lost, so that a delivery may be repeated",
                  set->message_count()));
  for (const auto& [key, suspension] : set->suspensions) {
    notes.push_back(fmt::format("suspended, as far as the journal knows: {} {}",
                                suspension.destination, suspension.binding));
  }
}

void Store::salvage_segment(const SegmentPtr& segment) {
  GroupBuilder builder(*set);
  std::size_t pending = 0;
  builder.begin(last_group + 1);
  const auto take = [&] {
    if (builder.empty()) return;
    auto group = builder.finish_replay(
        {segment->header.epoch, segment->header.size, last_group + 1, set->next_sequence});
    if (!group) throw OpenError(76, "index: " + group.error().message());
    ++last_group;
    merge(std::move(*group));
    builder.begin(last_group + 1);
    pending = 0;
  };
  auto done = salvage_records(
      *segment,
      [&](const RecordAt& record) {
        const auto decoded = decode_record(record.view);
        if (!decoded) {
          notes.push_back(fmt::format("{}: left out a record at {} that does not decode",
                                      segment->path.string(), record.offset));
          return;
        }
        if (decoded->type == RecordType::group) {
          take();
          last_group = std::max(last_group, decoded->group.number - 1);
          builder.begin(last_group + 1);
          return;
        }
        auto effect = builder.salvage(*decoded, record.view.header, record.offset);
        if (!effect) {
          // Of the new index: nothing in the journal explains it.
          throw OpenError(74, "index: " + effect.error().message());
        }
        pending += record.view.header.length;
        if (pending > merge_octets) take();
      },
      [&](std::uint64_t offset, std::uint64_t length) {
        notes.push_back(fmt::format("{}: {} octets at {} do not decode", segment->path.string(),
                                    length, offset));
      });
  if (!done) fail_open(segment->path, done.error());
  take();
}

void Store::find_doubts() {
  require(index->write_pending(), path_of("index"));
  found_marks = marks->found();
  release_settled_marks();
}

void Store::release_settled_marks() {
  const Index::View view(*index);
  std::vector<FoundMark> settled;
  for (FoundMark& mark : std::exchange(found_marks, {})) {
    auto row = view.message(mark.doubt.id);
    auto& recipients = mark.doubt.recipients;
    std::erase_if(recipients, [&](std::uint32_t recipient) {
      if (!row) return false;  // unreadable now, perhaps not after a repair
      if (!*row) return true;
      const auto& statuses = (*row)->stored.recipients;
      return recipient >= statuses.size() || is_final(statuses[recipient].state) ||
             has_outcome_since(view, mark, recipient);
    });
    (recipients.empty() ? settled : found_marks).push_back(std::move(mark));
  }
  marks->release(settled);
}

bool Store::has_outcome_since(const Index::View& view, const FoundMark& mark,
                              std::uint32_t recipient) {
  bool found = false;
  const std::string prefix = message_key(mark.doubt.id);
  // An unreadable history proves nothing: the recipient stays in doubt.
  (void)view.scan(
      Family::history, prefix, end_of(prefix), [&](std::string_view, std::string_view value) {
        Decoder in(value);
        in.u8();
        in.time();
        HistoryEntry entry;
        while (!in.at_end() && decode(in, entry)) {
          const bool outcome = entry.kind != EventKind::accepted &&
                               entry.kind != EventKind::retried &&
                               entry.kind != EventKind::notice && entry.kind != EventKind::bounced;
          found = found || (outcome && entry.seq > mark.sequence && entry.recipient == recipient);
        }
        return !found;
      });
  return found;
}

void Store::sweep_contents() {
  bool readable = true;
  const Index::View view(*index);
  auto swept = contents->sweep([&](const QueueId& content) {
    auto row = view.get(Family::meta, content_key(content));
    readable = readable && row;
    return !row || row->has_value();  // in doubt it stays
  });
  if (!swept) fail_open(path_of("content"), swept.error());
  if (*swept > 0) log::info("content_swept").field("files", *swept);
}

}  // namespace mansio::spool
