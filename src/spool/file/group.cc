// How a group comes about: begin(); for each operation the record is appended, the ledger applies
// it, and absorb() notes what changed; finish() seals the records for the place that the journal
// gave and writes each changed row once, however often it changed.
#include "spool/file/group.h"

#include <algorithm>

#include "base/assert.h"
#include "spool/file/keys.h"

namespace mansio::spool {
namespace {

const QueueId& id_of(const Operation& operation) {
  if (const auto* admit = std::get_if<Admit>(&operation)) return admit->message.id;
  if (const auto* settle = std::get_if<Settle>(&operation)) return settle->id;
  if (const auto* change = std::get_if<Change>(&operation)) return change->id;
  if (const auto* record = std::get_if<Record>(&operation)) return record->id;
  const auto* renew = std::get_if<Renew>(&operation);
  MANSIO_ASSERT(renew != nullptr);
  return renew->id;
}

const std::vector<Admit>* notices_of(const Operation& operation) {
  if (const auto* settle = std::get_if<Settle>(&operation)) return &settle->notices;
  if (const auto* change = std::get_if<Change>(&operation)) return &change->notices;
  return nullptr;
}

void add_difference(Totals& totals, const Totals& before, const Totals& after) {
  const auto move = [](std::uint64_t& value, std::uint64_t old, std::uint64_t now) {
    value += now - old;  // unsigned arithmetic wraps to the right result
  };
  move(totals.accepted, before.accepted, after.accepted);
  move(totals.delivered, before.delivered, after.delivered);
  move(totals.failed, before.failed, after.failed);
  move(totals.expired, before.expired, after.expired);
  move(totals.removed, before.removed, after.removed);
  move(totals.moved, before.moved, after.moved);
  move(totals.queued, before.queued, after.queued);
  move(totals.held, before.held, after.held);
  move(totals.in_doubt, before.in_doubt, after.in_doubt);
  move(totals.quarantined, before.quarantined, after.quarantined);
  move(totals.messages, before.messages, after.messages);
  move(totals.octets, before.octets, after.octets);
}

/// Remembers a counter that the group changes, once.
template <class Counter>
void note_changed(std::vector<Counter*>& changed, Counter& counter) {
  if (counter.dirty) return;
  counter.dirty = true;
  changed.push_back(&counter);
}

}  // namespace

void GroupBuilder::begin(std::uint64_t number) {
  group_ = Group{};
  group_.octets = std::move(spare_);
  group_.octets.clear();
  group_.number = number;
  starts_.clear();
  dirty_.clear();
  placed_.clear();
  due_rows_.clear();
  other_rows_.clear();
  tenants_.clear();
  lanes_.clear();
  flows_.clear();
  contents_.clear();
  // Its body is patched when the group is complete.
  begin_record(group_.octets, RecordType::group, set_.next_sequence);
  Encoder body;
  encode(body, GroupBody{});
  group_.octets += body.octets();
  end_record(group_.octets, 0);
}

Result<Answer> GroupBuilder::apply(const Operation& operation) {
  if (const auto* suspend = std::get_if<Suspend>(&operation)) return apply_suspend(*suspend);
  if (const auto* record = std::get_if<Record>(&operation)) return apply_record(*record);
  auto answer = apply_one(operation);
  if (!answer) return answer;
  const std::vector<Admit>* notices = notices_of(operation);
  if (notices != nullptr && answer->status == Status::committed && answer->changed > 0) {
    if (auto done = apply_notices(*notices); !done) return done.error();
  }
  return answer;
}

Result<void> GroupBuilder::apply_notices(const std::vector<Admit>& notices) {
  for (const Admit& notice : notices) {
    // A refusal would be a fault of the caller; the outcome stands, and an id admits only once.
    auto answer = apply_one(Operation(notice));
    if (!answer) return answer.error();
  }
  return {};
}

Result<Answer> GroupBuilder::apply_one(const Operation& operation) {
  auto found = set_.message(id_of(operation));
  if (!found) return found.error();
  Held& held = **found;
  const std::shared_ptr<StoredMessage> before = held.state;
  const std::size_t start = group_.octets.size();

  Location location;
  if (const auto* admit = std::get_if<Admit>(&operation)) {
    std::size_t record = 0;
    const ContentPlace place = append_admit(group_.octets, set_.next_sequence, *admit, record);
    location.in_record = place.in_record;
    location.content_offset = place.offset;
  } else {
    append_operation(group_.octets, set_.next_sequence, operation);
  }
  location.record_offset = start;
  location.record_length = static_cast<std::uint32_t>(group_.octets.size() - start);

  Applied applied = spool::apply(operation, held.state);
  if (held.state == before) {
    group_.octets.resize(start);  // nothing changed: nothing to remember
    return std::move(applied.answer);
  }
  starts_.push_back(start);
  ++group_.records;
  auto done = absorb(held, before, applied, location);
  if (!done) return done.error();
  return std::move(applied.answer);
}

Answer GroupBuilder::apply_suspend(const Suspend& suspend) {
  Answer answer = spool::suspend(suspend, set_.suspensions);
  if (answer.status != Status::committed) return answer;
  starts_.push_back(append_suspend(group_.octets, set_.next_sequence, {false, {suspend}}));
  ++group_.records;
  note_suspension(suspend.suspension);
  return answer;
}

void GroupBuilder::copy_suspensions() {
  SuspendBody body;
  body.replaces = true;
  for (const auto& [key, suspension] : set_.suspensions) {
    body.operations.push_back({suspension, false});
  }
  starts_.push_back(append_suspend(group_.octets, set_.next_sequence, body));
  ++group_.records;
}

/// The row of this suspension as it is now.
void GroupBuilder::note_suspension(const Suspension& suspension) {
  const auto& [destination, binding] = std::tie(suspension.destination, suspension.binding);
  RowChange row{Family::meta, suspension_key(destination, binding), std::nullopt, {}, false};
  const auto found = set_.suspensions.find({destination, binding});
  if (found != set_.suspensions.end()) row.value = encode_row(found->second);
  other_rows_.push_back(std::move(row));
  set_.suspensions_known = true;
  group_.suspensions = set_.suspensions;
}

void GroupBuilder::replay_suspend(const SuspendBody& body) {
  if (body.replaces) {
    const SuspensionTable before = std::exchange(set_.suspensions, {});
    for (const auto& [key, suspension] : before) note_suspension(suspension);
  }
  for (const Suspend& suspend : body.operations) {
    spool::suspend(suspend, set_.suspensions);
    note_suspension(suspend.suspension);
  }
  ++group_.records;
}

Result<Answer> GroupBuilder::apply_record(const Record& record) {
  auto found = set_.message(record.id);
  if (!found) return found.error();
  Applied applied = spool::record(record, (*found)->state.get());
  if (applied.answer.status != Status::committed) return std::move(applied.answer);
  starts_.push_back(append_operation(group_.octets, set_.next_sequence, Operation(record)));
  ++group_.records;
  number_events(applied.events);
  return std::move(applied.answer);
}

Result<Effect> GroupBuilder::claim(const Claim& claim, const QueueId& id, Answer& answer) {
  auto found = set_.message(id);
  if (!found) return found.error();
  Held& held = **found;
  const std::shared_ptr<StoredMessage> before = held.state;
  Applied applied = spool::claim(claim, held.state);
  if (held.state == before) return Effect::none;
  starts_.push_back(append_claim(group_.octets, set_.next_sequence, claim, id));
  ++group_.records;
  if (auto done = absorb(held, before, applied, held.location); !done) return done.error();
  for (Claimed& claimed : applied.answer.claimed) answer.claimed.push_back(std::move(claimed));
  return Effect::applied;
}

Result<Effect> GroupBuilder::relocate(const QueueId& id, std::uint64_t from,
                                      std::string_view content) {
  auto found = set_.message(id);
  if (!found) return found.error();
  Held& held = **found;
  if (held.state == nullptr || held.location.epoch != from) return Effect::none;
  std::size_t start = 0;
  const Snapshot snapshot{*held.state, held.first_due};
  const ContentPlace place = append_relocate(group_.octets, set_.next_sequence, snapshot,
                                             held.location.in_record, content, start);
  starts_.push_back(start);
  ++group_.records;
  count_live(held.location, -1);
  held.location.epoch = 0;
  held.location.record_offset = start;
  held.location.record_length = static_cast<std::uint32_t>(group_.octets.size() - start);
  held.location.content_offset = place.offset;
  held.row_changed = true;
  placed_.push_back(id);
  mark_dirty(id, held);
  return Effect::applied;
}

Result<Effect> GroupBuilder::replay(const DecodedRecord& record, const RecordHeader& header,
                                    std::uint64_t offset) {
  if (header.sequence != set_.next_sequence) return Effect::none;
  const Location location{header.epoch, offset, header.length, record.content.in_record,
                          record.content.offset};
  if (record.type == RecordType::relocate) return replay_relocation(record, location, true);
  if (record.type == RecordType::suspend) return replay_suspend(record.suspend), Effect::applied;
  return replay_operation(record, location, header.sequence, true);
}

Result<Effect> GroupBuilder::salvage(const DecodedRecord& record, const RecordHeader& header,
                                     std::uint64_t offset) {
  set_.next_sequence = std::max(set_.next_sequence, header.sequence);
  const Location location{header.epoch, offset, header.length, record.content.in_record,
                          record.content.offset};
  if (record.type == RecordType::relocate) return replay_relocation(record, location, false);
  if (record.type == RecordType::suspend) return replay_suspend(record.suspend), Effect::applied;
  return replay_operation(record, location, header.sequence, false);
}

Result<Effect> GroupBuilder::replay_operation(const DecodedRecord& record, const Location& location,
                                              std::uint64_t, bool strict) {
  const bool is_claim = record.type == RecordType::claim;
  auto found = set_.message(is_claim ? record.claimed : id_of(record.operation));
  if (!found) return found.error();
  Held& held = **found;
  if (const auto* note = std::get_if<Record>(&record.operation)) {
    Applied applied = spool::record(*note, held.state.get());
    if (applied.events.empty()) return strict ? Effect::none : Effect::applied;
    ++group_.records;
    number_events(applied.events);
    return Effect::applied;
  }
  const std::shared_ptr<StoredMessage> before = held.state;
  Applied applied = is_claim ? spool::claim(std::get<Claim>(record.operation), held.state)
                             : spool::apply(record.operation, held.state);
  if (held.state == before) return strict ? Effect::none : Effect::applied;
  ++group_.records;
  auto done = absorb(held, before, applied, location);
  if (!done) return done.error();
  return Effect::applied;
}

Result<Effect> GroupBuilder::replay_relocation(const DecodedRecord& record,
                                               const Location& location, bool strict) {
  const StoredMessage& stored = record.snapshot.stored;
  auto found = set_.message(stored.message.id);
  if (!found) return found.error();
  Held& held = **found;
  ++group_.records;
  if (held.state != nullptr) {
    count_live(held.location, -1);
    held.location = location;
    held.row_changed = true;
    count_live(location, +1);
    mark_dirty(stored.message.id, held);
    return Effect::applied;
  }
  if (strict) return Effect::none;
  // Rebuilding: its admit record has gone with its segment, and this copy has all that is known.
  held.state = std::make_shared<StoredMessage>(stored);
  Applied applied;
  applied.created = true;
  applied.after = contribution(&stored);
  applied.due = due_entries(stored);
  for (std::uint32_t i = 0; i < stored.recipients.size(); ++i) applied.touched.push_back(i);
  auto done = absorb(held, nullptr, applied, location);
  if (!done) return done.error();
  held.first_due = record.snapshot.first_due;
  return Effect::applied;
}

Result<void> GroupBuilder::absorb(Held& held, const std::shared_ptr<StoredMessage>& before,
                                  Applied& applied, const Location& location) {
  const StoredMessage& after = *held.state;
  const QueueId id = after.message.id;
  mark_dirty(id, held);
  if (applied.created) {
    held.created = !held.ended;  // an id that is used again at once has rows to replace
    held.row_changed = true;
    held.location = location;
    held.first_due.clear();
    for (const RecipientStatus& status : after.recipients) held.first_due.push_back(status.due);
    held.has_row.assign(after.recipients.size(), false);
    if (location.epoch == 0) {
      placed_.push_back(id);
    } else {
      count_live(location, +1);
    }
    if (auto done = count_content(held, +1); !done) return done.error();
  } else if (before->epoch != after.epoch || before->lease_until != after.lease_until) {
    held.row_changed = true;
  }
  held.touched.insert(held.touched.end(), applied.touched.begin(), applied.touched.end());

  const std::string& tenant = after.message.tenant;
  add_difference(set_.totals(tenant), applied.before, applied.after);
  tenants_.insert(tenant);
  if (auto done = count_recipients(before.get(), after, applied.touched); !done) {
    return done.error();
  }
  if (auto done = emit_due_rows(applied.due, id); !done) return done.error();
  number_events(applied.events);
  if (applied.finished) {
    if (held.location.epoch != 0) count_live(held.location, -1);
    if (auto done = count_content(held, -1); !done) return done.error();
    if (!held.created) end_rows(id, held);
    held.state = nullptr;
    held.touched.clear();
  }
  set_.changed(held, group_.number);
  return {};
}

Result<void> GroupBuilder::emit_due_rows(const std::vector<DueChange>& changes, const QueueId& id) {
  for (const DueChange& due : changes) {
    auto flow = set_.flow(due.flow);
    if (!flow) return flow.error();
    RowChange row{Family::due, due_key((*flow)->key, due.due, id), std::nullopt, id, false};
    if (!due.recipients.empty()) row.value = encode_row(due.recipients);
    due_rows_.push_back(std::move(row));
  }
  return {};
}

Result<void> GroupBuilder::count_recipients(const StoredMessage* before, const StoredMessage& after,
                                            const std::vector<std::uint32_t>& touched) {
  const std::uint32_t flow_number = flow_of(after.message);
  const auto flow_at = [&](std::uint32_t i) {
    return FlowKey{after.message.lanes[i], after.message.klass, flow_number};
  };
  // First what leaves, so that a flow that is empty in between forgets its low-water mark.
  for (const std::uint32_t i : touched) {
    if (before == nullptr) break;
    const RecipientState state = before->recipients[i].state;
    if (is_final(state)) continue;
    auto lane = set_.lane(after.message.lanes[i]);
    if (!lane) return lane.error();
    --(*lane)->row.queued;
    if (state == RecipientState::held) --(*lane)->row.held;
    note_changed(lanes_, **lane);
    if (state != RecipientState::queued) continue;
    auto flow = set_.flow(flow_at(i));
    if (!flow) return flow.error();
    --(*flow)->row.queued;
    note_changed(flows_, **flow);
  }
  for (const std::uint32_t i : touched) {
    const RecipientStatus& status = after.recipients[i];
    if (is_final(status.state)) continue;
    auto lane = set_.lane(after.message.lanes[i]);
    if (!lane) return lane.error();
    LaneRow& lane_row = (*lane)->row;
    const Time accepted = after.message.accepted_at;
    lane_row.oldest = lane_row.queued == 0 ? accepted : std::min(lane_row.oldest, accepted);
    ++lane_row.queued;
    if (status.state == RecipientState::held) ++lane_row.held;
    note_changed(lanes_, **lane);
    if (status.state != RecipientState::queued) continue;
    auto flow = set_.flow(flow_at(i));
    if (!flow) return flow.error();
    FlowRow& flow_row = (*flow)->row;
    flow_row.earliest = flow_row.queued == 0 ? status.due : std::min(flow_row.earliest, status.due);
    ++flow_row.queued;
    note_changed(flows_, **flow);
  }
  return {};
}

Result<void> GroupBuilder::count_content(const Held& held, int change) {
  if (held.location.in_record) return {};
  const QueueId& content = held.state->message.content.id;
  auto counter = set_.content(content);
  if (!counter) return counter.error();
  (*counter)->row += static_cast<std::uint64_t>(static_cast<std::int64_t>(change));
  contents_[content] = *counter;
  return {};
}

void GroupBuilder::count_live(const Location& location, int change) {
  if (location.epoch == 0) return;
  LiveRow& row = set_.live(location.epoch);
  const std::int64_t octets = static_cast<std::int64_t>(location.record_length) * change;
  row.records += static_cast<std::uint64_t>(static_cast<std::int64_t>(change));
  row.octets += static_cast<std::uint64_t>(octets);
  LiveChange& live = group_.live[location.epoch];
  live.records += change;
  live.octets += octets;
}

void GroupBuilder::number_events(std::vector<Event>& events) {
  for (Event& event : events) {
    event.entry.seq = set_.next_sequence++;
    const std::string_view entry = group_.events.add(event);
    group_.changes.history.push_back(
        {event.id, event.entry.seq, event.entry.at, std::string(entry)});
  }
}

void GroupBuilder::mark_dirty(const QueueId& id, Held& held) {
  if (!held.dirty) dirty_.push_back(id);
  held.dirty = true;
  set_.changed(held, group_.number);
}

Result<void> GroupBuilder::place_records(const GroupPlace& place) {
  for (const QueueId& id : placed_) {
    auto found = set_.message(id);
    if (!found) return found.error();
    Held& held = **found;
    if (held.state == nullptr || held.location.epoch != 0) continue;
    held.location.epoch = place.segment->header.epoch;
    held.location.record_offset += place.offset;
    count_live(held.location, +1);
  }
  return {};
}

/// The message was there before this group: its rows go.
void GroupBuilder::end_rows(const QueueId& id, Held& held) {
  held.ended = true;
  for (std::uint32_t i = 0; i < held.has_row.size(); ++i) {
    if (!held.has_row[i]) continue;
    other_rows_.push_back({Family::recipients, recipient_key(id, i), std::nullopt, id, false});
  }
  held.has_row.clear();
}

void GroupBuilder::emit_message(const QueueId& id, Held& held) {
  auto& rows = group_.changes.rows;
  if (held.state == nullptr) {
    if (held.ended) rows.push_back({Family::messages, message_key(id), std::nullopt, id, false});
    held.has_row.clear();
    return;
  }
  if (held.row_changed) {
    MessageRow row;
    // The row holds no statuses: only the message and what leads to it.
    row.stored.message = held.state->message;
    row.stored.epoch = held.state->epoch;
    row.stored.lease_until = held.state->lease_until;
    row.location = held.location;
    row.first_due = held.first_due;
    rows.push_back({Family::messages, message_key(id), encode_row(row), id, held.created});
  }
  for (const std::uint32_t i : held.touched) {
    const RecipientStatus& status = held.state->recipients[i];
    if (!held.has_row[i] && status == initial_status(held.first_due[i])) continue;
    held.has_row[i] = true;
    other_rows_.push_back(
        {Family::recipients, recipient_key(id, i), encode_row(status), id, false});
  }
}

Result<void> GroupBuilder::emit_rows() {
  for (const QueueId& id : dirty_) {
    auto found = set_.message(id);
    if (!found) return found.error();
    Held& held = **found;
    emit_message(id, held);
    held.dirty = held.created = held.row_changed = held.ended = false;
    held.touched.clear();
  }
  auto& rows = group_.changes.rows;
  const auto append = [&](std::vector<RowChange>& more) {
    rows.insert(rows.end(), std::make_move_iterator(more.begin()),
                std::make_move_iterator(more.end()));
  };
  append(due_rows_);
  append(other_rows_);
  const auto counted = [&](Family family, std::string key, bool empty, std::string value) {
    RowChange row{family, std::move(key), std::nullopt, {}, false};
    if (!empty) row.value = std::move(value);
    rows.push_back(std::move(row));
  };
  const auto emit = [&](Family family, auto& counter) {
    counter.group = group_.number;
    counter.dirty = false;
    counted(family, counter.key, counter.row.queued == 0, encode_row(counter.row));
  };
  for (auto* lane : lanes_) emit(Family::lanes, *lane);
  for (auto* flow : flows_) emit(Family::flows, *flow);
  for (const auto& [content, counter] : contents_) {
    counter->group = group_.number;
    Encoder value;
    value.varint(counter->row);
    if (counter->row == 0) group_.contents_done.push_back(content);
    counted(Family::meta, counter->key, counter->row == 0, value.octets());
  }
  for (const std::string& tenant : tenants_) {
    const Totals& totals = set_.totals(tenant);
    group_.totals.emplace_back(tenant, totals);
    counted(Family::totals, tenant, false, encode_row(totals));
  }
  for (const auto& [epoch, change] : group_.live) {
    const LiveRow row = set_.live(epoch);
    counted(Family::meta, segment_key(epoch), row.records == 0, encode_row(row));
    if (row.records == 0) set_.all_live().erase(epoch);
  }
  return {};
}

Result<Group> GroupBuilder::finish(GroupPlace place, std::uint64_t durable) {
  if (auto done = place_records(place); !done) return done.error();
  if (auto done = emit_rows(); !done) return done.error();
  GroupBody body{group_.number, durable, group_.records, group_.octets.size()};
  Encoder encoded;
  encode(encoded, body);
  group_.octets.replace(record_header_size, encoded.size(), encoded.octets());
  const std::uint64_t epoch = place.segment->header.epoch;
  seal_record(group_.octets, 0, epoch);
  for (const std::size_t start : starts_) seal_record(group_.octets, start, epoch);
  group_.changes.position = {epoch, place.offset + group_.octets.size(), group_.number,
                             set_.next_sequence};
  group_.place = std::move(place);
  return std::move(group_);
}

Result<Group> GroupBuilder::finish_replay(const Position& behind) {
  if (auto done = emit_rows(); !done) return done.error();
  group_.changes.position = behind;
  group_.changes.position.sequence = set_.next_sequence;
  return std::move(group_);
}

}  // namespace mansio::spool
