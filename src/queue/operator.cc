// The operator's side of the queue: what there is, why it waits, and changing it.
#include <algorithm>
#include <exception>
#include <set>
#include <utility>

#include "base/checksum.h"
#include "base/log.h"
#include "queue/queue_impl.h"
#include "spool/ledger.h"

namespace mansio {
namespace {

using spool::Verb;

/// Messages that a bulk verb has in memory, and those that it changes in one step: nobody's mail is
/// accepted or settled while the spool takes a step.
constexpr std::size_t bulk_page = 500;
constexpr std::size_t step_messages = 100;
constexpr std::size_t step_recipients = 1000;
constexpr std::size_t step_with_notices = 50;
/// While mail passes through a bulk verb rests so many times as long as a step took: less where the
/// step makes mail itself.
constexpr int rests = 2, rests_with_notices = 1;
/// A bulk retry makes a thousand messages due per second, so that it is no burst.
constexpr Duration bulk_spread = std::chrono::milliseconds(1);
constexpr Duration bulk_rest_max = std::chrono::seconds(1);

constexpr std::pair<LivingState, const char*> living_state_names[] = {
    {LivingState::active, "active"},
    {LivingState::deferred, "deferred"},
    {LivingState::held, "held"},
    {LivingState::suspended, "suspended"},
    {LivingState::in_flight, "in_flight"},
    {LivingState::in_doubt, "in_doubt"},
    {LivingState::quarantined, "quarantined"},
};

LivingState living_state(const RecipientStatus& status, bool in_flight, bool suspended, Time now) {
  switch (status.state) {
    case RecipientState::held:
      return LivingState::held;
    case RecipientState::in_doubt:
      return LivingState::in_doubt;
    case RecipientState::quarantined:
      return LivingState::quarantined;
    default:
      break;
  }
  if (in_flight) return LivingState::in_flight;
  if (suspended) return LivingState::suspended;
  return status.due <= now ? LivingState::active : LivingState::deferred;
}

/// The durable state that a state of the moment implies, to narrow the search in the spool.
std::optional<RecipientState> durable_state(std::optional<LivingState> state) {
  if (!state) return std::nullopt;
  switch (*state) {
    case LivingState::held:
      return RecipientState::held;
    case LivingState::in_doubt:
      return RecipientState::in_doubt;
    case LivingState::quarantined:
      return RecipientState::quarantined;
    default:
      return RecipientState::queued;
  }
}

std::pair<FlowKey, DueCursor> place_of(const spool::StoredMessage& stored,
                                       std::uint32_t recipient) {
  const Message& message = stored.message;
  return {FlowKey{message.lanes[recipient], message.klass, flow_of(message)},
          DueCursor{stored.recipients[recipient].due, message.id}};
}

void explain_suspension(const spool::Suspension& suspension, Time due, Wait& wait) {
  wait.since = suspension.since;
  wait.next_attempt.reset();
  wait.detail = suspension.actor;
  if (!suspension.reason.empty()) wait.detail += ": " + suspension.reason;
  if (suspension.until == Time{}) return;
  wait.next_attempt = std::max(suspension.until, due);
  wait.detail += " (until " + to_rfc3339(suspension.until) + ")";
}

/// Every condition that is given lets everything through.
bool limits_nothing(const QueueSelector& selector) {
  const spool::Selector& stored = selector.stored;
  const auto open = [](const std::string& pattern) { return pattern.empty() || pattern == "*"; };
  return !selector.state && stored.ids.empty() && open(stored.destination) &&
         open(stored.binding) && open(stored.sender) && open(stored.recipient) &&
         open(stored.tenant) && !stored.state && !stored.accepted_before &&
         (!stored.accepted_since || *stored.accepted_since <= Time{}) && stored.tries_min == 0 &&
         stored.retries_min == 0 && stored.size_min == 0 && stored.subject.empty();
}

/// The reason for waiting that the last attempt gives beyond "it was deferred": null if a host
/// spoke about the message.
const char* trouble_of(const Disposition& last) {
  switch (last.cause) {
    case Cause::dns:
      return "dns";
    case Cause::policy:
      return "policy";
    default:
      break;
  }
  switch (last.stage) {
    case Stage::route:
      return "policy";
    case Stage::connect:
    case Stage::greeting:
    case Stage::ehlo:
    case Stage::starttls:
    case Stage::auth:
      return "host_down";
    default:
      return nullptr;
  }
}

/// What was said last, and by whom at which step.
std::string last_word(const Disposition& last) {
  std::string text = last.reply.to_string();
  if (last.host.empty()) return text;
  return last.host + " (" + to_text(last.stage) + "): " + text;
}

}  // namespace

const char* to_text(LivingState state) {
  for (const auto& [value, name] : living_state_names) {
    if (value == state) return name;
  }
  return "unknown";
}

std::optional<LivingState> parse_living_state(std::string_view text) {
  for (const auto& [value, name] : living_state_names) {
    if (text == name) return value;
  }
  return std::nullopt;
}

// ---- looking ----------------------------------------------------------------------------------

/// Fills in `states`, asking the shards what is in flight.
Task<void> Queue::Impl::add_living_states(std::vector<ListedMessage>& messages) {
  std::vector<std::vector<std::pair<std::size_t, std::uint32_t>>> asked(shards_.size());
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const Message& message = messages[i].message->message;
    for (std::uint32_t r = 0; r < message.lanes.size(); ++r) {
      asked[shard_of(message.lanes[r])].push_back({i, r});
    }
    messages[i].states.resize(message.lanes.size(), LivingState::active);
  }
  const Time now = ports.clock.now();
  const auto stopped = suspensions();
  for (std::size_t index = 0; index < shards_.size(); ++index) {
    if (asked[index].empty()) continue;
    std::function<std::vector<bool>()> ask = [&shard = *shards_[index], &mine = asked[index],
                                              &messages] {
      std::vector<bool> flying;
      for (const auto& [i, r] : mine)
        flying.push_back(shard.in_flight(place_of(*messages[i].message, r).first,
                                         messages[i].message->message.id));
      return flying;
    };
    auto asking = queue::run_on(ports.loops[index], std::move(ask));
    const std::vector<bool> flying = co_await std::move(asking);
    for (std::size_t k = 0; k < asked[index].size(); ++k) {
      const auto [i, r] = asked[index][k];
      const bool suspended = !stopped->empty() &&
                             stopped->shown(messages[i].message->message.lanes[r], now) != nullptr;
      messages[i].states[r] =
          living_state(messages[i].message->recipients[r], flying[k], suspended, now);
    }
  }
}

