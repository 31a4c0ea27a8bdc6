// Takes the content of a message to an address of [bounces]: reads it as a notice of another server
// and writes what it says into the history of the message that it is about. Nothing of it is kept,
// relayed or answered by mail: no loop can pass through here.
//
// - Which message: by the token in the address, or else in the notice; never by its words.
// - Which recipient: by the token; where that is for the whole message, by the addresses in the
//   notice.
// - The reply 250 comes after the record is durable.
// - Automatic replies and receipts are counted and logged; they say nothing new about delivery.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dsn/report_outcome.h"
#include "dsn/report_reader.h"
#include "edge/admission.h"
#include "edge/bounce_desk.h"
#include "edge/edge_statistics.h"
#include "smtp/server.h"

namespace mansio::edge {

/// So many notices are written into the history of a message, for each of its recipients: whoever
/// got the message knows its return address, and must not fill the disk with it.
inline constexpr std::size_t notices_per_recipient_max = 20;
/// And so many recipients of one notice.
inline constexpr std::size_t records_per_notice_max = 100;

/// Runs on: the connection's loop.
class BounceReceiver final : public smtp::ContentReceiver {
 public:
  /// References must outlive it; `envelope.origin` is complete, and every recipient is one that
  /// desk->find() knows. `lmtp`: a reply for each.
  BounceReceiver(Admission& admission, EdgeStatistics& statistics, Clock& clock,
                 std::shared_ptr<const BounceDesk> desk, Envelope envelope, bool lmtp);

  Task<std::optional<Reply>> write(std::string_view octets) override;
  Task<smtp::ContentVerdict> finish() override;

 private:
  Task<spool::Status> take(const Recipient& recipient, const dsn::Report& report);
  Task<spool::Status> record_all(const dsn::ReturnMark& mark, const dsn::Report& report);
  spool::Record record_of(const dsn::Report& report, const dsn::RecipientReport* entry,
                          const std::string& address) const;
  void log_record(const spool::Record& record, const dsn::Report& report) const;
  void log_ignored(const QueueId& id, const dsn::Report& report, const char* reason);

  Admission& admission_;
  EdgeStatistics& statistics_;
  Clock& clock_;
  const std::shared_ptr<const BounceDesk> desk_;
  const Envelope envelope_;
  const bool lmtp_;
  dsn::ReportReader reader_;
};

}  // namespace mansio::edge
