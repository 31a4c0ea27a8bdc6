// Content that a program of this machine hands over: its lines are ended, its header section is
// completed (message/submission.h) before it goes on to the receiver that every message goes
// through. Only for local submission; what is relayed keeps every octet.
#pragma once

#include <memory>
#include <string>

#include "message/submission.h"
#include "smtp/server.h"

namespace mansio::edge {

/// Runs on: the loop of the receiver behind it.
class SubmissionReceiver final : public smtp::ContentReceiver {
 public:
  /// `header_max`: octets of header section that `next` takes at most; so many are held back here.
  SubmissionReceiver(std::unique_ptr<smtp::ContentReceiver> next, MissingFields missing,
                     std::uint64_t header_max);

  Task<std::optional<Reply>> write(std::string_view octets) override;
  Task<smtp::ContentVerdict> finish() override;

 private:
  std::string take_header();

  std::unique_ptr<smtp::ContentReceiver> next_;
  const MissingFields missing_;
  const std::uint64_t header_max_;
  LineEnds ends_;
  std::string held_;  // the header section as far as it has come
  bool completed_ = false;
};

/// What a message of `user` (a numeric id) lacks; the id of the message makes its Message-ID
/// unique.
MissingFields missing_fields(const Envelope& envelope, const std::string& hostname,
                             const std::string& unique, Time now);

/// How an origin names a user of this machine: "uid:1000".
std::string local_user(std::uint32_t user);

}  // namespace mansio::edge
