#include "spool/file/committer.h"

#include <algorithm>
#include <cerrno>

#include "base/assert.h"
#include "base/log.h"
#include "spool/file/keys.h"

namespace mansio::spool {
namespace {

constexpr std::size_t group_octets_max = 4 << 20;
/// Rows of readers that may wait, a few pages, and the recipients that one may have.
constexpr std::size_t offered_max = 4096;
constexpr std::size_t offered_recipients_max = 16;
constexpr std::size_t group_overhead = 256;  // its own record
constexpr std::size_t admit_base = 2048, recipient_base = 512, outcome_base = 512;

std::size_t size_of(const Disposition& disposition) {
  return disposition.reply.text.size() + disposition.host.size() + disposition.address.size() +
         disposition.tls.size();
}

/// Never less than the record takes, so that a group always fits its segment.
std::size_t size_bound(const Admit& admit) {
  const Message& message = admit.message;
  std::size_t octets = admit_base + message.tenant.size() + message.campaign.size() +
                       message.content.facts.subject.size() + message.envelope.envelope_id.size() +
                       message.envelope.reverse_path.local.size() +
                       message.envelope.reverse_path.domain.size();
  const Origin& origin = message.envelope.origin;
  octets += origin.protocol.size() + origin.client_address.size() + origin.client_name.size() +
            origin.tls.size() + origin.user.size();
  for (const Recipient& recipient : message.envelope.recipients) {
    octets += recipient_base + recipient.address.local.size() + recipient.address.domain.size() +
              recipient.original.local.size() + recipient.original.domain.size() +
              recipient.original_recipient.size();
  }
  for (const LaneKey& lane : message.lanes) {
    octets += 32 + lane.destination.size() + lane.binding.size();
  }
  octets += admit.due.size() * 8;
  if (message.content.octets) octets += message.content.octets->size();
  return octets;
}

std::size_t size_of(const Suspension& suspension) {
  return 64 + suspension.destination.size() + suspension.binding.size() + suspension.reason.size() +
         suspension.actor.size();
}

std::size_t size_bound(const Operation& operation) {
  std::size_t octets = admit_base;
  if (const auto* admit = std::get_if<Admit>(&operation)) return size_bound(*admit);
  const std::vector<Admit>* notices = nullptr;
  if (const auto* settle = std::get_if<Settle>(&operation)) {
    notices = &settle->notices;
    for (const RecipientOutcome& outcome : settle->outcomes) {
      octets += outcome_base + size_of(outcome.disposition);
    }
  } else if (const auto* change = std::get_if<Change>(&operation)) {
    notices = &change->notices;
    octets += change->recipients.size() * 5 + size_of(change->disposition) + change->reason.size() +
              change->actor.size();
  } else if (const auto* claim = std::get_if<Claim>(&operation)) {
    octets += claim->limit * (recipient_base + claim->holder.size() +
                              claim->lane.destination.size() + claim->lane.binding.size());
  }
  if (const auto* suspend = std::get_if<Suspend>(&operation)) {
    octets += size_of(suspend->suspension);
  } else if (const auto* record = std::get_if<Record>(&operation)) {
    octets += record->recipient_address.size() + record->tenant.size() + record->reason.size() +
              record->actor.size() + size_of(record->disposition);
  }
  if (notices != nullptr) {
    for (const Admit& notice : *notices) octets += 16 + size_bound(notice);
  }
  return octets;
}

bool is_claim(const Operation& operation) { return std::holds_alternative<Claim>(operation); }

bool is_admit(const Operation& operation) { return std::holds_alternative<Admit>(operation); }

ErrorCode stopped() { return {ECANCELED, boost::system::system_category()}; }

}  // namespace

Committer::Committer(Store& store, std::function<void()> kick)
    : store_(store),
      kick_(std::move(kick)),
      builder_(*store.set),
      next_group_(store.last_group + 1),
      durable_(store.last_group),
      durable_sequence_(store.set->next_sequence),
      sequence_(store.set->next_sequence - 1),
      totals_(store.set->all_totals()),
      suspensions_(store.set->suspensions) {
  check_space();
  committer_ = std::thread([this] { run_committer(); });
  sync_ = std::thread([this] { run_sync(); });
}

Committer::~Committer() { stop(); }

// ---- the way in
// -----------------------------------------------------------------------------------

void Committer::submit(std::vector<Request> requests, CompletionSink& sink) {
  std::vector<Item> items;
  items.reserve(requests.size());
  for (Request& request : requests) {
    Item& item = items.emplace_back();
    item.octets = size_bound(*request.operation);
    item.request = std::move(request);
    item.sink = &sink;
  }
  enqueue(std::move(items));
}

void Committer::submit(Operation operation) {
  std::vector<Item> items(1);
  items[0].octets = size_bound(operation);
  items[0].request = Request(0, std::move(operation));
  enqueue(std::move(items));
}

void Committer::submit(std::vector<Relocation> relocations) {
  relocations_ += relocations.size();
  std::vector<Item> items;
  for (Relocation& relocation : relocations) {
    Item& item = items.emplace_back();
    // The rest of the record is as large as its first copy, which is part of what was read.
    item.octets = relocation.content.size() + (256 << 10);
    item.relocation = std::move(relocation);
  }
  enqueue(std::move(items));
}

void Committer::discard(const QueueId& content) {
  std::vector<Item> items(1);
  items[0].discarded = content;
  enqueue(std::move(items));
}

void Committer::enqueue(std::vector<Item> items) {
  const SteadyTime now = store_.clock.steady_now();
  std::unique_lock lock(mutex_);
  if (closed_) {
    lock.unlock();
    // Too late: nobody will write it, but nobody is left waiting either.
    Answers answers;
    for (Item& item : items) {
      if (item.sink == nullptr) continue;
      Answer& answer = answers[item.sink].emplace_back();
      answer.tag = item.request.tag;
      answer.operation = std::move(item.request.operation);
    }
    return deliver(std::move(answers), false);
  }
  for (Item& item : items) {
    ++submitted_count_;
    if (pending_.empty()) pending_since_ = now;
    if (item.sink != nullptr && is_admit(*item.request.operation)) {
      // Admits are turned away first; whatever ends deliveries always gets in.
      const bool old = now - pending_since_ > store_.options.submit_age;
      item.refused = old || pending_admit_octets_ + item.octets > store_.options.submit_memory;
      if (item.refused) {
        std::get<Admit>(*item.request.operation).message.content.octets = nullptr;
      } else {
        pending_admit_octets_ += item.octets;
      }
    }
    pending_.push_back(std::move(item));
  }
  submitted_.notify_one();
}

void Committer::offer(std::vector<MessageRow> rows, std::uint64_t group) {
  const std::lock_guard lock(mutex_);
  for (MessageRow& row : rows) {
    // Rows with many recipients are large, and on an idle spool nobody fetches what waits here.
    if (offered_.size() >= offered_max) return;
    if (row.stored.recipients.size() > offered_recipients_max) continue;
    offered_.emplace_back(std::move(row), group);
  }
}

void Committer::wait_idle() {
  std::unique_lock lock(mutex_);
  const std::uint64_t target = submitted_count_;
  idle_.wait(lock, [&] { return answered_count_ >= target; });
}

void Committer::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    submitted_.notify_all();
  }
  store_.journal->close();
  if (committer_.joinable()) committer_.join();
  {
    const std::lock_guard lock(mutex_);
    committer_done_ = true;
    ready_.notify_all();
  }
  if (sync_.joinable()) sync_.join();
}

