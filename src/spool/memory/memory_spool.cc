#include "spool/memory/memory_spool.h"

#include <algorithm>
#include <chrono>
#include <exception>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/log.h"
#include "message/codec.h"
#include "spool/memory/memory_store.h"

namespace mansio::spool {
namespace {

using StorePtr = std::shared_ptr<MemoryStore>;

// ---- resume tokens: the last key given out ----------------------------------------------------

void put_lane(Encoder& out, const LaneKey& lane) {
  out.string(lane.destination);
  out.string(lane.binding);
}

LaneKey get_lane(Decoder& in) {
  LaneKey lane;
  lane.destination = in.string();
  lane.binding = in.string();
  return lane;
}

std::string token_of(const LaneKey& lane) {
  Encoder out;
  put_lane(out, lane);
  return std::move(out).octets();
}

std::string token_of(const FlowKey& flow) {
  Encoder out;
  put_lane(out, flow.lane);
  out.u8(static_cast<std::uint8_t>(flow.klass));
  out.u32(flow.flow);
  return std::move(out).octets();
}

bool read_token(std::string_view token, LaneKey& lane) {
  Decoder in(token);
  lane = get_lane(in);
  return in.ok() && in.at_end();
}

bool read_token(std::string_view token, FlowKey& flow) {
  Decoder in(token);
  flow.lane = get_lane(in);
  flow.klass = static_cast<PriorityClass>(in.u8());
  flow.flow = in.u32();
  return in.ok() && in.at_end();
}

/// Calls `take` for at most `limit` entries of `map` after the key in `resume`. The result is the
/// token to go on with, empty at the end; nullopt: `resume` is not a token.
template <class Map, class Take>
std::optional<std::string> page_through(const Map& map, const std::string& resume,
                                        std::size_t limit, Take take) {
  auto entry = map.begin();
  if (!resume.empty()) {
    typename Map::key_type last;
    if (!read_token(resume, last)) return std::nullopt;
    entry = map.upper_bound(last);
  }
  std::string token = resume;
  for (std::size_t taken = 0; taken < limit && entry != map.end(); ++taken, ++entry) {
    take(entry->first, entry->second);
    token = token_of(entry->first);
  }
  return entry == map.end() ? std::string{} : token;
}

// ---- content and marks ------------------------------------------------------------------------

class MemoryContentWriter final : public ContentWriter {
 public:
  MemoryContentWriter(StorePtr store, const MemorySpoolOptions& options, const QueueId& id)
      : store_(std::move(store)), options_(options), id_(id) {}

  ~MemoryContentWriter() override {
    if (sealed_) return;
    const std::lock_guard lock(store_->mutex);
    store_->give_back(octets_.size());
  }

  void append(std::string piece, Done<void> done) override {
    MANSIO_ASSERT(!sealed_);
    bool taken = false;
    {
      const std::lock_guard lock(store_->mutex);
      taken = store_->reserve(piece.size(), options_);
    }
    if (taken) octets_ += piece;
    done(taken ? Result<void>() : Result<void>(make_error_code(Errc::io)));
  }

  void seal(Done<void> done) override {
    MANSIO_ASSERT(!sealed_);
    bool is_new = false;
    {
      const std::lock_guard lock(store_->mutex);
      is_new = !store_->contents.contains(id_);
      if (is_new) store_->seal(id_, std::move(octets_));
    }
    sealed_ = is_new;
    done(is_new ? Result<void>() : Result<void>(make_error_code(Errc::io)));
  }

 private:
  StorePtr store_;
  MemorySpoolOptions options_;
  QueueId id_;
  std::string octets_;
  bool sealed_ = false;
};

class MemoryAttemptMark final : public AttemptMark {
 public:
  MemoryAttemptMark(StorePtr store, InDoubt mark) : store_(std::move(store)) {
    const std::lock_guard lock(store_->mutex);
    token_ = store_->next_mark++;
    store_->marks.emplace(token_, std::move(mark));
  }