Task<Result<QueueListPage>> Queue::Impl::list(QueueSelector selector, std::string resume,
                                              std::size_t limit) {
  return list_page(std::move(selector), std::move(resume), limit, States::all);
}

Task<Result<QueueListPage>> Queue::Impl::list_page(QueueSelector selector, std::string resume,
                                                   std::size_t limit, States states) {
  selector.stored.state = durable_state(selector.state);
  // A state alone is a condition too.
  if (selector.state && selector.stored.selects_nothing()) selector.stored.everything = true;
  QueueListPage page;
  page.resume = std::move(resume);
  do {
    const std::size_t wanted = limit - page.messages.size();
    auto reading = read<spool::ListPage>([&](spool::Done<spool::ListPage> done) {
      ports.spool.list(selector.stored, page.resume, wanted, std::move(done));
    });
    Result<spool::ListPage> stored = co_await std::move(reading);
    if (!stored) co_return stored.error();
    page.resume = stored->resume;
    std::vector<ListedMessage> found;
    for (spool::StoredMessagePtr& message : stored->messages) {
      ListedMessage listed;
      listed.matching = spool::matching(selector.stored, *message);
      listed.message = std::move(message);
      found.push_back(std::move(listed));
    }
    if (states == States::all || selector.state) {
      auto stating = add_living_states(found);
      co_await std::move(stating);
    }
    for (ListedMessage& listed : found) {
      if (selector.state) {
        std::erase_if(listed.matching,
                      [&](std::uint32_t r) { return listed.states[r] != *selector.state; });
      }
      if (!listed.matching.empty()) page.messages.push_back(std::move(listed));
    }
  } while (!page.resume.empty() && page.messages.size() < limit);
  co_return page;
}

