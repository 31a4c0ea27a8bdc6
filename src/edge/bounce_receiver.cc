#include "edge/bounce_receiver.h"

#include <algorithm>
#include <map>

#include "base/log.h"
#include "base/text.h"

namespace mansio::edge {
namespace {

// Built here rather than in place: g++ 12 destroys braced aggregates in coroutines wrongly.
Reply reply_for(spool::Status status) {
  switch (status) {
    case spool::Status::committed:
      return {250, {2, 0, 0}, "Ok: notice taken"};
    case spool::Status::missing:
      return {550, {5, 1, 1}, "This is no notice about a message of this server"};
    case spool::Status::full:
      return {452, {4, 3, 1}, "Insufficient storage, try again later"};
    case spool::Status::refused:
    case spool::Status::fenced:
    case spool::Status::corrupt:
    case spool::Status::unknown:
      break;
  }
  return {451, {4, 3, 0}, "Local storage error, try again later"};
}

/// The one that a client must hear if it can hear one only: what is to be sent again comes first,
/// then what is done.
int rank(spool::Status status) {
  switch (status) {
    case spool::Status::unknown:
      return 4;
    case spool::Status::full:
    case spool::Status::refused:
    case spool::Status::fenced:
    case spool::Status::corrupt:
      return 3;
    case spool::Status::committed:
      return 2;
    case spool::Status::missing:
      break;
  }
  return 1;
}

/// The recipient of ours that an entry names.
std::optional<std::uint32_t> index_of(const KnownMessage& known,
                                      const dsn::RecipientReport& entry) {
  for (const std::string& named : {entry.original_recipient, entry.final_recipient}) {
    if (named.empty()) continue;
    for (const auto& [index, address] : known.recipients) {
      if (equals_ignoring_case(address, named)) return index;
    }
  }
  if (known.recipients.size() == 1) return known.recipients.begin()->first;
  return std::nullopt;
}

std::string address_at(const KnownMessage& known, std::optional<std::uint32_t> index) {
  if (!index) return {};
  const auto found = known.recipients.find(*index);
  return found == known.recipients.end() ? std::string() : found->second;
}

}  // namespace

BounceReceiver::BounceReceiver(Admission& admission, EdgeStatistics& statistics, Clock& clock,
                               std::shared_ptr<const BounceDesk> desk, Envelope envelope, bool lmtp)
    : admission_(admission),
      statistics_(statistics),
      clock_(clock),
      desk_(std::move(desk)),
      envelope_(std::move(envelope)),
      lmtp_(lmtp) {}

Task<std::optional<Reply>> BounceReceiver::write(std::string_view octets) {
  reader_.feed(octets);
  co_return std::nullopt;
}

Task<smtp::ContentVerdict> BounceReceiver::finish() {
  const dsn::Report report = reader_.finish();
  std::vector<spool::Status> statuses;
  std::map<std::string, spool::Status> done;  // an address named twice is told once
  for (const Recipient& recipient : envelope_.recipients) {
    const std::string address = to_lower(recipient.address.to_string());
    const auto before = done.find(address);
    if (before != done.end()) {
      statuses.push_back(before->second);
      continue;
    }
    auto taking = take(recipient, report);
    const spool::Status status = co_await std::move(taking);
    statuses.push_back(status);
    done.emplace(address, status);
  }
  const auto by_rank = [](spool::Status a, spool::Status b) { return rank(a) < rank(b); };
  const spool::Status most = *std::max_element(statuses.begin(), statuses.end(), by_rank);
  if (most == spool::Status::committed) {
    ++statistics_.bounces.at(static_cast<std::size_t>(report.kind));
  }
  if (most == spool::Status::missing) {
    ++statistics_.bounces_refused;
    log::info("bounce_refused")
        .field("client", envelope_.origin.client_address)
        .field("sender", envelope_.reverse_path.to_string())
        .field("recipient", envelope_.recipients.front().address.to_string())
        .field("kind", to_text(report.kind))
        .field("subject", report.subject);
  }
  smtp::ContentVerdict verdict = smtp::NoReply();
  if (most == spool::Status::unknown) {
    ++statistics_.outcomes_unknown;
    co_return verdict;
  }
  if (!lmtp_) statuses.assign(1, most);
  std::vector<Reply> replies;
  for (const spool::Status status : statuses) replies.push_back(reply_for(status));
  verdict = std::move(replies);
  co_return verdict;
}

/// What became of the notice for one address that it came to; `missing`: it is not about us.
Task<spool::Status> BounceReceiver::take(const Recipient& recipient, const dsn::Report& report) {
  std::optional<dsn::ReturnMark> mark;
  if (const auto address = desk_->find(recipient.address)) mark = address->mark;
  if (!mark) mark = desk_->mark_of(report);
  if (!mark) co_return spool::Status::missing;
  if (!dsn::is_worth_recording(report)) {
    log_ignored(mark->id, report, "it says nothing about delivery");
    co_return spool::Status::committed;
  }
  auto recording = record_all(*mark, report);
  const spool::Status status = co_await std::move(recording);
  co_return status;
}

Task<spool::Status> BounceReceiver::record_all(const dsn::ReturnMark& mark,
                                               const dsn::Report& report) {
  auto asking = admission_.known(mark.id);
  const KnownMessage known = co_await std::move(asking);
  const std::size_t most =
      notices_per_recipient_max * std::max<std::size_t>(1, known.recipients.size());
  if (known.notices >= most) {
    log_ignored(mark.id, report, "the history of the message has enough of them");
    co_return spool::Status::committed;
  }
  std::vector<spool::Record> records;
  if (mark.recipient || report.recipients.empty()) {
    const std::string address = address_at(known, mark.recipient);
    spool::Record record = record_of(report, dsn::entry_about(report, address), address);
    record.recipient = mark.recipient;
    records.push_back(std::move(record));
  } else {
    for (const dsn::RecipientReport& entry : report.recipients) {
      if (records.size() >= std::min(records_per_notice_max, most - known.notices)) break;
      const auto index = index_of(known, entry);
      spool::Record record = record_of(report, &entry, address_at(known, index));
      if (!index) record.recipient_address = entry.final_recipient;
      record.recipient = index;
      records.push_back(std::move(record));
    }
  }
  spool::Status worst = spool::Status::committed;
  for (spool::Record& record : records) {
    record.id = mark.id;
    record.tenant = known.tenant;
    log_record(record, report);
    auto recording = admission_.record(std::move(record));
    const spool::Status status = co_await std::move(recording);
    if (rank(status) > rank(worst)) worst = status;
  }
  co_return worst;
}

spool::Record BounceReceiver::record_of(const dsn::Report& report,
                                        const dsn::RecipientReport* entry,
                                        const std::string& address) const {
  const std::string& client = envelope_.origin.client_address;
  spool::Record record;
  record.at = clock_.now();
  record.recipient_address = address;
  record.disposition = to_disposition(report, entry);
  record.reason = reason_of(report, entry, client, address);
  record.actor = "client " + client;
  return record;
}

void BounceReceiver::log_record(const spool::Record& record, const dsn::Report& report) const {
  log::info("bounced")
      .field("id", record.id.to_string())
      .field("recipient", record.recipient_address)
      .field("kind", to_text(report.kind))
      .field("outcome", to_text(record.disposition.outcome))
      .field("host", record.disposition.host)
      .field("reply", record.disposition.reply.to_string())
      .field("reason", record.reason)
      .field("client", envelope_.origin.client_address);
}

void BounceReceiver::log_ignored(const QueueId& id, const dsn::Report& report, const char* reason) {
  log::info("bounce_ignored")
      .field("id", id.to_string())
      .field("kind", to_text(report.kind))
      .field("reason", reason)
      .field("client", envelope_.origin.client_address);
}

}  // namespace mansio::edge