  ~MemoryAttemptMark() override {
    const std::lock_guard lock(store_->mutex);
    store_->marks.erase(token_);
  }

 private:
  StorePtr store_;
  std::uint64_t token_ = 0;
};

// ---- the spool --------------------------------------------------------------------------------

class MemorySpool final : public Spool {
 public:
  MemorySpool(MemorySpoolOptions options, StorePtr store)
      : options_(std::move(options)), store_(std::move(store)) {
    if (!options_.now) {
      options_.now = [] {
        return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
      };
    }
    const std::lock_guard lock(store_->mutex);
    store_->drop_unreferenced_content();
    in_doubt_ = store_->marks_in_doubt();
    first_mark_ = store_->next_mark;
  }

  void submit(std::vector<Request> requests, CompletionSink& sink) override;
  std::unique_ptr<ContentWriter> open_content(const QueueId& content_id) override;
  void discard_content(const QueueId& content_id) override;
  std::unique_ptr<AttemptMark> mark_attempt(const QueueId& id,
                                            std::span<const std::uint32_t> recipients,
                                            std::uint32_t attempt, bool durable) override;
  std::vector<InDoubt> take_in_doubt() override;

  void due_page(const FlowKey& flow, std::optional<DueCursor> after, std::size_t limit,
                KeepContent keep, Done<DuePage> done) override;
  void flows(std::string resume, std::size_t limit, Done<FlowPage> done) override;
  void lanes(std::string resume, std::size_t limit, Done<LanePage> done) override;
  void get(std::vector<QueueId> ids, Done<std::vector<StoredMessagePtr>> done) override;
  void list(const Selector& selector, std::string resume, std::size_t limit,
            Done<ListPage> done) override;
  void read_content(const QueueId& id, std::uint64_t offset, std::uint64_t length,
                    Done<std::string> done) override;
  void history(const QueueId& id, Done<std::vector<HistoryEntry>> done) override;
  void events_since(std::uint64_t seq, std::size_t limit, Done<EventPage> done) override;

  std::vector<TenantTotals> totals() const override;
  std::vector<Suspension> suspensions() const override;
  Health health() const override;

  /// Memory has no write that can fail, so nothing ever latches.
  void on_latched(std::function<void(std::string)>) override {}

  std::vector<std::pair<std::string, double>> statistics() const override;

  /// There is nothing to make faster: a start reads nothing.
  void checkpoint() override {}

  void stop() override;

 private:
  ListPage list_ids(const Selector& selector, const QueueId& after, std::size_t limit) const;
  ListPage list_all(const Selector& selector, const QueueId& after, std::size_t limit) const;
  void quarantine(const QueueId& id);

  MemorySpoolOptions options_;
  StorePtr store_;