// ---- the committer thread
// -------------------------------------------------------------------------

void Committer::run_committer() {
  while (true) {
    std::vector<Item> items = take();
    if (items.empty()) return;
    take_offers();
    process(std::move(items));
    store_.set->trim();
  }
}

/// What is there, as soon as the group before has gone to the sync thread.
std::vector<Committer::Item> Committer::take() {
  std::unique_lock lock(mutex_);
  submitted_.wait(
      lock, [this] { return (!pending_.empty() && !waiting_) || (pending_.empty() && stopping_); });
  std::vector<Item> items;
  std::size_t octets = 0;
  const std::size_t limit = std::min<std::size_t>(group_octets_max, store_.journal->capacity() / 2);
  while (!pending_.empty()) {
    Item& next = pending_.front();
    const bool alone = next.request.operation && is_claim(*next.request.operation);
    if (!items.empty() && (alone || octets + next.octets > limit)) break;
    octets += next.octets;
    if (next.sink != nullptr && is_admit(*next.request.operation) && !next.refused) {
      pending_admit_octets_ -= next.octets;
    }
    items.push_back(std::move(next));
    pending_.pop_front();
    if (alone) break;
  }
  closed_ = items.empty();
  pending_since_ = store_.clock.steady_now();
  return items;
}

void Committer::take_offers() {
  std::vector<std::pair<MessageRow, std::uint64_t>> offered;
  {
    const std::lock_guard lock(mutex_);
    offered.swap(offered_);
  }
  for (auto& [row, group] : offered) store_.set->offer(std::move(row), group);
}

