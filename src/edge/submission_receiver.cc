#include "edge/submission_receiver.h"

#include <utility>

namespace mansio::edge {

SubmissionReceiver::SubmissionReceiver(std::unique_ptr<smtp::ContentReceiver> next,
                                       MissingFields missing, std::uint64_t header_max)
    : next_(std::move(next)), missing_(std::move(missing)), header_max_(header_max) {}

/// The header section is whole, or there is none, or it is too large to wait for its end.
std::string SubmissionReceiver::take_header() {
  completed_ = true;
  std::size_t end = 0;
  header_fields(held_, &end);
  const bool endless = end == held_.size() && held_.size() > header_max_;
  // An endless one is refused by the receiver; completing it would cut it in two.
  std::string out = endless ? std::move(held_) : completed(held_, missing_);
  held_.clear();
  return out;
}

Task<std::optional<Reply>> SubmissionReceiver::write(std::string_view octets) {
  std::string piece = ends_.feed(octets);
  if (!completed_) {
    const std::size_t searched = held_.size() < 3 ? 0 : held_.size() - 3;
    held_ += piece;
    const bool whole = held_.find("\r\n\r\n", searched) != held_.npos ||
                       held_.starts_with("\r\n") || held_.size() > header_max_;
    if (!whole) co_return std::nullopt;
    piece = take_header();
  }
  auto writing = next_->write(piece);
  std::optional<Reply> refusal = co_await std::move(writing);
  co_return refusal;
}

Task<smtp::ContentVerdict> SubmissionReceiver::finish() {
  std::string rest = ends_.finish();
  if (!completed_) {
    held_ += rest;
    rest = take_header();
  }
  if (!rest.empty()) {
    auto writing = next_->write(rest);
    std::optional<Reply> refusal = co_await std::move(writing);
    if (refusal) {
      const std::vector<Reply> replies(1, *refusal);
      smtp::ContentVerdict verdict = replies;
      co_return verdict;
    }
  }
  auto finishing = next_->finish();
  smtp::ContentVerdict verdict = co_await std::move(finishing);
  co_return verdict;
}

MissingFields missing_fields(const Envelope& envelope, const std::string& hostname,
                             const std::string& unique, Time now) {
  MissingFields missing;
  missing.from = envelope.reverse_path.is_null() ? "postmaster@" + hostname
                                                 : envelope.reverse_path.to_string();
  missing.message_id = unique + "@" + hostname;
  missing.now = now;
  return missing;
}

std::string local_user(std::uint32_t user) { return "uid:" + std::to_string(user); }

}  // namespace mansio::edge
