#include "spool/file/working_set.h"

#include <algorithm>

#include "spool/file/keys.h"

namespace mansio::spool {
namespace {

constexpr std::size_t counters_max = 1 << 16;
constexpr std::size_t forgotten_places = 1 << 17;

/// Finds a counter, from the index if need be; a missing row counts nothing. `key_of` makes its key
/// in the index.
template <class Row, class Counters, class Name, class KeyOf, class Decode>
Result<WorkingSet::Counter<Row>*> counter_of(Counters& counters, const Name& name,
                                             const Index& index, Family family, KeyOf key_of,
                                             Decode decode) {
  const auto found = counters.find(name);
  if (found != counters.end()) return &found->second;
  WorkingSet::Counter<Row> counter;
  counter.key = key_of(name);
  auto stored = index.stored(family, counter.key);
  if (!stored) return stored.error();
  if (*stored && !decode(**stored, counter.row)) return make_error_code(Errc::corrupt);
  return &counters.emplace(name, std::move(counter)).first->second;
}

bool decode_count(std::string_view octets, std::uint64_t& count) {
  Decoder in(octets);
  count = in.varint();
  return in.ok() && in.at_end();
}

}  // namespace

const QueueId WorkingSet::greatest_id = [] {
  QueueId id;
  id.octets.fill(0xff);
  return id;
}();

std::size_t WorkingSet::KeyHash::operator()(const LaneKey& lane) const {
  const std::hash<std::string> hash;
  return hash(lane.destination) * 31 + hash(lane.binding);
}

std::size_t WorkingSet::KeyHash::operator()(const FlowKey& flow) const {
  return (operator()(flow.lane) * 31 + flow.flow) * 31 + static_cast<std::size_t>(flow.klass);
}

WorkingSet::WorkingSet(const Index& index, std::uint64_t memory)
    : index_(index), memory_(memory), forgotten_(forgotten_places) {}

Result<void> WorkingSet::load() {
  const Index::View view(index_);
  bool readable = true;
  auto done = view.scan(Family::totals, "", "", [&](std::string_view key, std::string_view value) {
    readable = decode_row(value, totals_[std::string(key)]);
    return readable;
  });
  if (!done) return done.error();
  const std::string prefix = "segment/";
  done = view.scan(Family::meta, prefix, end_of(prefix),
                   [&](std::string_view key, std::string_view value) {
                     const auto epoch = parse_segment_key(key);
                     readable = readable && epoch && decode_row(value, live_[*epoch]);
                     return readable;
                   });
  if (!done) return done.error();
  done = view.scan(Family::meta, suspension_prefix, end_of(suspension_prefix),
                   [&](std::string_view, std::string_view value) {
                     Suspension row;
                     readable = readable && decode_row(value, row);
                     suspensions[{row.destination, row.binding}] = row;
                     return readable;
                   });
  if (!done) return done.error();
  if (!readable) return make_error_code(Errc::corrupt);
  suspensions_known = !suspensions.empty();
  auto last = index_.last_message();
  if (!last && last.error() != make_error_code(Errc::corrupt)) return last.error();
  newest_elsewhere_ = last ? *last : greatest_id;
  next_sequence = index_.opened_at().sequence;
  return {};
}

Result<WorkingSet::Held*> WorkingSet::message(const QueueId& id) {
  const auto found = messages_.find(id);
  if (found != messages_.end()) {
    order_.splice(order_.end(), order_, found->second.place);
    return &found->second;
  }
  Held held;
  if (id > newest_elsewhere_) return &insert(id, std::move(held));
  auto row = index_.stored_message(id);
  if (!row) return row.error();
  if (*row) {
    held.state = std::make_shared<StoredMessage>(std::move((*row)->stored));
    held.location = (*row)->location;
    held.first_due = std::move((*row)->first_due);
    held.has_row = std::move((*row)->has_row);
  }
  return &insert(id, std::move(held));
}

WorkingSet::Held& WorkingSet::insert(const QueueId& id, Held held) {
  held.place = order_.insert(order_.end(), id);
  held.octets = size_of(held);
  octets_ += held.octets;
  return messages_.emplace(id, std::move(held)).first->second;
}

void WorkingSet::offer(MessageRow row, std::uint64_t group) {
  const QueueId id = row.stored.message.id;
  if (octets_ >= memory_ || messages_.contains(id)) return;
  if (forgotten_[std::hash<QueueId>()(id) % forgotten_.size()] > group) return;
  Held held;
  held.state = std::make_shared<StoredMessage>(std::move(row.stored));
  held.location = row.location;
  held.first_due = std::move(row.first_due);
  held.has_row = std::move(row.has_row);
  insert(id, std::move(held));
}

void WorkingSet::forget(std::unordered_map<QueueId, Held>::iterator message) {
  const auto& [id, held] = *message;
  std::uint64_t& newest = forgotten_[std::hash<QueueId>()(id) % forgotten_.size()];
  newest = std::max(newest, held.group);
  // One that never was has no row either.
  const bool existed = held.state != nullptr || held.group != 0;
  if (existed) newest_elsewhere_ = std::max(newest_elsewhere_, id);
  octets_ -= held.octets;
  order_.erase(held.place);
  messages_.erase(message);
}

Result<WorkingSet::Counter<LaneRow>*> WorkingSet::lane(const LaneKey& lane) {
  return counter_of<LaneRow>(
      lanes_, lane, index_, Family::lanes, lane_key,
      [](std::string_view octets, LaneRow& row) { return decode_row(octets, row); });
}

Result<WorkingSet::Counter<FlowRow>*> WorkingSet::flow(const FlowKey& flow) {
  return counter_of<FlowRow>(
      flows_, flow, index_, Family::flows, flow_key,
      [](std::string_view octets, FlowRow& row) { return decode_row(octets, row); });
}

Result<WorkingSet::Counter<std::uint64_t>*> WorkingSet::content(const QueueId& content) {
  return counter_of<std::uint64_t>(contents_, content, index_, Family::meta, content_key,
                                   decode_count);
}

std::uint64_t WorkingSet::message_count() const {
  std::uint64_t count = 0;
  for (const auto& [tenant, totals] : totals_) count += totals.messages;
  return count;
}

std::size_t WorkingSet::size_of(const Held& held) {
  std::size_t octets = sizeof(Held) + 128;
  if (held.state == nullptr) return octets;
  octets += sizeof(StoredMessage) + 256;
  for (const Recipient& recipient : held.state->message.envelope.recipients) {
    octets += sizeof(Recipient) + recipient.address.domain.size() + recipient.address.local.size() +
              recipient.original_recipient.size() + sizeof(LaneKey) + sizeof(RecipientStatus) + 96;
  }
  return octets;
}

void WorkingSet::changed(Held& held, std::uint64_t group) {
  held.group = group;
  octets_ -= held.octets;
  held.octets = size_of(held);
  octets_ += held.octets;
  if (held.state == nullptr) finished_.push_back(*held.place);
}

void WorkingSet::trim() {
  const std::uint64_t written = index_.written_group();
  for (; !finished_.empty(); finished_.pop_front()) {
    const auto found = messages_.find(finished_.front());
    if (found == messages_.end() || found->second.state != nullptr) continue;
    if (found->second.group > written) break;
    forget(found);
  }
  while (!order_.empty() && octets_ > memory_) {
    const auto found = messages_.find(order_.front());
    if (found->second.group > written) break;  // what follows was used later
    forget(found);
  }
  trim_counters(lanes_);
  trim_counters(flows_);
  trim_counters(contents_);
}

template <class Counters>
void WorkingSet::trim_counters(Counters& counters) {
  if (counters.size() < counters_max) return;
  const std::uint64_t written = index_.written_group();
  std::erase_if(counters, [&](const auto& entry) { return entry.second.group <= written; });
}

}  // namespace mansio::spool