void Committer::process(std::vector<Item> items) {
  Work work;
  work.items = items.size();
  work.relocations = static_cast<std::uint64_t>(std::count_if(
      items.begin(), items.end(), [](const Item& item) { return item.relocation.has_value(); }));
  builder_.begin(next_group_);
  const bool has_admit = std::any_of(items.begin(), items.end(), [](const Item& item) {
    return item.sink != nullptr && is_admit(*item.request.operation);
  });
  if (has_admit) check_space();
  std::uint64_t octets = group_overhead;
  for (const Item& item : items) octets += item.octets;
  if (has_admit && store_.journal->want(octets)) kick_();
  // While no further segment can be had, what is left of this one is for settling.
  const bool room = !has_admit || (store_.journal->wait_for_room(octets) &&
                                   (!store_.journal->short_of_space() ||
                                    store_.journal->room() >= store_.journal->capacity() / 4));
  const bool admits = !low_space_ && room;
  for (Item& item : items) {
    Answer answer;
    const std::uint64_t tag = item.request.tag;
    if (!latched_ && !apply(item, admits, answer)) {
      latch("the index cannot be read");
    }
    if (latched_) answer = Answer{};
    answer.tag = tag;
    answer.operation = std::move(item.request.operation);
    if (item.sink != nullptr) work.answers[item.sink].push_back(std::move(answer));
  }
  if (!latched_ && !write(work)) latch("the journal cannot be written");
  hand_over(std::move(work));
}

/// False: the spool's own state is no longer known.
bool Committer::apply(Item& item, bool admits, Answer& answer) {
  if (item.octets + group_overhead > store_.journal->capacity()) {
    answer.status = Status::refused;
    answer.detail = "larger than a segment of the journal takes";
    return true;
  }
  if (item.relocation) {
    const Relocation& move = *item.relocation;
    return builder_.relocate(move.id, move.from, move.content).has_value();
  }
  if (item.discarded) {
    const QueueId& content = *item.discarded;
    auto uses = store_.set->content(content);
    if (!uses || (*uses)->row > 0 || !store_.contents->sealed_size(content)) return true;
    store_.contents->retire(content);
    store_.contents->remove(content);
    return true;
  }
  if (item.copies_suspensions) {
    builder_.copy_suspensions();
    return true;
  }
  const Operation& operation = *item.request.operation;
  if (const auto* claim = std::get_if<Claim>(&operation)) return apply_claim(*claim, answer);
  QueueId id;
  if (const auto* admit = std::get_if<Admit>(&operation)) {
    if (auto refusal = refuse_admit(*admit, item, admits)) {
      answer = std::move(*refusal);
      return true;
    }
    id = admit->message.id;
  } else if (const auto* settle = std::get_if<Settle>(&operation)) {
    id = settle->id;
  } else if (const auto* change = std::get_if<Change>(&operation)) {
    id = change->id;
  } else if (const auto* renew = std::get_if<Renew>(&operation)) {
    id = renew->id;
  } else if (const auto* record = std::get_if<Record>(&operation)) {
    id = record->id;
  }
  // Asked for first: here an unreadable message is only that message's trouble.
  Result<WorkingSet::Held*> known = static_cast<WorkingSet::Held*>(nullptr);
  if (!std::holds_alternative<Suspend>(operation)) known = store_.set->message(id);
  if (!known && known.error() == make_error_code(Errc::corrupt)) {
    store_.unreadable->note(id);
    answer.status = Status::corrupt;
    answer.detail = "the stored message does not decode; it stays where it is";
    return true;
  }
  auto result = builder_.apply(operation);
  if (!result) return false;
  answer = std::move(*result);
  return true;
}

