#include "spool/file/readers.h"

#include <algorithm>
#include <cerrno>

#include "base/checksum.h"
#include "base/log.h"
#include "spool/file/keys.h"

namespace mansio::spool {
namespace {

constexpr std::size_t reader_threads = 2;
/// A page goes on so far although there is no more room for content: lanes must not stand still.
constexpr std::size_t page_without_content = 16;
// A listing that finds little still comes back in time: the caller resumes.
constexpr std::size_t rows_per_listing = 20'000;

StoredMessagePtr share(MessageRow row) {
  return std::make_shared<const StoredMessage>(std::move(row.stored));
}

/// Where a flow's page begins: behind the cursor, or at the low-water mark.
std::string page_start(const FlowKey& flow, const std::optional<DueCursor>& after,
                       const std::optional<FlowRow>& row) {
  if (after) return due_key(flow, after->due, after->id) + '\0';
  if (row) return due_key(flow, row->earliest, QueueId{});
  return flow_key(flow);
}

}  // namespace

Readers::Readers(Store& store, Ports ports)
    : store_(store), ports_(std::move(ports)), work_(reader_threads) {}

void Readers::due_page(const FlowKey& flow, std::optional<DueCursor> after, std::size_t limit,
                       KeepContent keep, Done<DuePage> done) {
  work_.post([this, flow, after, limit, keep = std::move(keep), done = std::move(done)] {
    done(due_page_now(flow, after, limit, keep));
  });
}

void Readers::flows(std::string resume, std::size_t limit, Done<FlowPage> done) {
  work_.post([this, resume = std::move(resume), limit, done = std::move(done)] {
    done(flows_now(resume, limit));
  });
}

void Readers::lanes(std::string resume, std::size_t limit, Done<LanePage> done) {
  work_.post([this, resume = std::move(resume), limit, done = std::move(done)] {
    done(lanes_now(resume, limit));
  });
}

void Readers::get(std::vector<QueueId> ids, Done<std::vector<StoredMessagePtr>> done) {
  work_.post([this, ids = std::move(ids), done = std::move(done)] { done(get_now(ids)); });
}

void Readers::list(const Selector& selector, std::string resume, std::size_t limit,
                   Done<ListPage> done) {
  work_.post([this, selector, resume = std::move(resume), limit, done = std::move(done)] {
    done(list_now(selector, resume, limit));
  });
}

void Readers::read_content(const QueueId& id, std::uint64_t offset, std::uint64_t length,
                           Done<std::string> done) {
  work_.post([this, id, offset, length, done = std::move(done)] {
    done(content_now(id, offset, length));
  });
}

void Readers::history(const QueueId& id, Done<std::vector<HistoryEntry>> done) {
  work_.post([this, id, done = std::move(done)] { done(history_now(id)); });
}

void Readers::events_since(std::uint64_t seq, std::size_t limit, Done<EventPage> done) {
  work_.post([this, seq, limit, done = std::move(done)] { done(store_.events->read(seq, limit)); });
}

Result<DuePage> Readers::due_page_now(const FlowKey& flow, const std::optional<DueCursor>& after,
                                      std::size_t limit, const KeepContent& keep) {
  auto view = store_.index->view();
  if (!view) return view.error();
  std::optional<FlowRow> row;
  auto stored = (*view)->get(Family::flows, flow_key(flow));
  if (!stored) return stored.error();
  if (*stored) {
    row.emplace();
    if (!decode_row(**stored, *row)) return make_error_code(Errc::corrupt);
  }
  DuePage page;
  page.end = true;
  if (!row) return page;  // a flow without a counter has no entry
  const Time now = store_.clock.now();
  ErrorCode error;
  std::vector<MessageRow> rows;
  bool reads_along = keep != nullptr;
  auto done = (*view)->scan(
      Family::due, page_start(flow, after, row), end_of(flow_key(flow)),
      [&](std::string_view key, std::string_view value) {
        if (page.entries.size() >= limit) {
          page.end = false;
          return false;
        }
        const auto parts = parse_due_key(key);
        DueEntry entry;
        if (!parts || !decode_row(value, entry.recipients)) {
          log::error("due_entry_unreadable").field("destination", flow.lane.destination);
          return true;  // `spool check` reports it; the rest goes on
        }
        auto message = (*view)->message(parts->id);
        if (!message && message.error() != make_error_code(Errc::corrupt)) {
          error = message.error();
          return false;
        }
        if (!message || !*message) {
          store_.unreadable->note(parts->id);
          return true;
        }
        if ((*message)->stored.lease_until > now) return true;
        entry.id = parts->id;
        entry.due = parts->due;
        auto stored = std::make_shared<StoredMessage>((*message)->stored);
        reads_along = reads_along && read_along(**message, keep, *stored);
        entry.message = std::move(stored);
        page.entries.push_back(std::move(entry));
        rows.push_back(std::move(**message));
        const bool room = reads_along || keep == nullptr;
        if (room || page.entries.size() < page_without_content) return true;
        page.end = false;
        return false;
      });
  if (!done) return done.error();
  if (error) return error;
  ports_.offer(std::move(rows), (*view)->group());
  return page;
}

/// Content that stands in the journal is read with its row. False: there is no more room.
bool Readers::read_along(const MessageRow& row, const KeepContent& keep, StoredMessage& message) {
  if (!row.location.in_record) return true;
  auto octets = read_stored_content(store_, row, 0, row.stored.message.content.facts.size);
  if (!octets) return true;  // read_content() finds out what is wrong
  message.message.content.octets = keep(std::move(*octets));
  return message.message.content.octets != nullptr;
}

Result<FlowPage> Readers::flows_now(const std::string& resume, std::size_t limit) {
  auto view = store_.index->view();
  if (!view) return view.error();
  FlowPage page;
  std::string last;
  bool readable = true;
  auto done =
      (*view)->scan(Family::flows, resume, "", [&](std::string_view key, std::string_view value) {
        if (page.flows.size() >= limit) {
          page.resume = last + '\0';
          return false;
        }
        auto flow = parse_flow_key(key);
        FlowRow row;
        readable = flow && decode_row(value, row);
        if (!readable) return false;
        page.flows.push_back({std::move(*flow), row.queued, row.earliest});
        last = key;
        return true;
      });
  if (!done) return done.error();
  if (!readable) return make_error_code(Errc::corrupt);
  return page;
}

Result<LanePage> Readers::lanes_now(const std::string& resume, std::size_t limit) {
  auto view = store_.index->view();
  if (!view) return view.error();
  LanePage page;
  std::string last;
  bool readable = true;
  auto done =
      (*view)->scan(Family::lanes, resume, "", [&](std::string_view key, std::string_view value) {
        if (page.lanes.size() >= limit) {
          page.resume = last + '\0';
          return false;
        }
        auto lane = parse_lane_key(key);
        LaneRow row;
        readable = lane && decode_row(value, row);
        if (!readable) return false;
        page.lanes.push_back({std::move(*lane), row.queued, row.held, row.oldest});
        last = key;
        return true;
      });
  if (!done) return done.error();
  if (!readable) return make_error_code(Errc::corrupt);
  return page;
}

Result<std::vector<StoredMessagePtr>> Readers::get_now(const std::vector<QueueId>& ids) {
  auto view = store_.index->view();
  if (!view) return view.error();
  std::vector<StoredMessagePtr> out;
  for (const QueueId& id : ids) {
    auto row = (*view)->message(id);
    if (!row && row.error() == make_error_code(Errc::corrupt)) {
      store_.unreadable->note(id);
      continue;
    }
    if (!row) return row.error();
    if (*row) out.push_back(share(std::move(**row)));
  }
  return out;
}

Result<ListPage> Readers::list_now(const Selector& selector, const std::string& resume,
                                   std::size_t limit) {
  ListPage page;
  if (selector.selects_nothing()) return page;
  auto view = store_.index->view();
  if (!view) return view.error();
  std::string from;
  if (!resume.empty()) {
    const auto next = QueueId::parse(resume);
    if (!next) return ErrorCode(EINVAL, boost::system::system_category());
    from = message_key(*next);
  }
  from = std::max(from, message_key(scan_start(selector)));
  const std::optional<QueueId> end = scan_end(selector);
  std::vector<QueueId> ids = selector.ids;
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  std::size_t rows = 0;
  ErrorCode error;
  std::vector<MessageRow> found;
  const auto consider = [&](const QueueId& id, Result<std::optional<MessageRow>> row) {
    if (!row) {
      // Unreadable rows are left out; a device that does not read ends the listing.
      if (row.error() != make_error_code(Errc::corrupt)) {
        error = row.error();
      } else {
        store_.unreadable->note(id);
      }
      return !error;
    }
    if (*row && !matching(selector, (*row)->stored).empty()) {
      page.messages.push_back(std::make_shared<const StoredMessage>((*row)->stored));
      found.push_back(std::move(**row));
    }
    return true;
  };
  if (!ids.empty()) {
    for (const QueueId& id : ids) {
      if (message_key(id) < from) continue;
      if (page.messages.size() >= limit) {
        page.resume = id.to_string();
        break;
      }
      if (!consider(id, (*view)->message(id))) break;
    }
    if (error) return error;
    ports_.offer(std::move(found), (*view)->group());
    return page;
  }
  auto done =
      (*view)->scan(Family::messages, from, "", [&](std::string_view key, std::string_view value) {
        const auto id = parse_message_key(key);
        if (!id) return true;  // `spool check` reports it
        if (end && *id >= *end) return false;
        if (page.messages.size() >= limit || rows >= rows_per_listing) {
          page.resume = id->to_string();
          return false;
        }
        ++rows;
        return consider(*id, (*view)->message(*id, value));
      });
  if (!done) return done.error();
  if (error) return error;
  ports_.offer(std::move(found), (*view)->group());
  return page;
}

Result<std::string> read_stored_content(Store& store, const MessageRow& row, std::uint64_t offset,
                                        std::uint64_t length) {
  const ContentFacts& facts = row.stored.message.content.facts;
  const std::uint64_t left = offset < facts.size ? facts.size - offset : 0;
  const std::uint64_t wanted = std::min(length, left);
  std::string octets;
  if (row.location.in_record) {
    const SegmentPtr segment = store.journal->pin(row.location.epoch);
    if (segment == nullptr) return make_error_code(Errc::corrupt);
    octets.resize(static_cast<std::size_t>(wanted));
    auto got = segment->file->read_at(
        row.location.record_offset + row.location.content_offset + offset, octets);
    if (!got) return make_error_code(Errc::io);
    octets.resize(*got);
  } else {
    auto got = store.contents->read(row.stored.message.content.id, offset, wanted);
    if (!got && got.error() == make_error_code(Errc::missing))
      return make_error_code(Errc::corrupt);
    if (!got) return got;
    octets = std::move(*got);
  }
  if (octets.size() != wanted) return make_error_code(Errc::corrupt);
  const bool whole = offset == 0 && wanted == facts.size;
  if (whole && crc32c(octets) != facts.checksum) return make_error_code(Errc::corrupt);
  return octets;
}

Result<std::string> Readers::content_now(const QueueId& id, std::uint64_t offset,
                                         std::uint64_t length) {
  // Twice, because a survivor may be moved out of its segment between the look-up and the read.
  for (int attempt = 0;; ++attempt) {
    auto view = store_.index->view();
    if (!view) return view.error();
    auto row = (*view)->message(id);
    if (!row) {
      if (row.error() == make_error_code(Errc::corrupt)) store_.unreadable->note(id);
      return row.error();
    }
    if (!*row) return make_error_code(Errc::missing);
    auto octets = read_stored_content(store_, **row, offset, length);
    if (octets || octets.error() != make_error_code(Errc::corrupt)) return octets;
    if (attempt == 0) continue;
    ports_.quarantine(id, "the stored content does not have its checksum");
    return octets;
  }
}

Result<std::vector<HistoryEntry>> Readers::history_now(const QueueId& id) {
  auto view = store_.index->view();
  if (!view) return view.error();
  std::vector<HistoryEntry> entries;
  bool readable = true;
  const std::string prefix = message_key(id);
  auto done = (*view)->scan(Family::history, prefix, end_of(prefix),
                            [&](std::string_view, std::string_view value) {
                              Decoder in(value);
                              readable = in.u8() == 1;
                              in.time();
                              while (readable && !in.at_end()) {
                                readable = decode(in, entries.emplace_back());
                              }
                              return readable;
                            });
  if (!done) return done.error();
  if (!readable) return make_error_code(Errc::corrupt);
  if (!entries.empty()) return entries;
  auto there = (*view)->get(Family::messages, prefix);
  if (!there) return there.error();
  if (!*there) return make_error_code(Errc::missing);
  return entries;
}

}  // namespace mansio::spool