  // Protected by store_->mutex.
  std::vector<InDoubt> in_doubt_;
  std::uint64_t first_mark_ = 0;  ///< marks before it are of earlier openings
  std::uint64_t sink_failures_ = 0;
  bool stopped_ = false;
};

void MemorySpool::submit(std::vector<Request> requests, CompletionSink& sink) {
  std::vector<Answer> answers;
  answers.reserve(requests.size());
  {
    const std::lock_guard lock(store_->mutex);
    for (Request& request : requests) {
      Answer answer;
      if (stopped_) {
        answer.detail = "the spool is stopped";
      } else {
        answer = store_->commit(*request.operation, options_, options_.now());
      }
      answer.tag = request.tag;
      answer.operation = std::move(request.operation);
      answers.push_back(std::move(answer));
    }
  }
  try {
    sink.completed(std::move(answers));
  } catch (const std::exception& error) {
    // What was committed stays so, whatever becomes of those who wanted to hear of it.
    log::error("spool_sink_failed").field("error", error.what());
    const std::lock_guard lock(store_->mutex);
    ++sink_failures_;
  }
}

std::unique_ptr<ContentWriter> MemorySpool::open_content(const QueueId& content_id) {
  return std::make_unique<MemoryContentWriter>(store_, options_, content_id);
}

void MemorySpool::discard_content(const QueueId& content_id) {
  const std::lock_guard lock(store_->mutex);
  const auto found = store_->contents.find(content_id);
  if (found == store_->contents.end() || found->second.references > 0) return;
  store_->give_back(found->second.octets->size());
  store_->contents.erase(found);
}

std::unique_ptr<AttemptMark> MemorySpool::mark_attempt(const QueueId& id,
                                                       std::span<const std::uint32_t> recipients,
                                                       std::uint32_t attempt, bool) {
  InDoubt mark{id, {recipients.begin(), recipients.end()}, attempt};
  return std::make_unique<MemoryAttemptMark>(store_, std::move(mark));
}

std::vector<InDoubt> MemorySpool::take_in_doubt() {
  const std::lock_guard lock(store_->mutex);
  store_->marks.erase(store_->marks.begin(), store_->marks.lower_bound(first_mark_));
  return std::exchange(in_doubt_, {});
}

/// The message with its content, if that is sound and `keep` takes it.
StoredMessagePtr with_content(StoredMessagePtr message, const MemoryStore& store,
                              const KeepContent& keep) {
  const auto found = store.contents.find(message->message.content.id);
  if (found == store.contents.end()) return message;
  if (crc32c(*found->second.octets) != message->message.content.facts.checksum) return message;
  auto copy = std::make_shared<StoredMessage>(*message);
  copy->message.content.octets = keep(*found->second.octets);
  return copy;
}

void MemorySpool::due_page(const FlowKey& flow, std::optional<DueCursor> after, std::size_t limit,
                           KeepContent keep, Done<DuePage> done) {
  DuePage page;
  {
    const std::lock_guard lock(store_->mutex);
    const Time now = options_.now();
    const auto found = store_->flows.find(flow);
    if (found == store_->flows.end()) {
      page.end = true;
    } else {
      const auto& entries = found->second.entries;
      auto entry = after ? entries.upper_bound({after->due, after->id}) : entries.begin();
      for (; entry != entries.end() && page.entries.size() < limit; ++entry) {
        const auto& [due, id] = entry->first;
        StoredMessagePtr message = store_->readable(id);
        if (message == nullptr || message->lease_until > now) continue;
        if (keep) message = with_content(std::move(message), *store_, keep);
        page.entries.push_back({id, due, entry->second, std::move(message)});
      }
      page.end = entry == entries.end();
    }
  }
  done(std::move(page));
}

void MemorySpool::flows(std::string resume, std::size_t limit, Done<FlowPage> done) {
  FlowPage page;
  std::optional<std::string> token;
  {
    const std::lock_guard lock(store_->mutex);
    token = page_through(store_->flows, resume, limit, [&](const FlowKey& key, const auto& flow) {
      page.flows.push_back({key, flow.recipients, flow.entries.begin()->first.first});
    });
  }
  if (!token) return done(make_error_code(Errc::invalid));
  page.resume = std::move(*token);
  done(std::move(page));
}

void MemorySpool::lanes(std::string resume, std::size_t limit, Done<LanePage> done) {
  LanePage page;
  std::optional<std::string> token;
  {
    const std::lock_guard lock(store_->mutex);
    token = page_through(store_->lanes, resume, limit, [&](const LaneKey& key, const auto& lane) {
      page.lanes.push_back({key, lane.queued, lane.held, lane.messages.begin()->first});
    });
  }
  if (!token) return done(make_error_code(Errc::invalid));
  page.resume = std::move(*token);
  done(std::move(page));
}

void MemorySpool::get(std::vector<QueueId> ids, Done<std::vector<StoredMessagePtr>> done) {
  std::vector<StoredMessagePtr> messages;
  {
    const std::lock_guard lock(store_->mutex);
    for (const QueueId& id : ids) {
      if (StoredMessagePtr message = store_->readable(id)) messages.push_back(std::move(message));
    }
  }
  done(std::move(messages));
}

void MemorySpool::list(const Selector& selector, std::string resume, std::size_t limit,
                       Done<ListPage> done) {
  const std::optional<QueueId> after = resume.empty() ? QueueId{} : QueueId::parse(resume);
  if (!after) return done(make_error_code(Errc::invalid));
  ListPage page;
  {
    const std::lock_guard lock(store_->mutex);
    page = selector.ids.empty() ? list_all(selector, *after, limit)
                                : list_ids(selector, *after, limit);
  }
  done(std::move(page));
}

ListPage MemorySpool::list_all(const Selector& selector, const QueueId& after,
                               std::size_t limit) const {
  ListPage page;
  if (selector.selects_nothing()) return page;
  const QueueId start = scan_start(selector);
  const std::optional<QueueId> end = scan_end(selector);
  auto entry =
      after < start ? store_->messages.lower_bound(start) : store_->messages.upper_bound(after);
  for (; entry != store_->messages.end() && !(end && entry->first >= *end); ++entry) {
    if (store_->damaged.contains(entry->first) || matching(selector, *entry->second).empty()) {
      continue;
    }
    // One more than asked for is there: only then there is something to go on with.
    if (page.messages.size() == limit) {
      page.resume = (limit == 0 ? after : page.messages.back()->message.id).to_string();
      break;
    }
    page.messages.push_back(entry->second);
  }
  return page;
}

ListPage MemorySpool::list_ids(const Selector& selector, const QueueId& after,
                               std::size_t limit) const {
  std::vector<QueueId> ids = selector.ids;
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  Selector rest = selector;
  rest.ids.clear();
  rest.everything = true;  // the ids are a condition that holds for what is looked at
  ListPage page;
  for (auto id = std::upper_bound(ids.begin(), ids.end(), after); id != ids.end(); ++id) {
    StoredMessagePtr message = store_->readable(*id);
    if (message == nullptr || matching(rest, *message).empty()) continue;
    if (page.messages.size() == limit) {
      page.resume = (limit == 0 ? after : page.messages.back()->message.id).to_string();
      break;
    }
    page.messages.push_back(std::move(message));
  }
  return page;
}

void MemorySpool::read_content(const QueueId& id, std::uint64_t offset, std::uint64_t length,
                               Done<std::string> done) {
  std::shared_ptr<const std::string> octets;
  std::uint32_t checksum = 0;
  bool damaged = false;
  {
    const std::lock_guard lock(store_->mutex);
    damaged = store_->damaged.contains(id);
    if (const auto message = store_->readable(id)) {
      octets = store_->contents.at(message->message.content.id).octets;
      checksum = message->message.content.facts.checksum;
    }
  }
  if (damaged) return done(make_error_code(Errc::corrupt));
  if (octets == nullptr) return done(make_error_code(Errc::missing));
  const bool whole = offset == 0 && length >= octets->size();
  if (whole && crc32c(*octets) != checksum) {
    quarantine(id);
    return done(make_error_code(Errc::corrupt));
  }
  const std::uint64_t begin = std::min<std::uint64_t>(offset, octets->size());
  done(octets->substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(length)));
}

void MemorySpool::quarantine(const QueueId& id) {
  const std::lock_guard lock(store_->mutex);
  Change change;
  change.id = id;
  change.verb = Verb::quarantine;
  change.at = options_.now();
  change.reason = "the checksum of the content is wrong";
  change.actor = "engine";
  const Time at = change.at;
  store_->commit(Operation(std::move(change)), options_, at);
}

void MemorySpool::history(const QueueId& id, Done<std::vector<HistoryEntry>> done) {
  std::vector<HistoryEntry> entries;
  {
    const std::lock_guard lock(store_->mutex);
    store_->drop_old_history(options_, options_.now());
    const auto found = store_->history.find(id);
    if (found != store_->history.end()) entries = found->second.entries;
  }
  if (entries.empty()) return done(make_error_code(Errc::missing));
  done(std::move(entries));
}

void MemorySpool::events_since(std::uint64_t seq, std::size_t limit, Done<EventPage> done) {
  EventPage page;
  {
    const std::lock_guard lock(store_->mutex);
    const auto& events = store_->events;
    const std::uint64_t first = store_->next_seq - events.size();
    const std::uint64_t asked = std::clamp<std::uint64_t>(seq, 1, store_->next_seq);
    const std::uint64_t start = std::max(asked, first);
    page.lost = start - asked;
    const std::uint64_t count = std::min<std::uint64_t>(limit, store_->next_seq - start);
    const auto begin = events.begin() + static_cast<std::ptrdiff_t>(start - first);
    page.events.assign(begin, begin + static_cast<std::ptrdiff_t>(count));
    page.next_seq = start + count;
  }
  done(std::move(page));
}

std::vector<TenantTotals> MemorySpool::totals() const {
  const std::lock_guard lock(store_->mutex);
  std::vector<TenantTotals> result;
  for (const auto& [tenant, totals] : store_->totals) result.push_back({tenant, totals});
  return result;
}

std::vector<Suspension> MemorySpool::suspensions() const {
  const std::lock_guard lock(store_->mutex);
  std::vector<Suspension> result;
  for (const auto& [key, suspension] : store_->suspensions) result.push_back(suspension);
  return result;
}

Health MemorySpool::health() const {
  const std::lock_guard lock(store_->mutex);
  return store_->octets >= options_.octets_max ? Health::reserve : Health::ok;
}

std::vector<std::pair<std::string, double>> MemorySpool::statistics() const {
  const std::lock_guard lock(store_->mutex);
  const auto number = [](auto value) { return static_cast<double>(value); };
  return {{"messages", number(store_->messages.size())},
          {"damaged_records", number(store_->damaged.size())},
          {"contents", number(store_->contents.size())},
          {"content_octets", number(store_->octets)},
          {"lanes", number(store_->lanes.size())},
          {"flows", number(store_->flows.size())},
          {"histories", number(store_->history.size())},
          {"events", number(store_->events.size())},
          {"attempt_marks", number(store_->marks.size())},
          {"operations", number(store_->operations)},
          {"sink_failures", number(sink_failures_)}};
}

void MemorySpool::stop() {
  const std::lock_guard lock(store_->mutex);
  stopped_ = true;
}

}  // namespace

std::shared_ptr<MemoryStore> make_memory_store() { return std::make_shared<MemoryStore>(); }

std::unique_ptr<Spool> make_memory_spool(MemorySpoolOptions options) {
  return make_memory_spool(std::move(options), make_memory_store());
}

std::unique_ptr<Spool> make_memory_spool(MemorySpoolOptions options,
                                         std::shared_ptr<MemoryStore> store) {
  return std::make_unique<MemorySpool>(std::move(options), std::move(store));
}

void corrupt_memory_record(MemoryStore& store, const QueueId& id) {
  const std::lock_guard lock(store.mutex);
  MANSIO_ASSERT(store.messages.contains(id));
  store.damaged.insert(id);
}

void corrupt_memory_content(MemoryStore& store, const QueueId& id) {
  const std::lock_guard lock(store.mutex);
  const QueueId content_id = store.messages.at(id)->message.content.id;
  auto& octets = store.contents.at(content_id).octets;
  std::string damaged = *octets;
  MANSIO_ASSERT(!damaged.empty());
  damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 1);
  octets = std::make_shared<const std::string>(std::move(damaged));
}

}  // namespace mansio::spool