std::optional<Answer> Committer::refuse_admit(const Admit& admit, const Item& item, bool admits) {
  Answer answer;
  if (item.sink != nullptr && (item.refused || !admits)) {
    const std::lock_guard lock(mutex_);
    ++full_;
    answer.status = Status::full;
    answer.detail =
        item.refused ? "too much is waiting for the disk" : "below the reserve of space";
    return answer;
  }
  if (admit.message.content.octets != nullptr) return std::nullopt;
  const auto size = store_.contents->sealed_size(admit.message.content.id);
  if (size && *size == admit.message.content.facts.size) return std::nullopt;
  // Admitted before: the ledger compares.
  auto known = store_.set->message(admit.message.id);
  if (known && (*known)->state != nullptr) return std::nullopt;
  answer.status = Status::refused;
  answer.detail = "its content was not sealed";
  return answer;
}

/// Leases are rare: everything before is merged first, then the due index is walked.
bool Committer::apply_claim(const Claim& claim, Answer& answer) {
  wait_merged();
  if (latched_) return true;
  auto view = store_.index->view();
  if (!view) return false;
  answer.status = Status::committed;
  const std::string lane = lane_key(claim.lane);
  std::vector<std::string> flows;
  auto done =
      (*view)->scan(Family::flows, lane, end_of(lane), [&](std::string_view key, std::string_view) {
        flows.emplace_back(key);
        return true;
      });
  bool readable = done.has_value();
  for (const std::string& flow : flows) {
    done =
        (*view)->scan(Family::due, flow, end_of(flow), [&](std::string_view key, std::string_view) {
          const auto due = parse_due_key(key);
          if (!due || due->due > claim.at || answer.claimed.size() >= claim.limit) return false;
          auto effect = builder_.claim(claim, due->id, answer);
          readable = readable && effect.has_value();
          return readable;
        });
    readable = readable && done;
  }
  return readable;
}

bool Committer::write(Work& work) {
  sequence_ = store_.set->next_sequence - 1;
  if (builder_.empty()) return true;
  if (store_.journal->want(builder_.octets())) kick_();
  auto place = store_.journal->place(builder_.octets(), next_group_, durable_);
  if (!place) return false;
  auto group = builder_.finish(std::move(*place), durable_);
  if (!group) return false;
  work.group = std::move(*group);
  for (const QueueId& content : work.group.contents_done) store_.contents->retire(content);
  const GroupPlace& at = work.group.place;
  if (!at.segment->file->write_at(at.offset, work.group.octets)) return false;
  if (store_.journal->written(at, work.group.octets.size(), next_group_)) kick_();
  builder_.reuse(std::move(work.group.octets));
  ++next_group_;
  if (at.segment->header.epoch != head_epoch_) {
    begin_segment(at.segment->header.epoch);
  }
  return true;
}

/// Suspensions are in no message that is copied when a segment is emptied.
void Committer::begin_segment(std::uint64_t epoch) {
  head_epoch_ = epoch;
  kick_();
  if (!store_.set->suspensions_known) return;
  std::vector<Item> items(1);
  items[0].copies_suspensions = true;
  items[0].octets = admit_base;
  for (const auto& [key, suspension] : store_.set->suspensions) {
    items[0].octets += size_of(suspension);
  }
  enqueue(std::move(items));
}

void Committer::hand_over(Work work) {
  std::unique_lock lock(mutex_);
  taken_.wait(lock, [this] { return !waiting_; });
  waiting_ = std::move(work);
  ready_.notify_one();
}

void Committer::wait_merged() {
  std::unique_lock lock(mutex_);
  taken_.wait(lock, [this] { return latched_ || (!waiting_ && durable_ + 1 == next_group_); });
}

// ---- the sync thread
// ------------------------------------------------------------------------------

void Committer::run_sync() {
  while (true) {
    Work work;
    {
      std::unique_lock lock(mutex_);
      ready_.wait(lock, [this] { return waiting_ || committer_done_; });
      if (!waiting_) return;
      work = std::move(*waiting_);
      waiting_.reset();
      taken_.notify_all();
      submitted_.notify_one();
    }
    const bool known = !latched_ && make_durable(work.group);
    deliver(std::move(work.answers), known);
    const std::lock_guard lock(mutex_);
    answered_count_ += work.items;
    relocations_ -= work.relocations;
    idle_.notify_all();
    taken_.notify_all();
  }
}

