#include "spool/memory/memory_store.h"

#include <algorithm>

#include "base/assert.h"

namespace mansio::spool {
namespace {

Answer answer_of(Status status, std::string detail) {
  Answer answer;
  answer.status = status;
  answer.detail = std::move(detail);
  return answer;
}

struct LaneCount {
  std::uint64_t queued = 0;
  std::uint64_t held = 0;
};

std::map<LaneKey, LaneCount> lane_counts(const StoredMessage* state) {
  std::map<LaneKey, LaneCount> counts;
  if (state == nullptr) return counts;
  for (std::size_t i = 0; i < state->recipients.size(); ++i) {
    LaneCount& count = counts[state->message.lanes[i]];
    if (!is_final(state->recipients[i].state)) ++count.queued;
    if (state->recipients[i].state == RecipientState::held) ++count.held;
  }
  return counts;
}

}  // namespace

std::shared_ptr<StoredMessage> MemoryStore::readable(const QueueId& id) const {
  const auto found = messages.find(id);
  return found == messages.end() || damaged.contains(id) ? nullptr : found->second;
}

Answer MemoryStore::commit(const Operation& operation, const MemorySpoolOptions& options,
                           Time now) {
  ++operations;
  drop_old_history(options, now);
  if (const auto* admit = std::get_if<Admit>(&operation)) {
    return commit_admit(operation, *admit, options, now, false);
  }
  if (const auto* settle = std::get_if<Settle>(&operation)) {
    return commit_with_notices(operation, settle->id, settle->notices, options, now);
  }
  if (const auto* change = std::get_if<Change>(&operation)) {
    return commit_with_notices(operation, change->id, change->notices, options, now);
  }
  if (const auto* renew = std::get_if<Renew>(&operation)) return commit_renew(operation, *renew);
  if (const auto* claim = std::get_if<Claim>(&operation)) return commit_claim(*claim);
  if (const auto* note = std::get_if<Record>(&operation)) return commit_record(*note, options, now);
  return suspend(std::get<Suspend>(operation), suspensions);
}

Answer MemoryStore::commit_admit(const Operation& operation, const Admit& admit,
                                 const MemorySpoolOptions& options, Time now, bool is_notice) {
  const Message& message = admit.message;
  const auto found = messages.find(message.id);
  if (found != messages.end()) {
    if (damaged.contains(message.id)) return answer_of(Status::corrupt, "the record is damaged");
    return spool::apply(operation, found->second).answer;  // known: answered, never changed
  }
  if (history.contains(message.id)) {
    return answer_of(Status::refused, "the id is of a message that is finished");
  }
  if (std::string objection = content_objection(admit); !objection.empty()) {
    return answer_of(Status::refused, std::move(objection));
  }
  const bool brings_content = !contents.contains(message.content.id);
  // A notice is part of an outcome: settling goes on when there is no room for new mail.
  if (brings_content && !is_notice && octets + message.content.facts.size > options.octets_max) {
    return answer_of(Status::full, "no room for the content");
  }
  std::shared_ptr<StoredMessage> state;
  Applied applied = spool::apply(operation, state);
  if (applied.answer.status != Status::committed) return std::move(applied.answer);
  messages.emplace(message.id, state);
  take_content(message.content);
  follow(nullptr, state, applied, options, now);
  return std::move(applied.answer);
}

Answer MemoryStore::commit_with_notices(const Operation& operation, const QueueId& id,
                                        const std::vector<Admit>& notices,
                                        const MemorySpoolOptions& options, Time now) {
  const auto found = messages.find(id);
  if (found == messages.end()) return answer_of(Status::missing, "no such message");
  if (damaged.contains(id)) return answer_of(Status::corrupt, "the record is damaged");
  for (const Admit& notice : notices) {
    // Outcome and notice are one: what cannot be admitted must be known before anything changes.
    std::string objection = content_objection(notice);
    std::shared_ptr<StoredMessage> none;
    if (objection.empty()) objection = spool::apply(Operation(notice), none).answer.detail;
    if (messages.contains(notice.message.id)) objection = "the id is in use";
    if (!objection.empty()) return answer_of(Status::refused, "notice: " + objection);
  }
  const std::shared_ptr<StoredMessage> before = found->second;
  Applied applied = spool::apply(operation, found->second);
  if (applied.answer.status != Status::committed || applied.answer.changed == 0) {
    return std::move(applied.answer);
  }
  const std::shared_ptr<StoredMessage> after = found->second;  // `found` may go with the message
  follow(before.get(), after, applied, options, now);
  for (const Admit& notice : notices) {
    const Answer admitted = commit_admit(Operation(notice), notice, options, now, true);
    MANSIO_ASSERT(admitted.status == Status::committed);
  }
  return std::move(applied.answer);
}

Answer MemoryStore::commit_renew(const Operation& operation, const Renew& renew) {
  const auto found = messages.find(renew.id);
  if (found == messages.end()) return answer_of(Status::missing, "no such message");
  if (damaged.contains(renew.id)) return answer_of(Status::corrupt, "the record is damaged");
  return spool::apply(operation, found->second).answer;
}

Answer MemoryStore::commit_claim(const Claim& request) {
  if (request.until <= request.at) return answer_of(Status::refused, "the lease would be over");
  Answer answer = answer_of(Status::committed, "");
  for (auto flow = flows.lower_bound(FlowKey{request.lane, PriorityClass::deadline, 0});
       flow != flows.end() && flow->first.lane == request.lane; ++flow) {
    for (const auto& [key, recipients] : flow->second.entries) {
      const auto& [due, id] = key;
      if (due > request.at || answer.claimed.size() >= request.limit) break;
      if (damaged.contains(id)) continue;
      Applied applied = claim(request, messages.at(id));
      std::move(applied.answer.claimed.begin(), applied.answer.claimed.end(),
                std::back_inserter(answer.claimed));
    }
  }
  return answer;
}

Answer MemoryStore::commit_record(const Record& request, const MemorySpoolOptions& options,
                                  Time now) {
  if (damaged.contains(request.id)) return answer_of(Status::corrupt, "the record is damaged");
  const auto found = messages.find(request.id);
  Applied applied = record(request, found == messages.end() ? nullptr : found->second.get());
  if (applied.answer.status != Status::committed) return std::move(applied.answer);
  if (found == messages.end() && !history.contains(request.id)) {
    history[request.id].finished = now;  // forgotten already: what comes now is kept as long again
    finished_.emplace_back(now, request.id);
  }
  follow_events(applied.events, options.events_max);
  return std::move(applied.answer);
}

// ---- content ----------------------------------------------------------------------------------

std::string MemoryStore::content_objection(const Admit& admit) const {
  const Content& content = admit.message.content;
  const auto found = contents.find(content.id);
  if (content.id.is_nil()) return "the content has no id";
  if (content.octets == nullptr && found == contents.end()) return "the content was not sealed";
  if (content.octets != nullptr && found != contents.end() &&
      *content.octets != *found->second.octets) {
    return "the id of the content is in use";
  }
  const std::string& octets_given =
      content.octets != nullptr ? *content.octets : *found->second.octets;
  if (octets_given.size() != content.facts.size) return "the content is not of the size it claims";
  return {};
}

void MemoryStore::take_content(const Content& content) {
  auto [found, fresh] = contents.try_emplace(content.id);
  if (fresh) {
    found->second.octets = content.octets;
    octets += content.octets->size();
  }
  ++found->second.references;
}

void MemoryStore::release_content(const QueueId& content_id) {
  const auto found = contents.find(content_id);
  MANSIO_ASSERT(found != contents.end() && found->second.references > 0);
  if (--found->second.references > 0) return;
  octets -= found->second.octets->size();
  contents.erase(found);
}

bool MemoryStore::reserve(std::uint64_t size, const MemorySpoolOptions& options) {
  if (octets + size > options.octets_max) return false;
  octets += size;
  return true;
}

void MemoryStore::seal(const QueueId& content_id, std::string content) {
  contents[content_id].octets = std::make_shared<const std::string>(std::move(content));
}

void MemoryStore::drop_unreferenced_content() {
  std::erase_if(contents, [this](const auto& entry) {
    if (entry.second.references > 0) return false;
    octets -= entry.second.octets->size();
    return true;
  });
}

// ---- what follows from a change ---------------------------------------------------------------

void MemoryStore::follow(const StoredMessage* before, const std::shared_ptr<StoredMessage>& after,
                         Applied& applied, const MemorySpoolOptions& options, Time now) {
  const QueueId id = after->message.id;
  follow_due(id, applied.due);
  follow_lanes(before, *after);
  follow_events(applied.events, options.events_max);
  Totals& tenant = totals[after->message.tenant];
  tenant += applied.after;
  tenant -= applied.before;
  if (!applied.finished) return;
  release_content(after->message.content.id);
  messages.erase(id);
  history[id].finished = now;
  finished_.emplace_back(now, id);
}

void MemoryStore::follow_due(const QueueId& id, const std::vector<DueChange>& changes) {
  for (const DueChange& change : changes) {
    Flow& flow = flows[change.flow];
    std::vector<std::uint32_t>& recipients = flow.entries[{change.due, id}];
    flow.recipients += change.recipients.size();
    flow.recipients -= recipients.size();
    recipients = change.recipients;
    if (recipients.empty()) flow.entries.erase({change.due, id});
    if (flow.entries.empty()) flows.erase(change.flow);
  }
}

void MemoryStore::follow_lanes(const StoredMessage* before, const StoredMessage& after) {
  const auto old_counts = lane_counts(before);
  const std::pair<Time, QueueId> key{after.message.accepted_at, after.message.id};
  for (const auto& [name, count] : lane_counts(&after)) {
    const auto old = old_counts.find(name);
    const LaneCount old_count = old == old_counts.end() ? LaneCount{} : old->second;
    Lane& lane = lanes[name];
    lane.queued += count.queued - old_count.queued;
    lane.held += count.held - old_count.held;
    if (count.queued > 0) {
      lane.messages.insert(key);
    } else {
      lane.messages.erase(key);
    }
    if (lane.messages.empty()) lanes.erase(name);
  }
}

void MemoryStore::follow_events(std::vector<Event>& fresh, std::size_t events_max) {
  for (Event& event : fresh) {
    event.entry.seq = next_seq++;
    history[event.id].entries.push_back(event.entry);
    events.push_back(std::move(event));
  }
  while (events.size() > events_max) events.pop_front();
}

void MemoryStore::drop_old_history(const MemorySpoolOptions& options, Time now) {
  while (!finished_.empty() && now - finished_.front().first > options.history_keep) {
    history.erase(finished_.front().second);
    finished_.pop_front();
  }
}

std::vector<InDoubt> MemoryStore::marks_in_doubt() const {
  std::vector<InDoubt> result;
  for (const auto& [token, mark] : marks) {
    const auto state = readable(mark.id);
    if (state == nullptr) continue;
    InDoubt doubt{mark.id, {}, mark.attempt};
    for (const std::uint32_t index : mark.recipients) {
      if (index >= state->recipients.size()) continue;
      const RecipientStatus& status = state->recipients[index];
      const bool has_outcome = is_final(status.state) || status.tries >= mark.attempt;
      if (!has_outcome) doubt.recipients.push_back(index);
    }
    if (!doubt.recipients.empty()) result.push_back(std::move(doubt));
  }
  return result;
}

}  // namespace mansio::spool