Task<Result<spool::StoredMessagePtr>> Queue::Impl::get(QueueId id) {
  using Messages = std::vector<spool::StoredMessagePtr>;
  auto reading = read<Messages>(
      [this, id](spool::Done<Messages> done) { ports.spool.get({id}, std::move(done)); });
  Result<Messages> found = co_await std::move(reading);
  if (!found) co_return found.error();
  if (found->empty()) co_return make_error_code(spool::Errc::missing);
  co_return found->front();
}

/// Since when, by whom and why a recipient was stopped: the last word of its history.
Task<void> Queue::Impl::explain_stop(QueueId id, std::uint32_t recipient, Wait& wait) {
  using Entries = std::vector<spool::HistoryEntry>;
  auto reading = read<Entries>(
      [this, id](spool::Done<Entries> done) { ports.spool.history(id, std::move(done)); });
  const Result<Entries> entries = co_await std::move(reading);
  if (!entries) co_return;
  for (const spool::HistoryEntry& entry : *entries) {
    const bool stopped = entry.kind == spool::EventKind::held ||
                         entry.kind == spool::EventKind::in_doubt ||
                         entry.kind == spool::EventKind::quarantined;
    if (!stopped || (entry.recipient && *entry.recipient != recipient)) continue;
    wait.since = entry.at;
    wait.detail = entry.actor + (entry.reason.empty() ? "" : ": " + entry.reason);
  }
}

Task<Result<std::vector<Wait>>> Queue::Impl::why(QueueId id) {
  auto getting = get(id);
  const Result<spool::StoredMessagePtr> stored = co_await std::move(getting);
  if (!stored) co_return stored.error();
  const Message& message = (*stored)->message;
  const Time now = ports.clock.now();
  const auto stopped = suspensions();
  std::vector<Wait> waits;
  for (std::uint32_t r = 0; r < message.lanes.size(); ++r) {
    const RecipientStatus& status = (*stored)->recipients[r];
    if (is_final(status.state)) continue;
    const LaneKey& lane = message.lanes[r];
    const std::size_t index = shard_of(lane);
    using Seen = std::pair<std::optional<schedule::LaneView>, bool>;
    std::function<Seen()> look = [&shard = *shards_[index], place = place_of(**stored, r), id] {
      return Seen{shard.view(place.first.lane), shard.in_flight(place.first, id)};
    };
    auto looking = queue::run_on(ports.loops[index], std::move(look));
    const auto [view, flying] = co_await std::move(looking);

    Wait wait;
    wait.recipient = r;
    wait.address = message.envelope.recipients[r].address.to_string();
    wait.since = std::max(status.last_attempt, message.accepted_at);
    if (status.last.reply.code != 0 || !status.last.reply.text.empty()) {
      wait.detail = last_word(status.last);
    }
    const auto reason = [&wait](const char* text, const char* setting) {
      wait.reason = text;
      wait.setting = setting;
    };
    if (status.state != RecipientState::queued) {
      auto explaining = explain_stop(id, r, wait);
      co_await std::move(explaining);
    }
    switch (status.state) {
      case RecipientState::held:
        reason("held", "");
        break;
      case RecipientState::in_doubt:
        reason("in_doubt", "retry.in_doubt");
        break;
      case RecipientState::quarantined:
        reason("quarantined", "");
        break;
      default:
        wait.next_attempt = std::max(status.due, now);
        if (flying) {
          reason("in_flight", "");
          wait.next_attempt.reset();
        } else if (const auto* suspension = stopped->shown(lane, now)) {
          reason("suspended", "");
          explain_suspension(*suspension, status.due, wait);
        } else if (view && view->delayed_until > now && view->delayed_until >= status.due) {
          const char* trouble = trouble_of(view->trouble);
          reason(trouble != nullptr ? trouble : "host_down", "");
          wait.since = view->trouble_since;
          wait.next_attempt = view->delayed_until;
          wait.detail = last_word(view->trouble);
        } else if (status.due > now) {
          const char* trouble = trouble_of(status.last);
          const bool own_delay = !status.last.counts_as_try;
          reason(trouble != nullptr ? trouble : "backoff", own_delay ? ""
                                                           : settings()->retry.intervals.empty()
                                                               ? "retry.min"
                                                               : "retry.intervals");
        } else if (view && view->sessions >= view->sessions_max) {
          reason("limit", "destination.connections");
        } else if (view && view->waits_for_budget) {
          reason("limit", "server.connections_out_max");
        } else {
          reason("due", "");
        }
    }
    waits.push_back(std::move(wait));
  }
  co_return waits;
}