bool Committer::make_durable(Group& group) {
  if (group.empty()) return true;
  if (auto done = group.place.segment->file->sync(); !done) {
    latch("the journal cannot be synced: " + done.error().message());
    return false;
  }
  publish(group);
  return true;
}

void Committer::publish(Group& group) {
  store_.events->append(group.events);
  for (const auto& [epoch, change] : group.live) {
    store_.journal->adjust_live(epoch, change, group.number);
  }
  const std::uint64_t sequence = group.changes.position.sequence;
  store_.index->merge(std::move(group.changes));
  if (store_.index->overlay_is_full()) {
    // What is durable in the journal stays true; but without the index nothing more can be told.
    if (auto done = store_.index->write_pending(); !done) latch("the index cannot be written");
  }
  for (const QueueId& content : group.contents_done) store_.contents->remove(content);
  const std::lock_guard lock(mutex_);
  for (auto& [tenant, totals] : group.totals) totals_[tenant] = totals;
  if (group.suspensions) suspensions_ = std::move(*group.suspensions);
  durable_ = group.number;
  durable_sequence_ = sequence;
  ++groups_;
  ++syncs_;
  records_ += group.records;
}

void Committer::deliver(Answers answers, bool known) {
  for (auto& [sink, list] : answers) {
    if (!known) {
      for (Answer& answer : list) {
        Answer unknown;
        unknown.tag = answer.tag;
        unknown.operation = std::move(answer.operation);
        answer = std::move(unknown);
      }
    }
    try {
      sink->completed(std::move(list));
    } catch (const std::exception& error) {
      // What was committed stays so, whoever fails to hear of it.
      log::error("completion_sink_failed").field("error", error.what());
    }
  }
}

// ---- state
// ----------------------------------------------------------------------------------------

void Committer::latch(const std::string& why) {
  std::function<void(std::string)> notify;
  {
    const std::lock_guard lock(mutex_);
    if (latched_.exchange(true)) return;
    latch_reason_ = why;
    notify = notify_;
    taken_.notify_all();
  }
  store_.journal->stop(stopped());
  store_.contents->latch();
  log::error("spool_latched").field("reason", why);
  if (notify) notify(why);
}

void Committer::on_latched(std::function<void(std::string)> notify) {
  std::optional<std::string> why;
  {
    const std::lock_guard lock(mutex_);
    notify_ = std::move(notify);
    why = latch_reason_;
    if (why) notify = notify_;
  }
  if (why) notify(*why);
}

void Committer::check_space() {
  auto space = store_.files->free_space(store_.options.path);
  if (!space) return;
  const auto share =
      static_cast<std::uint64_t>(static_cast<double>(space->total) * store_.options.reserve_share);
  const std::uint64_t reserve = std::max(store_.options.reserve, share);
  // A little more must be free to begin again than to stop, so that it does not flutter.
  const std::uint64_t needed = low_space_ ? reserve + reserve / 8 : reserve;
  const bool low = space->available < needed;
  if (low != low_space_.exchange(low)) {
    log::warning(low ? "spool_reserve_reached" : "spool_reserve_left")
        .field("available", space->available)
        .field("reserve", reserve);
  }
}

Health Committer::health() const {
  if (latched_) return Health::latched;
  return low_space_ || store_.journal->short_of_space() ? Health::reserve : Health::ok;
}

std::vector<TenantTotals> Committer::totals() const {
  const std::lock_guard lock(mutex_);
  std::vector<TenantTotals> out;
  for (const auto& [tenant, totals] : totals_) out.push_back({tenant, totals});
  return out;
}

std::vector<Suspension> Committer::suspensions() const {
  const std::lock_guard lock(mutex_);
  std::vector<Suspension> out;
  for (const auto& [key, suspension] : suspensions_) out.push_back(suspension);
  return out;
}

std::uint64_t Committer::message_count() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t count = 0;
  for (const auto& [tenant, totals] : totals_) count += totals.messages;
  return count;
}

std::vector<std::pair<std::string, double>> Committer::statistics() const {
  const std::lock_guard lock(mutex_);
  return {{"commit_groups", static_cast<double>(groups_)},
          {"commit_records", static_cast<double>(records_)},
          {"commit_syncs", static_cast<double>(syncs_)},
          {"commit_full", static_cast<double>(full_)},
          {"commit_waiting", static_cast<double>(pending_.size())}};
}

}  // namespace mansio::spool
