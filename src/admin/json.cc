#include "admin/json.h"

namespace mansio::admin {
namespace {

/// As the selector `sender` takes it.
std::string path_text(const Address& address) {
  return address.is_null() ? "<>" : address.to_string();
}

const char* body_text(BodyType body) {
  switch (body) {
    case BodyType::seven_bit:
      return "7BIT";
    case BodyType::eight_bit_mime:
      return "8BITMIME";
    case BodyType::binary_mime:
      return "BINARYMIME";
  }
  return "";
}

const char* return_text(DsnReturn value) {
  switch (value) {
    case DsnReturn::unspecified:
      return "";
    case DsnReturn::full:
      return "FULL";
    case DsnReturn::headers:
      return "HDRS";
  }
  return "";
}

Json notify_json(const DsnNotify& notify) {
  if (!notify.present) return nullptr;
  Json names = Json::array();
  if (notify.never) names.push_back("NEVER");
  if (notify.success) names.push_back("SUCCESS");
  if (notify.failure) names.push_back("FAILURE");
  if (notify.delay) names.push_back("DELAY");
  return names;
}

/// What an operator calls the state: the living one while the recipient is in the queue.
std::string state_text(const ListedMessage& listed, std::uint32_t index) {
  const RecipientState stored = listed.message->recipients[index].state;
  if (is_final(stored) || index >= listed.states.size()) return mansio::to_text(stored);
  return mansio::to_text(listed.states[index]);
}

Json recipient_json(const ListedMessage& listed, std::uint32_t index) {
  const Message& message = listed.message->message;
  const RecipientStatus& status = listed.message->recipients[index];
  const bool waits = status.state == RecipientState::queued || status.state == RecipientState::held;
  Json json;
  json["index"] = index;
  json["address"] = message.envelope.recipients[index].address.to_string();
  json["destination"] = message.lanes[index].destination;
  json["binding"] = message.lanes[index].binding;
  json["state"] = state_text(listed, index);
  json["due"] = waits ? time_json(status.due) : Json(nullptr);
  json["tries"] = status.tries;
  json["retry_count"] = status.retry_count;
  json["last_reply"] = reply_json(status.last);
  return json;
}

Json head_json(const Message& message) {
  Json json;
  json["id"] = message.id.to_string();
  json["reverse_path"] = path_text(message.envelope.reverse_path);
  json["size"] = message.content.facts.size;
  json["accepted_at"] = time_json(message.accepted_at);
  json["tenant"] = message.tenant;
  return json;
}

/// A record that does not fit together must not bring the listing down.
bool readable(const ListedMessage& listed, std::uint32_t index) {
  const spool::StoredMessage& stored = *listed.message;
  return index < stored.recipients.size() && index < stored.message.lanes.size() &&
         index < stored.message.envelope.recipients.size();
}

const char* lane_state(const LaneStatus& lane) {
  if (lane.suspension) return "suspended";
  if (lane.delayed_until) return "resting";
  return lane.sessions != 0 ? "busy" : "waiting";
}

Json row_json(const Shape::Row& row) {
  Json json;
  json["destination"] = row.destination;
  json["total"] = row.total;
  json["by_age"] = row.by_age;
  return json;
}

const char* trace_state(delivery::Trace::State state) {
  switch (state) {
    case delivery::Trace::State::waiting:
      return "waiting";
    case delivery::Trace::State::running:
      return "running";
    case delivery::Trace::State::over:
      return "over";
  }
  return "";
}

const char* trace_side(delivery::TraceLine::Side side) {
  switch (side) {
    case delivery::TraceLine::Side::us:
      return "us";
    case delivery::TraceLine::Side::them:
      return "them";
    case delivery::TraceLine::Side::note:
      return "note";
  }
  return "";
}

}  // namespace

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json time_json(Time time) {
  if (time == Time{}) return nullptr;
  return to_rfc3339(time);
}

Json time_json(const std::optional<Time>& time) { return time ? time_json(*time) : Json(nullptr); }

Json reply_json(const Disposition& disposition) {
  const Reply& reply = disposition.reply;
  if (reply.code == 0 && reply.text.empty() && disposition.stage == Stage::none) return nullptr;
  Json json;
  json["code"] = reply.code;
  json["enhanced"] = reply.enhanced.present() ? reply.enhanced.to_string() : std::string();
  json["text"] = reply.text;
  json["host"] = disposition.host;
  json["stage"] = mansio::to_text(disposition.stage);
  return json;
}

Json listed_json(const ListedMessage& listed) {
  Json json = head_json(listed.message->message);
  json["recipients"] = Json::array();
  for (const std::uint32_t index : listed.matching) {
    if (readable(listed, index)) json["recipients"].push_back(recipient_json(listed, index));
  }
  return json;
}

Json message_json(const ListedMessage& listed) {
  const Message& message = listed.message->message;
  const Envelope& envelope = message.envelope;
  Json json = head_json(message);
  json["expires_at"] = time_json(message.expires_at);
  json["campaign"] = message.campaign;
  json["class"] = mansio::to_text(message.klass);
  json["notice"] = message.is_notice;
  json["subject"] = message.content.facts.subject;
  json["header_size"] = message.content.facts.header_size;
  json["body"] = body_text(envelope.body);
  json["smtputf8"] = envelope.smtputf8;
  json["envelope_id"] = envelope.envelope_id;
  json["return"] = return_text(envelope.dsn_return);
  json["origin"] = Json{{"protocol", envelope.origin.protocol},
                        {"client_address", envelope.origin.client_address},
                        {"client_name", envelope.origin.client_name},
                        {"tls", envelope.origin.tls},
                        {"user", envelope.origin.user}};
  json["recipients"] = Json::array();
  for (std::uint32_t index = 0; readable(listed, index); ++index) {
    const RecipientStatus& status = listed.message->recipients[index];
    Json recipient = recipient_json(listed, index);
    recipient["last_attempt"] = time_json(status.last_attempt);
    recipient["original"] = envelope.recipients[index].original.to_string();
    recipient["original_recipient"] = envelope.recipients[index].original_recipient;
    recipient["notify"] = notify_json(envelope.recipients[index].notify);
    json["recipients"].push_back(std::move(recipient));
  }
  return json;
}

Json history_json(const spool::HistoryEntry& entry) {
  Json json;
  json["seq"] = entry.seq;
  json["time"] = time_json(entry.at);
  json["event"] = spool::to_text(entry.kind);
  json["recipient"] = entry.recipient ? Json(*entry.recipient) : Json(nullptr);
  json["address"] = entry.recipient_address;
  json["attempt"] = entry.attempt;
  const Json reply = reply_json(entry.disposition);
  json["outcome"] =
      reply.is_null() ? Json(nullptr) : Json(mansio::to_text(entry.disposition.outcome));
  json["cause"] = reply.is_null() ? Json(nullptr) : Json(mansio::to_text(entry.disposition.cause));
  json["reply"] = reply;
  json["host_address"] = entry.disposition.address;
  json["tls"] = entry.disposition.tls;
  json["next_attempt"] = time_json(entry.next_due);
  json["reason"] = entry.reason;
  json["actor"] = entry.actor;
  return json;
}

Json wait_json(const Wait& wait) {
  Json json;
  json["recipient"] = wait.recipient;
  json["address"] = wait.address;
  json["reason"] = wait.reason;
  json["setting"] = wait.setting;
  json["since"] = time_json(wait.since);
  json["next_attempt"] = time_json(wait.next_attempt);
  json["detail"] = wait.detail;
  return json;
}

Json lane_json(const LaneStatus& lane) {
  Json json;
  json["destination"] = lane.lane.destination;
  json["binding"] = lane.lane.binding;
  json["state"] = lane_state(lane);
  json["queued"] = lane.queued;
  json["due"] = lane.due;
  json["in_flight"] = lane.in_flight;
  json["held"] = lane.held;
  json["sessions"] = lane.sessions;
  json["oldest"] = time_json(lane.oldest);
  json["trouble"] = lane.trouble;
  json["delayed_until"] = time_json(lane.delayed_until);
  json["suspension"] = lane.suspension ? suspension_json(*lane.suspension) : Json(nullptr);
  return json;
}

Json suspension_json(const spool::Suspension& suspension) {
  Json json;
  json["destination"] = suspension.destination;
  json["binding"] = suspension.binding;
  json["since"] = time_json(suspension.since);
  json["until"] = time_json(suspension.until);
  json["reason"] = suspension.reason;
  json["actor"] = suspension.actor;
  return json;
}

Json shape_json(const Shape& shape) {
  Json json;
  json["ages"] = Json::array();
  for (const Duration bound : shape.bounds) json["ages"].push_back(mansio::to_text(bound));
  json["rows"] = Json::array();
  for (const Shape::Row& row : shape.rows) json["rows"].push_back(row_json(row));
  json["all"] = row_json(shape.all);
  return json;
}

Json probe_json(const delivery::ProbeReport& report) {
  Json json;
  json["destination"] = report.destination;
  json["route"] = report.route;
  json["channel"] = report.channel;
  json["how"] = report.how;
  json["tls"] = report.tls;
  json["failure"] = report.failure;
  json["failure_is_final"] = report.failure_is_final;
  json["left_out"] = report.left_out;
  json["addresses"] = Json::array();
  for (const delivery::ProbedAddress& address : report.addresses) {
    Json one;
    one["host"] = address.host;
    one["address"] = address.address;
    one["preference"] = address.preference ? Json(*address.preference) : Json(nullptr);
    one["ok"] = address.ok;
    one["greeting"] = address.greeting;
    one["extensions"] = address.extensions;
    one["tls"] = address.tls;
    one["tls_verified"] = address.tls_verified;
    one["tls_trouble"] = address.tls_trouble;
    one["trouble"] = address.trouble;
    one["seconds"] = std::chrono::duration<double>(address.took).count();
    json["addresses"].push_back(std::move(one));
  }
  return json;
}

Json trace_json(const delivery::Trace::View& view) {
  Json json;
  json["state"] = trace_state(view.state);
  json["lines"] = Json::array();
  for (const delivery::TraceLine& line : view.lines) {
    Json one;
    one["time"] = time_json(line.at);
    one["side"] = trace_side(line.side);
    one["text"] = line.text;
    json["lines"].push_back(std::move(one));
  }
  json["lines_total"] = view.lines_total;
  json["cut"] = view.cut;
  return json;
}

Json totals_json(const spool::Totals& totals) {
  Json json;
  json["accepted"] = totals.accepted;
  json["delivered"] = totals.delivered;
  json["failed"] = totals.failed;
  json["expired"] = totals.expired;
  json["removed"] = totals.removed;
  json["moved"] = totals.moved;
  json["queued"] = totals.queued;
  json["held"] = totals.held;
  json["in_doubt"] = totals.in_doubt;
  json["quarantined"] = totals.quarantined;
  json["messages"] = totals.messages;
  json["octets"] = totals.octets;
  return json;
}

Json summary_json(const spool::Totals& totals, const std::vector<spool::TenantTotals>& tenants,
                  std::uint64_t in_flight) {
  Json json = totals_json(totals);
  json["in_flight"] = in_flight;
  bool balanced = totals.balanced();
  Json list = Json::array();
  for (const spool::TenantTotals& tenant : tenants) {
    Json one;
    one["tenant"] = tenant.tenant;
    one.update(totals_json(tenant.totals));
    one["balanced"] = tenant.totals.balanced();
    balanced = balanced && tenant.totals.balanced();
    list.push_back(std::move(one));
  }
  json["balanced"] = balanced;
  json["tenants"] = std::move(list);
  return json;
}

Json error_json(std::string_view code, std::string_view message, std::string_view field) {
  Json error;
  error["code"] = code;
  error["message"] = message;
  if (!field.empty()) error["field"] = field;
  Json json;
  json["error"] = std::move(error);
  return json;
}

const char* to_text(spool::Health health) {
  switch (health) {
    case spool::Health::ok:
      return "ok";
    case spool::Health::reserve:
      return "reserve";
    case spool::Health::latched:
      return "latched";
  }
  return "unknown";
}

}  // namespace mansio::admin