Task<QueueStatistics> Queue::Impl::statistics() {
  QueueStatistics sum;
  for (std::size_t index = 0; index < shards_.size(); ++index) {
    std::function<queue::ShardStatistics()> look = [&shard = *shards_[index]] {
      return shard.statistics();
    };
    auto looking = queue::run_on(ports.loops[index], std::move(look));
    const queue::ShardStatistics one = co_await std::move(looking);
    sum.sessions += one.sessions;
    sum.window_messages += one.window_entries;
    sum.window_memory += one.window_octets;
    sum.lanes_in_memory += one.lanes;
    sum.lanes_sleeping += one.lanes_sleeping;
    sum.in_flight += one.in_flight;
    sum.deferrals += one.deferrals;
    sum.faults += one.faults;
  }
  sum.notices = notices_.told();
  sum.notices_suppressed = notices_.suppressed();
  sum.window_octets = memory->used;
  co_return sum;
}

// ---- changing ---------------------------------------------------------------------------------

/// Takes the messages out of their windows; recipients in flight are dropped from `recipients`, and
/// counted. A dry run only looks.
Task<void> Queue::Impl::block_in_shards(const std::vector<ListedMessage>& messages,
                                        std::vector<std::vector<std::uint32_t>>& recipients,
                                        PlacesByShard& blocked, bool dry_run, BulkResult& result) {
  for (std::size_t index = 0; index < shards_.size(); ++index) {
    std::vector<Place> places;
    std::vector<std::pair<std::size_t, std::uint32_t>> whose;
    for (std::size_t i = 0; i < messages.size(); ++i) {
      for (const std::uint32_t r : recipients[i]) {
        if (shard_of(messages[i].message->message.lanes[r]) != index) continue;
        places.push_back(place_of(*messages[i].message, r));
        whose.push_back({i, r});
      }
    }
    if (places.empty()) continue;
    std::function<std::vector<bool>()> block = [&shard = *shards_[index], &places, dry_run] {
      if (!dry_run) return shard.block(places);
      std::vector<bool> flying;
      for (const auto& [flow, place] : places) flying.push_back(shard.in_flight(flow, place.id));
      return flying;
    };
    auto blocking = queue::run_on(ports.loops[index], std::move(block));
    const std::vector<bool> flying = co_await std::move(blocking);
    for (std::size_t k = 0; k < whose.size(); ++k) {
      if (flying[k]) {
        ++result.in_flight;
        std::erase(recipients[whose[k].first], whose[k].second);
      } else {
        blocked[index].push_back(places[k]);
      }
    }
  }
}

/// What was settled between the listing and the block is not what the operator saw: left alone.
Task<void> Queue::Impl::drop_changed(const std::vector<ListedMessage>& messages,
                                     std::vector<std::vector<std::uint32_t>>& recipients) {
  std::vector<QueueId> ids;
  for (const ListedMessage& listed : messages) ids.push_back(listed.message->message.id);
  using Messages = std::vector<spool::StoredMessagePtr>;
  auto reading = read<Messages>(
      [this, &ids](spool::Done<Messages> done) { ports.spool.get(ids, std::move(done)); });
  const Result<Messages> found = co_await std::move(reading);
  std::map<QueueId, spool::StoredMessagePtr> fresh;
  if (found) {
    for (const spool::StoredMessagePtr& message : *found) fresh[message->message.id] = message;
  }
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const auto now_stored = fresh.find(messages[i].message->message.id);
    std::erase_if(recipients[i], [&](std::uint32_t r) {
      return now_stored == fresh.end() ||
             now_stored->second->recipients[r] != messages[i].message->recipients[r];
    });
  }
}

/// The changes that `pattern` means for the recipients of one message, with the notice for them.
Task<void> Queue::Impl::add_changes(const ListedMessage& listed,
                                    const std::vector<std::uint32_t>& recipients,
                                    const spool::Change& pattern,
                                    std::vector<spool::Operation>& operations) {
  const spool::StoredMessage& stored = *listed.message;
  spool::Change change = pattern;
  change.id = stored.message.id;
  change.recipients = recipients;
  if (change.verb != Verb::fail && change.verb != Verb::expire) {
    operations.push_back(std::move(change));
    co_return;
  }
  std::vector<dsn::ReportedRecipient> failed;
  for (const std::uint32_t r : recipients) {
    const RecipientStatus& status = stored.recipients[r];
    Disposition disposition = change.verb == Verb::expire
                                  ? queue::give_up(status.last, Cause::lifetime)
                                  : change.disposition;
    dsn::ReportedRecipient one;
    one.index = r;
    one.disposition = std::move(disposition);
    one.tries = status.tries;
    one.last_attempt = status.last_attempt;
    failed.push_back(std::move(one));
  }
  auto original = std::shared_ptr<const Message>(listed.message, &stored.message);
  auto making = notices_.make(std::move(original), failed, dsn::NextHop::relay, settings());
  change.notices = co_await std::move(making);
  // A recipient that expires keeps its own last reply, so each has an operation of its own; the
  // notice about all of them goes with the first.
  if (change.verb == Verb::fail) {
    operations.push_back(std::move(change));
    co_return;
  }
  for (dsn::ReportedRecipient& one : failed) {
    change.recipients = {one.index};
    change.disposition = std::move(one.disposition);
    operations.push_back(change);
    change.notices.clear();
  }
}

/// What a page would change, if nothing moves meanwhile.
Task<void> Queue::Impl::count_changes(const std::vector<ListedMessage>& messages, Verb verb,
                                      BulkResult& result) {
  std::vector<std::vector<std::uint32_t>> recipients;
  for (const ListedMessage& listed : messages) recipients.push_back(listed.matching);
  PlacesByShard none(shards_.size());
  auto looking = block_in_shards(messages, recipients, none, true, result);
  co_await std::move(looking);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    for (const std::uint32_t r : recipients[i]) {
      if (spool::takes(verb, messages[i].message->recipients[r].state)) ++result.changed;
    }
  }
}

/// In steps that are small by recipients too, and by notices, which are in memory until the spool
/// has them.
Task<void> Queue::Impl::change_page(std::vector<ListedMessage> messages, spool::Change pattern,
                                    BulkResult& result) {
  const bool reports = pattern.verb == Verb::fail || pattern.verb == Verb::expire;
  const std::size_t messages_max = reports ? step_with_notices : step_messages;
  std::vector<ListedMessage> step;
  std::size_t recipients = 0;
  for (std::size_t i = 0; i < messages.size() && result.error.empty(); ++i) {
    recipients += messages[i].matching.size();
    step.push_back(std::move(messages[i]));
    const bool last = i + 1 == messages.size();
    if (!last && step.size() < messages_max && recipients < step_recipients) continue;
    const SteadyTime begun = ports.clock.steady_now();
    auto changing = change_step(step, pattern, result);
    co_await std::move(changing);
    const Duration worked = ports.clock.steady_now() - begun;
    auto resting = give_way(worked * (reports ? rests_with_notices : rests));
    co_await std::move(resting);
    step.clear();
    recipients = 0;
  }
}

/// One step of a bulk verb: out of the windows, into the spool, and back to where it is due.
Task<void> Queue::Impl::change_step(const std::vector<ListedMessage>& messages,
                                    const spool::Change& pattern, BulkResult& result) {
  std::vector<std::vector<std::uint32_t>> recipients;
  for (const ListedMessage& listed : messages) recipients.push_back(listed.matching);
  PlacesByShard blocked(shards_.size()), due_now(shards_.size());
  std::exception_ptr failure;
  try {
    auto changing = change_blocked(messages, pattern, recipients, blocked, due_now, result);
    co_await std::move(changing);
  } catch (...) {
    failure = std::current_exception();
  }
  // Whatever happened: nothing stays blocked.
  for (std::size_t index = 0; index < shards_.size(); ++index) {
    if (blocked[index].empty()) continue;
    std::function<bool()> unblock = [&shard = *shards_[index], &mine = blocked[index],
                                     &due = due_now[index]] {
      shard.unblock(mine);
      shard.due_by_order(due);
      return true;
    };
    auto unblocking = queue::run_on(ports.loops[index], std::move(unblock));
    co_await std::move(unblocking);
  }
  if (failure) std::rethrow_exception(failure);
}

Task<void> Queue::Impl::change_blocked(const std::vector<ListedMessage>& messages,
                                       const spool::Change& pattern,
                                       std::vector<std::vector<std::uint32_t>>& recipients,
                                       PlacesByShard& blocked, PlacesByShard& due_now,
                                       BulkResult& result) {
  auto blocking = block_in_shards(messages, recipients, blocked, false, result);
  co_await std::move(blocking);
  auto comparing = drop_changed(messages, recipients);
  co_await std::move(comparing);

  std::vector<spool::Operation> operations;
  spool::Change change = pattern;
  const auto spread = static_cast<int>(std::min<std::uint64_t>(result.changed, 1u << 30));
  change.due = pattern.due + bulk_spread * spread;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (recipients[i].empty()) continue;
    auto adding = add_changes(messages[i], recipients[i], change, operations);
    co_await std::move(adding);
    for (const std::uint32_t r : recipients[i]) {
      Place place = place_of(*messages[i].message, r);
      place.second.due = change.due;
      if (change.verb == Verb::make_due || change.verb == Verb::release) {
        due_now[shard_of(place.first.lane)].push_back(place);
      }
    }
    change.due += bulk_spread;
  }

  auto performing = shards_.front()->gate().perform_all(std::move(operations));
  std::vector<spool::Answer> answers = co_await std::move(performing);
  for (spool::Answer& answer : answers) {
    if (answer.status == spool::Status::committed) {
      result.changed += answer.changed;
      if (answer.changed == 0) continue;
      for (spool::Admit& notice : std::get<spool::Change>(*answer.operation).notices) {
        dispatch_notice(std::move(notice.message), notice.due, nullptr);
      }
    } else if (answer.status == spool::Status::unknown || answer.status == spool::Status::full) {
      result.error =
          "the spool answered " + std::string(to_text(answer.status)) + ": " + answer.detail;
    }
  }
}

/// Mail that passes through goes first: a bulk verb rests for that long while there is some.
Task<void> Queue::Impl::give_way(Duration rest) {
  if (memory->used.load(std::memory_order_relaxed) == 0) co_return;
  auto resting = sleep_for(ports.clock, std::min<Duration>(rest, bulk_rest_max));
  co_await std::move(resting);
}

Task<BulkResult> Queue::Impl::apply(Verb verb, QueueSelector selector, std::string reason,
                                    std::string actor, bool dry_run,
                                    std::shared_ptr<BulkProgress> progress) {
  BulkResult result;
  if (!selector.state && selector.stored.selects_nothing()) {
    result.error = "the selector names nothing";
  } else if (!selector.stored.everything && limits_nothing(selector)) {
    result.error = "the selector means everything without saying so";
  }
  if (!result.error.empty()) co_return result;
  spool::Change pattern;
  pattern.verb = verb;
  pattern.reason = reason;
  pattern.actor = actor;
  if (verb == Verb::fail) {
    pattern.disposition.outcome = Outcome::failed;
    pattern.disposition.reply = {
        554, {5, 7, 1}, reason.empty() ? "returned by the postmaster" : reason};
    pattern.disposition.stage = Stage::local;
    pattern.disposition.cause = Cause::operator_;
    pattern.disposition.counts_as_try = false;
  }
  std::string resume;
  do {
    if (progress && progress->cancel) break;
    const SteadyTime begun = ports.clock.steady_now();
    auto listing = list_page(selector, resume, bulk_page, States::if_selected);
    Result<QueueListPage> page = co_await std::move(listing);
    if (!page) {
      result.error = page.error().message();
      break;
    }
    auto resting = give_way((ports.clock.steady_now() - begun) * rests);
    co_await std::move(resting);
    resume = page->resume;
    for (const ListedMessage& listed : page->messages) result.matched += listed.matching.size();
    result.messages += page->messages.size();
    if (progress) progress->matched = result.matched;
    if (dry_run) {
      auto counting = count_changes(page->messages, verb, result);
      co_await std::move(counting);
    } else {
      pattern.at = ports.clock.now();
      pattern.due = pattern.at;
      auto changing = change_page(std::move(page->messages), pattern, result);
      co_await std::move(changing);
    }
    if (progress) progress->changed = result.changed;
  } while (!resume.empty() && result.error.empty());
  if (!dry_run && result.changed > 0) {
    log::info("operator")
        .field("verb", spool::to_text(verb))
        .field("actor", actor)
        .field("reason", reason)
        .field("matched", result.matched)
        .field("changed", result.changed)
        .field("in_flight", result.in_flight);
  }
  co_return result;
}

// ---- lifetimes of what does not come due ------------------------------------------------------

/// Held and doubtful recipients have no due entry, and suspended lanes hand none out; lifetimes end
/// there all the same. Only what is older than a lifetime is looked at.
Task<void> Queue::Impl::expire_stopped(LivingState state, Time accepted_before) {
  QueueSelector selector;
  selector.state = state;
  selector.stored.accepted_before = accepted_before;
  std::string resume;
  do {
    auto listing = list_page(selector, resume, bulk_page, States::if_selected);
    Result<QueueListPage> page = co_await std::move(listing);
    if (!page) co_return;
    resume = page->resume;
    const Time now = ports.clock.now();
    std::erase_if(page->messages, [now](const ListedMessage& listed) {
      return listed.message->message.expires_at > now;
    });
    spool::Change pattern;
    pattern.verb = Verb::expire;
    pattern.at = now;
    pattern.reason = "the lifetime ended while " + std::string(to_text(state));
    pattern.actor = "engine";
    BulkResult result;
    auto changing = change_page(std::move(page->messages), pattern, result);
    co_await std::move(changing);
    if (!result.error.empty()) co_return;
  } while (!resume.empty());
}

Task<void> Queue::Impl::watch_lifetimes() {
  while (!stopping_) {
    const auto current = settings();
    const Duration lifetime = std::min(current->retry.lifetime, current->notify.lifetime);
    const Duration interval =
        std::clamp<Duration>(lifetime / 50, std::chrono::seconds(1), std::chrono::minutes(10));
    auto sleeping = sleep_for(ports.clock, interval);
    co_await std::move(sleeping);
    spool::Totals totals;
    for (const spool::TenantTotals& tenant : ports.spool.totals()) totals += tenant.totals;
    const Time before = ports.clock.now() - lifetime + Duration(1);
    const std::pair<LivingState, bool> stopped[] = {
        {LivingState::held, totals.held > 0},
        {LivingState::in_doubt, totals.in_doubt > 0},
        {LivingState::suspended, !suspensions()->empty()}};
    for (const auto& [state, any] : stopped) {
      if (!any) continue;
      auto expiring = expire_stopped(state, before);
      co_await std::move(expiring);
    }
  }
}

}  // namespace mansio
